//! Classes of columns that are all equal in every joined row.
//!
//! An equality joins a class when it is one that PostgreSQL itself would reason with: strict, mergejoinable, and each
//! side's own equality, by which it may be grouped, in the same operator family and under the same collation. A family
//! promises that its equalities are transitive, also across types. What is no such equality stays a condition.

use super::super::list;
use super::conditions::{Condition, Positions};
use super::make;
use core::ffi::{CStr, c_int};
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, Oid};

/// A column that is equal to others.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// The relation's position.
    pub(super) relation: usize,
    /// The column, or the column seen as a type that has the same values.
    pub(super) expression: *mut pg_sys::Node,
    pub(super) var: *const pg_sys::Var,
    /// The type the operator takes, which for polymorphic ones is not the column's.
    pub(super) operand: Oid,
}

/// Columns that are equal to each other.
pub(super) struct Class {
    pub(super) columns: Vec<Column>,
    /// The B-tree operator family of the equality.
    pub(super) family: Oid,
    pub(super) collation: Oid,
}

impl Class {
    /// The columns of some relations.
    pub(super) fn columns_of(&self, relations: Set) -> impl Iterator<Item = &Column> {
        self.columns
            .iter()
            .filter(move |column| relations.contains(column.relation))
    }

    /// `left = right` by the operator for their types; `None` when the family has none that is strict.
    ///
    /// # Safety
    /// Valid expressions of values of the class, with the types its operators take.
    pub(super) unsafe fn equality(
        &self,
        (left, left_type): (*mut pg_sys::Expr, Oid),
        (right, right_type): (*mut pg_sys::Expr, Oid),
    ) -> Option<*mut pg_sys::Node> {
        // SAFETY: by the caller's promise; both are copied, a column may stand in two equalities.
        unsafe {
            let strategy = pg_sys::BTEqualStrategyNumber as i16;
            let operator = pg_sys::get_opfamily_member(self.family, left_type, right_type, strategy);
            if operator == pg_sys::InvalidOid || !pg_sys::func_strict(pg_sys::get_opcode(operator)) {
                return None;
            }
            let (left, right) = (make::copy(left), make::copy(right));
            let (result, none) = (pg_sys::BOOLOID, pg_sys::InvalidOid);
            Some(pg_sys::make_opclause(operator, result, false, left, right, none, self.collation).cast())
        }
    }
}

impl Column {
    /// Its name, which lives as long as the statement, or as the memory context it is copied into.
    ///
    /// # Safety
    /// It is a column of the statement.
    pub(super) unsafe fn name<'c>(&self, query: *mut pg_sys::Query) -> &'c CStr {
        // SAFETY: by the caller's promise.
        unsafe {
            let entry = make::entry(query, (*self.var).varno as c_int);
            CStr::from_ptr(pg_sys::get_rte_attribute_name(entry, (*self.var).varattno))
        }
    }
}

/// Sorts conditions into classes and others. Classes hold all that the equalities said.
///
/// # Safety
/// The conditions are valid.
pub(super) unsafe fn find(conditions: Vec<Condition>, positions: &Positions) -> (Vec<Class>, Vec<Condition>) {
    let mut classes: Vec<Class> = Vec::new();
    let mut others = Vec::new();
    for condition in conditions {
        // SAFETY: by the caller's promise.
        match unsafe { equality(condition, positions) } {
            Some(class) => add(&mut classes, class),
            None => others.push(condition),
        }
    }
    (classes, others)
}

/// Adds a class, united with those that have any of its columns under the same equality.
fn add(classes: &mut Vec<Class>, mut class: Class) {
    let shares = |known: &mut Class| {
        let is_same = known.family == class.family && known.collation == class.collation;
        is_same
            && known
                .columns
                .iter()
                .any(|one| class.columns.iter().any(|other| are_same(one, other)))
    };
    let united: Vec<Class> = classes.extract_if(.., shares).collect();
    for column in united.into_iter().flat_map(|known| known.columns) {
        if !class.columns.iter().any(|known| are_same(known, &column)) {
            class.columns.push(column);
        }
    }
    classes.push(class);
}

fn are_same(one: &Column, other: &Column) -> bool {
    // SAFETY: valid expressions; `equal` only reads them.
    unsafe { one.operand == other.operand && pg_sys::equal(one.expression.cast(), other.expression.cast()) }
}

/// The class that a condition makes of two columns, if it is an equality to reason with.
///
/// # Safety
/// The condition is valid.
pub(super) unsafe fn equality(condition: Condition, positions: &Positions) -> Option<Class> {
    // SAFETY: each cast follows the node's tag; catalog lookups inside the current transaction.
    unsafe {
        if condition.relations.len() != 2 || list::tag(condition.clause) != NodeTag::T_OpExpr {
            return None;
        }
        let clause = &*condition.clause.cast::<pg_sys::OpExpr>();
        let mut sides = list::pointers::<pg_sys::Node>(clause.args);
        let (Some(left), Some(right), None) = (sides.next(), sides.next(), sides.next()) else {
            return None;
        };
        if !is_equality(clause, left) {
            return None;
        }
        let (mut left_operand, mut right_operand) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        pg_sys::op_input_types(clause.opno, &mut left_operand, &mut right_operand);
        let columns = vec![
            column(left, left_operand, positions)?,
            column(right, right_operand, positions)?,
        ];
        let collation = clause.inputcollid;
        let families = pg_sys::get_mergejoin_opfamilies(clause.opno);
        let family = oids(families).find(|&family| {
            columns
                .iter()
                .all(|column| can_group(column.expression, family, collation))
        })?;
        Some(Class {
            columns,
            family,
            collation,
        })
    }
}

/// Whether an operator is a strict equality that PostgreSQL reasons with.
unsafe fn is_equality(clause: &pg_sys::OpExpr, left: *mut pg_sys::Node) -> bool {
    // SAFETY: catalog lookups inside the current transaction.
    unsafe {
        pg_sys::op_mergejoinable(clause.opno, pg_sys::exprType(left))
            && pg_sys::func_strict(pg_sys::get_opcode(clause.opno))
    }
}

/// Whether a side of an equality is a column that may be grouped by it: what equals one of a group equals all.
///
/// # Safety
/// A valid clause of two sides and one of these.
pub(super) unsafe fn is_key(clause: &pg_sys::OpExpr, side: *mut pg_sys::Node) -> bool {
    // SAFETY: each cast follows the node's tag; catalog lookups inside the current transaction.
    unsafe {
        let bare = make::bare(side);
        let Some(left) = list::pointers::<pg_sys::Node>(clause.args).next() else {
            return false;
        };
        let is_column = list::tag(bare) == NodeTag::T_Var && {
            let var = &*bare.cast::<pg_sys::Var>();
            var.varattno > 0 && var.varlevelsup == 0
        };
        let families = pg_sys::get_mergejoin_opfamilies(clause.opno);
        is_column
            && is_equality(clause, left)
            && oids(families).any(|family| can_group(side, family, clause.inputcollid))
    }
}

/// The elements of a list of OIDs.
unsafe fn oids(oids: *mut pg_sys::List) -> impl Iterator<Item = Oid> {
    // SAFETY: a valid list of OIDs; positions are below its length.
    unsafe { (0..list::length(oids)).map(move |at| (*(*oids).elements.add(at)).oid_value) }
}

/// A side of an equality: a column, perhaps relabelled.
unsafe fn column(node: *mut pg_sys::Node, operand: Oid, positions: &Positions) -> Option<Column> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        let bare = make::bare(node);
        if list::tag(bare) != NodeTag::T_Var {
            return None;
        }
        let var = bare.cast::<pg_sys::Var>();
        Some(Column {
            relation: positions.of(usize::try_from((*var).varno).ok()?)?,
            expression: node,
            var,
            operand,
        })
    }
}

/// Whether grouping by an expression is by an equality of the family, under the collation.
unsafe fn can_group(node: *mut pg_sys::Node, family: Oid, collation: Oid) -> bool {
    // SAFETY: a valid expression; type cache entries are never freed.
    unsafe {
        let flags = pg_sys::TYPECACHE_EQ_OPR;
        let entry = pg_sys::lookup_type_cache(pg_sys::exprType(node), flags as i32);
        (*entry).eq_opr != pg_sys::InvalidOid
            && (*entry).typtype as u8 != pg_sys::TYPTYPE_COMPOSITE
            && pg_sys::op_in_opfamily((*entry).eq_opr, family)
            && pg_sys::exprCollation(node) == collation
    }
}
