//! What the worker learned, read without waiting for whoever is changing it.

use super::sona;
use crate::pg::ereport::Report;
use pgrx::spi::SpiResult;

/// When each pattern that is kept was found first, in microseconds of PostgreSQL's clock.
pub(crate) fn patterns_found_at() -> Result<Vec<i64>, Report> {
    sona::with_known(|known, _| {
        let patterns = known.engine.bank().patterns().iter();
        patterns
            .filter_map(|pattern| i64::try_from(pattern.created_us).ok())
            .collect()
    })
}

/// Bytes of what is stored in this database, and of these of what is in use: the rest could not be read.
pub(crate) fn stored_bytes() -> SpiResult<(i64, i64)> {
    let (all, used) = pgrx::Spi::get_two::<i64, i64>(
        "SELECT coalesce(sum(octet_length(state)), 0)::int8, \
         coalesce(sum(octet_length(state)) FILTER (WHERE part NOT LIKE '% refused %'), 0)::int8 \
         FROM ruvector.dag_state",
    )?;
    Ok((all.unwrap_or(0), used.unwrap_or(0)))
}
