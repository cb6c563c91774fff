//! Both stored forms: what is written comes back, anything else is refused and never panics.

use proptest::prelude::*;
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};
use serde_json::{Value, json};

mod arbitrary;

proptest! {
    #[test]
    fn binary_comes_back(parts in arbitrary::parts(10)) {
        let dag = parts.dag();
        let bytes = dag.to_binary();
        let copy = QueryDag::from_binary(&bytes).expect("its own form");
        prop_assert_eq!(&copy, &dag);
        prop_assert_eq!(copy.to_binary(), bytes);
    }

    #[test]
    fn json_comes_back_also_through_text(parts in arbitrary::parts(10)) {
        let dag = parts.dag();
        let json = dag.to_json();
        prop_assert_eq!(&QueryDag::from_json(&json).expect("its own form"), &dag);
        let text: Value = serde_json::from_str(&json.to_string()).expect("valid JSON");
        prop_assert_eq!(&QueryDag::from_json(&text).expect("its own form"), &dag);
    }

    #[test]
    fn cut_binary_is_refused(parts in arbitrary::parts(6), at in any::<prop::sample::Index>()) {
        let bytes = parts.dag().to_binary();
        prop_assert!(QueryDag::from_binary(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn changed_binary_is_refused_or_a_graph(
        parts in arbitrary::parts(6),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = parts.dag().to_binary();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(dag) = QueryDag::from_binary(&bytes) {
            prop_assert_eq!(dag.topological_order().len(), dag.len());
            prop_assert_eq!(QueryDag::from_binary(&dag.to_binary()).expect("its own form"), dag);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_a_graph(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0u8..3) {
        let bytes: Vec<u8> = [version].into_iter().chain(bytes).collect();
        if let Ok(dag) = QueryDag::from_binary(&bytes) {
            prop_assert_eq!(dag.topological_order().len(), dag.len());
        }
    }

    #[test]
    fn changed_json_is_refused_or_a_graph(
        parts in arbitrary::parts(5),
        at in any::<prop::sample::Index>(),
        piece in "[0-9\\[\\]{},:\"a-z.-]{0,4}",
    ) {
        let mut text: Vec<char> = parts.dag().to_json().to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..at + 1, piece.chars());
        let text: String = text.into_iter().collect();
        if let Ok(json) = serde_json::from_str(&text)
            && let Ok(dag) = QueryDag::from_json(&json)
        {
            prop_assert_eq!(QueryDag::from_json(&dag.to_json()).expect("its own form"), dag);
        }
    }
}

fn pair() -> QueryDag {
    let mut dag = QueryDag::new();
    let scan = dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(10.0, 0.0, 3.5));
    let filter = dag.add_node(OperatorNode::filter(1, "age > 18"));
    dag.add_edge(scan, filter).expect("new edge");
    dag
}

fn refused(change: impl Fn(&mut Value)) -> Error {
    let mut json = pair().to_json();
    change(&mut json);
    QueryDag::from_json(&json).expect_err("refused")
}

#[test]
fn json_that_breaks_an_invariant_is_refused() {
    let (a, b) = (OperatorId(0), OperatorId(1));
    assert_eq!(
        refused(|json| json["dag"]["operators"][1]["id"] = json!(0)),
        Error::DuplicateOperator { given: a }
    );
    assert_eq!(
        refused(|json| json["dag"]["edges"] = json!([[0, 5]])),
        Error::UnknownOperator { given: OperatorId(5) }
    );
    assert_eq!(
        refused(|json| json["dag"]["edges"] = json!([[0, 1], [0, 1]])),
        Error::DuplicateEdge { from: a, to: b }
    );
    assert_eq!(
        refused(|json| json["dag"]["edges"] = json!([[0, 0]])),
        Error::Cycle { from: a, to: a }
    );
    assert!(matches!(
        refused(|json| json["dag"]["edges"] = json!([[0, 1], [1, 0]])),
        Error::Cycle { .. }
    ));
    assert!(matches!(
        refused(|json| json["dag"]["operators"][0]["total_cost"] = json!(-1)),
        Error::InvalidNumber {
            operator: OperatorId(0),
            field: "total_cost",
            given: -1.0
        }
    ));
    assert_eq!(
        refused(|json| json["version"] = json!(2)),
        Error::Version {
            given: 2,
            expected: 1
        }
    );
    for change in [
        ("rows", json!(null)),
        ("operator_type", json!("Teleport")),
        ("colour", json!("red")),
    ] {
        let error = refused(|json| json["dag"]["operators"][0][change.0] = change.1.clone());
        assert!(matches!(error, Error::MalformedJson(_)), "{error:?}");
    }
    assert!(matches!(
        QueryDag::from_json(&json!(5)),
        Err(Error::MalformedJson(_))
    ));
}

#[test]
fn operators_downstream_of_a_cycle_are_not_blamed() {
    let json = json!({"version": 1, "dag": {
        "operators": (0..5).map(|id| serde_json::to_value(OperatorNode::new(id, OperatorType::Append)).expect("JSON")).collect::<Vec<_>>(),
        "edges": [[1, 0], [2, 1], [3, 2], [4, 3], [2, 4]],
    }});
    let Err(Error::Cycle { from, to }) = QueryDag::from_json(&json) else {
        panic!("no cycle found")
    };
    assert!(
        [(3, 2), (4, 3), (2, 4)].contains(&(from.0, to.0)),
        "{from} -> {to}"
    );
}

#[test]
fn binary_of_another_version_or_with_a_tail_is_refused() {
    let mut bytes = pair().to_binary();
    bytes.push(0);
    assert_eq!(
        QueryDag::from_binary(&bytes),
        Err(Error::MalformedBinary {
            position: bytes.len() - 1,
            what: "more than a graph"
        })
    );
    bytes[0] = 9;
    assert_eq!(
        QueryDag::from_binary(&bytes),
        Err(Error::Version {
            given: 9,
            expected: 1
        })
    );
    assert!(matches!(
        QueryDag::from_binary(&[]),
        Err(Error::MalformedBinary { position: 0, .. })
    ));
}

#[test]
fn binary_with_a_number_that_is_none_is_refused() {
    let mut bytes = pair().to_binary();
    let cost = 3.5f64.to_le_bytes();
    let at = bytes
        .windows(8)
        .position(|window| window == cost)
        .expect("the cost is in there");
    bytes[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(matches!(
        QueryDag::from_binary(&bytes),
        Err(Error::InvalidNumber {
            field: "total_cost",
            ..
        })
    ));
}

#[test]
fn a_length_prefix_is_not_believed() {
    // A list of 2^64 - 1 operators, in ten bytes of varint, and nothing after.
    let bytes = [[1u8].as_slice(), &[0xff; 9], &[0x01]].concat();
    assert!(matches!(
        QueryDag::from_binary(&bytes),
        Err(Error::MalformedBinary { .. })
    ));
}

/// Written by the first release of this form: it must be read for ever.
#[test]
fn a_stored_graph_of_version_1_is_read() {
    let stored = include_bytes!("stored/pair_v1.bin");
    assert_eq!(pair().to_binary(), stored);
    assert_eq!(QueryDag::from_binary(stored), Ok(pair()));
    let json: Value = serde_json::from_str(include_str!("stored/pair_v1.json")).expect("JSON");
    assert_eq!(pair().to_json(), json);
}

#[test]
fn codes_and_names_are_one_to_one() {
    for (at, &kind) in OperatorType::ALL.iter().enumerate() {
        assert_eq!(usize::from(kind.code()), at + 1, "codes are never given anew");
        assert_eq!(OperatorType::from_code(kind.code()), Some(kind));
        assert_eq!(OperatorType::from_name(kind.name()), Some(kind));
    }
    assert_eq!(OperatorType::from_code(0), None);
    assert_eq!(OperatorType::from_name("Filter2"), None);
}
