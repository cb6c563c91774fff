//! A statement planned for inspection: its operators beside what is known of their relations.

use super::knowledge::{self, Remembered};
use crate::hooks::planner;
use crate::pg::ereport::Report;
use crate::pg::operators::OperatorView;
use crate::pg::query_text;
use std::rc::Rc;

/// A planned statement.
pub(crate) struct Planned {
    pub(crate) operators: Vec<OperatorView>,
    /// What the loop knows of it; `None` when it is left alone (no tables, the extension is switched off).
    pub(crate) remembered: Option<Rc<Remembered>>,
}

/// Plans `text` as it would be planned now, even when it is known to be fast.
pub(crate) fn plan(text: &str) -> Result<Planned, Report> {
    planner::start_inspecting();
    let inspected = query_text::inspect(text, planner::stop_inspecting)?;
    let remembered = inspected.token.and_then(knowledge::find);
    Ok(Planned {
        operators: inspected.operators,
        remembered,
    })
}
