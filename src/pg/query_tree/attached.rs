//! Builds what hangs on relations by left joins: their other sides as they are, or grouped.

use super::super::list;
use super::Joins;
use super::carried::Part;
use super::classes::{Class, Column};
use super::grouped::{self, Child, Level};
use super::outer::{Attached, Grouping, OTHER};
use super::{items, make};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::RTEKind;

/// The item of FROM for a relation at this place, with what hangs on it; the entries go into the level's range table.
///
/// # Safety
/// As of [`grouped::build`]; the relation has its place in the level.
pub(super) unsafe fn item(
    level: &mut Level,
    joins: &Joins,
    (relation, place): (usize, c_int),
) -> Option<*mut pg_sys::Node> {
    let mut item: *mut pg_sys::Node = items::reference(place).cast();
    let attached = joins.attached.iter().enumerate();
    // SAFETY: by the caller's promise.
    unsafe {
        for (at, attached) in attached.filter(|(_, attached)| attached.relation == relation) {
            let (right, on) = match &attached.grouped {
                Some(grouping) => add_group(level, joins, (at, attached, grouping))?,
                None => add_plain(level, joins, attached),
            };
            item = items::left_join(level.query, item, right, on)?.cast();
        }
    }
    Some(item)
}

/// The other side as it is, and the condition.
unsafe fn add_plain(
    level: &mut Level,
    joins: &Joins,
    attached: &Attached,
) -> (*mut pg_sys::Node, *mut pg_sys::Node) {
    // SAFETY: as of `item`; members are indexes of the statement's range table.
    unsafe {
        let places = items::move_entries(joins.query, &attached.join.members, level.query);
        level.places.extend(&places);
        for entry in places.iter().map(|&(_, place)| make::entry(level.query, place)) {
            if (*entry).rtekind == RTEKind::RTE_JOIN {
                level.localise((*entry).joinaliasvars.cast());
            }
        }
        let right = make::copy(attached.join.right);
        level.localise(right);
        let on = make::all_of(attached.join.on.iter().map(|&clause| make::copy(clause)));
        level.localise(on);
        (right, on)
    }
}

/// The other side as a subquery with a row per key, and the condition. Rows without partner stand for one.
unsafe fn add_group(
    level: &mut Level,
    joins: &Joins,
    (at, attached, grouping): (usize, &Attached, &Grouping),
) -> Option<(*mut pg_sys::Node, *mut pg_sys::Node)> {
    // SAFETY: as of `item`.
    unsafe {
        let query = group(joins, (at, attached, grouping))?;
        let first = *attached.join.members.first()?;
        let name = (*(*make::entry(joins.query, first)).eref).aliasname;
        let place = level.add_entry(items::subquery(query, name));
        let mut columns = list::pointers::<pg_sys::TargetEntry>((*query).targetList)
            .map(|target| make::var(place, &*target));
        let mut clauses: Vec<*mut pg_sys::Node> =
            grouping.kept.iter().map(|&clause| make::copy(clause)).collect();
        clauses.iter().for_each(|&clause| level.localise(clause));
        for class in &grouping.keys {
            let kept = class.columns.iter().find(|column| column.relation != OTHER)?;
            let expression = make::copy(kept.expression);
            level.localise(expression);
            let key = (columns.next()?, other(class)?.operand);
            clauses.push(class.equality((expression.cast(), kept.operand), key)?);
        }
        let on = make::all_of(clauses);
        let multiplicity = make::or_one(columns.next()?);
        let parts = parts(joins, at).zip(columns);
        level.children.push(Child {
            multiplicity,
            parts: parts.map(|((at, part), column)| (at, part, column)).collect(),
        });
        Some((items::reference(place).cast(), on))
    }
}

/// A key's column of the other side.
fn other(class: &Class) -> Option<&Column> {
    class.columns_of(Set::one(OTHER)).next()
}

/// What is carried of a side, in order.
fn parts(joins: &Joins, side: usize) -> impl Iterator<Item = (usize, Part)> {
    let carried = joins.carried.iter().enumerate();
    carried
        .filter(move |(_, carried)| carried.side == Some(side))
        .flat_map(|(at, carried)| carried.parts().iter().map(move |&part| (at, part)))
}

/// The other side, grouped by its columns of the keys. It is joined as it is: a number of rows that is counted can't outgrow a
/// bigint, one that is multiplied could, in a group that nothing finds.
unsafe fn group(
    joins: &Joins,
    (at, attached, grouping): (usize, &Attached, &Grouping),
) -> Option<*mut pg_sys::Query> {
    // SAFETY: as of `item`; a node of its tag's struct.
    unsafe {
        let query = grouped::empty_aggregation();
        let places = items::move_entries(joins.query, &attached.join.members, query);
        let own = make::all_of(grouping.own.iter().map(|&clause| make::copy(clause)));
        (*query).jointree = pg_sys::makeFromExpr(make::list_of([make::copy(attached.join.right)]), own);
        let mut targets = Vec::new();
        for class in &grouping.keys {
            let column = other(class)?;
            let number = targets.len() + 1;
            let group = make::group_by(column.expression.cast(), number as u32);
            (*query).groupClause = pg_sys::lappend((*query).groupClause, group.cast());
            let key = make::copy(column.expression).cast();
            let name = column.name(joins.query);
            targets.push(make::target(key, number, name, number as u32));
        }
        let rows = make::count(core::ptr::null_mut());
        targets.push(make::target(rows, targets.len() + 1, grouped::MULTIPLICITY, 0));
        for (at, part) in parts(joins, at) {
            let carried = joins.carried.get(at)?;
            let value = carried.begin(part, carried.aggregate, None);
            targets.push(make::target(value, targets.len() + 1, part.name(), 0));
        }
        (*query).targetList = make::list_of(targets);
        make::localise(query.cast(), &places);
        (*query).hasSubLinks = pg_sys::checkExprHasSubLink((*query).jointree.cast());
        Some(query)
    }
}

/// Whether a relation's rows stand for as many as the groups have that they find.
pub(super) fn is_weighted(joins: &Joins, relation: usize) -> bool {
    let mut attached = joins.attached.iter();
    attached.any(|attached| attached.relation == relation && attached.grouped.is_some())
}
