//! Predictions of what is held out, and their figures.

use crate::cases::Case;
use crate::predictors::Predictor;
use std::collections::{BTreeSet, HashSet};

/// What became of one held-out sub-join.
pub(crate) struct Tested {
    pub(crate) joins: usize,
    /// Which of its parts the training contained: 0 the relation itself, 1 the same clauses with other constants, 2 the
    /// same joins with other clauses, 3 not even these.
    pub(crate) novelty: usize,
    /// Natural logarithm of the q-error.
    pub(crate) error: f64,
    /// The same of PostgreSQL's estimate.
    pub(crate) stock_error: f64,
    /// Whether the interval held it, and the interval's width.
    pub(crate) held: Option<(bool, f64)>,
    pub(crate) known: f64,
}

/// Whether it is a join whose very relation, constants included, was in nothing that was learned.
pub(crate) fn is_new_join(one: &Tested) -> bool {
    one.joins > 0 && one.novelty > 0
}

/// Which executions a predictor learns from.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Training {
    /// All sub-joins of the other statements.
    All,
    /// Those that their plans counted.
    Executed,
    /// Those that the plans counted, of the statement itself too: its other sub-joins are predicted.
    OwnPlan,
}

/// Threads that groups are divided among.
const THREADS: usize = 4;

/// Holds each group out of what is learned, and predicts those of its statements that are tested.
pub(crate) fn evaluate<P: Predictor>(
    cases: &[Case],
    groups: &[BTreeSet<u64>],
    training: Training,
    is_tested: &(dyn Fn(u64) -> bool + Sync),
    make: &(dyn Fn() -> P + Sync),
) -> Vec<Tested> {
    let is_of_interest = |group: &&BTreeSet<u64>| group.iter().any(|&statement| is_tested(statement));
    let groups: Vec<&BTreeSet<u64>> = groups.iter().filter(is_of_interest).collect();
    let of_share = |groups: &[&BTreeSet<u64>]| -> Vec<Tested> {
        let held_out = groups.iter();
        held_out
            .flat_map(|group| evaluate_one(cases, group, training, is_tested, make()))
            .collect()
    };
    std::thread::scope(|scope| {
        let shares = groups.chunks(groups.len().div_ceil(THREADS).max(1));
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || of_share(share))).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().expect("no panic in a predictor"))
            .collect()
    })
}

fn evaluate_one(
    cases: &[Case],
    held_out: &BTreeSet<u64>,
    training: Training,
    is_tested: &dyn Fn(u64) -> bool,
    mut predictor: impl Predictor,
) -> Vec<Tested> {
    let is_used = |case: &&Case| match training {
        Training::All => !held_out.contains(&case.statement),
        Training::Executed => case.executed && !held_out.contains(&case.statement),
        Training::OwnPlan => case.executed,
    };
    let used: Vec<&Case> = cases.iter().filter(is_used).collect();
    for execution in used.chunk_by(|left, right| left.statement == right.statement) {
        predictor.learn(execution);
    }
    let texts = |text: fn(&Case) -> &str| used.iter().map(|case| text(case)).collect::<HashSet<_>>();
    let known = [
        (
            texts(|case| &case.whole),
            (|case| &case.whole) as fn(&Case) -> &str,
        ),
        (texts(|case| &case.clauses), |case| &case.clauses),
        (texts(|case| &case.graph), |case| &case.graph),
    ];
    let is_asked = |case: &&Case| {
        held_out.contains(&case.statement)
            && is_tested(case.statement)
            && !(training == Training::OwnPlan && case.executed)
    };
    let judge = |case: &Case| {
        let predicted = predictor.predict(case);
        let novelty = known.iter().position(|(texts, text)| texts.contains(text(case)));
        let held = predicted.interval.map(|(lower, upper)| {
            // To the last digits the planner shows: whole rows.
            let is_held = (lower - 1e-9..=upper + 1e-9).contains(&case.log_actual());
            (is_held, upper - lower)
        });
        Tested {
            joins: case.joins(),
            novelty: novelty.unwrap_or(known.len()),
            error: (predicted.log_rows - case.log_actual()).abs(),
            stock_error: (case.sub_join.log_estimate() - case.log_actual()).abs(),
            held,
            known: predicted.known,
        }
    };
    cases.iter().filter(is_asked).map(judge).collect()
}

fn quantile(mut numbers: Vec<f64>, share: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = ((numbers.len() as f64 - 1.0) * share).round() as usize;
    numbers.get(at).copied().unwrap_or(f64::NAN)
}

/// Count, q-errors of PostgreSQL and of the predictor, how often it is off by less than half and more than twice as much, coverage and width.
pub(crate) fn figures(tested: &[Tested], wanted: &dyn Fn(&Tested) -> bool) -> String {
    let chosen: Vec<&Tested> = tested.iter().filter(|one| wanted(one)).collect();
    let at = |error: fn(&Tested) -> f64, share| {
        quantile(chosen.iter().map(|one| error(one)).collect(), share).exp()
    };
    let share = |count: usize, of: usize| 100.0 * count as f64 / of.max(1) as f64;
    let better = chosen
        .iter()
        .filter(|one| one.stock_error > one.error + 2f64.ln())
        .count();
    let worse = chosen
        .iter()
        .filter(|one| one.error > one.stock_error + 2f64.ln())
        .count();
    let held: Vec<(bool, f64)> = chosen.iter().filter_map(|one| one.held).collect();
    let coverage = if held.is_empty() {
        "| |".to_owned()
    } else {
        let inside = held.iter().filter(|(is_held, _)| *is_held).count();
        let width = quantile(held.iter().map(|(_, width)| *width).collect(), 0.5);
        format!("{:.1} % | {:.1} |", share(inside, held.len()), width.exp())
    };
    let stock = |one: &Tested| one.stock_error;
    let own = |one: &Tested| one.error;
    format!(
        "{} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} | {:.1} % | {:.1} % | {coverage}",
        chosen.len(),
        at(stock, 0.5),
        at(stock, 0.95),
        at(own, 0.5),
        at(own, 0.95),
        at(own, 0.99),
        share(better, chosen.len()),
        share(worse, chosen.len()),
    )
}
