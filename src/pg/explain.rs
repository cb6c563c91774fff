//! A property of our own in what EXPLAIN prints.
//!
//! The hook is called around the planning and printing of a statement, so the property comes after PostgreSQL's own. In
//! text that is a further line; in the other formats the group of the statement is opened again for it.

use super::{compat, raw};
use core::ffi::c_char;
use pgrx::pg_sys;
use pgrx::pg_sys::ExplainFormat::{EXPLAIN_FORMAT_JSON, EXPLAIN_FORMAT_TEXT, EXPLAIN_FORMAT_XML};

/// What `ExplainOneQuery_hook` is told.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) query: *mut pg_sys::Query,
    pub(super) options: i32,
    pub(super) into: *mut pg_sys::IntoClause,
    pub(super) state: *mut pg_sys::ExplainState,
    pub(super) text: *const c_char,
    pub(super) params: pg_sys::ParamListInfo,
    pub(super) environment: *mut pg_sys::QueryEnvironment,
}

impl Request {
    /// Runs the previous hook, or what PostgreSQL does without one.
    ///
    /// # Safety
    /// The request came from PostgreSQL; the caller's frame holds nothing to drop.
    pub(super) unsafe fn pass_on(self, previous: pg_sys::ExplainOneQuery_hook_type) {
        match previous {
            // SAFETY: by the caller's promise.
            Some(hook) => unsafe {
                hook(
                    self.query,
                    self.options,
                    self.into,
                    self.state,
                    self.text,
                    self.params,
                    self.environment,
                )
            },
            // SAFETY: by the caller's promise.
            None => unsafe { compat::explain_one_query(self) },
        }
    }
}

/// Adds the property to the statement that was printed last. Where the end of its group is not as PostgreSQL writes it,
/// nothing is added.
///
/// # Safety
/// The state is PostgreSQL's, after a statement was printed; the value is a C string; the caller's frame holds nothing to
/// drop.
pub(super) unsafe fn add_decision(state: *mut pg_sys::ExplainState, value: *const c_char) {
    // SAFETY: by the caller's promise.
    unsafe {
        let is_text = (*state).format == EXPLAIN_FORMAT_TEXT;
        if is_text || reopen_group(state) {
            raw::ExplainPropertyText(c"RuVector".as_ptr(), value, state);
            if !is_text {
                raw::ExplainCloseGroup(c"Query".as_ptr(), core::ptr::null(), true, state);
            }
        }
    }
}

/// Undoes what `ExplainCloseGroup` does (explain.c, in all majors).
unsafe fn reopen_group(state: *mut pg_sys::ExplainState) -> bool {
    // SAFETY: by the caller's promise; the text is cut, never grown.
    unsafe {
        let indent = usize::try_from((*state).indent).unwrap_or(0) * 2;
        let buffer = (*state).str_;
        let length = usize::try_from((*buffer).len).unwrap_or(0);
        let printed = core::slice::from_raw_parts((*buffer).data.cast::<u8>(), length);
        let Some(kept) = without_end(printed, (*state).format, indent) else {
            return false;
        };
        (*buffer).len = kept as i32;
        *(*buffer).data.add(kept) = 0;
        if (*state).format != EXPLAIN_FORMAT_XML {
            // 1: the group has properties already.
            (*state).grouping_stack = pg_sys::lcons_int(1, (*state).grouping_stack);
        }
        (*state).indent += 1;
        true
    }
}

/// The length of what was printed without the end of the last group; `None` when it ends otherwise.
fn without_end(printed: &[u8], format: pg_sys::ExplainFormat::Type, indent: usize) -> Option<usize> {
    let spaces = |text: &[u8]| {
        let kept = text.len().checked_sub(indent)?;
        text[kept..].iter().all(|&byte| byte == b' ').then_some(kept)
    };
    match format {
        EXPLAIN_FORMAT_JSON => {
            let kept = spaces(printed.strip_suffix(b"}")?)?;
            printed[..kept].strip_suffix(b"\n").map(<[u8]>::len)
        }
        EXPLAIN_FORMAT_XML => spaces(printed.strip_suffix(b"</Query>\n")?),
        _ => Some(printed.len()),
    }
}
