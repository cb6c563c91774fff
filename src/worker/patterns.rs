//! What the owner of a database changes in what is learned, and what is shown of it.

use super::executions;
use super::sona::{self, Learned};
use crate::error::{from_engine, learning_failed};
use crate::pg::ereport::Report;
use crate::pg::turns::{self, Turn};
use crate::pg::{catalog, interrupts, own_settings};
use engine::embedding::DIMENSIONS;
use engine::learning::{Execution, Reclustering};
use engine::patterns::Pattern;

/// Changes what is known in the current database, in the transaction under way; on an error nothing changes. To be
/// called with the rights of the tables' owner.
pub(crate) fn change<R>(work: impl FnOnce(&mut Learned) -> Result<R, Report>) -> Result<R, Report> {
    begin_change()?;
    let result = own_settings::within(|| {
        sona::with_learned(|learned| {
            // First, since patterns may become one.
            learned.take_uses(catalog::database());
            let result = work(learned);
            let is_changed = result.is_ok();
            (result, is_changed)
        })
    });
    if result.is_err() {
        sona::let_go();
    }
    result
}

/// Takes the turn to change what is known.
pub(crate) fn begin_change() -> Result<(), Report> {
    Ok(turns::wait_for(Turn::Learn)?)
}

/// Finds patterns anew in the executions that are kept.
pub(crate) fn recluster(learned: &mut Learned) -> Result<Reclustering, Report> {
    let kept = match executions::kept() {
        Ok(kept) => kept,
        Err(error) => pgrx::error!("ruvector_dag could not read executions: {error}"),
    };
    let now = sona::microseconds();
    let done = learned
        .engine
        .recluster_until(&kept, now, &mut interrupts::is_asked_to_stop);
    let done = interrupts::finished(done).map_err(from_engine)?;
    done.ok_or_else(|| learning_failed("no execution is kept that passes dag_quality_threshold".to_owned()))
}

/// The remembered execution that a pattern stands for best.
pub(crate) fn representative<'e>(pattern: &Pattern, executions: &'e [Execution]) -> Option<&'e Execution> {
    let nearness = |execution: &Execution| pattern.centroid.cosine(&execution.embedding);
    executions
        .iter()
        .max_by(|a, b| nearness(a).total_cmp(&nearness(b)))
}

/// What the parameter at a place of the adapter of all plans is called, of so many: a row of A after the other, then a
/// column of B after the other.
pub(crate) fn parameter_name(at: usize, parameters: usize) -> String {
    let of_a = parameters / 2;
    match at.checked_sub(of_a) {
        None => format!("base_lora.a[{}][{}]", at / DIMENSIONS, at % DIMENSIONS),
        Some(at) => format!("base_lora.b[{}][{}]", at % DIMENSIONS, at / DIMENSIONS),
    }
}
