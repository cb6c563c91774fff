//! From shared memory to the extension's tables, in the transaction under way.

use super::decisions_log;
use crate::attention;
use crate::pg::turns::{self, Gone};
use crate::pg::{own_settings, transaction_end};
use crate::settings;
use crate::shmem::layout::{Correction, MAX_RELATIONS, Statement, Trajectory};
use crate::shmem::{corrections as rows, counters, ring, statements as classes};
use engine::decision::PlanEvidence;
use pgrx::datum::{DatumWithOid, TimestampWithTimeZone};
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};
use std::rc::Rc;

/// What a cycle took out of shared memory.
pub(super) struct Taken {
    pub(super) corrections: Vec<Correction>,
    pub(super) statements: Vec<Statement>,
    pub(super) trajectories: Vec<(usize, Trajectory)>,
}

/// Takes what waits for a database. Its slots are freed when what is written next is committed; if it is not, for
/// whatever reason, everything goes back.
pub(super) fn take(database: u32) -> Rc<Taken> {
    let taken = Rc::new(Taken {
        corrections: rows::take_dirty(database),
        statements: classes::take_dirty(database),
        trajectories: ring::take(database),
    });
    let held = Rc::clone(&taken);
    transaction_end::call(Box::new(move |is_committed| {
        if is_committed {
            ring::release(&held.trajectories);
            counters::add_trajectories_written(held.trajectories.len() as u64);
        } else {
            rows::give_back(&held.corrections);
            classes::give_back(&held.statements);
            ring::give_back(&held.trajectories);
        }
    }));
    taken
}

/// A `u64` as SQL's bigint, bit for bit.
pub(crate) fn bits(word: u64) -> i64 {
    word as i64
}

/// A PostgreSQL timestamp as an argument.
pub(crate) fn timestamp(at: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(at).ok()
}

/// Runs a statement that writes, of our own tables.
pub(crate) fn run(sql: &str, arguments: &[DatumWithOid<'_>]) {
    if let Err(error) = Spi::run_with_args(sql, arguments) {
        pgrx::error!("ruvector_dag could not write what was learned: {error}");
    }
}

/// The bytes of a part of `dag_state`, read without a lock; none without that part.
pub(super) fn state_of(part: &str) -> SpiResult<Option<Vec<u8>>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT state FROM ruvector.dag_state WHERE part = $1",
            Some(1),
            &[part.into()],
        )?;
        rows.into_iter()
            .next()
            .map_or(Ok(None), |row| row.get::<Vec<u8>>(1))
    })
}

/// Writes learned row counts.
pub(super) fn corrections(entries: &[Correction]) -> usize {
    for entry in entries {
        let known = (entry.relation_count as usize).min(MAX_RELATIONS);
        let relations: Vec<pg_sys::Oid> = entry.relations[..known]
            .iter()
            .map(|&oid| pg_sys::Oid::from(oid))
            .collect();
        run(
            "INSERT INTO ruvector.dag_corrections AS known (relation_key, relations, rows, estimated_rows, table_rows, \
             modifications, sequence, queryid, measured_at, observations, relation_count, is_lower_bound, role) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (relation_key) DO UPDATE SET relations = excluded.relations, rows = excluded.rows, \
             estimated_rows = excluded.estimated_rows, table_rows = excluded.table_rows, \
             modifications = excluded.modifications, sequence = excluded.sequence, queryid = excluded.queryid, \
             measured_at = excluded.measured_at, observations = excluded.observations, \
             is_lower_bound = excluded.is_lower_bound",
            &[
                bits(entry.relation_key).into(),
                relations.into(),
                entry.rows.into(),
                entry.estimated_rows.into(),
                entry.table_rows.into(),
                bits(entry.modifications).into(),
                bits(entry.sequence).into(),
                entry.queryid.into(),
                timestamp(entry.measured_at).into(),
                i64::from(entry.observations).into(),
                (entry.relation_count as i32).into(),
                (entry.is_bound != 0).into(),
                (entry.role != 0).then_some(pg_sys::Oid::from(entry.role)).into(),
            ],
        );
    }
    entries.len()
}

/// Writes statement classes with their plans' evidence, and what changed about their decisions.
pub(super) fn statements(entries: &[Statement]) -> usize {
    let has_log = !entries.is_empty() && decisions_log::exists();
    for entry in entries {
        if has_log {
            decisions_log::write(entry);
        }
        run(
            "INSERT INTO ruvector.dag_statement_classes AS known (class, queryid, userid, last_run_at, calls, trials, \
             corrected_runs, is_fresh, saved_ms, lost_ms, settled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (class) DO UPDATE SET last_run_at = excluded.last_run_at, calls = excluded.calls, \
             trials = excluded.trials, corrected_runs = excluded.corrected_runs, is_fresh = excluded.is_fresh, saved_ms = excluded.saved_ms, \
             lost_ms = excluded.lost_ms, settled = excluded.settled",
            &[
                bits(entry.class).into(),
                entry.queryid.into(),
                pg_sys::Oid::from(entry.user).into(),
                timestamp(entry.last_run_at).into(),
                bits(entry.evidence.calls).into(),
                i64::from(entry.evidence.trials).into(),
                i64::from(entry.evidence.corrected_runs).into(),
                (entry.evidence.fresh != 0).into(),
                entry.evidence.saved_ms.into(),
                entry.evidence.lost_ms.into(),
                entry.evidence.settlement().map(bits).to_vec().into(),
            ],
        );
        run(
            "DELETE FROM ruvector.dag_plan_shapes WHERE class = $1",
            &[bits(entry.class).into()],
        );
        entry
            .evidence
            .plans()
            .for_each(|plan| plan_shape(entry.class, plan));
    }
    entries.len()
}

fn plan_shape(class: u64, plan: &PlanEvidence) {
    run(
        "INSERT INTO ruvector.dag_plan_shapes (class, plan_shape, cutoff, hints, runs, cut_off_runs, lower_bound_ms, \
         total_cost, samples_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            bits(class).into(),
            bits(plan.shape).into(),
            bits(plan.decision.cutoff).into(),
            (plan.decision.hints.bits() as i32).into(),
            i64::from(plan.runs).into(),
            i64::from(plan.cut_off_runs).into(),
            plan.lower_bound_ms.into(),
            plan.total_cost.into(),
            plan.samples_ms().to_vec().into(),
        ],
    );
}

/// Writes the text of a statement, which only superusers can read.
fn text(entry: &Trajectory) {
    let text = str::from_utf8(&entry.text[..entry.text_length as usize]);
    let path = str::from_utf8(&entry.search_path[..entry.search_path_length as usize]);
    let (Ok(text), Ok(path)) = (text, path) else {
        return;
    };
    if text.is_empty() || !settings::stores_literals() {
        return;
    }
    run(
        "INSERT INTO ruvector.dag_statement_texts AS known (class, userid, search_path, query, stored_at) \
         VALUES ($1, $2, $3, $4, now()) ON CONFLICT (class) DO UPDATE SET search_path = excluded.search_path, \
         query = excluded.query, stored_at = excluded.stored_at WHERE known.search_path <> excluded.search_path",
        &[
            bits(entry.class).into(),
            pg_sys::Oid::from(entry.user).into(),
            path.into(),
            text.into(),
        ],
    );
}

/// Writes executions.
pub(super) fn trajectories(entries: &[(usize, Trajectory)]) -> usize {
    for (_, entry) in entries {
        text(entry);
        let known = |number: f64| (!number.is_nan()).then_some(number);
        let plan = &entry.plan[..entry.plan_length as usize];
        let sub_joins = &entry.sub_joins[..entry.sub_joins_length as usize];
        let is_embedded = entry.is_embedded != 0;
        let mechanism = is_embedded.then(|| attention::name_at(entry.attention as usize));
        run(
            "INSERT INTO ruvector.dag_trajectories (queryid, class, plan_shape, cutoff, hints, is_trial, userid, ended_at, execution_ms, \
             baseline_ms, max_q_error, counted_relations, corrected_relations, is_cut_off, plan, \
             total_cost, attention_mechanism, embedding, expected_ms, sub_joins) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
            &[
                entry.queryid.into(),
                bits(entry.class).into(),
                bits(entry.shape).into(),
                bits(entry.cutoff).into(),
                (entry.hints as i32).into(),
                (entry.is_trial != 0).into(),
                pg_sys::Oid::from(entry.user).into(),
                timestamp(entry.ended_at).into(),
                entry.execution_ms.into(),
                known(entry.baseline_ms).into(),
                known(entry.max_q_error).into(),
                (entry.counted as i32).into(),
                (entry.corrected as i32).into(),
                (entry.cut_off != 0).into(),
                (!plan.is_empty()).then(|| plan.to_vec()).into(),
                entry.total_cost.into(),
                mechanism.into(),
                is_embedded.then(|| entry.embedding.to_vec()).into(),
                known(entry.expected_ms).into(),
                (!sub_joins.is_empty()).then(|| sub_joins.to_vec()).into(),
            ],
        );
    }
    entries.len()
}

/// Removes what is out of date: row counts of tables or roles that are gone, executions beyond the limit, and the oldest of what
/// would not fit into shared memory when it is loaded again.
pub(super) fn tidy() {
    run(
        "DELETE FROM ruvector.dag_corrections WHERE EXISTS (SELECT FROM unnest(relations) AS r (oid) \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = r.oid))",
        &[],
    );
    run(
        "DELETE FROM ruvector.dag_corrections WHERE role IS NOT NULL AND NOT EXISTS \
         (SELECT FROM pg_catalog.pg_roles AS r WHERE r.oid = role)",
        &[],
    );
    tidy_trajectories();
    run(
        "DELETE FROM ruvector.dag_corrections WHERE relation_key IN \
         (SELECT relation_key FROM ruvector.dag_corrections ORDER BY measured_at DESC OFFSET $1)",
        &[(rows::capacity() as i64).into()],
    );
    run(
        "WITH gone AS (DELETE FROM ruvector.dag_statement_classes WHERE class IN \
         (SELECT class FROM ruvector.dag_statement_classes ORDER BY last_run_at DESC OFFSET $1) RETURNING class) \
         DELETE FROM ruvector.dag_plan_shapes WHERE class IN (SELECT class FROM gone)",
        &[(classes::capacity() as i64).into()],
    );
    run(
        "DELETE FROM ruvector.dag_statement_texts WHERE NOT $1 OR class NOT IN (SELECT class FROM ruvector.dag_statement_classes)",
        &[settings::stores_literals().into()],
    );
    if decisions_log::exists() {
        decisions_log::tidy();
    }
}

/// Removes the oldest executions beyond the limit.
pub(super) fn tidy_trajectories() {
    run(
        "DELETE FROM ruvector.dag_trajectories WHERE trajectory_id <= \
         (SELECT trajectory_id FROM ruvector.dag_trajectories ORDER BY trajectory_id DESC OFFSET $1 LIMIT 1)",
        &[(settings::max_trajectories() as i64).into()],
    );
}

/// Empties the tables in the transaction under way, or what is of one role in them: the evidence of statements always, row
/// counts (`patterns`) and executions if asked to. What is learned as a whole goes with everybody's row counts. Waits for
/// whoever is writing, worker or session: what they commit a moment later would stay.
pub(crate) fn forget(role: Option<u32>, patterns: bool, trajectories: bool) -> Result<(), Gone> {
    turns::wait_for_both()?;
    let whose: &[DatumWithOid<'_>] = &[role.map(pg_sys::Oid::from).into()];
    own_settings::within(|| {
        run(
            "DELETE FROM ruvector.dag_plan_shapes WHERE $1 IS NULL \
             OR class IN (SELECT class FROM ruvector.dag_statement_classes WHERE userid = $1)",
            whose,
        );
        for table in ["dag_statement_classes", "dag_statement_texts"] {
            let sql = format!("DELETE FROM ruvector.{table} WHERE $1 IS NULL OR userid = $1");
            run(&sql, whose);
        }
        if role.is_none() {
            super::earned::forget();
        }
        if patterns {
            run(
                "DELETE FROM ruvector.dag_corrections WHERE $1 IS NULL OR role = $1",
                whose,
            );
        }
        if patterns && role.is_none() {
            super::sona::forget();
            super::rows::forget();
        }
        if trajectories {
            run(
                "DELETE FROM ruvector.dag_trajectories WHERE $1 IS NULL OR userid = $1",
                whose,
            );
            run(
                "DELETE FROM ruvector.dag_anomalies WHERE $1 IS NULL OR userid = $1",
                whose,
            );
        }
    });
    Ok(())
}
