//! Where the operators of a picture stand: rows by distance to the result, leaves side by side, consumers above the middle
//! of their inputs.

use super::super::QueryDag;

/// Column (in boxes, may be fractional) and row of each operator, in the order of [`QueryDag::nodes`].
pub(super) struct Layout {
    pub(super) places: Vec<(f64, usize)>,
    pub(super) columns: f64,
    pub(super) rows: usize,
}

impl Layout {
    pub(super) fn of(dag: &QueryDag) -> Self {
        let rows = rows(dag);
        let owners = owners(dag);
        let mut columns: Vec<Option<f64>> = vec![None; dag.len()];
        let mut next_leaf = 0.0;
        for (position, is_leaving) in walk(dag, &owners) {
            if !is_leaving {
                continue;
            }
            let below: Vec<f64> = dag
                .input_positions(position)
                .iter()
                .filter(|&&input| owners[input] == Some(position))
                .filter_map(|&input| columns[input])
                .collect();
            columns[position] = Some(match (below.first(), below.last()) {
                (Some(first), Some(last)) => (first + last) / 2.0,
                _ => {
                    next_leaf += 1.0;
                    next_leaf - 1.0
                }
            });
        }
        Self {
            rows: rows.iter().max().map_or(0, |last| last + 1),
            columns: next_leaf,
            places: columns
                .into_iter()
                .zip(rows)
                .map(|(column, row)| (column.unwrap_or(0.0), row))
                .collect(),
        }
    }
}

/// The longest way to a result, so that every edge leads upwards.
fn rows(dag: &QueryDag) -> Vec<usize> {
    let mut rows = vec![0; dag.len()];
    for id in dag.topological_order().into_iter().rev() {
        let Ok(position) = dag.position(id) else { continue };
        for &input in dag.input_positions(position) {
            rows[input] = rows[input].max(rows[position] + 1);
        }
    }
    rows
}

/// The consumer a shared operator is drawn under: its lowest one.
fn owners(dag: &QueryDag) -> Vec<Option<usize>> {
    let rows = rows(dag);
    (0..dag.len())
        .map(|position| {
            dag.consumer_positions(position)
                .iter()
                .copied()
                .max_by_key(|&consumer| rows[consumer])
        })
        .collect()
}

/// Each operator twice, before (false) and after (true) those it owns.
fn walk(dag: &QueryDag, owners: &[Option<usize>]) -> Vec<(usize, bool)> {
    let mut order = Vec::with_capacity(2 * dag.len());
    let mut open: Vec<(usize, bool)> = (0..dag.len())
        .rev()
        .filter(|&position| owners[position].is_none())
        .map(|position| (position, false))
        .collect();
    while let Some((position, is_leaving)) = open.pop() {
        order.push((position, is_leaving));
        if !is_leaving {
            open.push((position, true));
            let owned = dag
                .input_positions(position)
                .iter()
                .rev()
                .filter(|&&input| owners[input] == Some(position));
            open.extend(owned.map(|&input| (input, false)));
        }
    }
    order
}
