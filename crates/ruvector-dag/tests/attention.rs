//! The mechanisms of attention against their definitions and the laws of scores: 1,000 random plans for each mechanism
//! and each law.

use proptest::prelude::*;
use ruvector_dag::attention::{
    AttentionScores, DagAttention, EnsembleAttention, HierarchicalLorentzAttention, MechanismId,
    TemporalBTSPAttention,
};
use ruvector_dag::cost::EmbeddedCostModel;
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};
use std::sync::LazyLock;

mod oracle;

/// How far a share may be from that of the definition, since the exponential is approximated.
const ERROR: f64 =
    2.0 * ruvector_dag::attention::KERNEL_ERROR / (1.0 - ruvector_dag::attention::KERNEL_ERROR);
/// Rounding.
const ROUNDING: f64 = 1e-9;

/// Operators by place, and edges from lower to higher places.
#[derive(Debug, Clone)]
struct Plan {
    nodes: Vec<OperatorNode>,
    edges: Vec<(usize, usize)>,
    /// Places in the order in which a renumbered graph gets them.
    shuffled: Vec<usize>,
    /// Whether costs come from a model, so that they don't depend on which consumer has the lowest number.
    is_modelled: bool,
}

impl Plan {
    /// The graph with operators added in this order and numbered by `number(place)`.
    fn build(&self, places: &[usize], number: impl Fn(usize) -> u32) -> QueryDag {
        let mut dag = if self.is_modelled {
            QueryDag::with_cost_model(Box::new(EmbeddedCostModel {
                ram_kb: 512,
                flash_latency_ns: 100,
            }))
        } else {
            QueryDag::new()
        };
        for &place in places {
            let id = OperatorId(number(place));
            dag.add_node(OperatorNode {
                id,
                ..self.nodes[place].clone()
            });
        }
        for &(from, to) in &self.edges {
            dag.add_edge(OperatorId(number(from)), OperatorId(number(to)))
                .expect("an edge upward");
        }
        dag
    }

    fn dag(&self) -> QueryDag {
        self.build(&(0..self.nodes.len()).collect::<Vec<_>>(), |place| place as u32)
    }

    /// The same with other numbers, in another order. PostgreSQL's costs depend on the order of consumers' numbers, which
    /// then stays.
    fn renumbered(&self) -> QueryDag {
        let rank = |place| {
            self.shuffled
                .iter()
                .position(|&other| other == place)
                .unwrap_or(0)
        };
        self.build(&self.shuffled, |place| {
            if self.is_modelled {
                7 + 3 * rank(place) as u32
            } else {
                5 + 2 * place as u32
            }
        })
    }
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![4 => 0.0..1e6, 1 => Just(0.0), 1 => 0.0..f64::MAX]
}

fn node() -> impl Strategy<Value = OperatorNode> {
    let kind = proptest::sample::select(OperatorType::ALL);
    (
        kind,
        0u32..6,
        number(),
        number(),
        proptest::option::of(number()),
        any::<u16>(),
    )
        .prop_map(|(kind, table, rows, cost, actual, width)| {
            let node = OperatorNode::new(0, kind)
                .with_estimate(rows, 0.0, cost)
                .with_width(u32::from(width))
                .with_relation(["a", "b", "c", "d", "e", "f"][table as usize]);
            match actual {
                Some(rows) => node.with_actual(rows, 1.0),
                None => node,
            }
        })
}

/// Any graph: trees, shared subplans, several results, disconnected parts.
fn plans() -> impl Strategy<Value = Plan> {
    let nodes = proptest::collection::vec(node(), 1..9);
    let edges = proptest::collection::vec((any::<u16>(), any::<u16>()), 0..16);
    (nodes, edges, any::<bool>(), any::<u64>()).prop_map(|(nodes, pairs, is_modelled, seed)| {
        let length = nodes.len();
        let place = |number: u16| usize::from(number) % length;
        let upward = pairs
            .into_iter()
            .map(|(a, b)| (place(a), place(b)))
            .filter(|(a, b)| a < b);
        let mut edges: Vec<(usize, usize)> = upward.collect();
        edges.sort_unstable_by_key(|&(from, to)| (to, from));
        edges.dedup();
        let mut shuffled: Vec<usize> = (0..length).collect();
        shuffled.sort_by_key(|&place| (place as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
        Plan {
            nodes,
            edges,
            shuffled,
            is_modelled,
        }
    })
}

/// A plan whose edges are made from its size.
fn shaped(size: usize, edges: fn(usize) -> Vec<(usize, usize)>) -> impl Strategy<Value = Plan> {
    proptest::collection::vec(node(), 1..size).prop_map(move |nodes| Plan {
        edges: edges(nodes.len()),
        shuffled: Vec::new(),
        is_modelled: false,
        nodes,
    })
}

fn none(_: usize) -> Vec<(usize, usize)> {
    Vec::new()
}

fn chain(size: usize) -> Vec<(usize, usize)> {
    (1..size).map(|at| (at - 1, at)).collect()
}

fn fan(size: usize) -> Vec<(usize, usize)> {
    (0..size - 1).map(|at| (at, size - 1)).collect()
}

/// Each operator's rows go to the next two: nearly all are shared.
fn ladder(size: usize) -> Vec<(usize, usize)> {
    (2..size).flat_map(|at| [(at - 2, at), (at - 1, at)]).collect()
}

/// A plan of unlike operators, too large to have them drawn one by one.
fn large(size: usize, edges: fn(usize) -> Vec<(usize, usize)>) -> QueryDag {
    let node = |place: usize| {
        let kind = OperatorType::ALL[place * 7 % OperatorType::ALL.len()];
        let cost = (place * 37 % 1001) as f64;
        OperatorNode::new(0, kind).with_estimate((place % 97) as f64 * 31.0, 0.0, cost)
    };
    let nodes = (0..size).map(node).collect();
    Plan {
        nodes,
        edges: edges(size),
        shuffled: Vec::new(),
        is_modelled: false,
    }
    .dag()
}

/// A mechanism that has learned from the plan, if it learns.
fn mechanism(id: MechanismId, dag: &QueryDag) -> Box<dyn DagAttention> {
    // Its table is made once.
    static LORENTZ: LazyLock<HierarchicalLorentzAttention> = LazyLock::new(Default::default);
    match id {
        MechanismId::TemporalBtsp => Box::new(temporal(dag)),
        MechanismId::HierarchicalLorentz => Box::new(LORENTZ.clone()),
        _ => id.with_defaults(),
    }
}

fn temporal(dag: &QueryDag) -> TemporalBTSPAttention {
    let mut temporal = TemporalBTSPAttention::default();
    temporal.observe(dag, 100.0);
    temporal.advance(1000.0);
    temporal
}

fn ensemble(dag: &QueryDag) -> Box<dyn DagAttention> {
    let members = MechanismId::ALL.map(|id| (mechanism(id, dag), 1.0 + id as u8 as f64));
    Box::new(EnsembleAttention::new(members.into()).expect("valid weights"))
}

fn are_shares(scores: &[f64], length: usize) -> bool {
    let sum: f64 = scores.iter().sum();
    scores.len() == length
        && (sum - 1.0).abs() <= ROUNDING
        && scores.iter().all(|score| (0.0..=1.0).contains(score))
}

fn bits(scores: &AttentionScores) -> Vec<u64> {
    scores.as_slice().iter().map(|score| score.to_bits()).collect()
}

/// The laws of scores, for one way to make an attention for a plan.
macro_rules! laws {
    ($($name:ident: $make:expr;)*) => { $(
        mod $name {
            use super::*;

            fn make(dag: &QueryDag) -> Box<dyn DagAttention> {
                ($make)(dag)
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(1000))]

                #[test]
                fn scores_are_shares_of_one(plan in plans()) {
                    let dag = plan.dag();
                    let scores = make(&dag).forward(&dag);
                    prop_assert!(are_shares(scores.as_slice(), dag.len()), "{scores:?}");
                }

                #[test]
                fn renumbering_changes_nothing(plan in plans()) {
                    let (dag, renumbered) = (plan.dag(), plan.renumbered());
                    let (scores, others) = (make(&dag).forward(&dag), make(&renumbered).forward(&renumbered));
                    for (score, &place) in others.as_slice().iter().zip(&plan.shuffled) {
                        prop_assert!((score - scores.as_slice()[place]).abs() <= ROUNDING, "{scores:?} {others:?}");
                    }
                }

                #[test]
                fn the_same_call_gives_the_same_bits(plan in plans()) {
                    let (dag, again) = (plan.dag(), plan.dag());
                    let (attention, other) = (make(&dag), make(&again));
                    prop_assert_eq!(bits(&attention.forward(&dag)), bits(&attention.forward(&dag)));
                    prop_assert_eq!(bits(&attention.forward(&dag)), bits(&other.forward(&again)));
                    prop_assert_eq!(attention.parameters_fingerprint(), other.parameters_fingerprint());
                }

                #[test]
                fn scores_are_the_rows_weighted_by_cost(plan in plans()) {
                    let dag = plan.dag();
                    let attention = make(&dag);
                    let rows = attention.matrix(&dag);
                    let weights = oracle::attention::Plan::of(&dag).weights;
                    for (at, score) in attention.forward(&dag).as_slice().iter().enumerate() {
                        let sum: f64 = rows.iter().zip(&weights).map(|(row, weight)| weight * row[at]).sum();
                        prop_assert!((sum - score).abs() <= ROUNDING, "{at}: {sum} {score}");
                    }
                    for (node, row) in dag.nodes().zip(rows) {
                        prop_assert!(are_shares(&row, dag.len()));
                        prop_assert_eq!(attention.attend(&dag, node.id), Ok(row));
                    }
                }

                #[test]
                fn one_operator_has_all(node in node()) {
                    let mut dag = QueryDag::new();
                    dag.add_node(node);
                    prop_assert_eq!(make(&dag).forward(&dag), AttentionScores::new(vec![1.0]));
                }

                #[test]
                fn operators_without_edges_have_scores(plan in shaped(9, none)) {
                    let dag = plan.dag();
                    prop_assert!(are_shares(make(&dag).forward(&dag).as_slice(), dag.len()));
                }

                #[test]
                fn chains_have_scores(plan in shaped(9, chain)) {
                    let dag = plan.dag();
                    prop_assert!(are_shares(make(&dag).forward(&dag).as_slice(), dag.len()));
                }

                #[test]
                fn fans_have_scores(plan in shaped(9, fan)) {
                    let dag = plan.dag();
                    prop_assert!(are_shares(make(&dag).forward(&dag).as_slice(), dag.len()));
                }
            }

            #[test]
            fn ten_thousand_operators_have_scores() {
                for edges in [none, chain, fan] {
                    let dag = large(10_000, edges);
                    assert!(are_shares(make(&dag).forward(&dag).as_slice(), dag.len()));
                }
            }

            #[test]
            fn many_shared_operators_have_scores() {
                let dag = large(300, ladder);
                assert!(are_shares(make(&dag).forward(&dag).as_slice(), dag.len()));
            }

            #[test]
            fn no_operators_have_no_scores() {
                let dag = QueryDag::new();
                assert!(make(&dag).forward(&dag).is_empty());
                assert!(make(&dag).matrix(&dag).is_empty());
                assert!(make(&dag).attend(&dag, OperatorId(0)).is_err());
            }
        }
    )* };
}

laws! {
    topological: |dag| mechanism(MechanismId::Topological, dag);
    causal_cone: |dag| mechanism(MechanismId::CausalCone, dag);
    critical_path: |dag| mechanism(MechanismId::CriticalPath, dag);
    mincut_gated: |dag| mechanism(MechanismId::MincutGated, dag);
    hierarchical_lorentz: |dag| mechanism(MechanismId::HierarchicalLorentz, dag);
    parallel_branch: |dag| mechanism(MechanismId::ParallelBranch, dag);
    temporal_btsp: |dag| mechanism(MechanismId::TemporalBtsp, dag);
    ensemble: ensemble;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn rows_are_those_of_the_definitions(plan in plans()) {
        let dag = plan.dag();
        let definition = oracle::attention::Plan::of(&dag);
        let temporal = temporal(&dag);
        for id in MechanismId::ALL {
            for (q, row) in mechanism(id, &dag).matrix(&dag).into_iter().enumerate() {
                for (found, expected) in row.into_iter().zip(definition.row(id, &temporal, q)) {
                    let error = (found - expected).abs();
                    prop_assert!(error <= ERROR * expected + ROUNDING, "{id:?} {q}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn scores_are_those_of_the_definitions(plan in plans()) {
        let dag = plan.dag();
        let definition = oracle::attention::Plan::of(&dag);
        let temporal = temporal(&dag);
        for id in MechanismId::ALL {
            let mut expected = vec![0.0; dag.len()];
            for (q, weight) in definition.weights.iter().enumerate() {
                let row = definition.row(id, &temporal, q);
                expected.iter_mut().zip(row).for_each(|(sum, share)| *sum += weight * share);
            }
            for (found, expected) in mechanism(id, &dag).forward(&dag).as_slice().iter().zip(expected) {
                let error = (found - expected).abs();
                prop_assert!(error <= ERROR * expected + ROUNDING, "{id:?}: {found} {expected}");
            }
        }
    }
}

#[test]
fn levels_of_deep_plans_are_close_to_their_depths() {
    let dag = large(400, chain);
    let definition = oracle::attention::Plan::of(&dag);
    let temporal = TemporalBTSPAttention::default();
    let attention = MechanismId::HierarchicalLorentz.with_defaults();
    // Biases within 0.064 each way, in the numerator and the denominator.
    let error = (2.0 * 0.064f64).exp() * (1.0 + ERROR) - 1.0;
    for q in [0, 200, 399] {
        let row = attention
            .attend(&dag, OperatorId(q as u32))
            .expect("a known operator");
        for (found, expected) in
            row.into_iter()
                .zip(definition.row(MechanismId::HierarchicalLorentz, &temporal, q))
        {
            assert!(
                (found - expected).abs() <= error * expected,
                "{q}: {found} {expected}"
            );
        }
    }
}
