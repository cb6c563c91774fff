//! The forgetting experiment: five workloads learned one after the other, with and without EWC++.
//!
//! Each workload has plans of its own kind and size and latencies that the planner gets wrong in its own way; some
//! operators are slower than planned in one workload and faster in another, so that workloads contradict each other. What
//! is learned is how far the log latency is from the log cost. Nobody says where a workload ends: EWC++ has to notice.

use ruvector_dag::attention::AttentionScores;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::embedding::{DIMENSIONS, PlanEmbedding};
use ruvector_dag::learning::objective::{LatencyHead, Target};
use ruvector_dag::learning::{
    BaseLora, DagSonaEngine, EwcConfig, EwcPlusPlus, LatencyQuery, MicroLora, PlanAdapters, SonaConfig,
};
use ruvector_dag::trajectory::{Trajectory, TrajectoryBuilder, type_attention};
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};

/// Plans of a workload to learn from, each seen once per pass.
pub(crate) const TRAINING: usize = 100;
/// Times that each plan is run.
pub(crate) const PASSES: usize = 3;
/// Other plans of the workload, to measure with.
pub(crate) const TESTING: usize = 40;
const LEARNING_RATE: f32 = 0.05;
/// What random numbers are drawn for, so that no draws depend on others.
const HEAD: u64 = 0;
const TRAIN: u64 = 100;
const TEST: u64 = 200;

/// A kind of workload: which operators its plans have, how large they are, and how wrong the planner is.
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    scan: OperatorType,
    join: OperatorType,
    top: OperatorType,
    rows: f64,
    joins: usize,
    /// How much longer than planned scan, join and top take.
    slowdown: [f64; 3],
}

/// In the order they come.
pub(crate) const WORKLOADS: [Workload; 5] = {
    use OperatorType::*;
    [
        workload("orders", IndexScan, NestedLoop, Limit, 1e2, 2, [1.0, 12.0, 1.0]),
        workload("reports", SeqScan, HashJoin, Aggregate, 1e6, 4, [0.3, 3.0, 2.0]),
        workload("exports", SeqScan, MergeJoin, Sort, 1e5, 2, [2.0, 1.0, 6.0]),
        workload("vectors", HnswScan, NestedLoop, Limit, 1e3, 1, [5.0, 0.2, 1.0]),
        workload(
            "audits",
            BitmapHeapScan,
            NestedLoop,
            Aggregate,
            1e4,
            3,
            [8.0, 0.3, 0.5],
        ),
    ]
};

const fn workload(
    name: &'static str,
    scan: OperatorType,
    join: OperatorType,
    top: OperatorType,
    rows: f64,
    joins: usize,
    slowdown: [f64; 3],
) -> Workload {
    Workload {
        name,
        scan,
        join,
        top,
        rows,
        joins,
        slowdown,
    }
}

/// A seeded source of numbers below one.
struct Random {
    seed: [u64; 2],
    drawn: u64,
}

impl Random {
    fn new(seed: u64, purpose: u64) -> Self {
        Self {
            seed: [seed, purpose],
            drawn: 0,
        }
    }

    fn next(&mut self) -> f64 {
        self.drawn += 1;
        let [seed, purpose] = self.seed;
        (hash_words([seed, purpose, self.drawn]) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A plan that was run.
pub(crate) struct Run {
    embedding: PlanEmbedding,
    types: Vec<(OperatorType, f32)>,
    /// ln(cost) and ln(latency).
    log_cost: f64,
    log_latency: f64,
}

impl Run {
    /// What the planner's cost does not say.
    fn residual(&self) -> f64 {
        self.log_latency - self.log_cost
    }
}

/// The errors through the engine's public loop, which remembers no more executions than one workload has.
pub(crate) struct Looped {
    /// Mean squared error of the first workload after each one.
    pub(crate) of_first: Vec<f64>,
    /// Mean squared error of each workload when it was learned.
    pub(crate) when_learned: Vec<f64>,
    /// Tasks that ended.
    pub(crate) tasks: usize,
}

/// Learns the workloads in turn through `post_query` and `background_learn`; those before `first` are left out.
///
/// # Errors
/// Those of the engine, which none of these plans should give.
pub(crate) fn loop_through(config: SonaConfig, first: usize) -> Result<Looped, Error> {
    let mut engine = DagSonaEngine::new(config)?;
    let testing: Vec<Vec<Trajectory>> = (0..)
        .zip(&WORKLOADS)
        .map(|(at, workload)| workload.trajectories(TESTING, config.seed, TEST + at))
        .collect::<Result<_, _>>()?;
    let error = |engine: &DagSonaEngine, of: usize| {
        let squares = testing[of].iter().map(|seen| {
            let expected = engine.predict(&LatencyQuery::of(seen), &seen.embedding, &seen.operator_types);
            (expected.log_latency - seen.log_latency).powi(2)
        });
        squares.sum::<f64>() / testing[of].len() as f64
    };
    let mut looped = Looped {
        of_first: Vec::new(),
        when_learned: Vec::new(),
        tasks: 0,
    };
    for (at, workload) in (0..).zip(&WORKLOADS).skip(first) {
        for part in workload
            .trajectories(PASSES * TRAINING, config.seed, TRAIN + at)?
            .chunks(TRAINING)
        {
            for seen in part {
                engine.post_query(seen.clone());
            }
            engine.background_learn(part.last().map_or(0, |seen| seen.at_us));
        }
        looped.of_first.push(error(&engine, 0));
        looped.when_learned.push(error(&engine, at as usize));
    }
    looped.tasks = engine.ewc().tasks();
    Ok(looped)
}

/// A plan under construction: its graph, the cost of its top operator, and its latency.
struct Draft {
    dag: QueryDag,
    cost: f64,
    latency: f64,
}

impl Draft {
    fn add(
        &mut self,
        kind: OperatorType,
        rows: f64,
        own: f64,
        slowdown: f64,
        inputs: &[OperatorId],
    ) -> Result<OperatorId, Error> {
        let below: f64 = inputs
            .iter()
            .filter_map(|&id| self.dag.node(id))
            .map(|node| node.total_cost)
            .sum();
        let node = OperatorNode::new(self.dag.len() as u32, kind).with_estimate(rows, below, below + own);
        let id = self.dag.add_node(node);
        for &input in inputs {
            self.dag.add_edge(input, id)?;
        }
        self.cost = below + own;
        self.latency += own * slowdown;
        Ok(id)
    }
}

impl Workload {
    fn run(&self, random: &mut Random) -> Result<Run, Error> {
        let mut draft = Draft {
            dag: QueryDag::new(),
            cost: 0.0,
            latency: 0.0,
        };
        let [scan, join, top] = self.slowdown;
        let rows = |random: &mut Random| self.rows * 10f64.powf(random.next() - 0.5);
        let first = rows(random);
        let mut below = draft.add(self.scan, first, 0.01 * first, scan, &[])?;
        for _ in 0..self.joins + (random.next() * 2.0) as usize {
            let (inner, joined) = (rows(random), rows(random));
            let other = draft.add(self.scan, inner, 0.01 * inner, scan, &[])?;
            below = draft.add(self.join, joined, 0.02 * joined, join, &[below, other])?;
        }
        let last = rows(random);
        draft.add(self.top, last, 0.015 * last, top, &[below])?;
        let noise = 0.2 * (random.next() + random.next() + random.next() - 1.5);
        let costs = draft.dag.self_costs();
        let total: f64 = costs.iter().map(|(_, cost)| cost).sum();
        let scores = AttentionScores::new(costs.iter().map(|(_, cost)| cost / total).collect());
        Ok(Run {
            embedding: PlanEmbedding::new(&draft.dag, &scores)?,
            types: type_attention(&draft.dag, &scores),
            log_cost: draft.cost.ln(),
            log_latency: draft.latency.ln() + noise,
        })
    }

    /// Executions of plans that are each of a template of their own.
    fn trajectories(&self, count: usize, seed: u64, purpose: u64) -> Result<Vec<Trajectory>, Error> {
        let runs = self.runs(count, Random::new(seed, purpose))?;
        let trajectory = |(at, run): (u64, Run)| {
            let class = |part: u64| hash_words([part, purpose, at]);
            TrajectoryBuilder::new(class(0), class(1), run.embedding)
                .operator_types(run.types)
                .cost(run.log_cost.exp())
                .build(run.log_latency.exp(), purpose << 32 | at)
        };
        Ok((0..).zip(runs).map(trajectory).collect())
    }

    fn runs(&self, count: usize, mut random: Random) -> Result<Vec<Run>, Error> {
        (0..count).map(|_| self.run(&mut random)).collect()
    }
}

/// What a sequence of workloads left behind.
pub(crate) struct Outcome {
    /// Mean squared error before learning, per workload.
    pub(crate) untrained: Vec<f64>,
    /// `errors[after][of]`: the error of a workload after so many were learned.
    pub(crate) errors: Vec<Vec<f64>>,
    /// Executions of the current workload until its beginning was noticed, for each but the first.
    pub(crate) noticed_after: Vec<Option<usize>>,
    /// Boundaries noticed where none was.
    pub(crate) false_alarms: usize,
}

impl Outcome {
    /// The share of the first workload's gain that is left after each workload.
    pub(crate) fn retained(&self) -> Vec<f64> {
        let gain = |errors: &Vec<f64>| self.untrained[0] - errors[0];
        self.errors
            .iter()
            .map(|errors| gain(errors) / gain(&self.errors[0]))
            .collect()
    }

    /// The share of its error that each workload lost while it was learned.
    pub(crate) fn learned(&self) -> Vec<f64> {
        let each = self.errors.iter().enumerate();
        each.map(|(of, errors)| 1.0 - errors[of] / self.untrained[of])
            .collect()
    }
}

/// The adapters, the head they are to serve, and the guard against forgetting.
struct Learner {
    adapters: PlanAdapters,
    head: LatencyHead,
    ewc: EwcPlusPlus,
    is_guarded: bool,
}

impl Learner {
    fn new(is_guarded: bool, seed: u64) -> Result<Self, Error> {
        let adapters = PlanAdapters {
            base: BaseLora::new(8, seed)?,
            micro: MicroLora::new(2, seed)?,
        };
        // A head that knows nothing: what is learned, the adapters learn. Its size was chosen by what came out: one half
        // as large lets the fourth workload cost a quarter of the gain, one twice as large keeps all and learns nothing
        // of that workload (one seed each), as the penalty grows with the square of the head.
        let mut random = Random::new(seed, HEAD);
        let weights = (0..DIMENSIONS)
            .map(|_| (random.next() - 0.5) as f32 * 0.5)
            .collect();
        let ewc = EwcPlusPlus::new(adapters.parameter_count(), EwcConfig::default())?;
        Ok(Self {
            head: LatencyHead::new(weights, 0.0)?,
            adapters,
            ewc,
            is_guarded,
        })
    }

    /// Learns from one execution; whether a new task was noticed.
    fn learn(&mut self, run: &Run) -> bool {
        let prediction = self
            .head
            .predict(&self.adapters.forward(&run.embedding, &run.types));
        let error = Target::exact(run.residual()).error_of(prediction.value) as f32;
        // The gradient is linear in what comes from above: that of the loss is that of the prediction times the error.
        let score = self
            .adapters
            .gradient(&run.embedding, &run.types, &prediction.gradient);
        let mut gradient = score.clone();
        gradient.0.iter_mut().for_each(|number| *number *= error);
        if !self.is_guarded {
            self.adapters.update(&gradient, LEARNING_RATE);
            return false;
        }
        let is_new = self.ewc.observe_scored(&gradient.0, &score.0);
        if is_new {
            self.ewc.consolidate(&self.adapters.parameters());
        }
        self.adapters
            .update_constrained(&mut gradient, &self.ewc, LEARNING_RATE);
        is_new
    }

    fn error(&self, runs: &[Run]) -> f64 {
        let squares = runs.iter().map(|run| {
            let adapted = self.adapters.forward(&run.embedding, &run.types);
            (self.head.predict(&adapted).value - run.residual()).powi(2)
        });
        squares.sum::<f64>() / runs.len() as f64
    }
}

/// Learns the workloads in turn.
///
/// # Errors
/// Those of the engine, which none of these plans should give.
pub(crate) fn run(is_guarded: bool, seed: u64) -> Result<Outcome, Error> {
    let mut learner = Learner::new(is_guarded, seed)?;
    let testing: Vec<Vec<Run>> = (0..)
        .zip(&WORKLOADS)
        .map(|(at, workload)| workload.runs(TESTING, Random::new(seed, TEST + at)))
        .collect::<Result<_, _>>()?;
    let errors = |learner: &Learner| -> Vec<f64> { testing.iter().map(|runs| learner.error(runs)).collect() };
    let mut outcome = Outcome {
        untrained: errors(&learner),
        errors: Vec::new(),
        noticed_after: Vec::new(),
        false_alarms: 0,
    };
    for (at, workload) in (0..).zip(&WORKLOADS) {
        let training = workload.runs(TRAINING, Random::new(seed, TRAIN + at))?;
        let mut noticed = Vec::new();
        for time in 0..PASSES * TRAINING {
            if learner.learn(&training[time % TRAINING]) {
                noticed.push(time);
            }
        }
        if at > 0 {
            outcome.noticed_after.push(noticed.first().copied());
        }
        outcome.false_alarms += noticed.len().saturating_sub(usize::from(at > 0));
        outcome.errors.push(errors(&learner));
    }
    Ok(outcome)
}
