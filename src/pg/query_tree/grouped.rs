//! Builds the statement that joins grouped joins.

use super::super::{compat, list};
use super::carried::Part;
use super::classes::Class;
use super::make::{self, Number};
use super::{Joins, aggregates, attached, items, nulling};
use core::ffi::{CStr, c_int};
use engine::rewrite::{GroupedJoin, Set};
use pgrx::pg_sys;
use pgrx::pg_sys::Oid;

/// The name of the column that holds a group's number of rows.
pub(super) const MULTIPLICITY: &CStr = c"rows";

/// One query level under construction.
pub(super) struct Level {
    /// Takes the range table, and with it the permissions to check.
    pub(super) query: *mut pg_sys::Query,
    from: Vec<*mut pg_sys::Node>,
    /// Old and new range-table indexes of relations.
    pub(super) places: Vec<(c_int, c_int)>,
    pub(super) children: Vec<Child>,
    /// Columns by class, those of children's keys too, with the types the class's operators take.
    equal: Vec<Vec<(*mut pg_sys::Expr, Oid)>>,
}

/// Groups that the rows of a level are joined with.
pub(super) struct Child {
    pub(super) multiplicity: *mut pg_sys::Expr,
    /// What it carries of aggregates, by the aggregate's position.
    pub(super) parts: Vec<(usize, Part, *mut pg_sys::Expr)>,
}

/// The statement in the form of the tree; `None` when an operator for one of its equalities is missing.
pub(crate) fn build(joins: &Joins, root: &GroupedJoin) -> Option<*mut pg_sys::Query> {
    // SAFETY: the statement was copied when it was read; its parts are copied once more where they are used.
    unsafe {
        if list::length((*joins.query).rtable) >= list::index(make::PARKING) {
            return None;
        }
        let query = make::copy(joins.query);
        (*query).rtable = core::ptr::null_mut();
        compat::forget_permissions(query);
        let level = level(joins, root, query)?;
        (*query).jointree = level.join(joins, root, true)?;
        level.localise((*query).targetList.cast());
        level.localise((*query).havingQual);
        let multiplicity = level.product(Number::Bigint, None)?;
        aggregates::replace_all(query, &mut |position, aggregate| {
            let carried = joins.uses.get(position).copied().flatten();
            let carried = carried.filter(|&at| !level.has_relation(joins, root, at));
            match carried {
                Some(at) => {
                    let carried = joins.carried.get(at)?;
                    let parts = carried.parts().iter();
                    let parts: Option<Vec<_>> =
                        parts.map(|&part| level.part(joins, root, at, part)).collect();
                    carried.finish(&parts?)
                }
                None => aggregates::weighed(aggregate, multiplicity),
            }
        })?;
        Some(nulling::marked(query))
    }
}

/// A grouped join as a subquery: its key, its multiplicity, and what it carries.
unsafe fn grouped(joins: &Joins, node: &GroupedJoin) -> Option<*mut pg_sys::Query> {
    // SAFETY: as in `build`; a node of its tag's struct.
    unsafe {
        let query = empty_aggregation();
        let level = level(joins, node, query)?;
        (*query).jointree = level.join(joins, node, false)?;
        let mut targets = Vec::new();
        for class in key_classes(joins, node) {
            let column = class.columns_of(node.joined_relations()).next()?;
            let expression = make::copy(column.expression);
            level.localise(expression);
            let number = targets.len() + 1;
            let group = make::group_by(expression.cast(), number as u32);
            (*query).groupClause = pg_sys::lappend((*query).groupClause, group.cast());
            let name = column.name(joins.query);
            targets.push(make::target(expression.cast(), number, name, number as u32));
        }
        let multiplicity = level.multiplicity();
        targets.push(make::target(multiplicity, targets.len() + 1, MULTIPLICITY, 0));
        for (at, part) in carried_parts(joins, node) {
            let value = level.part(joins, node, at, part)?;
            targets.push(make::target(value, targets.len() + 1, part.name(), 0));
        }
        (*query).targetList = make::list_of(targets);
        Some(query)
    }
}

/// A statement that aggregates nothing yet.
pub(super) fn empty_aggregation() -> *mut pg_sys::Query {
    let query = items::empty_query();
    // SAFETY: just made.
    unsafe {
        (*query).hasAggs = true;
    }
    query
}

/// What a node carries, in order: all parts of aggregates about relations in it or below.
fn carried_parts(joins: &Joins, node: &GroupedJoin) -> impl Iterator<Item = (usize, Part)> {
    let relations = node.all_relations();
    let carried = joins.carried.iter().enumerate();
    carried
        .filter(move |(_, carried)| relations.contains(carried.relation))
        .flat_map(|(at, carried)| carried.parts().iter().map(move |&part| (at, part)))
}

/// The classes of a node's key, in order.
fn key_classes<'j>(joins: &'j Joins, node: &GroupedJoin) -> impl Iterator<Item = &'j Class> {
    let key = node.key;
    joins
        .classes
        .iter()
        .enumerate()
        .filter(move |&(class, _)| key.contains(class))
        .map(|(_, class)| class)
}

/// The range table of a node.
unsafe fn level(joins: &Joins, node: &GroupedJoin, query: *mut pg_sys::Query) -> Option<Level> {
    let mut level = Level {
        query,
        from: Vec::new(),
        places: Vec::new(),
        children: Vec::new(),
        equal: joins.classes.iter().map(|_| Vec::new()).collect(),
    };
    // SAFETY: as in `build`.
    unsafe {
        for relation in node.joined_relations().positions() {
            let rtindex = *joins.relations.get(relation)?;
            compat::move_entry(joins.query, rtindex, query);
            let place = list::length((*query).rtable) as c_int;
            level.places.push((rtindex, place));
            let item = match node.relations.contains(relation) {
                true => attached::item(&mut level, joins, (relation, place))?,
                // What hangs on a reducer changes no group it drops.
                false => items::reference(place).cast(),
            };
            level.from.push(item);
        }
        for (class, equal) in joins.classes.iter().zip(&mut level.equal) {
            let places = &level.places;
            for column in class.columns_of(node.joined_relations()) {
                let expression = make::copy(column.expression);
                make::localise(expression, places);
                equal.push((expression.cast(), column.operand));
            }
        }
        for child in &node.children {
            level.add_child(joins, child)?;
        }
    }
    Some(level)
}

impl Level {
    /// Adds an entry to the range table; its place.
    ///
    /// # Safety
    /// A valid entry.
    pub(super) unsafe fn add_entry(&mut self, entry: *mut pg_sys::RangeTblEntry) -> c_int {
        // SAFETY: the level's query is valid; range tables are far smaller than an integer.
        unsafe {
            (*self.query).rtable = pg_sys::lappend((*self.query).rtable, entry.cast());
            list::length((*self.query).rtable) as c_int
        }
    }

    unsafe fn add_child(&mut self, joins: &Joins, child: &GroupedJoin) -> Option<()> {
        // SAFETY: as in `build`.
        unsafe {
            let query = grouped(joins, child)?;
            let place = self.add_entry(items::subquery(query, name(joins, child)));
            self.from.push(items::reference(place).cast());
            let mut columns = list::pointers::<pg_sys::TargetEntry>((*query).targetList)
                .map(|target| make::var(place, &*target));
            for (at, class) in joins
                .classes
                .iter()
                .enumerate()
                .filter(|&(at, _)| child.key.contains(at))
            {
                let operand = class.columns_of(child.joined_relations()).next()?.operand;
                self.equal.get_mut(at)?.push((columns.next()?, operand));
            }
            let multiplicity = columns.next()?;
            let parts = carried_parts(joins, child).zip(columns);
            self.children.push(Child {
                multiplicity,
                parts: parts.map(|((at, part), column)| (at, part, column)).collect(),
            });
        }
        Some(())
    }

    /// Whether what a carried aggregate is about is joined in this level as it is.
    fn has_relation(&self, joins: &Joins, node: &GroupedJoin, at: usize) -> bool {
        let carried = joins.carried.get(at).filter(|carried| carried.side.is_none());
        carried.is_some_and(|carried| node.relations.contains(carried.relation))
    }

    /// A part of a carried aggregate in a group of this level.
    unsafe fn part(
        &self,
        joins: &Joins,
        node: &GroupedJoin,
        at: usize,
        part: Part,
    ) -> Option<*mut pg_sys::Expr> {
        let carried = joins.carried.get(at)?;
        // SAFETY: as in `build`.
        unsafe {
            if self.has_relation(joins, node, at) {
                let aggregate = make::copy(carried.aggregate);
                self.localise(aggregate.cast());
                return Some(carried.begin(part, aggregate, self.product(Number::Numeric, None)));
            }
            let children = self.children.iter().enumerate();
            let (child, value) = children
                .flat_map(|(child, found)| found.parts.iter().map(move |part| (child, part)))
                .find_map(|(child, &(of, is, value))| ((of, is) == (at, part)).then_some((child, value)))?;
            let others = self.product(Number::Numeric, Some(child));
            Some(carried.combine(part, make::copy(value), others))
        }
    }

    /// FROM and WHERE: conditions on relations of the level, and the equalities of each class.
    unsafe fn join(&self, joins: &Joins, node: &GroupedJoin, is_root: bool) -> Option<*mut pg_sys::FromExpr> {
        let is_of_level = |relations: Set| {
            node.joined_relations().contains_all(relations) && (is_root || !relations.is_empty())
        };
        let conditions = joins
            .conditions
            .iter()
            .filter(|condition| is_of_level(condition.relations));
        // SAFETY: as in `build`.
        unsafe {
            let mut clauses: Vec<*mut pg_sys::Node> =
                conditions.map(|condition| make::copy(condition.clause)).collect();
            for &clause in &clauses {
                self.localise(clause);
            }
            for (class, columns) in joins.classes.iter().zip(&self.equal) {
                for pair in columns.windows(2) {
                    if let [left, right] = pair {
                        clauses.push(class.equality(*left, *right)?);
                    }
                }
            }
            let from = pg_sys::makeFromExpr(make::list_of(self.from.iter().copied()), make::all_of(clauses));
            (*self.query).hasSubLinks = pg_sys::checkExprHasSubLink(from.cast());
            Some(from)
        }
    }

    /// Gives the columns of an expression their places in this level.
    ///
    /// # Safety
    /// As of [`make::localise`].
    pub(super) unsafe fn localise(&self, node: *mut pg_sys::Node) {
        // SAFETY: by the caller's promise.
        unsafe { make::localise(node, &self.places) }
    }

    /// The number of rows in a group of this level. What is not bounded by a table's size is added up as numeric: the
    /// group need not join any further, so its size must not overflow.
    fn multiplicity(&self) -> *mut pg_sys::Expr {
        let none = core::ptr::null_mut();
        match self.children.as_slice() {
            [] => make::count(none),
            [only] => make::sum(make::number_of(only.multiplicity), only.multiplicity, none),
            _ => {
                let product = self.product(Number::Numeric, None).unwrap_or(none);
                make::sum(Number::Numeric, product, none)
            }
        }
    }

    /// The product of the children's multiplicities as this type, without one of them; `None` when none is left.
    fn product(&self, wanted: Number, except: Option<usize>) -> Option<*mut pg_sys::Expr> {
        let children = self.children.iter().enumerate();
        let factors = children
            .filter(|&(at, _)| Some(at) != except)
            // SAFETY: a column of a subquery; it may stand in several expressions.
            .map(|(_, child)| make::as_number(unsafe { make::copy(child.multiplicity) }, wanted));
        factors.reduce(|product, factor| wanted.times(product, factor))
    }
}

/// The alias of a grouped join: that of its first relation.
unsafe fn name(joins: &Joins, node: &GroupedJoin) -> *const core::ffi::c_char {
    let first = node.joined_relations().positions().next().unwrap_or(0);
    // SAFETY: a valid entry, which has an alias.
    unsafe { (*(*entry(joins, first)).eref).aliasname }
}

/// The range-table entry of a relation.
///
/// # Safety
/// The statement is valid.
pub(super) unsafe fn entry(joins: &Joins, relation: usize) -> *mut pg_sys::RangeTblEntry {
    let rtindex = joins.relations.get(relation).copied().unwrap_or(1);
    // SAFETY: a range-table index of the statement.
    unsafe { make::entry(joins.query, rtindex) }
}
