//! `dag_repairs`: repairs that are asked for and repairs that were made. Written in the turn to write.

use super::{Class, Done};
use crate::settings;
use crate::worker::persist::{run, timestamp};
use pgrx::spi::SpiResult;
use pgrx::{Spi, pg_sys};

/// A class that tries its plans again, or is to, is not asked for again on this day.
const ASK: &str = "INSERT INTO ruvector.dag_repairs (requested_at, repair_type, target, class, userid, status, reason) \
     SELECT now(), 'decision', $1, $2, $3, 'queued', $4 WHERE NOT EXISTS (SELECT FROM ruvector.dag_repairs AS known \
        WHERE known.class = $2 AND (known.status = 'queued' OR known.requested_at > now() - interval '1 day'))";

/// Asks for a class to try its plans again.
pub(in crate::healing) fn ask_for(class: Class, reason: &str) {
    run(
        ASK,
        &[
            format!("queryid {}", class.queryid).into(),
            class.class.into(),
            class.user.into(),
            reason.into(),
        ],
    );
}

/// The classes for which it was asked, with the numbers of the rows.
pub(in crate::healing) fn waiting() -> SpiResult<Vec<(i64, i64)>> {
    Spi::connect_mut(|client| {
        let rows = client.update(
            "SELECT repair_id, class FROM ruvector.dag_repairs WHERE status = 'queued' ORDER BY repair_id",
            None,
            &[],
        )?;
        rows.map(|row| Ok((row.get(1)?.unwrap_or(0), row.get(2)?.unwrap_or(0))))
            .collect()
    })
}

/// Notes how a repair ended, in the row that asked for it if there was one; answers the row's number.
pub(in crate::healing) fn close(done: &Done, asked: Option<i64>) -> SpiResult<i64> {
    let sql = match asked {
        Some(_) => {
            "UPDATE ruvector.dag_repairs SET repaired_at = $1, repair_type = $2, target = coalesce($3, target), class = $4, \
             userid = $5, status = $6, reason = concat_ws('; ', nullif($7, ''), reason), duration_ms = $8 \
             WHERE repair_id = $9 RETURNING repair_id"
        }
        None => {
            "INSERT INTO ruvector.dag_repairs \
             (requested_at, repaired_at, repair_type, target, class, userid, status, reason, duration_ms) \
             VALUES ($1, $1, $2, $3, $4, $5, $6, $7, $8) RETURNING repair_id"
        }
    };
    let user = done.user.map(pg_sys::Oid::from);
    // Of what was not needed no target was found.
    let target = Some(done.target.as_str()).filter(|_| done.is_any());
    let number = Spi::get_one_with_args::<i64>(
        sql,
        &[
            timestamp(done.began_at).into(),
            done.kind.into(),
            target.into(),
            done.class.into(),
            user.into(),
            done.status.into(),
            done.reason.as_str().into(),
            done.took_ms.into(),
            asked.into(),
        ],
    )?;
    Ok(number.unwrap_or(0))
}

/// Whether a kind of repair was tried in vain within the last hour.
pub(in crate::healing) fn was_tried_lately(kind: &str) -> SpiResult<bool> {
    let sql = "SELECT EXISTS (SELECT FROM ruvector.dag_repairs WHERE repair_type = $1 AND status IN ('rolled_back', 'failed') \
         AND requested_at > now() - interval '1 hour')";
    Ok(Spi::get_one_with_args::<bool>(sql, &[kind.into()])?.unwrap_or(false))
}

/// Keeps as many rows as there are executions.
pub(in crate::healing) fn tidy() {
    run(
        "DELETE FROM ruvector.dag_repairs WHERE repair_id <= \
         (SELECT repair_id FROM ruvector.dag_repairs ORDER BY repair_id DESC OFFSET $1 LIMIT 1)",
        &[(settings::max_trajectories() as i64).into()],
    );
}
