//! What makes each mechanism the one it is. Every sign is shown by its own mechanism and by none of the other six, so that
//! a test fails when two are swapped; and the parameters, good and bad.

use ruvector_dag::attention::{
    DagAttention, MechanismId, TemporalBTSPAttention, TemporalBTSPParameters, directions,
};
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag, mincut};

/// The polynomial's error, in both operators of a quotient.
const ERROR: f64 = 0.02;
/// When the surprising operator surprised, in seconds, and what is long after.
const EVENT: f64 = 50.0;
const LONG_AFTER: f64 = 100_000.0;

/// Two branches of unlike cost that meet in a join, under a chain of twelve limits:
/// `heavy scan 0 → filter 1 ─┐`, `light scan 2 ─→ join 3 → limit 4 → … → limit 15`.
/// The light scan gave a hundred times the rows expected.
fn plan() -> QueryDag {
    let mut dag = QueryDag::new();
    let nodes = [
        OperatorNode::seq_scan(0, "heavy").with_estimate(1000.0, 0.0, 800.0),
        OperatorNode::filter(1, "x > 0").with_estimate(900.0, 0.0, 810.0),
        OperatorNode::seq_scan(2, "light")
            .with_estimate(10.0, 0.0, 100.0)
            .with_actual(1000.0, 1.0),
        OperatorNode::new(3, OperatorType::HashJoin).with_estimate(900.0, 0.0, 930.0),
    ];
    for node in nodes {
        dag.add_node(node);
    }
    for (from, to) in [(0, 1), (1, 3), (2, 3)] {
        dag.add_edge(OperatorId(from), OperatorId(to)).expect("new edge");
    }
    for id in 4..16 {
        let cost = 930.0 + 10.0 * f64::from(id - 3);
        dag.add_node(OperatorNode::new(id, OperatorType::Limit).with_estimate(900.0, 0.0, cost));
        dag.add_edge(OperatorId(id - 1), OperatorId(id))
            .expect("new edge");
    }
    dag
}

const HEAVY: usize = 0;
const FILTER: usize = 1;
const LIGHT: usize = 2;
const JOIN: usize = 3;
const TOP: usize = 15;

/// A mechanism as it is some seconds after the event.
fn mechanism(id: MechanismId, dag: &QueryDag, seconds: f64) -> Box<dyn DagAttention> {
    if id != MechanismId::TemporalBtsp {
        return id.with_defaults();
    }
    let mut temporal = TemporalBTSPAttention::default();
    assert_eq!(temporal.observe(dag, EVENT), 1);
    temporal.advance(EVENT + seconds);
    Box::new(temporal)
}

/// What a mechanism does with the plan.
struct Behaviour {
    dag: QueryDag,
    directions: Vec<[f64; 4]>,
    rows: Vec<Vec<f64>>,
    rows_long_after: Vec<Vec<f64>>,
}

impl Behaviour {
    fn of(id: MechanismId) -> Self {
        let dag = plan();
        Self {
            directions: directions(&dag),
            rows: mechanism(id, &dag, 0.0).matrix(&dag),
            rows_long_after: mechanism(id, &dag, LONG_AFTER).matrix(&dag),
            dag,
        }
    }

    fn sees(&self, q: usize, v: usize) -> bool {
        self.rows[q][v] > 0.0
    }

    fn content(&self, q: usize, v: usize) -> f64 {
        let pairs = self.directions[q].iter().zip(&self.directions[v]);
        (pairs.map(|(a, b)| a * b).sum::<f64>() / 2.0).exp()
    }

    /// e to the difference of the biases of `v` and `than`, as `q` sees them.
    fn preference(&self, rows: &[Vec<f64>], q: usize, v: usize, than: usize) -> f64 {
        rows[q][v] / self.content(q, v) / (rows[q][than] / self.content(q, than))
    }

    fn prefers(&self, q: usize, v: usize, than: usize, factor: f64) -> bool {
        let found = self.preference(&self.rows, q, v, than);
        (found / factor - 1.0).abs() <= ERROR
    }

    /// Whether the join sees what feeds it and nothing else, itself aside.
    fn sees_what_feeds(&self) -> bool {
        self.sees(JOIN, HEAVY) && self.sees(JOIN, LIGHT) && !self.sees(JOIN, TOP) && !self.sees(LIGHT, HEAVY)
    }

    fn shows_the_sign_of(&self, id: MechanismId) -> bool {
        match id {
            // What feeds it, however far, and all alike.
            MechanismId::Topological => {
                self.sees_what_feeds() && (0..TOP).all(|v| self.prefers(TOP, v, TOP, 1.0))
            }
            // Falls with the hops, and ends.
            MechanismId::CausalCone => {
                let falls = (6..TOP).all(|v| self.prefers(TOP, v, v + 1, 0.8));
                self.sees_what_feeds() && falls && self.sees(TOP, 5) && !self.sees(TOP, 4)
            }
            // Prefers the costly way.
            MechanismId::CriticalPath => {
                let beta = 2.0f64.exp();
                self.sees_what_feeds()
                    && self.prefers(JOIN, HEAVY, LIGHT, beta)
                    && self.prefers(TOP, 7, LIGHT, beta)
            }
            // Closes on slack operators.
            MechanismId::MincutGated => {
                let tensions = mincut::tensions(&self.dag);
                let gate = |v: usize| 1.0 / (1.0 + ((0.5 - tensions[v]) / 0.1).exp());
                assert!(gate(FILTER) < 0.8 * gate(HEAVY), "{tensions:?}");
                self.sees_what_feeds()
                    && self.prefers(JOIN, FILTER, HEAVY, gate(FILTER) / gate(HEAVY))
                    && self.prefers(JOIN, FILTER, LIGHT, gate(FILTER) / gate(LIGHT))
            }
            // Separates depths: all are seen, the less the deeper they lie.
            MechanismId::HierarchicalLorentz => {
                let falls = (4..TOP).all(|v| self.preference(&self.rows, HEAVY, v, v + 1) < 1.0 - ERROR);
                self.sees(HEAVY, TOP) && self.sees(LIGHT, HEAVY) && self.sees(TOP, HEAVY) && falls
            }
            // Sees what works beside it and favours the heavier branch.
            MechanismId::ParallelBranch => {
                let heavy_to_light = (2.0f64 * (810.0 - 100.0) / 1050.0).exp();
                !self.sees(JOIN, LIGHT)
                    && !self.sees(JOIN, TOP)
                    && self.prefers(LIGHT, HEAVY, LIGHT, heavy_to_light)
                    && self.prefers(HEAVY, LIGHT, HEAVY, 1.0 / heavy_to_light)
            }
            // Remembers after one event and forgets over time.
            MechanismId::TemporalBtsp => {
                let long_after = self.preference(&self.rows_long_after, JOIN, LIGHT, HEAVY);
                self.sees_what_feeds()
                    && self.prefers(JOIN, LIGHT, HEAVY, 5.0)
                    && (long_after - 1.0).abs() <= ERROR
            }
        }
    }
}

/// Fails when the mechanism of this name is another one.
fn only_it_shows_its_sign(id: MechanismId) {
    for other in MechanismId::ALL {
        assert_eq!(
            Behaviour::of(other).shows_the_sign_of(id),
            other == id,
            "{} as {}",
            other.name(),
            id.name()
        );
    }
}

#[test]
fn topological_sees_all_that_feeds_alike() {
    only_it_shows_its_sign(MechanismId::Topological);
}

#[test]
fn causal_cone_falls_with_hops_and_ends() {
    only_it_shows_its_sign(MechanismId::CausalCone);
}

#[test]
fn critical_path_prefers_the_costly_way() {
    only_it_shows_its_sign(MechanismId::CriticalPath);
}

#[test]
fn mincut_gate_closes_on_slack_operators() {
    only_it_shows_its_sign(MechanismId::MincutGated);
}

#[test]
fn hierarchical_lorentz_separates_depths() {
    only_it_shows_its_sign(MechanismId::HierarchicalLorentz);
}

#[test]
fn parallel_branch_favours_the_imbalanced_sibling() {
    only_it_shows_its_sign(MechanismId::ParallelBranch);
}

#[test]
fn temporal_remembers_after_one_event_and_forgets_over_time() {
    only_it_shows_its_sign(MechanismId::TemporalBtsp);
}

#[test]
fn a_trace_decays_with_its_time_constant() {
    let dag = plan();
    let light = dag.node(OperatorId(2)).expect("the light scan");
    let parameters = TemporalBTSPParameters {
        plateau: 50.0,
        eligibility: 3.0,
        time_constant: 10.0,
    };
    let mut temporal = TemporalBTSPAttention::new(parameters).expect("valid");
    let fresh = temporal.parameters_fingerprint();
    assert_eq!(temporal.trace(light), 0.0);
    temporal.observe(&dag, EVENT);
    assert_eq!(temporal.trace(light), 3.0);
    assert_ne!(temporal.parameters_fingerprint(), fresh);
    temporal.advance(EVENT + 10.0);
    assert!((temporal.trace(light) - 3.0 / std::f64::consts::E).abs() < 1e-12);
    // Time does not run backwards, and a second event sets the trace anew, no higher.
    temporal.advance(0.0);
    assert!(temporal.trace(light) < 1.2);
    temporal.observe(&dag, EVENT + 11.0);
    assert_eq!(temporal.trace(light), 3.0);
}

#[test]
fn the_oldest_traces_go_first() {
    let surprise = |number: usize| {
        let mut dag = QueryDag::new();
        let scan = OperatorNode::seq_scan(0, &format!("t{number}")).with_estimate(1.0, 0.0, 1.0);
        dag.add_node(scan.with_actual(100.0, 1.0));
        dag
    };
    let mut temporal = TemporalBTSPAttention::default();
    for number in 0..=ruvector_dag::attention::BTSP_TRACES {
        temporal.observe(&surprise(number), number as f64);
    }
    let trace = |number| {
        surprise(number)
            .nodes()
            .map(|node| temporal.trace(node))
            .sum::<f64>()
    };
    assert_eq!(trace(0), 0.0);
    assert!(trace(1) > 0.0 && trace(ruvector_dag::attention::BTSP_TRACES) > 0.0);
}

#[test]
fn names_are_found_and_wrong_ones_refused_with_the_right_ones() {
    for id in MechanismId::ALL {
        assert_eq!(MechanismId::from_name(id.name()), Ok(id));
        assert_eq!(id.with_defaults().name(), id.name());
    }
    let error = MechanismId::from_name("psychic")
        .expect_err("no such mechanism")
        .to_string();
    assert!(
        MechanismId::ALL.iter().all(|id| error.contains(id.name())),
        "{error}"
    );
}

#[test]
fn parameters_change_what_a_mechanism_is() {
    let good = [
        (MechanismId::CausalCone, r#"{"max_depth": 3, "decay": 0.5}"#),
        (MechanismId::CriticalPath, r#"{"beta": 1}"#),
        (MechanismId::MincutGated, r#"{"theta": 0.2, "tau": 0.3}"#),
        (
            MechanismId::HierarchicalLorentz,
            r#"{"curvature": 2.5, "tau": 0.5}"#,
        ),
        (MechanismId::ParallelBranch, r#"{"sync_penalty": 0.2}"#),
        (
            MechanismId::TemporalBtsp,
            r#"{"plateau": 10, "eligibility": 1, "time_constant": 60}"#,
        ),
    ];
    for (id, parameters) in good {
        let dag = plan();
        let (found, default) = (id.configured(parameters).expect("valid"), id.with_defaults());
        assert_ne!(found.parameters_fingerprint(), default.parameters_fingerprint());
        // Without traces the temporal one is the same whatever its parameters.
        let is_same = found.forward(&dag) == default.forward(&dag);
        assert_eq!(is_same, id == MechanismId::TemporalBtsp, "{}", id.name());
    }
    for id in MechanismId::ALL {
        let found = id.configured("{}").expect("defaults");
        assert_eq!(
            found.parameters_fingerprint(),
            id.with_defaults().parameters_fingerprint()
        );
    }
}

#[test]
fn bad_parameters_are_refused_by_name() {
    let bad = [
        (MechanismId::CausalCone, r#"{"max_depth": 10001}"#, "max_depth"),
        (MechanismId::CausalCone, r#"{"decay": 0}"#, "decay"),
        (MechanismId::CausalCone, r#"{"decay": 1.1}"#, "decay"),
        (MechanismId::CriticalPath, r#"{"beta": -1}"#, "beta"),
        (MechanismId::MincutGated, r#"{"theta": 2}"#, "theta"),
        (MechanismId::MincutGated, r#"{"tau": 0}"#, "tau"),
        (
            MechanismId::HierarchicalLorentz,
            r#"{"curvature": 0}"#,
            "curvature",
        ),
        (MechanismId::HierarchicalLorentz, r#"{"tau": 1e9}"#, "tau"),
        (
            MechanismId::ParallelBranch,
            r#"{"sync_penalty": -0.1}"#,
            "sync_penalty",
        ),
        (MechanismId::TemporalBtsp, r#"{"plateau": 0.5}"#, "plateau"),
        (MechanismId::TemporalBtsp, r#"{"eligibility": -1}"#, "eligibility"),
        (
            MechanismId::TemporalBtsp,
            r#"{"time_constant": 0}"#,
            "time_constant",
        ),
    ];
    for (id, parameters, name) in bad {
        let error = id.configured(parameters).err().expect("out of range");
        assert!(
            matches!(error, Error::InvalidParameter { mechanism, parameter, .. } if mechanism == id.name() && parameter == name),
            "{error}"
        );
    }
    for id in MechanismId::ALL {
        for text in [r#"{"unheard_of": 1}"#, "[1, 2", r#"{"max_depth": -1}"#] {
            let error = id.configured(text).err().expect("malformed");
            assert!(matches!(error, Error::MalformedParameters { .. }), "{error}");
        }
    }
}
