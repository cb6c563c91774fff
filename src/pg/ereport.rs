//! Errors with our own SQLSTATEs: pgrx's closed list of codes would turn `RV001` into `XX000`.

use core::ffi::{c_char, c_int};
use pgrx::pg_sys;
use std::ffi::CString;

/// Packs five characters into PostgreSQL's error code (`MAKE_SQLSTATE`, utils/elog.h).
pub(crate) const fn sqlstate(code: &[u8; 5]) -> c_int {
    let mut packed = 0;
    let mut position = 0;
    while position < 5 {
        packed |= (((code[position] - b'0') & 0x3f) as c_int) << (6 * position);
        position += 1;
    }
    packed
}

/// What the user is told.
pub(crate) struct Report {
    pub(crate) sqlstate: c_int,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
}

unsafe extern "C-unwind" {
    // utils/elog.h; raw, because pgrx's guard would replace our SQLSTATE by XX000.
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errcode(code: c_int) -> c_int;
    fn errmsg_internal(format: *const c_char, ...) -> c_int;
    fn errdetail_internal(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Raises an ERROR with our SQLSTATE. The jump goes straight to PostgreSQL's handler, over frames of this function's
/// callers: they must own nothing that needs dropping any more, so SQL functions call it last.
pub(crate) fn raise(report: Report) -> ! {
    let code = report.sqlstate;
    let texts = [Some(report.message), report.detail, report.hint].map(|text| {
        text.and_then(|text| CString::new(text.replace('\0', "")).ok())
            .map(copy_to_postgres)
    });
    // SAFETY: the texts are in PostgreSQL's memory, so nothing here needs dropping when the error jumps away.
    unsafe { raise_copied(code, texts) }
}

/// Copies a text into the current memory context.
pub(crate) fn copy_to_postgres(text: CString) -> *const c_char {
    // SAFETY: pstrdup copies a C string.
    unsafe { pg_sys::pstrdup(text.as_ptr()) }
}

unsafe fn raise_copied(code: c_int, [message, detail, hint]: [Option<*const c_char>; 3]) -> ! {
    // SAFETY: the calls of the ereport macro, in its order, each with a C string.
    unsafe {
        errstart(pgrx::PgLogLevel::ERROR as c_int, core::ptr::null());
        errcode(code);
        if let Some(message) = message {
            errmsg_internal(c"%s".as_ptr(), message);
        }
        if let Some(detail) = detail {
            errdetail_internal(c"%s".as_ptr(), detail);
        }
        if let Some(hint) = hint {
            errhint(c"%s".as_ptr(), hint);
        }
        errfinish(c"ruvector_dag".as_ptr(), 0, core::ptr::null());
    }
    unreachable!("errfinish does not return for an ERROR")
}
