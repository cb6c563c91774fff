//! EWC++: learning something new without forgetting what was learned before.
//!
//! A parameter matters to a task as much as its Fisher information says, of which the diagonal is kept, as a running mean:
//!
//! ```text
//! F ← α F + (1 - α) g²                        penalty = λ/2 Σ_tasks Σ_i F_i (θ_i - θ*_i)²
//! g ← g / (1 + λ F)                           λ = min(2,000 · 1.5^(tasks - 1), 15,000)
//! ```
//!
//! with θ* the parameters when the task ended, which is asked for ([`EwcPlusPlus::consolidate`]) or noticed
//! (`boundary.rs`). λ grows with the number of tasks because the penalty has to hold against every task to come.
//! Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", 2017; Schwarz et al., "Progress &
//! Compress", 2018 (online); Chaudhry et al., "Riemannian Walk for Incremental Learning", 2018 (EWC++, running mean).
//!
//! The F that constrains is that of ended tasks: the task at hand is free. The sum of the tasks' penalties is, but for a
//! constant, one penalty, with `F = Σ F_k` and `θ* = Σ F_k θ*_k / F`, so that a constraint costs the same for any number
//! of tasks, and the two oldest can be merged without loss when there are too many to keep each.
//!
//! Which gradients to observe: the Fisher information is the mean of the squared gradients of the log likelihood *of
//! outcomes the model itself would expect*. For a squared error of unit noise that is the gradient of the prediction, not
//! of the loss, whose size depends on how well the task is fitted (Kunstner, Hennig, Balles, "Limitations of the
//! empirical Fisher approximation", 2019). [`EwcPlusPlus::observe`] takes what it is given for both purposes,
//! [`EwcPlusPlus::observe_scored`] takes both gradients. Either way F grows with the square of the weights that the
//! adapters serve, and with it what λ means: twice the weights keep old tasks as four times λ does.

use super::boundary::Boundary;
use crate::Error;
use serde::{Deserialize, Serialize};

/// Settings of EWC++.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EwcConfig {
    /// λ with one task; at least 0.
    pub lambda: f32,
    /// The greatest λ; at least `lambda`.
    pub max_lambda: f32,
    /// The factor by which λ grows with each task; at least 1.
    pub lambda_growth: f32,
    /// α, the weight of the past in the running Fisher information; in [0, 1).
    pub fisher_decay: f32,
    /// Standard deviations that make a task boundary; positive.
    pub boundary_z: f32,
    /// Tasks that are kept each, before the oldest are merged; at least 1.
    pub max_tasks: usize,
}

impl Default for EwcConfig {
    fn default() -> Self {
        Self {
            lambda: 2_000.0,
            max_lambda: 15_000.0,
            lambda_growth: 1.5,
            fisher_decay: 0.999,
            boundary_z: 5.0,
            max_tasks: 5,
        }
    }
}

impl EwcConfig {
    fn check(&self) -> Result<(), Error> {
        let settings = [
            (
                "ewc_lambda",
                self.lambda,
                self.lambda >= 0.0 && self.lambda.is_finite(),
            ),
            (
                "ewc_max_lambda",
                self.max_lambda,
                self.max_lambda >= self.lambda && self.max_lambda.is_finite(),
            ),
            (
                "ewc_lambda_growth",
                self.lambda_growth,
                self.lambda_growth >= 1.0 && self.lambda_growth.is_finite(),
            ),
            (
                "ewc_fisher_decay",
                self.fisher_decay,
                (0.0..1.0).contains(&self.fisher_decay),
            ),
            ("ewc_boundary_z", self.boundary_z, self.boundary_z > 0.0),
            ("ewc_max_tasks", self.max_tasks as f32, self.max_tasks > 0),
        ];
        let wrong = settings.into_iter().find(|(_, _, is_valid)| !is_valid);
        wrong.map_or(Ok(()), |(name, given, _)| {
            let given = f64::from(given);
            Err(Error::InvalidSetting { name, given })
        })
    }
}

/// What an ended task needs to be kept: how much each parameter matters, and where it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Task {
    fisher: Vec<f32>,
    anchor: Vec<f32>,
}

impl Task {
    /// Adds another task's penalty, but for a constant.
    fn absorb(&mut self, other: &Self) {
        let others = other.fisher.iter().zip(&other.anchor);
        let own = self.fisher.iter_mut().zip(&mut self.anchor);
        for ((fisher, anchor), (&other_fisher, &other_anchor)) in own.zip(others) {
            let sum = *fisher + other_fisher;
            if sum > 0.0 {
                *anchor += other_fisher / sum * (other_anchor - *anchor);
            }
            *fisher = sum;
        }
    }

    fn penalty(&self, parameters: &[f32]) -> f64 {
        let terms = self.fisher.iter().zip(&self.anchor).zip(parameters);
        terms
            .map(|((&fisher, anchor), parameter)| f64::from(fisher) * f64::from(parameter - anchor).powi(2))
            .sum()
    }
}

/// The running Fisher information of the task at hand, and what is kept of those before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct EwcPlusPlus {
    config: EwcConfig,
    fisher: Vec<f32>,
    /// Gradients in it.
    observed: u32,
    boundary: Boundary,
    tasks: Vec<Task>,
    /// Tasks that ended, merged ones included.
    ended: u32,
    /// All tasks as one.
    all: Task,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    config: EwcConfig,
    fisher: Vec<f32>,
    observed: u32,
    boundary: Boundary,
    tasks: Vec<Task>,
    ended: u32,
}

impl From<EwcPlusPlus> for Stored {
    fn from(ewc: EwcPlusPlus) -> Self {
        Self {
            config: ewc.config,
            fisher: ewc.fisher,
            observed: ewc.observed,
            boundary: ewc.boundary,
            tasks: ewc.tasks,
            ended: ewc.ended,
        }
    }
}

impl TryFrom<Stored> for EwcPlusPlus {
    type Error = Error;

    fn try_from(stored: Stored) -> Result<Self, Error> {
        let size = stored.fisher.len();
        let mut ewc = Self::new(size, stored.config)?;
        let is_importance = |fisher: &[f32]| fisher.iter().all(|number| *number >= 0.0 && number.is_finite());
        let is_sound = |task: &Task| {
            (task.fisher.len(), task.anchor.len()) == (size, size)
                && is_importance(&task.fisher)
                && task.anchor.iter().all(|number| number.is_finite())
        };
        let is_counted = stored.tasks.len() <= stored.ended as usize && stored.boundary.is_sound();
        if !(is_counted && is_importance(&stored.fisher) && stored.tasks.iter().all(is_sound)) {
            let what = "malformed tasks";
            return Err(Error::InvalidWeights { what });
        }
        ewc.fisher = stored.fisher;
        ewc.observed = stored.observed;
        ewc.boundary = stored.boundary;
        ewc.tasks = stored.tasks;
        ewc.ended = stored.ended;
        ewc.sum_up();
        Ok(ewc)
    }
}

impl EwcPlusPlus {
    /// For so many parameters, without any task yet.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] for a setting out of its range.
    pub fn new(parameters: usize, config: EwcConfig) -> Result<Self, Error> {
        config.check()?;
        let nothing = vec![0.0; parameters];
        Ok(Self {
            config,
            observed: 0,
            boundary: Boundary::default(),
            tasks: Vec::new(),
            ended: 0,
            all: Task {
                fisher: nothing.clone(),
                anchor: nothing.clone(),
            },
            fisher: nothing,
        })
    }

    /// The settings.
    pub fn config(&self) -> &EwcConfig {
        &self.config
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.fisher.len()
    }

    /// Takes other settings over; importance and tasks stay.
    ///
    /// # Errors
    /// As [`EwcPlusPlus::new`].
    pub fn configure(&mut self, config: EwcConfig) -> Result<(), Error> {
        config.check()?;
        self.config = config;
        Ok(())
    }

    /// What is protected: by the parameter's place its importance to the tasks that ended, and the value it is to keep.
    pub fn constraints(&self) -> impl Iterator<Item = (usize, f32, f32)> {
        let kept = self.all.fisher.iter().zip(&self.all.anchor).enumerate();
        kept.filter(|(_, (fisher, _))| **fisher > 0.0)
            .map(|(at, (&fisher, &anchor))| (at, fisher, anchor))
    }

    /// How many tasks ended, those whose memory was merged included.
    pub fn tasks(&self) -> usize {
        self.ended as usize
    }

    /// How many gradients of the task at hand were observed.
    pub fn observed(&self) -> usize {
        self.observed as usize
    }

    /// λ as of now: it grows with the number of tasks, from the first one's to the greatest.
    pub fn lambda(&self) -> f32 {
        let growth = self
            .config
            .lambda_growth
            .powi(self.ended.saturating_sub(1).min(1_000) as i32);
        (self.config.lambda * growth).min(self.config.max_lambda)
    }

    /// Learns from a gradient how much each parameter matters; whether the gradients have changed so much that another
    /// task has begun: then [`EwcPlusPlus::consolidate`] ends the one before. What is not finite is passed over.
    pub fn observe(&mut self, gradient: &[f32]) -> bool {
        self.observe_scored(gradient, gradient)
    }

    /// The same with the gradient of the loss, which tells tasks apart, and the score, the gradient of the log
    /// likelihood of an expected outcome, which tells what matters.
    pub fn observe_scored(&mut self, loss_gradient: &[f32], score: &[f32]) -> bool {
        if !simd::dot(score, score).is_finite() || !simd::dot(loss_gradient, loss_gradient).is_finite() {
            return false;
        }
        let is_boundary = self.notices(loss_gradient);
        self.weigh(score);
        is_boundary
    }

    /// Whether the gradients of the loss have changed so much that another task has begun. What is not finite is passed
    /// over.
    pub fn notices(&mut self, loss_gradient: &[f32]) -> bool {
        let is_finite = simd::dot(loss_gradient, loss_gradient).is_finite();
        is_finite
            && self
                .boundary
                .observe(loss_gradient, f64::from(self.config.boundary_z))
    }

    /// Learns from a score how much each parameter matters. What is not finite is passed over.
    pub fn weigh(&mut self, score: &[f32]) {
        if !simd::dot(score, score).is_finite() {
            return;
        }
        let decay = self.config.fisher_decay;
        for (fisher, score) in self.fisher.iter_mut().zip(score) {
            *fisher = decay * *fisher + (1.0 - decay) * score * score;
        }
        self.observed = self.observed.saturating_add(1);
    }

    /// The Fisher information of the task at hand. The running mean begins at 0, which is corrected as in Kingma and
    /// Ba, "Adam", 2015: divided by 1 - αⁿ after n gradients.
    pub fn fisher(&self) -> Vec<f32> {
        let weight =
            1.0 - f64::from(self.config.fisher_decay).powi(self.observed.min(i32::MAX as u32) as i32);
        let correction = if weight > 0.0 { (1.0 / weight) as f32 } else { 0.0 };
        self.fisher.iter().map(|fisher| fisher * correction).collect()
    }

    /// Ends the task at hand with these parameters, which are kept from now on; `false`, and nothing is done, when
    /// nothing was observed of it, or the parameters are of another number or not finite.
    pub fn consolidate(&mut self, parameters: &[f32]) -> bool {
        let is_finite = parameters.iter().all(|number| number.is_finite());
        if self.observed == 0 || parameters.len() != self.fisher.len() || !is_finite {
            return false;
        }
        let task = Task {
            fisher: self.fisher(),
            anchor: parameters.to_vec(),
        };
        self.tasks.push(task);
        if self.tasks.len() > self.config.max_tasks {
            let oldest = self.tasks.remove(0);
            self.tasks
                .iter_mut()
                .take(1)
                .for_each(|next| next.absorb(&oldest));
        }
        self.sum_up();
        self.ended = self.ended.saturating_add(1);
        self.fisher.fill(0.0);
        self.observed = 0;
        self.boundary = Boundary::default();
        true
    }

    /// All tasks as one, always from the first to the last, so that what is stored and read constrains to the bit.
    fn sum_up(&mut self) {
        self.all.fisher.fill(0.0);
        self.all.anchor.fill(0.0);
        self.tasks.iter().for_each(|task| self.all.absorb(task));
    }

    /// Scales a gradient by `1 / (1 + λ F)`: what matters to earlier tasks moves slowly.
    pub fn constrain(&self, gradient: &mut [f32]) {
        let lambda = self.lambda();
        for (gradient, fisher) in gradient.iter_mut().zip(&self.all.fisher) {
            *gradient /= 1.0 + lambda * fisher;
        }
    }

    /// Adds the gradient of the penalty at these parameters, then scales: what matters is pulled back as well, else it
    /// would be lost slowly. A step at a learning rate of up to 1 never overshoots the pull, whatever λ is: it is the
    /// step of Newton's method for the penalty's diagonal.
    pub fn constrain_at(&self, gradient: &mut [f32], parameters: &[f32]) {
        let lambda = self.lambda();
        let tasks = self.all.fisher.iter().zip(&self.all.anchor);
        for ((gradient, parameter), (fisher, anchor)) in gradient.iter_mut().zip(parameters).zip(tasks) {
            let importance = lambda * fisher;
            *gradient = (*gradient + importance * (parameter - anchor)) / (1.0 + importance);
        }
    }

    /// The penalty of these parameters: `λ/2 Σ_tasks Σ F (θ - θ*)²`. Of merged tasks the part that depends on θ.
    pub fn penalty(&self, parameters: &[f32]) -> f64 {
        let sum: f64 = self.tasks.iter().map(|task| task.penalty(parameters)).sum();
        f64::from(self.lambda()) / 2.0 * sum
    }
}
