//! A statement planned for inspection: its operators beside what is known of their relations.

use super::knowledge::{self, Remembered};
use crate::hooks::planner;
use crate::pg::columns::ComparedColumn;
use crate::pg::ereport::Report;
use crate::pg::operators::OperatorView;
use crate::pg::query_text::{self, Inspected, Times};
use crate::trace::{self, Step};
use engine::decision::Decision;
use std::rc::Rc;

/// A planned statement.
pub(crate) struct Planned {
    pub(crate) operators: Vec<OperatorView>,
    /// The columns it compares.
    pub(crate) columns: Vec<ComparedColumn>,
    /// What the loop knows of it; `None` when it is left alone (no tables, the extension is switched off).
    pub(crate) remembered: Option<Rc<Remembered>>,
    pub(crate) times: Times,
}

/// Plans `text` as it would be planned now, even when it is known to be fast.
pub(crate) fn plan(text: &str) -> Result<Planned, Report> {
    planner::start_inspecting();
    understood(query_text::inspect(text, planner::stop_inspecting)?)
}

/// The same, with the steps of the loop.
pub(crate) fn plan_traced(text: &str) -> Result<(Planned, Vec<Step>), Report> {
    fn done() {
        planner::stop_inspecting();
        trace::end();
    }
    planner::start_inspecting();
    trace::begin();
    let planned = understood(query_text::inspect(text, done)?)?;
    Ok((planned, trace::take()))
}

/// Plans `text` as it would be planned with a decision.
pub(crate) fn plan_with(text: &str, decision: Decision) -> Result<Planned, Report> {
    planner::force(Some(decision));
    understood(query_text::inspect(text, planner::abandon_all)?)
}

fn understood(inspected: Inspected) -> Result<Planned, Report> {
    let remembered = inspected.token.and_then(knowledge::find);
    Ok(Planned {
        operators: inspected.operators,
        columns: inspected.columns,
        remembered,
        times: inspected.times,
    })
}
