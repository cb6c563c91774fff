//! Nodes of expressions and range tables, made as PostgreSQL's parser makes them.

use super::super::{compat, list};
use core::ffi::{CStr, c_int};
use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, Oid};

/// `bigint * bigint` and its kin: operators have no names in the bindings, their numbers never change.
const BIGINT_TIMES: u32 = 686;
const NUMERIC_TIMES: u32 = 1760;
const NUMERIC_DIVIDED: u32 = 1761;
const DOUBLE_PLUS: u32 = 591;
const DOUBLE_DIVIDED: u32 = 593;
const DOUBLE_TIMES: u32 = 594;

/// Where range-table indexes wait between their old and their new numbers; above any in use.
pub(super) const PARKING: c_int = 10_000;

/// `AGGKIND_NORMAL`, which has no binding.
pub(super) const NORMAL_AGGREGATE: core::ffi::c_char = b'n' as core::ffi::c_char;

/// A type that numbers of rows come in, and what is multiplied with them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Bigint,
    Numeric,
    Double,
}

impl Number {
    pub(super) fn oid(self) -> Oid {
        match self {
            Self::Bigint => pg_sys::INT8OID,
            Self::Numeric => pg_sys::NUMERICOID,
            Self::Double => pg_sys::FLOAT8OID,
        }
    }

    /// `left * right`.
    pub(super) fn times(self, left: *mut pg_sys::Expr, right: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
        let operator = match self {
            Self::Bigint => BIGINT_TIMES,
            Self::Numeric => NUMERIC_TIMES,
            Self::Double => DOUBLE_TIMES,
        };
        binary(operator, self.oid(), left, right)
    }
}

/// A sum by its number of values, as PostgreSQL's average: numeric, or floating-point.
pub(super) fn divided(sum: *mut pg_sys::Expr, values: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    match number_of(sum) {
        Number::Double => {
            // The average adds its values to 0, which makes 0 of -0.
            let sum = binary(DOUBLE_PLUS, pg_sys::FLOAT8OID, double_zero(), sum);
            let values = as_number(values, Number::Double);
            binary(DOUBLE_DIVIDED, pg_sys::FLOAT8OID, sum, values)
        }
        _ => binary(NUMERIC_DIVIDED, pg_sys::NUMERICOID, sum, values),
    }
}

fn binary(
    operator: u32,
    result: Oid,
    left: *mut pg_sys::Expr,
    right: *mut pg_sys::Expr,
) -> *mut pg_sys::Expr {
    let none = pg_sys::InvalidOid;
    // SAFETY: valid expressions of the operator's types.
    unsafe { pg_sys::make_opclause(Oid::from(operator), result, false, left, right, none, none) }
}

/// An empty node.
///
/// # Safety
/// `T` is the struct of the tag.
pub(super) unsafe fn node<T>(tag: NodeTag) -> *mut T {
    // SAFETY: zeroed memory of that size, which is how PostgreSQL makes nodes.
    unsafe {
        let node = pg_sys::palloc0(size_of::<T>()).cast::<T>();
        *node.cast::<NodeTag>() = tag;
        node
    }
}

/// A PostgreSQL list of pointers.
pub(super) fn list_of<T>(elements: impl IntoIterator<Item = *mut T>) -> *mut pg_sys::List {
    let elements = elements.into_iter();
    // SAFETY: a list that starts empty and grows.
    elements.fold(core::ptr::null_mut(), |list, element| unsafe {
        pg_sys::lappend(list, element.cast())
    })
}

/// A deep copy of an expression.
///
/// # Safety
/// `node` is a valid node or null.
pub(super) unsafe fn copy<T>(node: *const T) -> *mut T {
    // SAFETY: by the caller's promise.
    unsafe { pg_sys::copyObjectImpl(node.cast()).cast() }
}

/// An expression without the relabelling of its type.
///
/// # Safety
/// `node` is valid.
pub(super) unsafe fn bare(node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: the cast follows the node's tag.
    unsafe {
        match list::tag(node) {
            NodeTag::T_RelabelType => (*node.cast::<pg_sys::RelabelType>()).arg.cast(),
            _ => node,
        }
    }
}

/// A cast by the function that makes it.
pub(super) fn cast(function: u32, result: Oid, value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    let (none, form) = (pg_sys::InvalidOid, pg_sys::CoercionForm::COERCE_EXPLICIT_CAST);
    let arguments = list_of([value]);
    // SAFETY: a valid expression of the function's type.
    unsafe { pg_sys::makeFuncExpr(Oid::from(function), result, arguments, none, none, form).cast() }
}

/// `COALESCE(value, 0)` of a bigint.
pub(super) fn or_zero(value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    coalesce(value, bigint(0))
}

/// `COALESCE(value, 1)` of a number of rows.
pub(super) fn or_one(value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    coalesce(value, as_number(bigint(1), number_of(value)))
}

/// `COALESCE(value, default)`, both of one type.
pub(super) fn coalesce(value: *mut pg_sys::Expr, default: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a node of its tag's struct; valid expressions.
    unsafe {
        let coalesce = node::<pg_sys::CoalesceExpr>(NodeTag::T_CoalesceExpr);
        (*coalesce).coalescetype = pg_sys::exprType(value.cast());
        (*coalesce).coalescecollid = pg_sys::exprCollation(value.cast());
        (*coalesce).args = list_of([value, default]);
        (*coalesce).location = -1;
        coalesce.cast()
    }
}

/// A constant bigint.
pub(super) fn bigint(number: i64) -> *mut pg_sys::Expr {
    constant(pg_sys::INT8OID, number)
}

/// 0 in floating point, all of whose bits are 0.
fn double_zero() -> *mut pg_sys::Expr {
    constant(pg_sys::FLOAT8OID, 0)
}

/// A constant of a type of eight bytes that is passed by value.
fn constant(of: Oid, bits: i64) -> *mut pg_sys::Expr {
    let (none, value) = (pg_sys::InvalidOid, pg_sys::Datum::from(bits));
    // SAFETY: a value of the type; pgrx supports no server that passes eight bytes otherwise.
    unsafe { pg_sys::makeConst(of, -1, none, 8, value, false, true).cast() }
}

/// `value IS NOT NULL`, of a composite value too: whether it is there, not what it holds.
pub(super) fn is_not_null(value: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    // SAFETY: a node of its tag's struct.
    unsafe {
        let test = node::<pg_sys::NullTest>(NodeTag::T_NullTest);
        (*test).arg = value;
        (*test).nulltesttype = pg_sys::NullTestType::IS_NOT_NULL;
        (*test).location = -1;
        test.cast()
    }
}

/// `condition IS NOT TRUE`.
pub(super) fn is_not_true(condition: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: a node of its tag's struct.
    unsafe {
        let test = node::<pg_sys::BooleanTest>(NodeTag::T_BooleanTest);
        (*test).arg = condition.cast();
        (*test).booltesttype = pg_sys::BoolTestType::IS_NOT_TRUE;
        (*test).location = -1;
        test.cast()
    }
}

/// The type of a number of rows, or of a sum.
pub(super) fn number_of(value: *mut pg_sys::Expr) -> Number {
    // SAFETY: a valid expression.
    match unsafe { pg_sys::exprType(value.cast()) } {
        pg_sys::INT8OID => Number::Bigint,
        pg_sys::FLOAT8OID => Number::Double,
        _ => Number::Numeric,
    }
}

/// A number of rows as a type; what does not fit a bigint is an error.
pub(super) fn as_number(value: *mut pg_sys::Expr, wanted: Number) -> *mut pg_sys::Expr {
    match (number_of(value), wanted) {
        (Number::Bigint, Number::Numeric) => cast(pg_sys::F_NUMERIC_INT8, pg_sys::NUMERICOID, value),
        (Number::Numeric, Number::Bigint) => cast(pg_sys::F_INT8_NUMERIC, pg_sys::INT8OID, value),
        (Number::Bigint, Number::Double) => cast(pg_sys::F_FLOAT8_INT8, pg_sys::FLOAT8OID, value),
        (Number::Numeric, Number::Double) => cast(pg_sys::F_FLOAT8_NUMERIC, pg_sys::FLOAT8OID, value),
        _ => value,
    }
}

/// `count(*) FILTER (WHERE filter)`.
pub(super) fn count(filter: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    let count = aggregate(pg_sys::F_COUNT_, pg_sys::INT8OID);
    // SAFETY: a node of its tag's struct, complete but for what the planner fills in.
    unsafe {
        (*count).aggstar = true;
        (*count).aggfilter = filter;
    }
    count.cast()
}

/// `sum(value) FILTER (WHERE filter)`: numeric of numbers of rows, floating-point of such values.
pub(super) fn sum(number: Number, value: *mut pg_sys::Expr, filter: *mut pg_sys::Expr) -> *mut pg_sys::Expr {
    let (function, result) = match number {
        Number::Bigint => (pg_sys::F_SUM_INT8, pg_sys::NUMERICOID),
        Number::Numeric => (pg_sys::F_SUM_NUMERIC, pg_sys::NUMERICOID),
        Number::Double => (pg_sys::F_SUM_FLOAT8, pg_sys::FLOAT8OID),
    };
    over(function, result, value, filter)
}

/// An aggregate of one argument, of that type.
pub(super) fn over(
    function: u32,
    result: Oid,
    value: *mut pg_sys::Expr,
    filter: *mut pg_sys::Expr,
) -> *mut pg_sys::Expr {
    let made = aggregate(function, result);
    // SAFETY: nodes of their tags' structs, and a valid expression.
    unsafe {
        let of = pg_sys::exprType(value.cast());
        (*made).aggargtypes = pg_sys::lappend_oid(core::ptr::null_mut(), of);
        (*made).args = list_of([pg_sys::makeTargetEntry(value, 1, core::ptr::null_mut(), false)]);
        (*made).aggfilter = filter;
    }
    made.cast()
}

fn aggregate(function: u32, result: Oid) -> *mut pg_sys::Aggref {
    // SAFETY: a node of its tag's struct.
    unsafe {
        let aggregate = node::<pg_sys::Aggref>(NodeTag::T_Aggref);
        (*aggregate).aggfnoid = Oid::from(function);
        (*aggregate).aggtype = result;
        (*aggregate).aggkind = NORMAL_AGGREGATE;
        (*aggregate).aggsplit = pg_sys::AggSplit::AGGSPLIT_SIMPLE;
        (*aggregate).aggno = -1;
        (*aggregate).aggtransno = -1;
        (*aggregate).location = -1;
        aggregate
    }
}

/// How to group by an expression: by its type's own equality.
///
/// # Safety
/// The type has one.
pub(super) unsafe fn group_by(expression: *mut pg_sys::Expr, reference: u32) -> *mut pg_sys::SortGroupClause {
    // SAFETY: type cache entries are never freed; a node of its tag's struct.
    unsafe {
        let of = pg_sys::exprType(expression.cast());
        let flags = pg_sys::TYPECACHE_EQ_OPR | pg_sys::TYPECACHE_LT_OPR;
        let entry = pg_sys::lookup_type_cache(of, flags as i32);
        let clause = node::<pg_sys::SortGroupClause>(NodeTag::T_SortGroupClause);
        (*clause).tleSortGroupRef = reference;
        (*clause).eqop = (*entry).eq_opr;
        (*clause).sortop = (*entry).lt_opr;
        (*clause).hashable = pg_sys::op_hashjoinable((*entry).eq_opr, of);
        clause
    }
}

/// A column of a result.
pub(super) fn target(
    expression: *mut pg_sys::Expr,
    number: usize,
    name: &CStr,
    reference: u32,
) -> *mut pg_sys::TargetEntry {
    // SAFETY: a valid expression and a C string, which is copied.
    unsafe {
        let name = pg_sys::pstrdup(name.as_ptr());
        let entry = pg_sys::makeTargetEntry(expression, number as pg_sys::AttrNumber, name, false);
        (*entry).ressortgroupref = reference;
        entry
    }
}

/// The entry of a range table.
///
/// # Safety
/// The query has an entry of that index, which counts from 1.
pub(super) unsafe fn entry(query: *mut pg_sys::Query, rtindex: c_int) -> *mut pg_sys::RangeTblEntry {
    let at = list::index(rtindex).saturating_sub(1);
    // SAFETY: by the caller's promise.
    unsafe { (*(*(*query).rtable).elements.add(at)).ptr_value.cast() }
}

/// A column of a subquery.
///
/// # Safety
/// A valid target.
pub(super) unsafe fn var(rtindex: c_int, target: &pg_sys::TargetEntry) -> *mut pg_sys::Expr {
    // SAFETY: a valid expression.
    unsafe {
        let expression = target.expr.cast();
        let (of, collation) = (pg_sys::exprType(expression), pg_sys::exprCollation(expression));
        let typmod = pg_sys::exprTypmod(expression);
        compat::make_var(rtindex, target.resno, of, typmod, collation).cast()
    }
}

/// Gives the columns of an expression, or of a query, their relations' new range-table indexes.
///
/// # Safety
/// A valid node of ours to change, or null; all its relations have places.
pub(super) unsafe fn localise(node: *mut pg_sys::Node, places: &[(c_int, c_int)]) {
    if node.is_null() {
        return;
    }
    // SAFETY: by the caller's promise.
    unsafe {
        pg_sys::OffsetVarNodes(node, PARKING, 0);
        for &(old, new) in places {
            pg_sys::ChangeVarNodes(node, old + PARKING, new, 0);
        }
    }
}

/// All conditions as one; null for none.
pub(super) fn all_of(clauses: impl IntoIterator<Item = *mut pg_sys::Node>) -> *mut pg_sys::Node {
    let clauses = list_of(clauses);
    // SAFETY: a valid list of conditions.
    unsafe {
        match list::length(clauses) {
            0 => core::ptr::null_mut(),
            _ => pg_sys::make_ands_explicit(clauses).cast(),
        }
    }
}
