//! What one execution teaches: row counts to the correction table, its latency to its statement class.

use super::bounds::{self, Taught};
use super::knowledge::{Region, Remembered};
use super::session;
use super::trajectory::{self, Executed};
use super::watch::Watch;
use crate::pg::node_runs::{self, Ending, NodeRun};
use crate::pg::plan_tree::{Counted, PlanFacts};
use crate::pg::statement::Statement;
use crate::pg::sub_join::Sketched;
use crate::pg::{catalog, counted_nodes};
use crate::settings;
use crate::shmem::events::{self, Kind};
use crate::shmem::latencies::{self, Component};
use crate::shmem::planned_rows::{self, KeptRows};
use crate::shmem::{corrections, counters, experiences, guards, regions, statements, timings};
use crate::steer::choice;
use crate::steer::rewrite::Rules;
use crate::steer::rows;
use engine::cardinality::{CountedSketch, SetCount, is_material};
use engine::decision::{PlanEvidence, PlanKind, RegionRun, Run, State, StatementEvidence, TableState};
use pgrx::pg_sys;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// What the counts of one execution taught.
#[derive(Debug, Clone)]
pub(super) struct Lesson {
    /// Relations whose count was complete.
    pub(super) counted: u32,
    /// Largest q-error of PostgreSQL's estimates among them; NaN without any.
    pub(super) max_q_error: f64,
    /// A count was learned, or changed, that a plan should be made with.
    is_news: bool,
    /// A count differs from what the plan was made with.
    is_surprise: bool,
    /// The sequence numbers of surprising counts that were not known, the most attended first.
    news: Vec<u64>,
    /// The counts for the row model.
    pub(super) counts: Vec<CountedSketch>,
}

impl Lesson {
    /// Of an execution without counts.
    const NONE: Self = Self {
        counted: 0,
        max_q_error: f64::NAN,
        is_news: false,
        is_surprise: false,
        news: Vec::new(),
        counts: Vec::new(),
    };

    fn add(&mut self, taught: Taught) {
        self.is_news |= taught.is_news;
        self.is_surprise |= taught.is_surprise;
        self.news.extend(taught.news);
    }

    /// Whether the class is to be planned with what was learned: with news, or with what others taught it.
    fn is_to_be_tried(&self, evidence: Option<&StatementEvidence>) -> bool {
        let is_first_look = evidence.is_none_or(|evidence| evidence.corrected_runs == 0);
        self.is_news || (is_first_look && self.is_surprise)
    }

    /// The cutoff up to which only the more attended half of the news is applied; 0 without two of them.
    fn partial(&self) -> u64 {
        match self.news.len() {
            0 | 1 => 0,
            count => self.news[count.div_ceil(2) - 1],
        }
    }
}

/// Blocks that make a megabyte.
const BLOCKS_PER_MB: u64 = (1 << 20) / pg_sys::BLCKSZ as u64;
/// Executions of a class that are always counted in full.
const COUNTED_RUNS: u64 = 1;
/// Of the further ones, one in so many: counting rows costs a few per cent of a long execution.
const COUNTED_EVERY: u64 = 16;
/// First executions of a class that may have new counts for the row model.
const SKETCHED_RUNS: u64 = 4;
/// Executions of a class whose trials have hardly begun.
const YOUNG_CALLS: u64 = 4;
/// Executions of a plan in which nodes are counted whose counts were never complete.
const TRIED_RUNS: u32 = 2;
/// Belief in a count from which on it needs no new one.
const SURE: f64 = 0.9;

/// Whether the next execution of a class should count the rows of all nodes.
pub(crate) fn wants_all_counts(class: u64) -> bool {
    is_for_all_counts(statements::evidence(class).as_ref())
}

fn is_for_all_counts(evidence: Option<&StatementEvidence>) -> bool {
    evidence
        .is_none_or(|evidence| evidence.calls < COUNTED_RUNS || evidence.calls.is_multiple_of(COUNTED_EVERY))
}

/// Whether the row model, which is everybody's, is to learn from the next execution of a class that ran this often.
pub(crate) fn wants_sub_joins(calls: u64) -> bool {
    !settings::keeps_roles_apart() && (calls < SKETCHED_RUNS || calls.is_multiple_of(COUNTED_EVERY))
}

/// Asks a started execution for the row counts that it should teach.
pub(crate) fn count_nodes(query: *mut pg_sys::QueryDesc, plan: &Remembered) {
    match plan.facts.is_parallel {
        true => counted_nodes::count_all(query),
        false => counted_nodes::count(query, &wanted_counts(plan)),
    }
}

/// The plan nodes whose rows the next execution should count: all that produce a relation, or those not known yet.
fn wanted_counts(plan: &Remembered) -> HashSet<i32> {
    let evidence = statements::evidence(plan.statement.class);
    let wants_all = is_for_all_counts(evidence.as_ref());
    let runs = evidence.map_or(0, |evidence| runs_of(&evidence, plan.facts.shape));
    let is_new = runs < TRIED_RUNS;
    // What was counted in vain, as the inner side of a nested loop, is counted again with everything else only.
    let is_unsure = |node: &&Counted| {
        wants_all
            || match rows::counted(&node.subject) {
                Some(known) => known.belief < SURE,
                None => is_new || rows::was_counted(&node.subject),
            }
    };
    plan.facts
        .counted
        .iter()
        .filter(is_unsure)
        .map(|node| node.plan_node_id)
        .collect()
}

/// Executions of a plan, whole or not.
fn runs_of(evidence: &StatementEvidence, shape: u64) -> u32 {
    let plan = evidence.plan(shape);
    plan.map_or(0, |plan| plan.runs.saturating_add(plan.cut_off_runs))
}

/// Learns from an execution that ended; `is_complete` says whether its whole result was read.
pub(crate) fn from_execution(query: *mut pg_sys::QueryDesc, watch: &Watch, is_complete: bool) {
    let remembered = &watch.remembered;
    let statement = &remembered.statement;
    counters::add_statements_seen(1);
    let mut evidence = statements::evidence(statement.class);
    if watch.elapsed_ms < settings::min_duration_ms() && evidence.is_none() {
        counters::add_statements_too_fast(1);
        session::note(statement.queryid, watch.elapsed_ms);
        return;
    }
    let begun = Instant::now();
    latencies::record_ms(Component::Execution, watch.elapsed_ms);
    session::note_evidence(statement.queryid);
    let ending = if is_complete {
        Ending::Finished
    } else {
        Ending::Stopped
    };
    let runs = node_runs::read(query, ending);
    let executed = Executed::read(query, &runs);
    let mut lesson = learn_counts(remembered, &runs, executed.as_ref(), evidence.as_ref());
    if !watch.is_rewound {
        lesson.add(bounds::from_ended(remembered, &runs));
    }
    let is_compared = is_complete && !watch.is_timed;
    let slowdown = note_execution(watch, evidence.as_ref(), is_compared, lesson.is_news);
    if is_compared {
        let quiet_ms = watch.elapsed_ms / slowdown;
        let is_to_be_tried = lesson.is_to_be_tried(evidence.as_ref());
        let before = evidence;
        evidence = record(watch, Ok(quiet_ms), is_to_be_tried, lesson.partial());
        note_change(statement, before.as_ref(), evidence.as_ref());
        keep_planned_rows(remembered, before.as_ref(), evidence.as_ref());
        note_stock_plan(remembered);
        note_timing(remembered, evidence.as_ref());
        let of_kind = kind_of(remembered, (remembered.planning_ms + watch.elapsed_ms) / slowdown);
        regions::record(statement.queryid, in_region(remembered, Ok(quiet_ms)), of_kind);
        note_rules(remembered, evidence.as_ref(), quiet_ms);
    }
    counters::add_statements_learned(1);
    let text = crate::pg::plan_state::statement_text(query);
    trajectory::send(
        executed.as_ref(),
        watch,
        &lesson,
        evidence.as_ref(),
        (!is_complete, text),
    );
    events::note_of(
        (statement.queryid, statement.class),
        Kind::Learned,
        [watch.elapsed_ms, f64::from(lesson.counted)],
    );
    latencies::record(Component::LearnAtEnd, begun.elapsed());
}

/// Learns from an execution that was cancelled, while its state is still there: its plan takes longer than this, and its
/// relations have at least the rows they gave. Nothing of PostgreSQL's may be called here that can fail.
pub(crate) fn from_cancelled(query: *mut pg_sys::QueryDesc, watch: &Watch) {
    counters::add_statements_seen(1);
    if watch.elapsed_ms < settings::min_duration_ms() {
        return;
    }
    let statement = &watch.remembered.statement;
    // Of a trial it is said elsewhere.
    if !watch.remembered.is_trial {
        let of = (statement.queryid, statement.class);
        events::note_of(of, Kind::Cancelled, [watch.elapsed_ms, 0.0]);
    }
    let mut lesson = Lesson::NONE;
    if !watch.is_rewound {
        let runs = node_runs::read(query, Ending::Failed);
        lesson.add(bounds::from_failed(&watch.remembered, &runs));
    }
    if !watch.is_timed {
        let known = statements::evidence(watch.remembered.statement.class);
        let is_to_be_tried = lesson.is_to_be_tried(known.as_ref());
        let evidence = record(watch, Err(watch.elapsed_ms), is_to_be_tried, lesson.partial());
        note_timing(&watch.remembered, evidence.as_ref());
        let in_region = in_region(&watch.remembered, Err(watch.elapsed_ms));
        regions::record(statement.queryid, in_region, None);
        trajectory::send(None, watch, &lesson, evidence.as_ref(), (true, None));
    }
}

/// Tells what watches over all decisions; answers how much slower than usual everything is.
fn note_execution(
    watch: &Watch,
    evidence: Option<&StatementEvidence>,
    is_compared: bool,
    is_news: bool,
) -> f64 {
    let remembered = &watch.remembered;
    let is_applied = !remembered.decision.is_stock() && !remembered.is_trial;
    let typical = |shape: u64| evidence.and_then(|evidence| evidence.plan(shape)?.typical_ms());
    let of_stock = evidence.and_then(|evidence| evidence.stock()?.typical_ms());
    let by_region = remembered.region.and_then(|region| region.stock_ms);
    guards::note_execution(
        catalog::database(),
        &guards::Execution {
            class: remembered.statement.class,
            taken_ms: watch.elapsed_ms,
            usual_ms: typical(remembered.facts.shape),
            baseline_ms: of_stock.or(by_region).filter(|_| is_applied),
            is_dream: remembered.is_dream,
            is_compared,
            is_news: is_news || evidence.is_none_or(|evidence| evidence.calls < YOUNG_CALLS),
        },
    )
}

/// Keeps what a plan was planned with that is the best one now, and was not before.
fn keep_planned_rows(
    remembered: &Remembered,
    before: Option<&StatementEvidence>,
    after: Option<&StatementEvidence>,
) {
    let shape = remembered.facts.shape;
    let is_best = |evidence: Option<&StatementEvidence>| {
        evidence
            .and_then(StatementEvidence::best)
            .is_some_and(|best| best.shape == shape)
    };
    if remembered.decision.cutoff > 0 && is_best(after) && !is_best(before) {
        let tables = rows::tables_of(remembered.facts.counted.iter().map(|node| &node.subject));
        let parts = remembered.planned_rows.clone();
        let class = remembered.statement.class;
        planned_rows::keep(&KeptRows::new(class, remembered.decision, tables, parts));
    }
}

/// Keeps what the stock plan is like, beside which others will be measured.
fn note_stock_plan(remembered: &Remembered) {
    let facts = &remembered.facts;
    if remembered.decision.is_stock() && facts.total_cost >= choice::LEAST_COST {
        experiences::note_stock(remembered.statement.class, facts.shape, facts.operators);
    }
}

/// Keeps what a plan takes that was made with stock's row counts and costs: what others are predicted by.
fn note_timing(remembered: &Remembered, evidence: Option<&StatementEvidence>) {
    let (facts, decision) = (&remembered.facts, remembered.decision);
    let is_comparable = decision.cutoff == 0 && !decision.hints.has_costs();
    if !is_comparable || facts.total_cost < choice::LEAST_COST {
        return;
    }
    let plan = evidence.and_then(|evidence| evidence.plan(facts.shape));
    if let Some(outcome) = plan.and_then(PlanEvidence::outcome) {
        let ran = timings::Ran {
            class: remembered.statement.class,
            shape: facts.shape,
            costs: facts.costs,
        };
        timings::note(&ran, outcome);
    }
}

/// Logs that the state of a class's decision changed.
fn note_change(statement: &Statement, before: Option<&StatementEvidence>, after: Option<&StatementEvidence>) {
    let state = |evidence: &StatementEvidence| evidence.choose().state;
    let [before, after] = [before, after].map(|evidence| evidence.map_or(State::Observing, state));
    if before != after {
        events::note_of(
            (statement.queryid, statement.class),
            Kind::DecisionChanged,
            [events::place(before), events::place(after)],
        );
    }
}

/// Tells what the rules brought that rewrote the statement.
fn note_rules(remembered: &Remembered, evidence: Option<&StatementEvidence>, taken_ms: f64) {
    if remembered.rules != Rules::NONE && !remembered.is_dream {
        let baseline_ms = evidence.and_then(|evidence| evidence.stock()?.expected_ms());
        guards::note_rewritten(catalog::database(), remembered.rules, taken_ms, baseline_ms);
    }
}

fn record(
    watch: &Watch,
    outcome: Result<f64, f64>,
    learned: bool,
    partial: u64,
) -> Option<StatementEvidence> {
    let remembered = &watch.remembered;
    statements::record(&statements::Execution {
        class: remembered.statement.class,
        queryid: remembered.statement.queryid,
        database: catalog::database(),
        user: catalog::user(),
        at: catalog::now(),
        run: Run {
            shape: remembered.facts.shape,
            decision: remembered.decision,
            total_cost: remembered.facts.total_cost,
            outcome,
            taught: learned,
            is_trial: remembered.is_trial,
            is_dream: remembered.is_dream,
            uses_jit: remembered.facts.uses_jit,
            is_parallel: remembered.facts.is_parallel,
            methods: remembered.facts.methods,
            spilled_mb: u32::try_from(watch.spilled().div_ceil(BLOCKS_PER_MB)).unwrap_or(u32::MAX),
            // After an error nothing may be looked up.
            tables: match outcome {
                Ok(_) => rows::state_of(&remembered.facts.tables),
                Err(_) => TableState::default(),
            },
        },
        partial,
    })
}

/// How a plan for these values did, or one for any: with its planning it took so many milliseconds.
fn kind_of(remembered: &Remembered, total_ms: f64) -> Option<(PlanKind, f64)> {
    let kind = remembered.statement.kind.filter(|_| !remembered.is_trial)?;
    Some((kind, total_ms))
}

/// What the region of the statement's constants is told.
fn in_region(remembered: &Remembered, outcome: Result<f64, f64>) -> Option<(Region, RegionRun)> {
    let region = remembered.region?;
    let run = RegionRun {
        decision: remembered.decision,
        cost: region.cost,
        outcome,
        is_trial: remembered.is_trial,
        is_chosen: remembered.is_chosen_by_region(),
    };
    Some((region, run))
}

/// Takes up the counts that are complete, in the order of attention: what is learned first can be applied alone.
fn learn_counts(
    remembered: &Remembered,
    runs: &HashMap<i32, NodeRun>,
    executed: Option<&Executed>,
    evidence: Option<&StatementEvidence>,
) -> Lesson {
    let mut lesson = Lesson::NONE;
    let may_write = !catalog::is_standby();
    let complete = remembered.facts.counted.iter().filter_map(|node| {
        let run = runs.get(&node.plan_node_id).filter(|run| run.is_complete)?;
        Some((node, run))
    });
    let mut complete: Vec<(&Counted, &NodeRun)> = complete.collect();
    let is_unknown = |node: &Counted| rows::counted(&node.subject).is_none();
    if complete.iter().filter(|(node, _)| is_unknown(node)).count() > 1 {
        sort_by_attention(&mut complete, executed, evidence);
    }
    if may_write {
        lesson.counts = sub_joins(&remembered.facts, &complete);
    }
    for (node, run) in complete {
        lesson.counted += 1;
        lesson.max_q_error = lesson.max_q_error.max(q_error(node, run));
        let is_surprise = is_material(node.planned, run.rows);
        lesson.is_surprise |= is_surprise;
        if may_write {
            let learned = corrections::learn(
                catalog::database(),
                node.subject.key.0,
                &bounds::observation(
                    node,
                    run.rows,
                    false,
                    rows::modifications(&node.subject.tables),
                    remembered.statement.queryid,
                ),
            );
            lesson.is_news |= learned.is_new_or_changed && is_surprise;
            lesson.news.extend(learned.new_sequence.filter(|_| is_surprise));
        }
    }
    lesson
}

/// What the row model is to learn: per query level each relation once.
fn sub_joins(facts: &PlanFacts, complete: &[(&Counted, &NodeRun)]) -> Vec<CountedSketch> {
    let of_level = |(at, known): (usize, &Sketched)| {
        let counts = complete.iter().filter_map(|(node, run)| {
            let place = node.sketched.filter(|place| place.sketch == at)?;
            Some(SetCount {
                set: place.set,
                estimate: place.estimate,
                rows: run.rows,
                is_first: rows::counted(&node.subject).is_none(),
            })
        });
        let mut counts: Vec<SetCount> = counts.collect();
        counts.sort_by_key(|count| count.set);
        counts.dedup_by_key(|count| count.set);
        (!counts.is_empty()).then(|| CountedSketch {
            sketch: known.sketch.clone(),
            counts,
        })
    };
    facts.sketches.iter().enumerate().filter_map(of_level).collect()
}

fn q_error(node: &Counted, run: &NodeRun) -> f64 {
    let (actual, estimated) = (run.rows.max(1.0), node.estimated.max(1.0));
    (actual / estimated).max(estimated / actual)
}

/// First those worth correcting most: much attended and badly estimated.
fn sort_by_attention(
    counts: &mut [(&Counted, &NodeRun)],
    executed: Option<&Executed>,
    evidence: Option<&StatementEvidence>,
) {
    let Some(executed) = executed else { return };
    let attention = executed.attention(evidence);
    let worth = |(node, run): &(&Counted, &NodeRun)| {
        let weight = attention.get(&node.plan_node_id).copied().unwrap_or(0.0);
        -weight * q_error(node, run).ln()
    };
    counts.sort_by(|a, b| worth(a).total_cmp(&worth(b)));
}
