//! EXPLAIN's output of PostgreSQL 14 to 18 as graphs. The samples and where they come from: `explain/README.md`.

use proptest::prelude::*;
use ruvector_dag::{ClauseKind, Error, OperatorId, OperatorNode, OperatorType, QueryDag};
use serde_json::{Value, json};
use std::path::Path;

fn samples() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain");
    let files = std::fs::read_dir(folder)
        .expect("the samples")
        .map(|entry| entry.expect("an entry").path());
    let samples = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    samples
        .map(|path| (name(&path), std::fs::read_to_string(&path).expect("a sample")))
        .collect()
}

fn sample(name: &str) -> QueryDag {
    let (_, text) = samples()
        .into_iter()
        .find(|(found, _)| found == name)
        .expect(name);
    QueryDag::from_explain_json(&text).expect(name)
}

/// The only operator of this type.
fn only(dag: &QueryDag, kind: OperatorType) -> &OperatorNode {
    let mut found = dag.nodes().filter(|node| node.operator_type == kind);
    let node = found.next().expect("an operator of the type");
    assert!(found.next().is_none(), "several of the type");
    node
}

/// EXPLAIN's nodes in the order it prints them, with the number of each one's parent.
fn printed<'v>(plan: &'v Value, parent: Option<u32>, nodes: &mut Vec<(&'v Value, Option<u32>)>) {
    let id = nodes.len() as u32;
    nodes.push((plan, parent));
    for child in plan["Plans"].as_array().into_iter().flatten() {
        printed(child, Some(id), nodes);
    }
}

#[test]
fn every_sample_gives_the_nodes_edges_and_numbers_it_prints() {
    let samples = samples();
    for major in 14..=18 {
        assert!(
            samples
                .iter()
                .any(|(name, _)| name.ends_with(&format!("_pg{major}"))),
            "no sample of {major}"
        );
    }
    for (name, text) in &samples {
        let dag = QueryDag::from_explain_json(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let document: Value = serde_json::from_str(text).expect("valid JSON");
        let mut nodes = Vec::new();
        printed(&document[0]["Plan"], None, &mut nodes);
        assert_eq!(dag.len(), nodes.len(), "{name}");
        for (node, (plan, parent)) in dag.nodes().zip(&nodes) {
            assert_eq!(node.operator_type.name(), plan["Node Type"], "{name}");
            assert_eq!(node.relation.as_deref(), plan["Relation Name"].as_str(), "{name}");
            assert_eq!(Some(node.rows), plan["Plan Rows"].as_f64(), "{name}");
            assert_eq!(Some(node.total_cost), plan["Total Cost"].as_f64(), "{name}");
            assert_eq!(
                node.loops,
                plan["Actual Loops"].as_f64().filter(|&loops| loops > 0.0),
                "{name}"
            );
            if node.loops.is_some() {
                assert_eq!(node.actual_rows, plan["Actual Rows"].as_f64(), "{name}");
                assert_eq!(
                    node.shared_hit_blocks,
                    plan["Shared Hit Blocks"].as_u64(),
                    "{name}"
                );
            }
            let parent = parent.map(OperatorId);
            assert!(
                parent.is_none_or(|parent| dag.consumers(node.id).any(|id| id == parent)),
                "{name}"
            );
        }
        assert_eq!(dag.sinks().collect::<Vec<_>>(), [OperatorId(0)], "{name}");
        let shared = dag
            .nodes()
            .filter(|node| node.operator_type == OperatorType::CteScan)
            .count();
        assert!(
            dag.edges().count() >= nodes.len() - 1 && dag.edges().count() < nodes.len() + shared,
            "{name}"
        );
        assert_eq!(
            QueryDag::from_binary(&dag.to_binary()).as_ref(),
            Ok(&dag),
            "{name}"
        );
    }
}

#[test]
fn a_cte_read_twice_is_one_shared_operator() {
    for name in [
        "shared_cte_plain_pg15",
        "shared_cte_analyze_pg14",
        "shared_cte_analyze_pg17",
        "shared_cte_plain_pg18",
    ] {
        let dag = sample(name);
        let cte = dag
            .nodes()
            .find(|node| node.subplan_name.as_deref() == Some("CTE big"))
            .expect("the CTE")
            .id;
        let readers: Vec<_> = dag
            .consumers(cte)
            .map(|id| dag.node(id).expect("in the graph"))
            .collect();
        let scans = readers
            .iter()
            .filter(|node| node.operator_type == OperatorType::CteScan)
            .count();
        assert_eq!((readers.len(), scans), (4, 3), "{name}");
    }
}

#[test]
fn the_cost_of_a_shared_subplan_is_counted_once() {
    let dag = sample("shared_cte_plain_pg15");
    let sum: f64 = dag.self_costs().into_iter().map(|(_, cost)| cost).sum();
    let total = dag.node(OperatorId(0)).expect("the result").total_cost;
    assert!((sum - total).abs() < 0.01, "{sum} instead of {total}");
    let scans = dag
        .nodes()
        .filter(|node| node.operator_type == OperatorType::CteScan);
    assert!(
        scans
            .into_iter()
            .all(|scan| dag.self_cost(scan.id) == scan.total_cost)
    );
}

#[test]
fn an_inner_cte_of_the_same_name_is_another() {
    let dag = sample("shadowed_cte_plain_pg15");
    let scans = dag
        .nodes()
        .filter(|node| node.operator_type == OperatorType::CteScan);
    let read: Vec<_> = scans
        .map(|scan| {
            let input = dag.inputs(scan.id).next().expect("the CTE");
            (
                scan.alias.as_deref(),
                dag.node(input).expect("in the graph").relation.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        read,
        [(Some("x"), Some("customers")), (Some("x_1"), Some("orders"))]
    );
}

#[test]
fn a_recursive_cte_is_no_cycle() {
    let dag = sample("recursive_plain_pg15");
    let union = only(&dag, OperatorType::RecursiveUnion).id;
    let work_table = only(&dag, OperatorType::WorkTableScan).id;
    let scan = only(&dag, OperatorType::CteScan).id;
    assert!(dag.inputs(scan).any(|input| input == union));
    assert!(dag.ancestors(union).contains(&work_table));
    assert_eq!(dag.inputs(work_table).count(), 0);
}

#[test]
fn subplans_feed_the_operator_they_hang_under() {
    let dag = sample("subplans_plain_pg15");
    let named: Vec<_> = dag.nodes().filter(|node| node.subplan_name.is_some()).collect();
    assert_eq!(named.len(), 2);
    assert!(named.iter().all(|node| dag.consumers(node.id).count() == 1));
}

#[test]
fn clauses_strategies_and_counts_are_kept() {
    let dag = sample("hash_join_analyze_pg15");
    let join = only(&dag, OperatorType::HashJoin);
    assert_eq!(join.join_type.as_deref(), Some("Inner"));
    assert!(
        join.clauses
            .iter()
            .any(|clause| clause.kind == ClauseKind::HashCond && clause.text.contains("customer"))
    );
    assert_eq!(
        only(&dag, OperatorType::Aggregate).strategy.as_deref(),
        Some("Hashed")
    );
    assert!(
        only(&dag, OperatorType::Sort)
            .clauses
            .iter()
            .any(|clause| clause.text == "(count(*)) DESC")
    );
    assert!(
        join.actual_rows.is_some_and(|rows| rows > 0.0) && join.q_error().is_some_and(|error| error >= 1.0)
    );
    let parallel = sample("parallel_plain_pg15");
    let strategies: Vec<_> = parallel
        .nodes()
        .filter_map(|node| node.strategy.as_deref())
        .collect();
    assert_eq!(strategies, ["Finalize Sorted", "Partial Hashed"]);
    assert_eq!(only(&parallel, OperatorType::GatherMerge).workers, 2);
    assert_eq!(
        only(&sample("update_plain_pg15"), OperatorType::ModifyTable)
            .strategy
            .as_deref(),
        Some("Update")
    );
}

#[test]
fn rows_of_18_keep_their_fractions() {
    let dag = sample("fractions_analyze_pg18");
    assert!(
        dag.nodes()
            .any(|node| node.actual_rows.is_some_and(|rows| rows.fract() > 0.0))
    );
}

#[test]
fn an_operator_that_never_ran_has_no_counts() {
    let dag = sample("never_executed_analyze_pg15");
    assert!(
        dag.nodes()
            .any(|node| node.loops.is_none() && node.actual_rows.is_none())
    );
    assert!(dag.nodes().any(|node| node.loops.is_some()));
}

#[test]
fn majors_and_options_give_one_shape() {
    let shape = |name: &str| sample(name).relations_fingerprint();
    let expected = shape("hash_join_plain_pg15");
    for name in [
        "hash_join_analyze_pg15",
        "hash_join_buffers_pg14",
        "hash_join_buffers_pg15",
        "hash_join_plain_pg16",
        "hash_join_buffers_pg17",
        "hash_join_analyze_pg18",
        "hash_join_buffers_pg18",
    ] {
        assert_eq!(shape(name), expected, "{name}");
    }
}

fn nested(levels: usize) -> String {
    let plan = "{\"Node Type\": \"Materialize\", \"Plans\": [".repeat(levels - 1);
    format!(
        "[{{\"Plan\": {plan}{{\"Node Type\": \"Result\"}}{}}}]",
        "]}".repeat(levels - 1)
    )
}

#[test]
fn deep_plans_are_read_up_to_the_limit() {
    let dag = QueryDag::from_explain_json(&nested(400)).expect("400 levels");
    assert_eq!(dag.depth(), 399);
    for levels in [401, 402, 500, 200_000] {
        assert_eq!(
            QueryDag::from_explain_json(&nested(levels)),
            Err(Error::TooDeep { limit: 400 }),
            "{levels}"
        );
    }
    let brackets = "[".repeat(1_000_000);
    assert_eq!(
        QueryDag::from_explain_json(&brackets),
        Err(Error::TooDeep { limit: 400 })
    );
    // Brackets within strings are no levels.
    let text = format!("{{\"Plan\": {{\"Node Type\": \"Result\", \"Filter\": \"\\\"{brackets}\"}}}}");
    assert_eq!(QueryDag::from_explain_json(&text).expect("one level").len(), 1);
}

#[test]
fn what_is_no_plan_is_refused() {
    let texts = [
        "",
        "{}",
        "[]",
        "[{}, {}]",
        "5",
        "[{\"Plan\": 5}]",
        "[{\"Plan\": {}}]",
        "nonsense",
        "{\"Plan\": {}} x",
    ];
    for text in texts {
        assert!(
            matches!(QueryDag::from_explain_json(text), Err(Error::MalformedExplain(_))),
            "{text}"
        );
    }
    let unknown = json!({"Plan": {"Node Type": "Teleport"}}).to_string();
    let Err(Error::MalformedExplain(what)) = QueryDag::from_explain_json(&unknown) else {
        panic!("accepted")
    };
    assert!(what.contains("Teleport"));
    let negative = json!({"Plan": {"Node Type": "Result", "Total Cost": -1}}).to_string();
    assert!(matches!(
        QueryDag::from_explain_json(&negative),
        Err(Error::InvalidNumber {
            field: "total_cost",
            ..
        })
    ));
}

/// Plans of random shape, with CTEs and scans of them by a few names.
fn plan() -> impl Strategy<Value = Value> {
    let name = proptest::sample::select(vec!["a", "b", "c"]);
    let kind = proptest::sample::select(vec!["CTE Scan", "Append", "Nested Loop", "WorkTable Scan"]);
    let node = (kind, name.clone(), proptest::option::of(name)).prop_map(|(kind, reads, defines)| {
        let mut node = json!({"Node Type": kind, "CTE Name": reads, "Plan Rows": 5});
        if let Some(name) = defines {
            node["Subplan Name"] = json!(format!("CTE {name}"));
        }
        node
    });
    node.clone().prop_recursive(6, 40, 4, move |inner| {
        (node.clone(), proptest::collection::vec(inner, 0..4)).prop_map(|(mut node, plans)| {
            node["Plans"] = json!(plans);
            node
        })
    })
}

proptest! {
    #[test]
    fn any_arrangement_of_ctes_is_a_graph_or_refused(plan in plan()) {
        let mut nodes = Vec::new();
        printed(&plan, None, &mut nodes);
        match QueryDag::from_explain_json(&json!([{"Plan": plan}]).to_string()) {
            Ok(dag) => prop_assert_eq!(dag.len(), nodes.len()),
            // A scan within the CTE it reads, or of a CTE below itself: PostgreSQL never prints such.
            Err(error) => prop_assert!(matches!(error, Error::Cycle { .. } | Error::DuplicateEdge { .. }), "{}", error),
        }
    }

    #[test]
    fn changed_samples_are_refused_or_a_graph(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), "[0-9\\[\\]{},:\"a-zA-Z .\\\\-]{0,3}"), 1..4),
    ) {
        let samples = samples();
        let mut text: Vec<char> = samples[which.index(samples.len())].1.chars().collect();
        for (at, piece) in changes {
            let at = at.index(text.len());
            text.splice(at..at + 1, piece.chars());
        }
        if let Ok(dag) = QueryDag::from_explain_json(&text.into_iter().collect::<String>()) {
            prop_assert_eq!(dag.topological_order().len(), dag.len());
            prop_assert_eq!(QueryDag::from_binary(&dag.to_binary()).expect("its own form"), dag);
        }
    }

    #[test]
    fn any_text_is_refused_or_a_graph(text in ".{0,200}") {
        prop_assert!(QueryDag::from_explain_json(&text).is_err());
    }
}
