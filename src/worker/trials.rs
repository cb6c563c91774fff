//! Trials where nobody waits: stored statements run again with what promises most, one at a time, for less time than the
//! best plan takes, until nothing promises to pay any more, the budget is spent or load returns.

use super::expectations::{self, Expectations};
use crate::hooks;
use crate::observe::knowledge::{self, Remembered};
use crate::pg::dream::{self, Stored};
use crate::pg::io_priority::IdleIo;
use crate::pg::scratch;
use crate::pg::trial::{self, Ended};
use crate::pg::{background_worker, catalog, interrupts, plan_tree};
use crate::settings;
use crate::shmem::counters::UserStatementWatch;
use crate::shmem::{corrections, guards, statements};
use crate::steer::choice;
use engine::decision::{CLEAR_GAIN, Prospects, StatementEvidence, Trial};
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};
use std::collections::HashSet;
use std::ffi::CString;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What became of some trials.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tried {
    /// Plans that ran.
    pub(crate) trials: usize,
    /// Something promising is left.
    pub(crate) has_more: bool,
}

/// The statements of a database that may be tried.
pub(crate) struct Candidates {
    stored: Vec<Rc<Stored>>,
    /// Classes that can't be planned any more.
    given_up: HashSet<u64>,
    expectations: Expectations,
}

impl Candidates {
    /// Reads them, in the transaction under way.
    pub(crate) fn read() -> SpiResult<Self> {
        let stored = Spi::connect(|client| {
            let rows = client.select(
                "SELECT class, userid, search_path, query FROM ruvector.dag_statement_texts",
                None,
                &[],
            )?;
            rows.map(|row| {
                let text = |column| -> SpiResult<Option<CString>> {
                    Ok(row
                        .get::<String>(column)?
                        .and_then(|text| CString::new(text).ok()))
                };
                let (path, text) = (text(3)?, text(4)?);
                let class = row.get::<i64>(1)?.unwrap_or(0) as u64;
                let user = row.get::<pg_sys::Oid>(2)?.map_or(0, |user| user.to_u32());
                Ok(path.zip(text).map(|(search_path, text)| Stored {
                    class,
                    user,
                    search_path,
                    text,
                }))
            })
            .collect::<SpiResult<Vec<_>>>()
        })?;
        Ok(Self {
            stored: stored.into_iter().flatten().map(Rc::new).collect(),
            given_up: HashSet::new(),
            expectations: Expectations::default(),
        })
    }

    /// The statement and trial that promise most.
    fn most_promising(&mut self) -> Option<(Rc<Stored>, Trial)> {
        let newest = corrections::newest();
        let guard = guards::get(catalog::database());
        let of_all = guard.arms.gains_per_time(CLEAR_GAIN);
        if settings::completes_trials() {
            self.expectations.renew(&self.stored, &guard.times);
        }
        let promise = |stored: &Stored| {
            let evidence = statements::evidence(stored.class)?;
            let expected = self.expectations.of(&evidence, stored.class);
            let own = expected.map(|expected| guard.arms.gains_per_time_with(CLEAR_GAIN, &expected));
            let prospects = Prospects {
                of_all: &of_all,
                own: own.as_ref(),
                seed: stored.class,
            };
            evidence.next_dream(newest, &prospects, &choice::possibilities(&evidence, &guard))
        };
        let known = self
            .stored
            .iter()
            .filter(|stored| !self.given_up.contains(&stored.class));
        let promising = known.filter_map(|stored| Some((stored, promise(stored)?)));
        let (stored, (trial, _)) = promising.max_by(|(_, (_, a)), (_, (_, b))| a.total_cmp(b))?;
        Some((Rc::clone(stored), trial))
    }

    /// Runs at most so many trials for `budget`, each in the transaction under way.
    pub(crate) fn run(&mut self, budget: Duration, at_most: usize, stops_on_load: bool) -> Tried {
        let begun = Instant::now();
        let mut tried = Tried::default();
        loop {
            let left = budget.saturating_sub(begun.elapsed());
            let Some((stored, trial)) = self.most_promising() else {
                return tried;
            };
            tried.has_more = true;
            if left.is_zero()
                || tried.trials >= at_most
                || !trial::is_possible()
                || interrupts::is_asked_to_stop()
            {
                return tried;
            }
            let class = stored.class;
            let is_unknown = settings::completes_trials() && !self.expectations.have_plans_of(class);
            if is_unknown && !trial.decision.is_stock() {
                let plans = scratch::within(|| expectations::survey(&stored));
                self.expectations.add(class, plans);
                continue;
            }
            match scratch::within(|| attempt(&stored, &trial, left, stops_on_load)) {
                Attempted::Ran => {
                    tried.trials += 1;
                    self.expectations.note_trial(class);
                }
                Attempted::Known if !trial.decision.is_stock() => {}
                // A stock plan that needs no trial would be next again.
                Attempted::Known | Attempted::Impossible => _ = self.given_up.insert(class),
                Attempted::Stopped => return tried,
            }
        }
    }
}

/// Runs trials in the worker while the server is idle, each in a transaction of its own, for at most `stay`.
pub(super) fn when_idle(database: u32, stay: Duration) {
    if !settings::runs_trials() || catalog::is_standby() {
        return;
    }
    let begun = Instant::now();
    let _watch = UserStatementWatch::begin();
    let _priority = IdleIo::begin();
    let mut candidates: Option<Candidates> = None;
    loop {
        let left = guards::dream_time_left(database, settings::dream_budget())
            .min(stay.saturating_sub(begun.elapsed()));
        if left.is_zero() {
            return;
        }
        let tried = background_worker::transaction(AssertUnwindSafe(|| {
            if !(catalog::lock_extension() && super::loops::is_idle()) {
                return None;
            }
            if candidates.is_none() {
                candidates = Candidates::read().ok();
            }
            let started = Instant::now();
            let tried = candidates.as_mut()?.run(left, 1, true);
            guards::spend_dream_time(database, started.elapsed());
            Some(tried)
        }));
        match tried {
            Some(tried) if tried.has_more && tried.trials > 0 => {}
            Some(tried) => return guards::set_has_dreams(database, tried.has_more),
            None => return,
        }
    }
}

enum Attempted {
    Ran,
    /// The plan is known already.
    Known,
    Impossible,
    /// There was no time left, or load returned.
    Stopped,
}

/// Ends a trial, also when what is for the user ended it.
struct Finish;

impl Drop for Finish {
    fn drop(&mut self) {
        hooks::trial::finish();
    }
}

/// What another hint set's plan took tells how this one does, too.
fn note_known(evidence: &StatementEvidence, remembered: &Remembered) {
    let Some(plan) = evidence.plan(remembered.facts.shape) else {
        return;
    };
    if let Some(outcome) = plan.outcome() {
        hooks::trial::note_experience(evidence, remembered, outcome);
    }
}

fn attempt(stored: &Stored, trial: &Trial, left: Duration, stops_on_load: bool) -> Attempted {
    let Some(planned) = dream::plan(stored, trial.decision) else {
        return Attempted::Impossible;
    };
    let Some(remembered) = knowledge::find(planned.token) else {
        return Attempted::Impossible;
    };
    if remembered.statement.class != stored.class || plan_tree::reads_foreign_tables(planned.plan) {
        return Attempted::Impossible;
    }
    let evidence = statements::evidence(stored.class).unwrap_or_default();
    let is_known = !evidence.is_worth_trying(remembered.facts.shape, trial.limit_ms);
    let limit_ms = trial.limit_ms.min(left.as_secs_f64() * 1000.0);
    if !is_known && limit_ms < trial.limit_ms {
        return Attempted::Stopped;
    }
    statements::note_planned(stored.class, trial.decision);
    if is_known {
        note_known(&evidence, &remembered);
    }
    if is_known && trial.decision.is_stock() {
        statements::leave_stock(stored.class, remembered.facts.shape);
    }
    if is_known || (remembered.decision.is_stock() && !trial.decision.is_stock()) {
        return Attempted::Known;
    }
    let hints = remembered.decision.hints;
    hooks::trial::begin(remembered, limit_ms);
    let _finish = Finish;
    match dream::run(stored, planned, hints, limit_ms, stops_on_load) {
        Ended::Stopped => Attempted::Stopped,
        _ => Attempted::Ran,
    }
}
