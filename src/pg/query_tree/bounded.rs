//! Numbers that are known not to be huge, so that sums of them don't overflow.
//!
//! A `numeric` has up to 131,072 digits before its point. A sum that would have more is an error; where rows are weighed by
//! how many they stand for, or groups are summed up that nothing joins, it could come where the statement as it was
//! written gives a result: huge values of both signs, or in rows that are dropped.

use super::super::list;
use core::ffi::CStr;
use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

/// Digits before the point that no number of rows makes an overflow of.
const FEW: u64 = 100_000;
/// Digits that a negative scale may add to a column's precision (since PostgreSQL 15).
const SCALED: u64 = 1_000;
/// `numeric` operators, which have no names in the bindings: their numbers never change.
const PLUS: u32 = 1758;
const MINUS: u32 = 1759;
const TIMES: u32 = 1760;
const NEGATED: u32 = 1751;

/// Whether values of a numeric expression have few digits before the point: of columns with a precision, of integers, of
/// constants, and what is added up and multiplied of these.
///
/// # Safety
/// `expression` is valid.
pub(super) unsafe fn is_bounded(expression: *mut pg_sys::Node) -> bool {
    // SAFETY: by the caller's promise.
    unsafe { digits(expression) }.is_some_and(|digits| digits < FEW)
}

/// Digits before the point, at most.
unsafe fn digits(node: *mut pg_sys::Node) -> Option<u64> {
    // SAFETY: each cast follows the node's tag; children of a valid tree are valid.
    unsafe {
        let precision = (pg_sys::exprTypmod(node) - pg_sys::VARHDRSZ as i32) >> 16;
        if precision > 0 {
            return Some(u64::try_from(precision).ok()? + SCALED);
        }
        match list::tag(node) {
            NodeTag::T_Const => of_constant(&*node.cast::<pg_sys::Const>()),
            NodeTag::T_FuncExpr => match (*node.cast::<pg_sys::FuncExpr>()).funcid.to_u32() {
                pg_sys::F_NUMERIC_INT2 => Some(5),
                pg_sys::F_NUMERIC_INT4 => Some(10),
                pg_sys::F_NUMERIC_INT8 => Some(19),
                _ => None,
            },
            NodeTag::T_OpExpr => {
                let operation = node.cast::<pg_sys::OpExpr>();
                let of_operands = each((*operation).args)?;
                match (*operation).opno.to_u32() {
                    PLUS | MINUS => Some(most(&of_operands) + 1),
                    TIMES => Some(of_operands.iter().sum()),
                    NEGATED => Some(most(&of_operands)),
                    _ => None,
                }
            }
            NodeTag::T_CoalesceExpr => Some(most(&each((*node.cast::<pg_sys::CoalesceExpr>()).args)?)),
            NodeTag::T_CaseExpr => {
                let case = node.cast::<pg_sys::CaseExpr>();
                let results = list::pointers::<pg_sys::CaseWhen>((*case).args).map(|when| (*when).result);
                let results = results.chain([(*case).defresult]);
                let of_results: Option<Vec<u64>> =
                    results.map(|result| digits_or_none(result.cast())).collect();
                Some(most(&of_results?))
            }
            _ => None,
        }
    }
}

/// A CASE without ELSE has no result there.
unsafe fn digits_or_none(node: *mut pg_sys::Node) -> Option<u64> {
    match node.is_null() {
        true => Some(0),
        // SAFETY: not null, so valid by the caller's promise.
        false => unsafe { digits(node) },
    }
}

unsafe fn each(operands: *mut pg_sys::List) -> Option<Vec<u64>> {
    // SAFETY: expressions of a valid list.
    unsafe { list::pointers(operands).map(|operand| digits(operand)).collect() }
}

fn most(digits: &[u64]) -> u64 {
    digits.iter().copied().max().unwrap_or(0)
}

/// As many as it is long when it is written out, at most.
unsafe fn of_constant(constant: &pg_sys::Const) -> Option<u64> {
    if constant.constisnull {
        return Some(0);
    }
    if constant.consttype != pg_sys::NUMERICOID {
        return None;
    }
    // SAFETY: a value of that type; the function gives a C string.
    let written = unsafe {
        let written =
            pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_NUMERIC_OUT), constant.constvalue);
        CStr::from_ptr(written)
    };
    u64::try_from(written.count_bytes()).ok()
}
