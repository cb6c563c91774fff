//! How long a unit of cost of each kind takes: a fit of the logarithm of latencies, so that noise that multiplies counts alike
//! up and down, and a fast kind of plan weighs no more than a slow one. Latencies that are off by more than a factor of e count
//! only in proportion (Huber 1964). What can't be told stays near 1: a weak prior on the ratios.
//!
//! Solved by Gauss and Newton's method. Errors are those of the delete-a-group jackknife (Kott 2001, "The delete-a-group
//! jackknife", Journal of Official Statistics 17; Efron and Tibshirani 1993, chapter 11): statements and not executions are left out,
//! since executions of a statement have their error in common. They are at least those of least squares, since plans that all
//! mix the kinds alike agree on the prior and on nothing else.

use crate::Error;
use crate::interruptible::{self, IsOver};
use crate::learning::normal_equations::NormalEquations;

/// The deviation in natural logarithms from which on a latency counts in proportion only.
const OUTLYING: f64 = 1.0;
/// The root of the prior's weight, in statements: a ratio of e is as odd as a tenth of a statement that is off by as much.
const PRIOR: f64 = 0.1;
/// The deviation in natural logarithms below which no latency is believed.
const NOISE: f64 = 0.1;
/// Keeps the equations solvable.
const RIDGE: f64 = 1e-9;
/// The farthest that a step goes, and the farthest that a ratio may be from 1, in natural logarithms.
const LONGEST_STEP: f64 = 2.0;
const FARTHEST: f64 = 12.0;
/// Steps at most, halvings of a step that leads astray, and the step below which nothing changes any more.
const STEPS: usize = 50;
const HALVINGS: i32 = 10;
const SETTLED: f64 = 1e-7;

/// A plan that ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    /// Its costs in order, at random and in processing rows; their sum is above 0.
    pub(super) costs: [f64; 3],
    /// The natural logarithm of its latency in milliseconds.
    pub(super) log_ms: f64,
    pub(super) weight: f64,
    /// What is left out together.
    pub(super) group: usize,
}

/// How long a unit of cost takes against one in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    /// Its natural logarithm.
    pub(super) log: f64,
    /// The standard error of that.
    pub(super) deviation: f64,
}

/// Logarithms: milliseconds per unit of cost in order; the ratios of the two other kinds to that.
type Coefficients = [f64; 3];

/// The ratios at random and in processing rows; `None` where they can't be computed.
///
/// # Errors
/// [`Error::Cancelled`].
pub(super) fn ratios(
    observations: &[Observation],
    groups: usize,
    is_over: &mut IsOver<'_>,
) -> Result<Option<[Ratio; 2]>, Error> {
    let fitted = fit(observations, None, [0.0; 3]);
    let Some((all, least)) = fitted.and_then(|all| Some((all, errors(observations, &all)?))) else {
        return Ok(None);
    };
    let mut squares = [0.0; 2];
    for group in 0..groups {
        interruptible::check(is_over)?;
        let Some(without) = fit(observations, Some(group), all) else {
            return Ok(None);
        };
        let differences = without
            .iter()
            .zip(&all)
            .skip(1)
            .map(|(without, all)| without - all);
        squares
            .iter_mut()
            .zip(differences)
            .for_each(|(sum, difference)| *sum += difference * difference);
    }
    let scale = groups.saturating_sub(1) as f64 / groups.max(1) as f64;
    let [of_random, of_cpu] = squares.map(|sum| (scale * sum).sqrt());
    let ([_, random, cpu], [least_of_random, least_of_cpu]) = (all, least);
    let ratio = |log: f64, deviation: f64| Ratio { log, deviation };
    Ok(Some([
        ratio(random, of_random.max(least_of_random)),
        ratio(cpu, of_cpu.max(least_of_cpu)),
    ]))
}

/// The standard errors of the ratios as of least squares, from the spread of the latencies and the curvature of the fit.
fn errors(observations: &[Observation], at: &Coefficients) -> Option<[f64; 2]> {
    let (weights, squares) = observations.iter().fold((0.0, 0.0), |(weights, squares), one| {
        let residual = one.residual(at).clamp(-OUTLYING, OUTLYING);
        (weights + one.weight, squares + one.weight * residual * residual)
    });
    let variance = (squares / weights).max(NOISE * NOISE);
    let error = |unit: Coefficients| {
        let column = equations(observations.iter(), at)
            .with_right(unit.to_vec())
            .solve()?;
        let inverse: f64 = column.iter().zip(unit).map(|(number, one)| number * one).sum();
        Some((variance * inverse).sqrt())
    };
    Some([error([0.0, 1.0, 0.0])?, error([0.0, 0.0, 1.0])?])
}

/// The most likely coefficients without a group, from the ratios of `start`.
fn fit(
    observations: &[Observation],
    left_out: Option<usize>,
    [_, random, cpu]: Coefficients,
) -> Option<Coefficients> {
    let kept = || {
        let is_kept = move |observation: &&Observation| Some(observation.group) != left_out;
        observations.iter().filter(is_kept)
    };
    let (weights, sum) = kept().fold((0.0, 0.0), |(weights, sum), observation| {
        let residual = observation.residual(&[0.0, random, cpu]);
        (weights + observation.weight, sum + observation.weight * residual)
    });
    let mut best = [sum / weights, random, cpu];
    let loss = |of: &Coefficients| {
        let prior = 0.5 * PRIOR * PRIOR * (of[1] * of[1] + of[2] * of[2]);
        prior + kept().map(|observation| observation.loss(of)).sum::<f64>()
    };
    let mut least = loss(&best);
    for _ in 0..STEPS {
        let step: Coefficients = equations(kept(), &best).solve()?.try_into().ok()?;
        let longest = (LONGEST_STEP / largest(&step)).min(1.0);
        let mut scales = (0..HALVINGS).map(|halvings| longest * 0.5f64.powi(halvings));
        let better = scales.find_map(|scale| {
            let tried = moved(&best, &step, scale);
            let lost = loss(&tried);
            (lost < least).then_some((tried, lost))
        });
        match better {
            Some(better) => (best, least) = better,
            None => break,
        }
        if largest(&step) < SETTLED {
            break;
        }
    }
    best.iter().all(|number| number.is_finite()).then_some(best)
}

/// The normal equations of the next step: where the coefficients are best if everything were linear, less where they are.
fn equations<'o>(kept: impl Iterator<Item = &'o Observation>, at: &Coefficients) -> NormalEquations {
    let [_, random, cpu] = *at;
    let mut equations = NormalEquations::new(at.len(), RIDGE);
    for observation in kept {
        let residual = observation.residual(at);
        let root = (observation.weight * (OUTLYING / residual.abs()).min(1.0)).sqrt();
        let slopes = observation.slopes(at).map(|slope| root * slope);
        equations.add(&slopes, root * residual);
    }
    equations.add(&[0.0, PRIOR, 0.0], -PRIOR * random);
    equations.add(&[0.0, 0.0, PRIOR], -PRIOR * cpu);
    equations
}

fn largest(step: &Coefficients) -> f64 {
    step.iter().map(|part| part.abs()).fold(0.0, f64::max)
}

fn moved([level, random, cpu]: &Coefficients, [a, b, c]: &Coefficients, scale: f64) -> Coefficients {
    let within = |ratio: f64| ratio.clamp(-FARTHEST, FARTHEST);
    [
        level + scale * a,
        within(random + scale * b),
        within(cpu + scale * c),
    ]
}

impl Observation {
    /// Its costs in units of cost in order.
    fn parts(&self, [_, random, cpu]: &Coefficients) -> [f64; 3] {
        let [sequential, at_random, of_cpu] = self.costs;
        [sequential, random.exp() * at_random, cpu.exp() * of_cpu]
    }

    /// The logarithm of its latency over what is expected.
    fn residual(&self, at: &Coefficients) -> f64 {
        let [level, ..] = at;
        self.log_ms - level - self.parts(at).iter().sum::<f64>().ln()
    }

    /// By how much the logarithm of what is expected grows with each coefficient.
    fn slopes(&self, at: &Coefficients) -> Coefficients {
        let [sequential, random, cpu] = self.parts(at);
        let sum = sequential + random + cpu;
        [1.0, random / sum, cpu / sum]
    }

    fn loss(&self, at: &Coefficients) -> f64 {
        let residual = self.residual(at).abs();
        let loss = if residual <= OUTLYING {
            0.5 * residual * residual
        } else {
            OUTLYING * (residual - 0.5 * OUTLYING)
        };
        self.weight * loss
    }
}
