//! Stages 3 and 4 of 9 in a session: which operators of a plan matter, and the plan as 256 numbers.
//!
//! A mechanism is chosen per plan shape: the one that is set, else the bandit's choice with the policy's suggestion as its
//! prior. What mechanisms earned lies in shared memory, and the worker updates it. Only pure engine calls here: an
//! error of theirs leaves the plan without weights.

use crate::pg::catalog;
use crate::settings::{self, AttentionType};
use crate::shmem::{arms, counters};
use engine::attention::{
    AttentionCache, AttentionScores, BanditSettings, Choice, DagAttention, EnsembleAttention, MechanismId,
    PlanSignals, SelectionPolicy, TemporalBTSPAttention, TemporalBTSPParameters,
};
use engine::decision::{PlanEvidence, StatementEvidence};
use engine::{Error, QueryDag};
use std::cell::{OnceCell, RefCell};
use std::sync::Arc;
use std::time::Instant;

/// Plans whose scores a session keeps.
const CACHED: usize = 1000;

/// The mechanisms of a session, with the parameters that are set. Each is made when it is first used: some make tables.
struct Session {
    text: String,
    parameters: serde_json::Value,
    /// All but the temporal one, by [`place`].
    stateless: [OnceCell<Box<dyn DagAttention>>; MechanismId::ALL.len() + 1],
    temporal: TemporalBTSPAttention,
    cache: AttentionCache,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

impl Session {
    fn new(text: String) -> Self {
        let parameters: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let temporal = parameters.get(MechanismId::TemporalBtsp.name()).cloned();
        let temporal = temporal
            .and_then(|own| serde_json::from_value::<TemporalBTSPParameters>(own).ok())
            .and_then(|own| TemporalBTSPAttention::new(own).ok());
        Self {
            text,
            parameters,
            stateless: Default::default(),
            temporal: temporal.unwrap_or_default(),
            cache: AttentionCache::with_shards(CACHED, 1),
        }
    }

    fn configured(&self, mechanism: MechanismId) -> Box<dyn DagAttention> {
        let own = self.parameters.get(mechanism.name());
        let wanted = own.and_then(|own| mechanism.configured(&own.to_string()).ok());
        wanted.unwrap_or_else(|| mechanism.with_defaults())
    }

    fn mechanism(&self, choice: Choice) -> &dyn DagAttention {
        if choice == Choice::Mechanism(MechanismId::TemporalBtsp) {
            return &self.temporal;
        }
        let made = self.stateless.get(place(choice)).map(|cell| {
            cell.get_or_init(|| match choice {
                Choice::Mechanism(mechanism) => self.configured(mechanism),
                Choice::Ensemble => Box::new(EnsembleAttention::of_all(|member| self.configured(member))),
            })
        });
        made.map_or(&self.temporal, Box::as_ref)
    }
}

/// Runs `work` with the session's mechanisms, which are made anew when their parameters were set anew.
fn with_session<R>(work: impl FnOnce(&mut Session) -> R) -> R {
    SESSION.with_borrow_mut(|session| {
        let text = settings::attention_parameters();
        if session.as_ref().is_some_and(|session| session.text != text) {
            *session = None;
        }
        work(session.get_or_insert_with(|| Session::new(text)))
    })
}

/// The place of a choice among the counters: the mechanisms in their order, then the ensemble.
pub(crate) fn place(choice: Choice) -> usize {
    match choice {
        Choice::Mechanism(mechanism) => MechanismId::ALL
            .iter()
            .position(|&own| own == mechanism)
            .unwrap_or(0),
        Choice::Ensemble => MechanismId::ALL.len(),
    }
}

/// The name of the choice at a place.
pub(crate) fn name_at(place: usize) -> &'static str {
    MechanismId::ALL
        .get(place)
        .map_or("ensemble", |mechanism| mechanism.name())
}

/// The choice with this name; `None` for auto.
pub(crate) fn by_name(name: &str) -> Result<Option<Choice>, Error> {
    match name {
        "auto" => Ok(None),
        "ensemble" => Ok(Some(Choice::Ensemble)),
        mechanism => Ok(Some(Choice::Mechanism(MechanismId::from_name(mechanism)?))),
    }
}

/// What is set, else what policy and bandit choose for a plan of a statement class of which this is known.
pub(crate) fn choose(dag: &QueryDag, evidence: Option<&StatementEvidence>) -> Choice {
    let mechanism = match settings::attention_type() {
        AttentionType::Auto => return choose_freely(dag, evidence),
        AttentionType::Ensemble => return Choice::Ensemble,
        AttentionType::Topological => MechanismId::Topological,
        AttentionType::CausalCone => MechanismId::CausalCone,
        AttentionType::CriticalPath => MechanismId::CriticalPath,
        AttentionType::MincutGated => MechanismId::MincutGated,
        AttentionType::HierarchicalLorentz => MechanismId::HierarchicalLorentz,
        AttentionType::ParallelBranch => MechanismId::ParallelBranch,
        AttentionType::TemporalBtsp => MechanismId::TemporalBtsp,
    };
    Choice::Mechanism(mechanism)
}

fn choose_freely(dag: &QueryDag, evidence: Option<&StatementEvidence>) -> Choice {
    let mut signals = PlanSignals::of_plan(dag);
    if let Some((median, slowest)) = evidence.and_then(|evidence| latencies(evidence.best()?)) {
        signals = signals.with_latencies(median, slowest);
    }
    let policy = SelectionPolicy {
        tension_threshold: settings::tension_threshold(),
        ..SelectionPolicy::default()
    };
    let pattern = dag.shape_fingerprint();
    let arms = arms::get(catalog::database(), pattern);
    Choice::Mechanism(arms.select(Some(policy.suggest(&signals)), &bandit()))
}

/// How the bandit weighs, in this session: draws of sessions differ.
pub(crate) fn bandit() -> BanditSettings {
    BanditSettings {
        confidence: settings::ucb_c(),
        exploration: settings::attention_exploration(),
        seed: u64::from(std::process::id()),
        ..BanditSettings::default()
    }
}

/// Median and largest of the latest latencies.
fn latencies(plan: &PlanEvidence) -> Option<(f64, f64)> {
    let mut samples = plan.samples_ms().to_vec();
    samples.sort_by(f32::total_cmp);
    let median = samples.get(samples.len() / 2)?;
    Some((f64::from(*median), f64::from(*samples.last()?)))
}

/// The weights of a plan's operators; timed and counted.
pub(crate) fn scores(dag: &QueryDag, choice: Choice) -> Arc<AttentionScores> {
    with_session(|session| {
        let begun = Instant::now();
        if choice == Choice::Mechanism(MechanismId::TemporalBtsp) {
            session.temporal.advance(catalog::seconds() as f64);
        }
        let before = session.cache.statistics().hits;
        let scores = session.cache.scores(dag, session.mechanism(choice));
        let is_hit = session.cache.statistics().hits > before;
        counters::note_attention(place(choice), begun.elapsed(), is_hit);
        scores
    })
}

/// The weights of a plan's operators, neither timed nor counted: the plan was weighed before.
pub(crate) fn weigh_again(dag: &QueryDag, choice: Choice) -> Arc<AttentionScores> {
    with_session(|session| session.cache.scores(dag, session.mechanism(choice)))
}

/// How each operator attends to the others.
pub(crate) fn matrix(dag: &QueryDag, choice: Choice) -> Vec<Vec<f64>> {
    with_session(|session| session.mechanism(choice).matrix(dag))
}

/// Takes in an executed plan with its counts: what was surprising is remembered for a while.
pub(crate) fn observe(dag: &QueryDag) {
    with_session(|session| session.temporal.observe(dag, catalog::seconds() as f64));
}
