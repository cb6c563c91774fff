//! A statement given as text: parsed, planned and started for inspection, never run.
//!
//! The caller's rights apply: starting the execution checks them, as EXPLAIN does.

use super::columns::{self, ComparedColumn};
use super::ereport::{Report, sqlstate};
use super::{compat, hook_point, list, operators, plan_tree, raw, statement};
use core::ffi::{c_char, c_void};
use operators::OperatorView;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;
use std::ffi::CString;
use std::time::{Duration, Instant};

/// A planned statement.
pub(crate) struct Inspected {
    pub(crate) operators: Vec<OperatorView>,
    pub(crate) columns: Vec<ComparedColumn>,
    /// Its token, when the planner hook recognised it.
    pub(crate) token: Option<u32>,
    pub(crate) times: Times,
}

/// How long each step took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) parsing: Duration,
    /// Analysis and rules.
    pub(crate) analysis: Duration,
    /// Planning, with all that we add to it.
    pub(crate) planning: Duration,
    /// Starting the execution, which checks the caller's rights.
    pub(crate) starting: Duration,
    /// Reading the operators.
    pub(crate) reading: Duration,
}

/// How far a text came.
#[derive(Clone, Copy)]
enum Started {
    /// And the statement as it was before planning.
    Execution(*mut pg_sys::QueryDesc, *mut pg_sys::Query, Times),
    Refused(&'static str),
}

/// Plans `text`, which must be one statement that is planned at all. `done` runs when planning ended, also by an error,
/// which passes untouched: nothing that needs dropping may be alive in the callers.
pub(crate) fn inspect(text: &str, done: fn()) -> Result<Inspected, Report> {
    // SAFETY: the copy of the text and everything the calls allocate live in the current memory context, and the active
    // snapshot is the one the calling SQL function runs under. Only plain values are alive while PostgreSQL runs raw.
    unsafe {
        let Some(text) = copy_text(text) else {
            return Err(syntax_error("the statement contains a zero byte"));
        };
        let started = with_text(text, || hook_point::protected(|| start(text), done));
        done();
        match started {
            Started::Refused(reason) => Err(syntax_error(reason)),
            Started::Execution(execution, query, times) => {
                let columns = columns::read(query);
                let begun = Instant::now();
                let operators = operators::read(execution);
                let reading = begun.elapsed();
                let token = plan_tree::token((*execution).plannedstmt);
                pg_sys::ExecutorEnd(execution);
                pg_sys::FreeQueryDesc(execution);
                Ok(Inspected {
                    operators,
                    columns,
                    token,
                    times: Times { reading, ..times },
                })
            }
        }
    }
}

/// The text of one statement, rewritten by `rule` and deparsed by PostgreSQL, with what else the rule says; `None` when
/// it leaves the statement alone.
/// Errors in the text pass untouched: nothing that needs dropping may be alive in the callers.
pub(crate) fn rewrite<N>(
    text: &str,
    rule: impl FnOnce(*mut pg_sys::Query) -> Option<(*mut pg_sys::Query, N)>,
) -> Result<Option<(String, N)>, Report> {
    // SAFETY: as in `inspect`.
    unsafe {
        let Some(text) = copy_text(text) else {
            return Err(syntax_error("the statement contains a zero byte"));
        };
        let query = with_text(text, || analyze(text)).map_err(syntax_error)?;
        let Some((query, name)) = rule(query) else {
            return Ok(None);
        };
        Ok(compat::deparse(query).map(|text| (text, name)))
    }
}

/// Runs `work`, in whose errors positions count from the beginning of this text, not of the statement that called us.
unsafe fn with_text<R: Copy>(text: *const c_char, work: impl FnOnce() -> R) -> R {
    // SAFETY: the text outlives the work; the context goes before it does.
    unsafe {
        let mut context = pg_sys::ErrorContextCallback {
            previous: pg_sys::error_context_stack,
            callback: Some(name_inner_text),
            arg: text.cast_mut().cast(),
        };
        pg_sys::error_context_stack = &raw mut context;
        let result = work();
        pg_sys::error_context_stack = context.previous;
        result
    }
}

/// As `function_parse_error_transpose` (catalog/pg_proc.c) does for the body of a function.
unsafe extern "C-unwind" fn name_inner_text(text: *mut c_void) {
    // SAFETY: called while an error is built; the text outlives the callback.
    unsafe {
        let position = raw::geterrposition();
        if position > 0 {
            raw::errposition(0);
            raw::internalerrposition(position);
            raw::internalerrquery(text.cast());
        }
    }
}

/// A C string in the current memory context.
fn copy_text(text: &str) -> Option<*const c_char> {
    let text = CString::new(text).ok()?;
    // SAFETY: pstrdup copies a C string.
    Some(unsafe { pg_sys::pstrdup(text.as_ptr()) })
}

/// Parses, plans and starts a statement.
///
/// # Safety
/// Errors of PostgreSQL jump out of it.
unsafe fn start(text: *const c_char) -> Started {
    // SAFETY: by the caller's promise.
    unsafe {
        let begun = Instant::now();
        let statement = match parse(text) {
            Ok(statement) => statement,
            Err(reason) => return Started::Refused(reason),
        };
        let parsed = Instant::now();
        let query = match analyze_parsed(statement, text) {
            Ok(query) => query,
            Err(reason) => return Started::Refused(reason),
        };
        let analyzed = Instant::now();
        let unplanned = statement::copy(query);
        let options = pg_sys::CURSOR_OPT_PARALLEL_OK as i32;
        let planning = Instant::now();
        let planned = raw::pg_plan_query(query, text, options, core::ptr::null_mut());
        let starting = Instant::now();
        let execution = raw::CreateQueryDesc(
            planned,
            text,
            raw::GetActiveSnapshot(),
            core::ptr::null_mut(),
            raw::CreateDestReceiver(pg_sys::CommandDest::DestNone),
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            0,
        );
        raw::ExecutorStart(execution, pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32);
        let times = Times {
            parsing: parsed.duration_since(begun),
            analysis: analyzed.duration_since(parsed),
            planning: starting.duration_since(planning),
            starting: starting.elapsed(),
            reading: Duration::ZERO,
        };
        Started::Execution(execution, unplanned, times)
    }
}

/// Parses and analyses one statement.
pub(super) unsafe fn analyze(text: *const c_char) -> Result<*mut pg_sys::Query, &'static str> {
    // SAFETY: by the caller's promise.
    unsafe { analyze_parsed(parse(text)?, text) }
}

unsafe fn parse(text: *const c_char) -> Result<*mut pg_sys::RawStmt, &'static str> {
    // SAFETY: by the caller's promise.
    unsafe {
        let parsed = raw::pg_parse_query(text);
        if list::length(parsed) != 1 {
            return Err("expected exactly one statement");
        }
        let statement = (*(*parsed).elements).ptr_value.cast::<pg_sys::RawStmt>();
        if !is_plannable(list::tag((*statement).stmt)) {
            return Err("only SELECT, INSERT, UPDATE, DELETE, MERGE and VALUES have a plan");
        }
        Ok(statement)
    }
}

unsafe fn analyze_parsed(
    statement: *mut pg_sys::RawStmt,
    text: *const c_char,
) -> Result<*mut pg_sys::Query, &'static str> {
    // SAFETY: by the caller's promise.
    unsafe {
        let rewritten = compat::analyze_and_rewrite(statement, text);
        if list::length(rewritten) != 1 {
            return Err("a statement that rules rewrite into several, or into none, has no single plan");
        }
        let query = (*(*rewritten).elements).ptr_value.cast::<pg_sys::Query>();
        if (*query).commandType == pg_sys::CmdType::CMD_UTILITY {
            return Err("a statement that rules rewrite into a utility command has no plan");
        }
        Ok(query)
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
