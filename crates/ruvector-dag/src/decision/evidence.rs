//! Latency samples per plan shape of one statement class, and the statistic that compares them.
//!
//! Plain fixed-size data, so that it can live in shared memory. It stores no literal and no text.

/// Plan shapes remembered per statement class. When full, the slowest shape that is not stock makes room.
pub const MAX_PLANS: usize = 6;
/// Latest latencies kept per plan shape.
pub const SAMPLES: usize = 8;

/// What was measured of one plan shape of one statement class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct PlanEvidence {
    /// Fingerprint of the plan's shape; 0 marks a free slot.
    pub shape: u64,
    /// The smallest knowledge cutoff this shape was planned with; 0 is stock.
    pub cutoff: u64,
    /// Executions that ran to their end.
    pub runs: u32,
    /// Executions that were cancelled before their end.
    pub cut_off_runs: u32,
    /// The longest time after which an execution was cancelled, in milliseconds: a lower bound of the latency.
    pub lower_bound_ms: f32,
    /// PostgreSQL's total cost of the plan when it was first seen.
    pub total_cost: f32,
    samples_ms: [f32; SAMPLES],
}

impl PlanEvidence {
    fn new(shape: u64, cutoff: u64, total_cost: f64) -> Self {
        Self {
            shape,
            cutoff,
            total_cost: total_cost as f32,
            ..Self::default()
        }
    }

    /// The same evidence with these latest samples, as many as are kept; for evidence that was stored.
    pub fn with_samples_ms(mut self, samples_ms: &[f32]) -> Self {
        self.samples_ms = [0.0; SAMPLES];
        self.samples_ms
            .iter_mut()
            .zip(samples_ms)
            .for_each(|(kept, &sample)| *kept = sample);
        self
    }

    /// Adds the latency of a completed execution, in milliseconds.
    pub fn record(&mut self, latency_ms: f64) {
        self.samples_ms[self.runs as usize % SAMPLES] = latency_ms as f32;
        self.runs = self.runs.saturating_add(1);
    }

    /// Adds an execution that was cancelled after `elapsed_ms`.
    pub fn record_cut_off(&mut self, elapsed_ms: f64) {
        self.cut_off_runs = self.cut_off_runs.saturating_add(1);
        self.lower_bound_ms = self.lower_bound_ms.max(elapsed_ms as f32);
    }

    /// The latest samples, oldest first is not guaranteed.
    pub fn samples_ms(&self) -> &[f32] {
        &self.samples_ms[..(self.runs as usize).min(SAMPLES)]
    }

    /// The lower quartile of the latest samples in milliseconds, `None` before the first completed run; the smallest of up
    /// to four. What disturbs an execution, a cold cache or a busy machine, only ever makes it slower.
    pub fn typical_ms(&self) -> Option<f64> {
        let mut sorted = self.samples_ms;
        let count = self.samples_ms().len();
        let samples = &mut sorted[..count];
        samples.sort_by(f32::total_cmp);
        samples
            .get(count.saturating_sub(1) / 4)
            .map(|&sample| f64::from(sample))
    }

    /// What this plan is expected to take, in milliseconds: its typical latency, or, when it was only ever cut off,
    /// more than the time it was given.
    pub fn expected_ms(&self) -> Option<f64> {
        match self.typical_ms() {
            Some(typical) => Some(typical),
            None if self.cut_off_runs > 0 => Some(f64::from(self.lower_bound_ms) * 2.0),
            None => None,
        }
    }
}

/// Everything measured of one statement class.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct StatementEvidence {
    plans: [PlanEvidence; MAX_PLANS],
    /// Executions, completed or not.
    pub calls: u64,
    /// Plan shapes tried that stock PostgreSQL would not have chosen.
    pub trials: u32,
    /// Executions of plans made with learned row counts, whatever their shape.
    pub corrected_runs: u32,
    reserved: u32,
    /// 1 when something was learned since the newest knowledge was last planned with.
    pub fresh: u32,
    /// The cutoff that leaves out all but the most attended of the newest corrections; 0 when there is none, or it was
    /// planned with.
    pub partial: u64,
    /// Milliseconds gained against the stock plan's typical latency, summed over executions.
    pub saved_ms: f64,
    /// Milliseconds lost against the stock plan's typical latency, summed over executions.
    pub lost_ms: f64,
}

impl StatementEvidence {
    /// Evidence out of stored plans; those beyond [`MAX_PLANS`] are left out.
    pub fn from_plans(plans: impl IntoIterator<Item = PlanEvidence>) -> Self {
        let mut evidence = Self::default();
        evidence
            .plans
            .iter_mut()
            .zip(plans)
            .for_each(|(kept, plan)| *kept = plan);
        evidence
    }

    /// The plan shapes seen so far.
    pub fn plans(&self) -> impl Iterator<Item = &PlanEvidence> {
        self.plans.iter().filter(|plan| plan.shape != 0)
    }

    /// The evidence of `shape`.
    pub fn plan(&self, shape: u64) -> Option<&PlanEvidence> {
        self.plans().find(|plan| plan.shape == shape)
    }

    /// The stock plan's evidence: cutoff 0, the one with most runs when statistics changed its shape meanwhile.
    pub fn stock(&self) -> Option<&PlanEvidence> {
        self.plans()
            .filter(|plan| plan.cutoff == 0)
            .max_by_key(|plan| plan.runs + plan.cut_off_runs)
    }

    /// The plan with the smallest expected latency.
    pub fn best(&self) -> Option<&PlanEvidence> {
        self.plans()
            .filter(|plan| plan.expected_ms().is_some())
            .min_by(|a, b| {
                a.expected_ms()
                    .unwrap_or(f64::MAX)
                    .total_cmp(&b.expected_ms().unwrap_or(f64::MAX))
            })
    }

    /// Records a completed execution (`Ok`) or one that was cancelled (`Err`), with its time in milliseconds.
    /// `learned` says whether the execution taught a row count that was not known before.
    pub fn record(
        &mut self,
        shape: u64,
        cutoff: u64,
        total_cost: f64,
        outcome: Result<f64, f64>,
        learned: bool,
    ) {
        self.calls += 1;
        self.corrected_runs = self.corrected_runs.saturating_add(u32::from(cutoff > 0));
        // A plan made with the newest knowledge that taught nothing leaves nothing to try.
        self.fresh = u32::from(learned || (cutoff == 0 && self.fresh != 0));
        self.note_planned_with(cutoff);
        let stock_ms = self.stock().and_then(PlanEvidence::typical_ms);
        let is_new = self.plan(shape).is_none();
        let plan = self.slot(shape, cutoff, total_cost);
        plan.cutoff = plan.cutoff.min(cutoff);
        match outcome {
            Ok(latency_ms) => plan.record(latency_ms),
            Err(elapsed_ms) => plan.record_cut_off(elapsed_ms),
        }
        let is_stock = plan.cutoff == 0;
        self.trials += u32::from(is_new && !is_stock);
        if let (Some(stock_ms), false) = (stock_ms, is_stock) {
            let (Ok(taken_ms) | Err(taken_ms)) = outcome;
            let gain_ms = stock_ms - taken_ms;
            if gain_ms < 0.0 {
                self.lost_ms -= gain_ms;
            } else if outcome.is_ok() {
                self.saved_ms += gain_ms;
            }
        }
    }

    /// Takes the partial cutoff off the list of what is to be tried.
    pub(super) fn note_planned_with(&mut self, cutoff: u64) {
        if cutoff == self.partial {
            self.partial = 0;
        }
    }

    fn slot(&mut self, shape: u64, cutoff: u64, total_cost: f64) -> &mut PlanEvidence {
        let position = self
            .plans
            .iter()
            .position(|plan| plan.shape == shape)
            .or_else(|| self.plans.iter().position(|plan| plan.shape == 0))
            .unwrap_or_else(|| self.slowest());
        let slot = &mut self.plans[position];
        if slot.shape != shape {
            *slot = PlanEvidence::new(shape, cutoff, total_cost);
        }
        slot
    }

    fn slowest(&self) -> usize {
        let cost = |plan: &PlanEvidence| {
            if plan.cutoff == 0 {
                -1.0
            } else {
                plan.expected_ms().unwrap_or(0.0)
            }
        };
        (0..MAX_PLANS)
            .max_by(|&a, &b| cost(&self.plans[a]).total_cmp(&cost(&self.plans[b])))
            .unwrap_or(0)
    }
}
