//! Indexes: each candidate planned with as a hypothetical one where HypoPG is there, told with less confidence where not.

use super::{Advice, Scanned, listed};
use crate::error::internal;
use crate::hooks::planner;
use crate::observe::planned::Planned;
use crate::pg::columns::{ComparedColumn, Comparison};
use crate::pg::ereport::Report;
use crate::pg::own_settings;
use crate::settings;
use crate::shmem::corrections;
use engine::decision::{Decision, HintSet};
use pgrx::spi::{SpiClient, SpiResult};
use pgrx::{Json, Spi, pg_sys};
use std::collections::BTreeMap;

/// Candidates that are planned with.
const MOST_CANDIDATES: usize = 24;
/// Share of the plan's cost that an index must save.
const LEAST_SAVED: f64 = 0.1;
/// Share of a table above which reading it in order is no worse than an index.
const SELECTIVE: f64 = 0.05;
/// Rows of a table below which no index is worth its keep.
const LEAST_ROWS: f64 = 1000.0;
/// Confidence in what the planner would do with an index, out of estimates …
const PLANNED: f64 = 0.5;
/// … out of counted rows …
const PLANNED_WITH_COUNTS: f64 = 0.7;
/// … and in what was not planned with.
const UNCHECKED: f64 = 0.3;

/// An index that may help.
#[derive(Debug, Clone, PartialEq)]
struct Candidate<'p> {
    columns: Vec<&'p ComparedColumn>,
}

impl Candidate<'_> {
    fn table(&self) -> Option<&ComparedColumn> {
        self.columns.first().copied()
    }

    fn sql(&self) -> String {
        let names = listed(self.columns.iter().map(|column| column.name.as_str()));
        let table = self.table().map_or("", |column| column.table_name.as_str());
        format!("CREATE INDEX ON {table} ({names})")
    }
}

pub(super) fn on(text: &str, planned: &Planned, scanned: &[Scanned<'_>]) -> Result<Vec<Advice>, Report> {
    let mut candidates = candidates(&planned.columns);
    let mut kept = Vec::new();
    for candidate in candidates.drain(..) {
        if !own(|| has_index(&candidate))? {
            kept.push(candidate);
        }
    }
    match own(hypopg_schema)? {
        _ if kept.is_empty() => Ok(Vec::new()),
        Some(schema) => checked(text, &schema, &kept, !scanned.is_empty()),
        None => Ok(scanned
            .iter()
            .filter_map(|table| unchecked(table, &kept))
            .collect()),
    }
}

/// Runs our own SQL.
fn own<R>(work: impl FnOnce() -> SpiResult<R>) -> Result<R, Report> {
    settings::paused(|| own_settings::within(work)).map_err(internal)
}

/// Per table: what is equal to values and one range, each join column, and those behind what is equal.
fn candidates(columns: &[ComparedColumn]) -> Vec<Candidate<'_>> {
    let mut tables: BTreeMap<(u32, &str), Vec<&ComparedColumn>> = BTreeMap::new();
    for column in columns {
        tables
            .entry((column.table, &column.alias))
            .or_default()
            .push(column);
    }
    let mut all: Vec<Candidate<'_>> = Vec::new();
    for columns in tables.into_values() {
        let of = |comparison| {
            let found = columns.iter().copied();
            found
                .filter(move |column| column.comparison == comparison)
                .collect::<Vec<_>>()
        };
        let (equal, ranges, joins) = (of(Comparison::Equal), of(Comparison::Range), of(Comparison::Join));
        let mut sets = vec![equal.clone()];
        sets.extend(ranges.iter().map(|&last| [equal.as_slice(), &[last]].concat()));
        sets.extend(joins.iter().map(|&column| vec![column]));
        sets.extend(joins.iter().map(|&last| [equal.as_slice(), &[last]].concat()));
        sets.extend(equal.iter().map(|&column| vec![column]));
        for mut set in sets {
            let mut seen = Vec::new();
            set.retain(|column| {
                !seen.contains(&column.number) && {
                    seen.push(column.number);
                    true
                }
            });
            let is_known = |known: &Candidate<'_>| known.sql() == Candidate { columns: set.clone() }.sql();
            if !set.is_empty() && !all.iter().any(is_known) {
                all.push(Candidate { columns: set });
            }
        }
    }
    all.truncate(MOST_CANDIDATES);
    all
}

/// Whether an index begins with these columns.
fn has_index(candidate: &Candidate<'_>) -> SpiResult<bool> {
    let Some(table) = candidate.table() else {
        return Ok(true);
    };
    let numbers: Vec<i16> = candidate.columns.iter().map(|column| column.number).collect();
    let found = Spi::get_one_with_args::<bool>(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1 AND i.indisvalid \
         AND i.indpred IS NULL AND (i.indkey::int2[])[0:pg_catalog.cardinality($2) - 1] = $2)",
        &[pg_sys::Oid::from(table.table).into(), numbers.into()],
    )?;
    Ok(found.unwrap_or(false))
}

/// Where HypoPG's functions are, quoted.
fn hypopg_schema() -> SpiResult<Option<String>> {
    Spi::connect(|client| {
        let found = client.select(
            "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'",
            Some(1),
            &[],
        )?;
        found
            .map(|row| row.get::<String>(1))
            .next()
            .transpose()
            .map(Option::flatten)
    })
}

/// While it lives, statements are planned with all that is counted.
struct WithCounts;

impl WithCounts {
    fn start() -> Self {
        planner::force(Some(Decision {
            cutoff: corrections::newest(),
            hints: HintSet::NONE,
        }));
        Self
    }
}

impl Drop for WithCounts {
    fn drop(&mut self) {
        planner::force(None);
    }
}

/// The candidates that make the plan cheaper, the best one of each table.
fn checked(
    text: &str,
    schema: &str,
    candidates: &[Candidate<'_>],
    is_counted: bool,
) -> Result<Vec<Advice>, Report> {
    let costs = Spi::connect_mut(|client| {
        let stock = cost(client, text)?;
        let costs = candidates
            .iter()
            .map(|candidate| cost_with(client, text, schema, candidate));
        Ok::<_, pgrx::spi::Error>((stock, costs.collect::<SpiResult<Vec<_>>>()?))
    });
    let (without, costs) = costs.map_err(internal)?;
    let mut best: BTreeMap<u32, (&Candidate<'_>, f64)> = BTreeMap::new();
    for (candidate, cost) in candidates.iter().zip(costs) {
        let Some(table) = candidate.table().map(|column| column.table) else {
            continue;
        };
        if cost < without * (1.0 - LEAST_SAVED) && best.get(&table).is_none_or(|&(_, least)| cost < least) {
            best.insert(table, (candidate, cost));
        }
    }
    let advice = |(candidate, cost): (&Candidate<'_>, f64)| Advice {
        category: "index",
        description: format!(
            "with this index, tried as a hypothetical one, the planner's cost of the statement is {cost:.0} instead of \
             {without:.0}{}",
            if is_counted {
                ", both out of counted rows"
            } else {
                ""
            }
        ),
        expected_improvement: Some(1.0 - cost / without),
        sql: candidate.sql() + ";",
        confidence: if is_counted { PLANNED_WITH_COUNTS } else { PLANNED },
    };
    Ok(best.into_values().map(advice).collect())
}

fn cost_with(
    client: &mut SpiClient<'_>,
    text: &str,
    schema: &str,
    candidate: &Candidate<'_>,
) -> SpiResult<f64> {
    let create = format!("SELECT indexrelid FROM {schema}.hypopg_create_index($1)");
    let index = client
        .update(&create, None, &[candidate.sql().into()])?
        .first()
        .get_one::<pg_sys::Oid>()?;
    let cost = cost(client, text);
    if let Some(index) = index {
        client.update(
            &format!("SELECT {schema}.hypopg_drop_index($1)"),
            None,
            &[index.into()],
        )?;
    }
    cost
}

/// The planner's cost of a statement.
fn cost(client: &mut SpiClient<'_>, text: &str) -> SpiResult<f64> {
    let _with_counts = WithCounts::start();
    let explained = client
        .update(&format!("EXPLAIN (FORMAT JSON) {text}"), None, &[])?
        .first()
        .get_one::<Json>()?;
    let cost = explained.and_then(|Json(plans)| plans.pointer("/0/Plan/Total Cost")?.as_f64());
    Ok(cost.unwrap_or(f64::INFINITY))
}

/// For a table that is read in order though few of its rows are needed, as counted.
fn unchecked(table: &Scanned<'_>, candidates: &[Candidate<'_>]) -> Option<Advice> {
    let is_selective = table.rows <= SELECTIVE * table.table_rows && table.table_rows >= LEAST_ROWS;
    if table.operator != "Seq Scan" || !is_selective || table.is_bound {
        return None;
    }
    let is_for_filters = |candidate: &&Candidate<'_>| {
        candidate
            .columns
            .iter()
            .all(|column| table.filters.contains(column))
    };
    let candidate = candidates
        .iter()
        .filter(is_for_filters)
        .max_by_key(|candidate| candidate.columns.len())?;
    let name = &candidate.table()?.table_name;
    Some(Advice {
        category: "index",
        description: format!(
            "{name} is read in whole ({:.0} rows) for {:.0} rows, as counted; HypoPG is not installed in this database, so \
             it was not checked that the planner would use this index",
            table.table_rows, table.rows
        ),
        expected_improvement: None,
        sql: candidate.sql() + ";",
        confidence: UNCHECKED,
    })
}
