//! Trials of statements that are learned from, chosen as the worker of an idle server chooses them.

use super::plans::{Plan, Planned};
use engine::cardinality::hash_words;
use engine::decision::{
    ArmStatistics, CLEAR_GAIN, Decision, Possibilities, Prospects, Run, StatementEvidence, TableState,
    Timing, Trial,
};

/// A statement and what is known of it.
struct Known<'p> {
    statement: &'p Planned,
    evidence: StatementEvidence,
}

/// What trials came to, summed over statements.
#[derive(Default)]
pub(super) struct Tried {
    statements: usize,
    trials: usize,
    spent_ms: f64,
    stock_ms: f64,
    /// With the best plan found.
    best_ms: f64,
}

impl Tried {
    pub(super) fn add(&mut self, other: &Self) {
        self.statements += other.statements;
        self.trials += other.trials;
        self.spent_ms += other.spent_ms;
        self.stock_ms += other.stock_ms;
        self.best_ms += other.best_ms;
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{:.1} trials per statement learned from, for {:.2} of stock's time, left {:.3} of it",
            self.trials as f64 / self.statements as f64,
            self.spent_ms / self.stock_ms,
            self.best_ms / self.stock_ms
        )
    }
}

/// Runs the stock plan of each statement twice and then so many trials, as long as one promises to pay: what plans took, the stock plans
/// first, and what it came to.
pub(super) fn run(statements: &[&Planned], limit: usize, seed: u64) -> (Vec<Timing>, Tried) {
    let mut timings = Vec::new();
    let mut known = Vec::new();
    for (number, &statement) in statements.iter().enumerate() {
        let mut evidence = StatementEvidence::default();
        let stock = statement.stock();
        for _ in 0..2 {
            evidence.record(&run_of(stock, Decision::STOCK, Ok(statement.stock_ms)));
        }
        timings.push(timing(number, stock, Ok(statement.stock_ms)));
        known.push(Known { statement, evidence });
    }
    let mut arms = ArmStatistics::default();
    let mut tried = Tried::default();
    while tried.trials < limit
        && let Some((number, trial)) = most_promising(&known, &arms, seed)
    {
        let Known { statement, evidence } = &mut known[number];
        evidence.note_planned(trial.decision);
        let hints = trial.decision.hints;
        let Some(plan) = statement
            .under(hints)
            .filter(|plan| plan.shape != statement.stock().shape)
        else {
            continue;
        };
        if !evidence.is_worth_trying(plan.shape, trial.limit_ms) {
            continue;
        }
        let best_ms = evidence.best_ms().unwrap_or(statement.stock_ms);
        let outcome = plan.ms().filter(|&ms| ms <= trial.limit_ms).ok_or(trial.limit_ms);
        let (Ok(ms) | Err(ms)) = outcome;
        arms.record(0, hints, ms / best_ms, outcome.is_err());
        evidence.record(&run_of(plan, trial.decision, outcome));
        timings.push(timing(number, plan, outcome));
        tried.trials += 1;
        tried.spent_ms += ms;
    }
    for Known { statement, evidence } in &known {
        tried.statements += 1;
        tried.stock_ms += statement.stock_ms;
        tried.best_ms += evidence.best_ms().unwrap_or(statement.stock_ms);
    }
    (timings, tried)
}

fn timing(number: usize, plan: &Plan, outcome: Result<f64, f64>) -> Timing {
    Timing {
        statement: number as u64,
        costs: plan.costs,
        outcome,
    }
}

fn most_promising(known: &[Known<'_>], arms: &ArmStatistics, seed: u64) -> Option<(usize, Trial)> {
    let gains = arms.gains_per_time(CLEAR_GAIN);
    let promise = |(number, known): (usize, &Known<'_>)| {
        let possible = Possibilities {
            is_without_rows: true,
            may_have_workers: true,
            methods: known.evidence.methods(),
            ..Possibilities::default()
        };
        let prospects = Prospects {
            of_all: &gains,
            own: None,
            seed: hash_words([seed, number as u64]),
        };
        let (trial, promise) = known.evidence.next_dream(0, &prospects, &possible)?;
        Some((number, trial, promise))
    };
    let promising = known.iter().enumerate().filter_map(promise);
    let (number, trial, _) = promising.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some((number, trial))
}

fn run_of(plan: &Plan, decision: Decision, outcome: Result<f64, f64>) -> Run {
    Run {
        shape: plan.shape,
        decision,
        total_cost: plan.total_cost,
        outcome,
        taught: false,
        is_trial: !decision.is_stock(),
        is_dream: !decision.is_stock(),
        uses_jit: false,
        is_parallel: false,
        methods: plan.methods,
        spilled_mb: 0,
        tables: TableState::default(),
    }
}
