//! What trials are expected to bring: the plans of stored statements without some methods, what these are predicted to take, and the
//! matrix of what was measured, completed.

use crate::observe::knowledge;
use crate::pg::catalog;
use crate::pg::dream::{self, Stored};
use crate::pg::interrupts;
use crate::shmem::timings::{self, Ran};
use crate::shmem::{experiences, guards, statements};
use crate::steer::choice;
use engine::decision::{
    ARMS, Decision, ExpectedRatios, HintSet, KnownStatement, LogRatios, OperatorTimes, PlanCosts,
    StatementEvidence, arms,
};
use std::collections::HashMap;
use std::rc::Rc;

/// Trials after which the matrix is completed anew.
const EVERY: u32 = 4;
/// Statements in the matrix at most: beyond, what others say adds little, and completing it takes longer than a trial.
const STATEMENTS: usize = 1000;

/// A statement's plans as they are without learned row counts: stock's, and per arm.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    stock: Look,
    plans: Vec<(usize, Look)>,
}

/// A plan that was looked at: its shape, and what it is estimated to spend.
#[derive(Debug, Clone, Copy)]
struct Look {
    shape: u64,
    costs: PlanCosts,
}

/// What is expected of all trials.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    surveys: HashMap<u64, Option<Survey>>,
    ratios: ExpectedRatios,
    /// Trials and surveys since it was completed.
    news: u32,
    is_complete: bool,
}

impl Expectations {
    /// Whether the plans of a class were looked at, with or without success.
    pub(super) fn have_plans_of(&self, class: u64) -> bool {
        self.surveys.contains_key(&class)
    }

    /// Takes up the plans of a class.
    pub(super) fn add(&mut self, class: u64, survey: Option<Survey>) {
        self.is_complete &= survey.is_none();
        self.surveys.insert(class, survey);
    }

    /// A trial of this class ran.
    pub(super) fn note_trial(&mut self, class: u64) {
        self.news += 1;
        self.is_complete &= self.news < EVERY;
        if let (Some(Some(survey)), Some(evidence)) = (self.surveys.get(&class), statements::evidence(class))
        {
            survey.teach(class, &evidence);
        }
    }

    /// Completes the matrix of these statements if there is something new.
    pub(super) fn renew(&mut self, stored: &[Rc<Stored>], times: &OperatorTimes) {
        if self.is_complete {
            return;
        }
        let known = stored.iter().filter_map(|stored| self.known(stored.class, times));
        let known: Vec<KnownStatement> = known.take(STATEMENTS).collect();
        self.ratios = ExpectedRatios::of(&known);
        self.is_complete = true;
        self.news = 0;
    }

    fn known(&self, class: u64, times: &OperatorTimes) -> Option<KnownStatement> {
        let survey = self.surveys.get(&class).and_then(Option::as_ref);
        Some(KnownStatement {
            class,
            experience: experiences::of_class(class)?,
            predicted: survey.map_or([None; ARMS], |survey| survey.predicted(times)),
        })
    }

    /// What arms are expected to do to a class, as log ratios to its best latency; `None` where that was had with learned row counts,
    /// beside which a hint set gives other plans.
    pub(super) fn of(&self, evidence: &StatementEvidence, class: u64) -> Option<[f64; ARMS]> {
        let best = evidence.best().filter(|best| best.decision.cutoff == 0)?;
        let ratio = best.typical_ms()? / evidence.stock()?.typical_ms()?;
        let expected = self.ratios.of_class(class)?;
        Some(expected.map(|log_ratio| log_ratio - ratio.ln()))
    }
}

impl Survey {
    fn predicted(&self, times: &OperatorTimes) -> LogRatios {
        let mut predicted = [None; ARMS];
        for (arm, plan) in &self.plans {
            let log_ratio = times.log_ratio(&plan.costs, &self.stock.costs);
            if let (Some(place), Some(log_ratio)) = (predicted.get_mut(*arm), log_ratio) {
                *place = Some(log_ratio as f32);
            }
        }
        predicted
    }

    /// What a plan took that was found with learned row counts says what the hint set takes that gives the same plan without them.
    fn teach(&self, class: u64, evidence: &StatementEvidence) {
        for (_, look) in &self.plans {
            let Some(plan) = evidence.plan(look.shape) else {
                continue;
            };
            if let Some(outcome) = plan.outcome().filter(|_| plan.decision.cutoff > 0) {
                let ran = Ran {
                    class,
                    shape: look.shape,
                    costs: look.costs,
                };
                timings::note(&ran, outcome);
            }
        }
    }
}

/// Plans a stored statement without what may be left out of its plan, and runs nothing. What gives the stock plan all the same counts as
/// tried. `None` when it can't be planned any more.
pub(super) fn survey(stored: &Stored) -> Option<Survey> {
    let evidence = statements::evidence(stored.class)?;
    let possible = choice::possibilities(&evidence, &guards::get(catalog::database()));
    let stock = look(stored, HintSet::NONE)?;
    let is_without_rows = evidence.best().is_none_or(|best| best.decision.cutoff == 0);
    let mut plans = Vec::new();
    for (arm, hints) in arms().into_iter().enumerate() {
        if !hints.is_of_methods() || !possible.allow(hints) {
            continue;
        }
        if interrupts::is_asked_to_stop() {
            return None;
        }
        let plan = look(stored, hints)?;
        if plan.shape == stock.shape && is_without_rows {
            statements::note_planned(stored.class, Decision { cutoff: 0, hints });
        }
        if plan.shape != stock.shape {
            plans.push((arm, plan));
        }
    }
    Some(Survey { stock, plans })
}

fn look(stored: &Stored, hints: HintSet) -> Option<Look> {
    let planned = dream::plan(stored, Decision { cutoff: 0, hints })?;
    let remembered = knowledge::find(planned.token)?;
    let facts = &remembered.facts;
    (remembered.statement.class == stored.class).then_some(Look {
        shape: facts.shape,
        costs: facts.costs,
    })
}
