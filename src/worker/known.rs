//! What the worker learned, read without waiting for whoever is changing it.

use super::{earned, rows, sona};
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

/// A row of `dag_state`.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: usize,
    /// Why it can't be read.
    pub(crate) error: Option<String>,
    /// Another one is in use: this one could not be read before.
    pub(crate) is_aside: bool,
}

/// Reads each part of what is stored in this database, its checksum included.
pub(crate) fn stored_parts() -> SpiResult<Vec<Part>> {
    pgrx::Spi::connect(|client| {
        let rows = client.select(
            "SELECT part, state FROM ruvector.dag_state ORDER BY part",
            None,
            &[],
        )?;
        rows.map(|row| {
            let name = row.get::<String>(1)?.unwrap_or_default();
            let state = row.get::<Vec<u8>>(2)?.unwrap_or_default();
            let reader = match name.as_str() {
                sona::PART => Some(sona::why_unreadable as fn(&[u8]) -> Option<String>),
                rows::PART => Some(rows::why_unreadable as _),
                earned::PART => Some(earned::why_unreadable as _),
                _ => None,
            };
            let error = reader.and_then(|why| why(&state));
            Ok(Part {
                name,
                bytes: state.len(),
                error,
                is_aside: reader.is_none(),
            })
        })
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
