//! `dag_status`: what runs, and what has been counted.

use crate::error::{not_preloaded, or_raise};
use crate::pg::catalog;
use crate::pg::ereport::Report;
use crate::settings;
use crate::shmem::{self, corrections, counters, databases, statements};
use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};

/// Name and value of each measure; the SQL side turns them into columns.
#[pg_extern]
fn dag_measures() -> TableIterator<'static, (name!(measure, String), name!(value, Option<f64>))> {
    TableIterator::new(or_raise(measures()))
}

fn measures() -> Result<Vec<(String, Option<f64>)>, Report> {
    if !shmem::is_available() {
        return Err(not_preloaded());
    }
    let database = catalog::database();
    let classes = statements::of_database(database);
    let saved: f64 = classes.iter().map(|class| class.evidence.saved_ms).sum();
    let lost: f64 = classes.iter().map(|class| class.evidence.lost_ms).sum();
    let mut measures: Vec<(String, Option<f64>)> = counters::all()
        .into_iter()
        .map(|(name, count)| (name.to_owned(), Some(count as f64)))
        .collect();
    measures.push((
        "corrections".to_owned(),
        Some(corrections::count(database) as f64),
    ));
    measures.push(("statement_classes".to_owned(), Some(classes.len() as f64)));
    measures.push(("saved_ms".to_owned(), Some(saved)));
    measures.push(("lost_ms".to_owned(), Some(lost)));
    measures.push((
        "is_loaded".to_owned(),
        Some(f64::from(u8::from(databases::is_loaded(database)))),
    ));
    measures.push(("learning_rate".to_owned(), Some(settings::learning_rate())));
    measures.push(("avg_improvement".to_owned(), average_improvement(&classes)));
    Ok(measures)
}

/// Mean of 1 − current / stock latency over the classes that run a corrected plan; none before the first.
fn average_improvement(classes: &[crate::shmem::layout::Statement]) -> Option<f64> {
    let improvements: Vec<f64> = classes
        .iter()
        .filter_map(|class| {
            let is_stock = class.evidence.settled().decision.is_stock();
            let best = class.evidence.best().filter(|_| !is_stock)?;
            Some(1.0 - best.expected_ms()? / class.evidence.stock()?.expected_ms()?)
        })
        .collect();
    (!improvements.is_empty()).then(|| improvements.iter().sum::<f64>() / improvements.len() as f64)
}
