//! Sketches of query levels: what the row model is told of a sub-join, and what is stored of executions and of models.

use proptest::prelude::*;
use ruvector_dag::Error;
use ruvector_dag::cardinality::{
    CountedSketch, JoinSketch, OuterJoin, Relation, RelationGraph, RowModel, SetCount, TableFacts, Term,
};

const EQUAL: u64 = 7;

fn column(relation: usize, attribute: i16) -> Term {
    Term::Column { relation, attribute }
}

fn equals(left: Term, right: Term) -> Term {
    Term::Commuting {
        operator: EQUAL,
        commutator: EQUAL,
        operands: Box::new([left, right]),
    }
}

fn facts(table: u64) -> TableFacts {
    TableFacts {
        table,
        rows: 1000.0,
        selectivities: vec![0.1],
    }
}

/// Tables at their positions, each restricted to a constant, all joined by their first columns.
fn sketch(tables: &[u64], constant: u64) -> JoinSketch {
    let mut graph = RelationGraph::new();
    for (position, &table) in tables.iter().enumerate() {
        graph.add_relation(Relation {
            source: Some(table),
            clauses: vec![equals(column(position, 2), Term::Leaf(constant))],
        });
    }
    let members = (0..tables.len()).map(|position| (1 << position, column(position, 1)));
    graph.add_equivalence(members.collect());
    graph.sketch(&tables.iter().map(|&table| facts(table)).collect::<Vec<_>>())
}

#[test]
fn constants_and_positions_do_not_matter() {
    let one = sketch(&[10, 20, 30], 1).sub_join(0b011, 5.0);
    let other = sketch(&[30, 20, 10], 2).sub_join(0b110, 5.0);
    assert_eq!(one.graph_template(), other.graph_template());
    assert_eq!(one.clause_point(), other.clause_point());
    let different = sketch(&[10, 40], 1).sub_join(0b11, 5.0);
    assert_ne!(one.graph_template(), different.graph_template());
}

#[test]
fn a_sub_join_has_what_joins_its_own_relations() {
    let sketch = sketch(&[10, 20, 30], 1);
    let whole = sketch.sub_join(0b111, 5.0);
    assert_eq!((whole.relations.len(), whole.joins[0].members.len()), (3, 3));
    let part = sketch.sub_join(0b101, 5.0);
    let positions: Vec<usize> = part.joins[0].members.iter().map(|(at, _)| *at).collect();
    assert_eq!((part.relations.len(), positions), (2, vec![0, 1]));
    assert!(sketch.sub_join(0b010, 5.0).joins.is_empty());
    assert!(sketch.sub_join(1 << 63, 5.0).relations.is_empty());
}

#[test]
fn other_joins_need_all_their_relations_and_have_their_kind() {
    let mut graph = RelationGraph::new();
    for table in [10, 20, 30] {
        graph.add_relation(Relation {
            source: Some(table),
            clauses: Vec::new(),
        });
    }
    graph.add_clause(0b011, equals(column(0, 1), column(1, 1)));
    graph.add_outer_join(OuterJoin {
        kind: 1,
        left: 0b001,
        right: 0b010,
    });
    let sketch = graph.sketch(&[facts(10), facts(20), facts(30)]);
    let joined = sketch.sub_join(0b011, 1.0);
    assert_eq!(joined.joins.len(), 2);
    assert!(joined.joins.iter().all(|class| class.kind != 0));
    assert!(sketch.sub_join(0b101, 1.0).joins.is_empty());
}

fn counted(constant: u64) -> Vec<CountedSketch> {
    let count = |set, rows| SetCount {
        set,
        estimate: 5.0,
        rows,
        is_first: true,
    };
    vec![CountedSketch {
        sketch: sketch(&[10, 20, 30], constant),
        counts: vec![count(0b001, 100.0), count(0b011, 700.0), count(0b111, 9000.0)],
    }]
}

#[test]
fn counts_return_from_their_bytes() -> Result<(), Error> {
    let counted = counted(1);
    let binary = CountedSketch::to_binary(&counted);
    assert_eq!(CountedSketch::from_binary(&binary)?, counted);
    let newer = [&[2], &binary[1..]].concat();
    assert!(matches!(
        CountedSketch::from_binary(&newer),
        Err(Error::NewerState { .. })
    ));
    assert!(CountedSketch::from_binary(&binary[..binary.len() - 1]).is_err());
    assert!(CountedSketch::from_binary(&[]).is_err());
    Ok(())
}

#[test]
fn a_join_of_eight_tables_fits_where_executions_wait() {
    let tables: Vec<u64> = (1..=8).map(|table| u64::MAX / table).collect();
    let counts = (1..=8u32).flat_map(|size| {
        let base = (size < 8).then_some(1u64 << size);
        base.into_iter().chain([(1u64 << size) - 1])
    });
    let counts = counts.map(|set| SetCount {
        set,
        estimate: 1e6,
        rows: 1e7,
        is_first: true,
    });
    let level = CountedSketch {
        sketch: sketch(&tables, 1),
        counts: counts.collect(),
    };
    assert!(CountedSketch::to_binary(&[level]).len() <= 1024);
}

/// A model that learned joins of many tables.
fn learned() -> RowModel {
    let mut model = RowModel::default();
    for table in 1..120u64 {
        let sketch = sketch(&[table, table + 1], 1);
        let sub_join = sketch.sub_join(0b11, 10.0);
        model.learn(&sub_join, 10.0 * table as f64);
    }
    model
}

#[test]
fn a_model_returns_from_its_bytes_and_damage_is_refused() -> Result<(), Error> {
    let model = learned();
    let state = model.to_state();
    assert_eq!(RowModel::from_state(&state)?, model);
    let mut damaged = state.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(matches!(
        RowModel::from_state(&damaged),
        Err(Error::MalformedState { .. })
    ));
    let mut newer = state.clone();
    newer[4] = 99;
    assert!(matches!(
        RowModel::from_state(&newer),
        Err(Error::NewerState { .. })
    ));
    assert!(RowModel::from_state(&state[..state.len() - 1]).is_err());
    Ok(())
}

#[test]
fn a_model_cut_to_what_fits_knows_the_latest_parts() -> Result<(), Error> {
    let model = learned();
    let whole = model.to_state();
    assert_eq!(model.to_state_within(whole.len()).as_ref(), Some(&whole));
    let limit = whole.len() / 2;
    let cut = model.to_state_within(limit).expect("half of it fits");
    assert!(cut.len() <= limit);
    let cut = RowModel::from_state(&cut)?;
    assert!(cut.size().0 < model.size().0);
    let latest = sketch(&[119, 120], 2).sub_join(0b11, 10.0);
    let (expected, known) = (model.predict(&latest), cut.predict(&latest));
    assert!(known.known > 0.3 && (known.log_rows - expected.log_rows).abs() < 1.0);
    assert_eq!(cut.predict(&sketch(&[1, 2], 2).sub_join(0b11, 10.0)).known, 0.0);
    assert_eq!(model.to_state_within(100), None);
    Ok(())
}

proptest! {
    #[test]
    fn bytes_from_anywhere_are_refused_or_give_finite_predictions(
        at in 0usize..1000, byte: u8, noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut binary = CountedSketch::to_binary(&counted(1));
        let at = at % binary.len();
        binary[at] = byte;
        let model = RowModel::default();
        for bytes in [binary, noise] {
            for (sub_join, _) in CountedSketch::from_binary(&bytes).iter().flatten().flat_map(CountedSketch::sub_joins) {
                prop_assert!(!model.predict(&sub_join).log_rows.is_nan());
            }
            prop_assert!(RowModel::from_state(&bytes).is_err());
        }
    }
}
