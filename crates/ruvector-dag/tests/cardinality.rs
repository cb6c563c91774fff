//! What a relation is: keys don't depend on how a statement is written, and tell different relations apart.

use proptest::prelude::*;
use ruvector_dag::cardinality::{
    Grouping, OuterJoin, Relation, RelationGraph, RelationKey, RelationSet, Term, blend, hash_bytes,
    is_material, trust,
};

/// A relation set as somebody wrote it: tables with filters, equalities between columns.
#[derive(Debug, Clone)]
struct Written {
    /// Table and the constants its first column is compared with.
    tables: Vec<(u64, Vec<u64>)>,
    /// Column of one instance equal to a column of another.
    equalities: Vec<((usize, i16), (usize, i16))>,
}

const LESS: u64 = 11;
const GREATER: u64 = 12;
const EQUAL: u64 = 13;

fn column(relation: usize, attribute: i16) -> Term {
    Term::Column { relation, attribute }
}

fn comparison(operator: u64, commutator: u64, left: Term, right: Term) -> Term {
    Term::Commuting {
        operator,
        commutator,
        operands: Box::new([left, right]),
    }
}

/// Builds the graph with instances in the order `places`, clauses in any order, operands the other way where `flips`.
fn graph(written: &Written, places: &[usize], flips: u64) -> RelationGraph {
    let mut graph = RelationGraph::new();
    let mut order: Vec<usize> = (0..written.tables.len()).collect();
    order.sort_by_key(|&at| places[at]);
    for (position, &at) in order.iter().enumerate() {
        let (table, constants) = &written.tables[at];
        let flip = flips >> at & 1 == 1;
        let mut clauses: Vec<Term> = constants
            .iter()
            .map(|&constant| match flip {
                false => comparison(LESS, GREATER, column(position, 1), Term::Leaf(constant)),
                true => comparison(GREATER, LESS, Term::Leaf(constant), column(position, 1)),
            })
            .collect();
        if flip {
            clauses.reverse();
        }
        graph.add_relation(Relation {
            source: Some(*table),
            clauses,
        });
    }
    let place = |at: usize| {
        order
            .iter()
            .position(|&found| found == at)
            .expect("every instance has a place")
    };
    let mut equalities = written.equalities.clone();
    if flips & 1 == 1 {
        equalities.reverse();
    }
    for (left, right) in equalities {
        let (left, right) = if flips & 2 == 2 {
            (right, left)
        } else {
            (left, right)
        };
        let sides = [(place(left.0), left.1), (place(right.0), right.1)];
        let set = sides.iter().fold(0, |set, (at, _)| set | 1 << at);
        let [left, right] = sides.map(|(at, attribute)| column(at, attribute));
        graph.add_clause(set, comparison(EQUAL, EQUAL, left, right));
    }
    graph
}

fn all(graph: &RelationGraph) -> RelationSet {
    (1 << graph.len()) - 1
}

fn key(written: &Written) -> Option<RelationKey> {
    let places: Vec<usize> = (0..written.tables.len()).collect();
    let graph = graph(written, &places, 0);
    graph.key(all(&graph))
}

fn written() -> impl Strategy<Value = Written> {
    // Few tables, so that the same one often occurs twice.
    let tables = proptest::collection::vec((1u64..4, proptest::collection::vec(0u64..5, 0..3)), 2..6);
    tables.prop_flat_map(|tables| {
        let count = tables.len();
        let side = (0..count, 1i16..4);
        let equalities = proptest::collection::vec((side.clone(), side), 1..6);
        let equalities = equalities.prop_map(|pairs| pairs.into_iter().filter(|(a, b)| a.0 != b.0).collect());
        (Just(tables), equalities).prop_map(|(tables, equalities)| Written { tables, equalities })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn order_aliases_and_operands_do_not_matter(
        written in written(), places in Just((0..6).collect::<Vec<_>>()).prop_shuffle(), flips: u64,
    ) {
        let other = graph(&written, &places, flips);
        prop_assert_eq!(other.key(all(&other)), key(&written));
    }

    #[test]
    fn another_constant_is_another_relation(written in written(), constant in 100u64..200) {
        let mut other = written.clone();
        other.tables[0].1.push(constant);
        prop_assert_ne!(key(&other), key(&written));
    }

    #[test]
    fn another_table_is_another_relation(written in written()) {
        let mut other = written.clone();
        other.tables[0].0 = 99;
        prop_assert_ne!(key(&other), key(&written));
    }

    #[test]
    fn one_clause_more_is_another_relation(written in written()) {
        let mut other = written.clone();
        other.equalities.push(((0, 7), (1, 8)));
        prop_assert_ne!(key(&other), key(&written));
    }

    #[test]
    fn belief_falls_with_changes_and_the_blend_lies_between(
        total in 1.0f64..1e9, share in 0.0f64..1.0, more in 0.0f64..1.0, estimated in 1.0f64..1e9, learned in 1.0f64..1e9,
    ) {
        let (before, after) = (trust(share * total, total), trust((share + more) * total, total));
        prop_assert!(after.unwrap_or(0.0) <= before.unwrap_or(0.0));
        if let Some(belief) = before {
            let rows = blend(estimated, learned, belief);
            prop_assert!(rows >= estimated.min(learned) * 0.999 && rows <= estimated.max(learned) * 1.001);
        }
    }

    #[test]
    fn bytes_of_another_length_have_another_hash(bytes: Vec<u8>) {
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert_ne!(hash_bytes(&bytes), hash_bytes(&longer));
    }
}

#[test]
fn instances_of_one_table_are_told_apart_by_their_joins() {
    // a → b → c against a → b, a → c: the same tables, the same columns, other instances.
    let tables = vec![(1, vec![]); 3];
    let chain = Written {
        tables: tables.clone(),
        equalities: vec![((0, 1), (1, 2)), ((1, 1), (2, 2))],
    };
    let star = Written {
        tables,
        equalities: vec![((0, 1), (1, 2)), ((0, 1), (2, 2))],
    };
    assert_ne!(key(&chain), key(&star));
}

#[test]
fn an_equivalence_says_what_a_part_of_it_says() {
    // x = y = z restricted to two members is the clause between them.
    let three = |members: &[usize]| {
        let mut graph = RelationGraph::new();
        for &table in members {
            graph.add_relation(Relation {
                source: Some(table as u64),
                clauses: vec![],
            });
        }
        let class = (0..members.len()).map(|at| (1 << at, column(at, 1))).collect();
        graph.add_equivalence(class);
        graph
    };
    assert_eq!(three(&[1, 2, 3]).key(0b101), three(&[1, 3]).key(0b11));
    assert_ne!(three(&[1, 2, 3]).key(0b101), three(&[1, 2, 3]).key(0b011));
}

#[test]
fn an_outer_join_is_no_inner_join() {
    let build = |kind: Option<u64>| {
        let mut graph = RelationGraph::new();
        graph.add_relation(Relation {
            source: Some(1),
            clauses: vec![],
        });
        graph.add_relation(Relation {
            source: Some(2),
            clauses: vec![],
        });
        graph.add_clause(0b11, comparison(EQUAL, EQUAL, column(0, 1), column(1, 1)));
        if let Some(kind) = kind {
            graph.add_outer_join(OuterJoin {
                kind,
                left: 0b01,
                right: 0b10,
            });
        }
        graph.key(0b11)
    };
    assert_ne!(build(None), build(Some(1)));
    assert_ne!(build(Some(1)), build(Some(2)));
}

#[test]
fn what_can_not_be_described_has_no_key() {
    let mut graph = RelationGraph::new();
    graph.add_relation(Relation {
        source: Some(1),
        clauses: vec![],
    });
    graph.add_relation(Relation {
        source: None,
        clauses: vec![],
    });
    graph.add_relation(Relation {
        source: Some(3),
        clauses: vec![],
    });
    graph.add_opaque_clause(0b100);
    assert!(graph.base_key(0).is_some());
    assert_eq!(graph.base_key(1), None);
    assert_eq!(graph.key(0b011), None);
    assert_eq!(graph.key(0b101), None);
    assert_eq!(graph.key(0), None);
    assert_eq!(graph.key(1 << 20), None);
}

#[test]
fn relations_beyond_the_sixty_fourth_have_no_join_keys() {
    let mut graph = RelationGraph::new();
    for table in 0..70 {
        graph.add_relation(Relation {
            source: Some(table),
            clauses: vec![column(table as usize, 1)],
        });
    }
    assert!(graph.base_key(69).is_some());
    assert!(graph.key(u64::MAX).is_some());
}

#[test]
fn a_tenth_is_not_material() {
    assert!(!is_material(100.0, 109.0));
    assert!(is_material(100.0, 120.0));
    assert!(!is_material(0.0, 1.0));
}

/// The groups of a join of two tables by a column of the one, with HAVING and a sum of a column of the other.
fn groups(tables: [u64; 2], by: i16, summed: i16, having: Vec<Term>, is_other_order: bool) -> Option<u64> {
    let mut graph = RelationGraph::new();
    let places = if is_other_order { [1, 0] } else { [0, 1] };
    let mut ordered = tables;
    if is_other_order {
        ordered.reverse();
    }
    for table in ordered {
        graph.add_relation(Relation {
            source: Some(table),
            clauses: Vec::new(),
        });
    }
    graph.add_clause(
        0b11,
        comparison(EQUAL, EQUAL, column(places[0], 1), column(places[1], 1)),
    );
    let grouping = Grouping {
        by: vec![column(places[0], by)],
        having,
        columns: vec![
            column(places[0], by),
            Term::Call(77, vec![column(places[1], summed)]),
        ],
    };
    graph.groups(0b11, &grouping)
}

#[test]
fn groups_are_those_of_the_same_rows_by_the_same_columns_however_they_are_written() {
    let of_groups = groups([5, 6], 2, 3, Vec::new(), false);
    assert!(of_groups.is_some());
    assert_eq!(of_groups, groups([5, 6], 2, 3, Vec::new(), true));
    let others = [
        groups([5, 7], 2, 3, Vec::new(), false),
        groups([5, 6], 3, 3, Vec::new(), false),
        groups([5, 6], 2, 4, Vec::new(), false),
        groups([5, 6], 2, 3, vec![Term::Leaf(9)], false),
    ];
    for other in others {
        assert!(other.is_some() && other != of_groups);
    }
}

#[test]
fn groups_of_what_can_not_be_described_are_no_relation() {
    let mut graph = RelationGraph::new();
    graph.add_relation(Relation {
        source: None,
        clauses: Vec::new(),
    });
    assert_eq!(graph.groups(1, &Grouping::default()), None);
}
