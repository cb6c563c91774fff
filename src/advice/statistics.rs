//! Extended statistics where counts show that filtered columns of a table depend on each other.

use super::{Advice, Scanned, listed};
use crate::error::internal;
use crate::pg::ereport::Report;
use crate::pg::own_settings;
use crate::settings;
use engine::decision::StatementEvidence;
use pgrx::{Spi, pg_sys};

/// Factor between the estimate and the count from which on the columns are called dependent.
const MISESTIMATED: f64 = 3.0;
/// Columns that extended statistics may have (`STATS_MAX_DIMENSIONS`).
const MOST_COLUMNS: usize = 8;

pub(super) fn on(
    scanned: &[Scanned<'_>],
    evidence: Option<&StatementEvidence>,
) -> Result<Vec<Advice>, Report> {
    let mut all: Vec<Advice> = Vec::new();
    for table in scanned {
        if let Some(advice) = of_table(table, evidence)?
            && !all.iter().any(|known| known.sql == advice.sql)
        {
            all.push(advice);
        }
    }
    Ok(all)
}

fn of_table(table: &Scanned<'_>, evidence: Option<&StatementEvidence>) -> Result<Option<Advice>, Report> {
    let factor = (table.estimated / table.rows).max(table.rows / table.estimated);
    // Fewer rows than a lower bound prove nothing.
    let is_proved = factor > MISESTIMATED && (!table.is_bound || table.rows > table.estimated);
    let mut columns = table.filters.clone();
    columns.sort_by_key(|column| column.number);
    columns.dedup_by_key(|column| column.number);
    let Some(&first) = columns.first().filter(|_| is_proved) else {
        return Ok(None);
    };
    let numbers: Vec<i16> = columns.iter().map(|column| column.number).collect();
    if !(2..=MOST_COLUMNS).contains(&columns.len()) || is_covered(first.table, numbers)? {
        return Ok(None);
    }
    let names = listed(columns.iter().map(|column| column.name.as_str()));
    let own_name = format!("{}_{}", first.plain_name, numbers_text(&columns));
    let at_least = if table.is_bound { "at least " } else { "" };
    let saves = evidence.filter(|evidence| evidence.settled().decision.cutoff > 0);
    Ok(Some(Advice {
        category: "statistics",
        description: format!(
            "{} was estimated to give {:.0} rows and gave {at_least}{:.0} ({factor:.1} times off): {names} depend on each \
             other, which extended statistics show to every statement",
            first.table_name, table.estimated, table.rows
        ),
        expected_improvement: saves.and_then(StatementEvidence::improvement),
        sql: format!(
            "CREATE STATISTICS {} (dependencies, mcv) ON {names} FROM {}; ANALYZE {};",
            quoted(&own_name),
            first.table_name,
            first.table_name
        ),
        confidence: table.belief * (1.0 - 1.0 / factor),
    }))
}

fn numbers_text(columns: &[&crate::pg::columns::ComparedColumn]) -> String {
    let names: Vec<&str> = columns
        .iter()
        .map(|column| column.name.trim_matches('"'))
        .collect();
    names.join("_")
}

fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    match is_plain {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Whether the table has extended statistics on these columns.
fn is_covered(table: u32, columns: Vec<i16>) -> Result<bool, Report> {
    let found = settings::paused(|| {
        own_settings::within(|| {
            Spi::get_one_with_args::<bool>(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS s \
                 WHERE s.stxrelid = $1 AND s.stxkeys::int2[] @> $2)",
                &[pg_sys::Oid::from(table).into(), columns.into()],
            )
        })
    });
    Ok(found.map_err(internal)?.unwrap_or(false))
}
