//! What a statement is planned with, and what is tried beside it.

use crate::hooks::trial::is_in_time;
use crate::observe::knowledge::Region;
use crate::pg::catalog;
use crate::pg::plan_tree::PlanFacts;
use crate::pg::statement::Statement;
use crate::pg::{hint_set, statement, trial};
use crate::settings::{self, FirstSight};
use crate::shmem::layout::Guard;
use crate::shmem::{corrections, guards, regions};
use crate::steer::rewrite;
use engine::decision::{
    CLEAR_GAIN, Decision, HintSet, Possibilities, RegionChoice, Regions, StatementEvidence, Trial,
};
use pgrx::pg_sys;

/// Cost from which on planning once more hardly matters: about ten milliseconds at the usual settings.
pub(crate) const LEAST_COST: f64 = 2_000.0;
/// Trials without a way back per class.
const UNPROTECTED_TRIALS: u32 = 4;

/// A choice.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) decision: Decision,
    /// The decision was not measured yet, and there is no way back once it runs.
    pub(crate) is_unprotected: bool,
    /// What is tried beside it.
    pub(crate) trial: Option<Trial>,
    /// Its other forms are planned, too, and the one estimated to be far cheaper runs.
    pub(crate) compares_forms: bool,
    /// What is known of the statement with other constants, when that may decide.
    pub(crate) regions: Option<Box<Regions>>,
    /// It is planned without some methods, too, and the plan expected to be clearly faster runs.
    pub(crate) compares_methods: bool,
}

impl Chosen {
    /// Whether nothing but the stock plan was thought of.
    fn is_plain(&self) -> bool {
        self.decision.is_stock() && self.trial.is_none() && !self.compares_forms
    }

    /// This decision and nothing else.
    pub(crate) fn forced(decision: Decision) -> Self {
        Self {
            decision,
            is_unprotected: false,
            trial: None,
            compares_forms: false,
            regions: None,
            compares_methods: false,
        }
    }
}

/// Chooses for a statement about to be planned.
pub(crate) fn choose(
    statement: &Statement,
    evidence: &StatementEvidence,
    parse: *mut pg_sys::Query,
    options: i32,
    (may_steer, may_try): (bool, bool),
) -> Chosen {
    let mut chosen = by_evidence(evidence, parse, options, (may_steer, may_try));
    let is_open = may_steer
        && settings::uses_regions()
        && chosen.is_plain()
        && evidence.pinned == 0
        && !evidence.is_baseline_known();
    if is_open {
        chosen.regions = regions_of(statement, parse, options);
    }
    chosen
}

/// What is known of a statement with other constants, if it may say what to plan with: only what can be tried with a way back.
fn regions_of(statement: &Statement, parse: *mut pg_sys::Query, options: i32) -> Option<Box<Regions>> {
    let regions = regions::get(statement.queryid).filter(Regions::may_act)?;
    let is_possible =
        is_protectable(parse, options) && is_changeable(parse, &guards::get(catalog::database()));
    is_possible.then(|| Box::new(regions))
}

/// The region of a statement's constants: that of its stock plan.
pub(crate) fn region_of(
    evidence: &StatementEvidence,
    decision: Decision,
    facts: &PlanFacts,
) -> Option<Region> {
    let (shape, cost) = match decision.is_stock() {
        true => (facts.shape, facts.total_cost),
        false => evidence
            .stock()
            .map(|plan| (plan.shape, f64::from(plan.total_cost)))?,
    };
    (shape != 0).then_some(Region {
        shape,
        cost,
        stock_ms: None,
    })
}

/// What a region says; `methods` are those of the stock plan.
pub(crate) fn in_region(
    regions: &Regions,
    (region, methods): (Region, u32),
    evidence: &StatementEvidence,
) -> RegionChoice {
    let Some(known) = regions.get(region.shape) else {
        return RegionChoice::Stock;
    };
    let guard = guards::get(catalog::database());
    let gains = guard.arms.gains_per_time(CLEAR_GAIN);
    let possible = Possibilities {
        methods,
        ..possibilities(evidence, &guard)
    };
    match known.choose(region.cost, corrections::newest(), &gains, &possible) {
        RegionChoice::Try(mut trial) => {
            trial.limit_ms *= guard.load.slowdown();
            is_affordable(&trial, &guard).map_or(RegionChoice::Stock, RegionChoice::Try)
        }
        choice => choice,
    }
}

fn by_evidence(
    evidence: &StatementEvidence,
    parse: *mut pg_sys::Query,
    options: i32,
    (may_steer, may_try): (bool, bool),
) -> Chosen {
    let stock = Chosen::forced(Decision::STOCK);
    // A cursor that scrolls is planned for its first rows.
    if !may_steer || options & pg_sys::CURSOR_OPT_SCROLL as i32 != 0 {
        return stock;
    }
    let has_forms = || rewrite::is_possible(parse) && !statement::may_be_current_of(parse, options);
    if rewrite::is_forced() && has_forms() {
        return Chosen::forced(in_first_form());
    }
    if evidence.calls == 0 {
        return first_sight(parse, has_forms(), settings::first_sight());
    }
    let chosen = evidence.choose();
    let guard = guards::get(catalog::database());
    let trial = match may_try && evidence.is_trial_due() {
        true => next_trial(evidence, has_forms(), &guard),
        false => None,
    };
    let last_resort = evidence
        .last_resort(corrections::newest())
        .filter(|_| may_try && settings::corrects_rows() && evidence.trials < UNPROTECTED_TRIALS);
    if chosen.decision.is_stock() && trial.is_none() && last_resort.is_none() {
        return stock;
    }
    if !is_changeable(parse, &guard) {
        return stock;
    }
    if let Some(decision) = last_resort {
        return Chosen {
            is_unprotected: true,
            ..Chosen::forced(decision)
        };
    }
    let mut chosen = Chosen::forced(chosen.decision);
    match trial {
        Some(trial) if is_protectable(parse, options) => chosen.trial = Some(trial),
        Some(trial) if may_run_unprotected(evidence, &trial, chosen.decision) => {
            chosen.decision = trial.decision;
            chosen.is_unprotected = true;
        }
        _ => {}
    }
    chosen
}

/// A statement never seen is planned in the form that is far cheaper, and with what others taught: the methods that are predicted to be
/// faster, those that were where plans were like its own, or the counts of its tables and joins.
fn first_sight(parse: *mut pg_sys::Query, has_forms: bool, with: FirstSight) -> Chosen {
    let stock = Chosen::forced(Decision::STOCK);
    let cutoff = corrections::newest();
    let corrects = with == FirstSight::Rows && cutoff > 0;
    // Other plans are made with a way back, too.
    let has_forms = has_forms && trial::is_possible();
    let asks_others = matches!(with, FirstSight::Predicted | FirstSight::Similar) && trial::is_possible();
    if !(has_forms || corrects || asks_others) {
        return stock;
    }
    let guard = guards::get(catalog::database());
    if !is_changeable(parse, &guard) {
        return stock;
    }
    let known = Decision {
        cutoff,
        hints: HintSet::NONE,
    };
    Chosen {
        is_unprotected: corrects,
        compares_forms: has_forms,
        // Where nothing is known of other statements the copy for further plannings is saved.
        compares_methods: match with {
            FirstSight::Predicted => asks_others && guard.times.plans() > 0,
            _ => asks_others && guard.arms.trials() > 0.0,
        },
        ..Chosen::forced(if corrects { known } else { Decision::STOCK })
    }
}

/// Whether another plan may be used now: it might lock rows in another order, or call a volatile function another number of
/// times.
fn is_changeable(parse: *mut pg_sys::Query, guard: &Guard) -> bool {
    !(guards::is_suspended(guard) || statement::locks_rows(parse) || statement::is_volatile(parse))
}

/// What `ruvector.dag_rewrite = force` plans with.
fn in_first_form() -> Decision {
    Decision {
        cutoff: 0,
        hints: HintSet::NONE.with_form(0),
    }
}

fn next_trial(evidence: &StatementEvidence, has_forms: bool, guard: &Guard) -> Option<Trial> {
    let possible = Possibilities {
        has_forms,
        ..possibilities(evidence, guard)
    };
    let mut trial = evidence.next_trial(corrections::newest(), &guard.arms, &possible)?;
    trial.limit_ms *= guard.load.slowdown();
    is_affordable(&trial, guard)
}

fn is_affordable(trial: &Trial, guard: &Guard) -> Option<Trial> {
    let budget = guards::budget(guard, settings::explore_budget());
    (budget.allows(trial.limit_ms) && is_in_time(trial.limit_ms)).then_some(*trial)
}

/// What settings allow beside a stock plan that is compiled just in time, is parallel and uses these methods.
pub(super) fn allowed(uses_jit: bool, is_parallel: bool, methods: u32) -> Possibilities {
    let sets_parameters = settings::sets_parameters();
    Possibilities {
        uses_jit: sets_parameters && uses_jit,
        is_parallel: sets_parameters && is_parallel,
        may_have_workers: sets_parameters && hint_set::may_have_workers(),
        is_without_rows: !settings::corrects_rows(),
        is_without_methods: !settings::gives_hints(),
        methods,
        ..Possibilities::default()
    }
}

/// What may be tried with a class.
pub(crate) fn possibilities(evidence: &StatementEvidence, guard: &Guard) -> Possibilities {
    let sets_parameters = settings::sets_parameters();
    let costs = HintSet::from_bits(guard.costs);
    let are_other_costs = hint_set::costs(costs).next().is_some();
    Possibilities {
        memory_doublings: match sets_parameters && evidence.spilled_mb > 0 {
            true => hint_set::memory_doublings(),
            false => 0,
        },
        has_forms: settings::rewrite_mode() == rewrite::Mode::Auto,
        costs: match sets_parameters && are_other_costs {
            true => costs,
            false => HintSet::NONE,
        },
        ..allowed(evidence.uses_jit(), evidence.is_parallel(), evidence.methods())
    }
}

/// Whether a trial of this statement can be given up without a trace: it only reads, all at once.
fn is_protectable(parse: *mut pg_sys::Query, options: i32) -> bool {
    options & CURSOR == 0 && statement::only_reads(parse) && trial::is_possible()
}

/// Of a declared cursor.
const CURSOR: i32 = (pg_sys::CURSOR_OPT_HOLD | pg_sys::CURSOR_OPT_FAST_PLAN) as i32;

/// Learned row counts may be tried without a way back, a few times; hint sets may not.
fn may_run_unprotected(evidence: &StatementEvidence, trial: &Trial, chosen: Decision) -> bool {
    chosen.is_stock() && trial.decision.hints == HintSet::NONE && evidence.trials < UNPROTECTED_TRIALS
}

/// Whether a plan that has no way back should run: it was not measured yet, or not slower than the best.
pub(crate) fn is_worth_running(evidence: &StatementEvidence, shape: u64) -> bool {
    let known = evidence.plan(shape).and_then(|plan| plan.expected_ms());
    let best_ms = evidence.best_ms().unwrap_or(f64::MAX);
    known.is_none_or(|known_ms| known_ms <= best_ms)
}
