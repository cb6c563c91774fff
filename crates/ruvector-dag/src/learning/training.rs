//! Stage 8 of 9, learning: trains the adapter of all plans on what is remembered.
//!
//! Each execution is predicted from those of other statements (leave one out), and the mean squared error of the log
//! latency is brought down by gradient descent on the adapter, through both embeddings of each pair: metric learning for
//! kernel regression (Weinberger and Tesauro 2007). A step has the length of the learning rate; one after which the error
//! is greater is taken back and the rate halved, so that training never ends worse than it began ("bold driver", Battiti
//! 1989). Who is whose neighbour is asked anew every few steps.

use super::ewc::EwcPlusPlus;
use super::latency::{self, Neighbour};
use super::memory::Execution;
use super::model::LatencyModel;
use crate::cardinality::hash_words;
use crate::embedding::{DIMENSIONS, PlanEmbedding};
use rayon::prelude::*;

/// Steps for which neighbours stay the same.
const STEPS_PER_SEARCH: usize = 6;
/// Executions that are predicted in a step, spread over the memory.
const CASES: usize = 1_000;

/// The share of the learning rate below which a step is too short to change anything.
const SHORTEST: f32 = 1.0 / 256.0;
/// Training stays when it brings the error of executions that trained nothing below this share.
const WORTH: f64 = 0.95;

/// What training did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Training {
    /// Root mean squared error of log latency before, each execution predicted from those of other statements.
    pub error_before: f64,
    /// The same afterwards.
    pub error_after: f64,
    /// Steps taken, those taken back included.
    pub steps: usize,
    /// Whether nothing of it stays, since it did not hold for executions that trained nothing.
    pub is_taken_back: bool,
}

/// An execution that is predicted from its neighbours.
struct Case {
    at: usize,
    is_cut_off: bool,
    neighbours: Vec<usize>,
}

/// Trains, and takes all of it back when executions that trained nothing are predicted worse afterwards: few executions
/// teach an adapter what does not hold for others.
pub(super) fn train_validated(
    model: &mut LatencyModel,
    ewc: Option<&EwcPlusPlus>,
    work: (usize, f32),
    is_over: impl FnMut() -> bool,
) -> Training {
    let (parameters, before) = (model.adapters.base.parameters().to_vec(), held_out_error(model));
    let training = train(model, ewc, work, is_over);
    if held_out_error(model) > WORTH * before {
        restore(model, &parameters);
        return Training {
            error_after: training.error_before,
            is_taken_back: true,
            ..training
        };
    }
    training
}

/// The mean squared error of executions that trained nothing, each predicted from other statements.
fn held_out_error(model: &LatencyModel) -> f64 {
    let known = model.memory.executions();
    let held_out: Vec<usize> = (0..known.len()).filter(|&at| is_held_out(&known[at])).collect();
    let stride = held_out.len().div_ceil(CASES).max(1);
    let errors = held_out
        .into_par_iter()
        .step_by(stride)
        .map(|at| model.surprise(at).powi(2));
    // In order, so that the sum is the same with any number of threads.
    errors.collect::<Vec<f64>>().iter().sum()
}

/// Trains for so many steps, or until `is_over`. The adapters of the operator types must have been merged.
pub(super) fn train(
    model: &mut LatencyModel,
    ewc: Option<&EwcPlusPlus>,
    (steps, learning_rate): (usize, f32),
    mut is_over: impl FnMut() -> bool,
) -> Training {
    let mut cases = search(model);
    let (mut error, mut upstream) = loss(model, &cases);
    let mut training = Training {
        error_before: error.sqrt(),
        error_after: error.sqrt(),
        steps: 0,
        is_taken_back: false,
    };
    let mut rate = learning_rate;
    let shortest = SHORTEST * learning_rate;
    while training.steps < steps && rate > shortest && !cases.is_empty() && !is_over() {
        let before = model.adapters.base.parameters().to_vec();
        descend(model, &upstream, ewc, rate);
        training.steps += 1;
        let (then, upstream_then) = loss(model, &cases);
        if then <= error {
            (error, upstream) = (then, upstream_then);
            rate = (1.2 * rate).min(learning_rate);
        } else {
            restore(model, &before);
            rate *= 0.5;
        }
        if training.steps.is_multiple_of(STEPS_PER_SEARCH) {
            cases = search(model);
            (error, upstream) = loss(model, &cases);
        }
    }
    training.error_after = self::error(model);
    training
}

/// Root mean squared error of log latency, each execution predicted from those of other statements.
pub(super) fn error(model: &LatencyModel) -> f64 {
    loss(model, &search(model)).0.sqrt()
}

fn restore(model: &mut LatencyModel, parameters: &[f32]) {
    // They were this adapter's, so that they fit.
    if model.adapters.base.set_parameters(parameters).is_ok() {
        model.readapt();
    }
}

/// Executions of a fifth of the templates train nothing: they show how far predictions are to be believed.
pub(super) fn is_held_out(execution: &Execution) -> bool {
    is_held_out_template(execution.template)
}

/// Whether this template trains nothing.
pub(super) fn is_held_out_template(template: u64) -> bool {
    hash_words([template]).is_multiple_of(5)
}

/// One step of this length along the gradient, bent by what must be kept.
fn descend(model: &mut LatencyModel, upstream: &[Vec<f32>], ewc: Option<&EwcPlusPlus>, rate: f32) {
    let base = &mut model.adapters.base;
    let mut gradient = vec![0.0; base.parameters().len()];
    for (known, upstream) in model.memory.executions().iter().zip(upstream) {
        if upstream.iter().any(|&number| number != 0.0) {
            simd::axpy(1.0, &base.gradient(&known.embedding, upstream), &mut gradient);
        }
    }
    let norm = simd::dot(&gradient, &gradient).sqrt();
    if !(norm > 0.0 && norm.is_finite()) {
        return;
    }
    gradient.iter_mut().for_each(|number| *number /= norm);
    match ewc {
        Some(ewc) => base.update_constrained(&mut gradient, ewc, rate),
        None => base.update(&gradient, rate),
    }
    model.readapt();
}

/// The executions to predict, with the nearest ones of other statements.
fn search(model: &LatencyModel) -> Vec<Case> {
    let known = model.memory.executions();
    let stride = known.len().div_ceil(CASES).max(1);
    let all = known.iter().zip(model.memory.adapted()).enumerate();
    let chosen: Vec<_> = all
        .step_by(stride)
        .filter(|(_, (execution, _))| !is_held_out(execution))
        .collect();
    let case = |(at, (execution, adapted)): (usize, (&Execution, &PlanEmbedding))| {
        let is_usable = |other: &Execution| other.statement != execution.statement && !is_held_out(other);
        Case {
            at,
            is_cut_off: execution.is_cut_off,
            neighbours: model
                .nearest(adapted, is_usable)
                .into_iter()
                .map(|near| near.at)
                .collect(),
        }
    };
    // Each on its own, in order: the same with any number of threads.
    let cases = chosen.into_par_iter().map(case);
    cases.filter(|case| !case.neighbours.is_empty()).collect()
}

/// The mean squared error, and its gradient by each adapted embedding of the memory.
fn loss(model: &LatencyModel, cases: &[Case]) -> (f64, Vec<Vec<f32>>) {
    let adapted = model.memory.adapted();
    let mut upstream = vec![vec![0.0; DIMENSIONS]; adapted.len()];
    let mut sum = 0.0;
    for case in cases {
        let Some(query) = adapted.get(case.at) else {
            continue;
        };
        let near = |&at: &usize| {
            Some(Neighbour {
                at,
                cosine: f64::from(query.cosine(adapted.get(at)?)),
                residual: model.residual(at),
            })
        };
        let neighbours: Vec<Neighbour> = case.neighbours.iter().filter_map(near).collect();
        let error = latency::correction(&neighbours, 0.0, model.reach).residual - model.residual(case.at);
        // A bound that is reached is no error.
        let error = if case.is_cut_off { error.min(0.0) } else { error };
        sum += error * error;
        let pulls = latency::pulls(&neighbours, model.reach);
        let shares = latency::shares(&neighbours, model.reach);
        let readout = |upstream: &mut [Vec<f32>], at: usize, share: f64| {
            if let Some(sum) = upstream.get_mut(at) {
                simd::axpy((2.0 * error * share) as f32, model.readout.weights(), sum);
            }
        };
        readout(&mut upstream, case.at, 1.0);
        for ((neighbour, pull), share) in neighbours.iter().zip(pulls).zip(shares) {
            readout(&mut upstream, neighbour.at, -share);
            let factor = (2.0 * error * pull) as f32;
            add(&mut upstream, case.at, factor, adapted.get(neighbour.at));
            add(&mut upstream, neighbour.at, factor, Some(query));
        }
    }
    (sum / cases.len().max(1) as f64, upstream)
}

fn add(upstream: &mut [Vec<f32>], at: usize, factor: f32, direction: Option<&PlanEmbedding>) {
    if let (Some(sum), Some(direction)) = (upstream.get_mut(at), direction) {
        simd::axpy(factor, direction.as_slice(), sum);
    }
}
