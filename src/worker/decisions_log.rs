//! `dag_decisions_log`: a row whenever the decision for a statement class, or its state, is another one than was logged last.

use super::persist::{bits, run};
use crate::settings;
use crate::shmem::layout::Statement;
use engine::decision::PlanEvidence;
use pgrx::{Spi, pg_sys};

/// Whether there is such a table: the extension's objects may be older than the library.
pub(super) fn exists() -> bool {
    let found =
        Spi::get_one::<bool>("SELECT pg_catalog.to_regclass('ruvector.dag_decisions_log') IS NOT NULL");
    matches!(found, Ok(Some(true)))
}

/// A class that was never logged is taken to be observed under its stock plan.
const WRITE: &str = "INSERT INTO ruvector.dag_decisions_log \
     (logged_at, queryid, class, userid, previous_state, state, previous_decision, decision, reason, baseline_ms, current_ms) \
     SELECT now(), $1, $2, $3, known.state, $4, known.decision, $5, $6, $7, $8 \
     FROM (SELECT coalesce(max(last.state), 'observing') AS state, coalesce(max(last.decision), 'stock plan') AS decision \
           FROM (SELECT l.state, l.decision FROM ruvector.dag_decisions_log AS l WHERE l.class = $2 \
                 ORDER BY l.log_id DESC LIMIT 1) AS last) AS known \
     WHERE (known.state, known.decision) IS DISTINCT FROM ($4, $5)";

/// Logs what changed about a class.
pub(super) fn write(entry: &Statement) {
    let evidence = &entry.evidence;
    let choice = evidence.choose();
    let used = evidence.plan_of(choice.decision);
    run(
        WRITE,
        &[
            entry.queryid.into(),
            bits(entry.class).into(),
            pg_sys::Oid::from(entry.user).into(),
            choice.state.name().into(),
            choice.decision.describe().into(),
            choice.reason.text().into(),
            evidence.stock().and_then(PlanEvidence::expected_ms).into(),
            used.and_then(PlanEvidence::expected_ms).into(),
        ],
    );
}

/// Keeps as many rows as there are executions.
pub(super) fn tidy() {
    run(
        "DELETE FROM ruvector.dag_decisions_log WHERE log_id <= \
         (SELECT log_id FROM ruvector.dag_decisions_log ORDER BY log_id DESC OFFSET $1 LIMIT 1)",
        &[(settings::max_trajectories() as i64).into()],
    );
}
