//! A statement given as text: parsed, planned and started for inspection, never run.
//!
//! The caller's rights apply: starting the execution checks them, as EXPLAIN does.

use super::ereport::{Report, sqlstate};
use super::{compat, list, operators};
use core::ffi::CStr;
use operators::OperatorView;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::ffi::CString;

/// A planned statement.
pub(crate) struct Inspected {
    pub(crate) operators: Vec<OperatorView>,
    /// Its token, when the planner hook recognised it.
    pub(crate) token: Option<u32>,
}

/// Plans `text`, which must be one statement that is planned at all.
pub(crate) fn inspect(text: &str) -> Result<Inspected, Report> {
    let text = CString::new(text).map_err(|_| syntax_error("the statement contains a zero byte"))?;
    // SAFETY: the text outlives the calls; everything they allocate lives in the current memory context, and the
    // active snapshot is the one the calling SQL function runs under.
    unsafe {
        let query = analyze(&text)?;
        let options = pg_sys::CURSOR_OPT_PARALLEL_OK as i32;
        let planned = pg_sys::pg_plan_query(query, text.as_ptr(), options, core::ptr::null_mut());
        let execution = pg_sys::CreateQueryDesc(
            planned,
            text.as_ptr(),
            pg_sys::GetActiveSnapshot(),
            core::ptr::null_mut(),
            pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone),
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            0,
        );
        pg_sys::ExecutorStart(execution, pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32);
        let operators = operators::read(execution);
        let token = super::plan_tree::token(planned);
        pg_sys::ExecutorEnd(execution);
        pg_sys::FreeQueryDesc(execution);
        Ok(Inspected { operators, token })
    }
}

/// Parses and analyses one statement.
unsafe fn analyze(text: &CStr) -> Result<*mut pg_sys::Query, Report> {
    // SAFETY: by the caller's promise.
    unsafe {
        let parsed = pg_sys::pg_parse_query(text.as_ptr());
        let mut statements = list::pointers::<pg_sys::RawStmt>(parsed);
        let (Some(statement), None) = (statements.next(), statements.next()) else {
            return Err(syntax_error("expected exactly one statement"));
        };
        if !is_plannable(list::tag((*statement).stmt)) {
            return Err(syntax_error(
                "only SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES have a plan",
            ));
        }
        let rewritten = compat::analyze_and_rewrite(statement, text.as_ptr());
        let mut queries = list::pointers::<pg_sys::Query>(rewritten);
        match (queries.next(), queries.next()) {
            (Some(query), None) if (*query).commandType != pg_sys::CmdType::CMD_UTILITY => Ok(query),
            _ => Err(syntax_error(
                "a statement that rules rewrite into several, or into none, has no single plan",
            )),
        }
    }
}

fn is_plannable(tag: NodeTag) -> bool {
    let always = [
        NodeTag::T_SelectStmt,
        NodeTag::T_InsertStmt,
        NodeTag::T_UpdateStmt,
        NodeTag::T_DeleteStmt,
    ];
    always.contains(&tag) || compat::is_merge(tag)
}

fn syntax_error(message: &str) -> Report {
    Report {
        sqlstate: sqlstate(b"42601"),
        message: message.to_owned(),
        detail: None,
        hint: Some(
            "Give the text of one SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES statement.".to_owned(),
        ),
    }
}
