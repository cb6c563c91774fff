//! The inner joins of FROM as items and the conditions on them, and FROM made of some of the items.

use super::super::{compat, list};
use super::conditions::{self, Positions};
use super::{items, make, nulling, outer};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::{JoinType, NodeTag, RTEKind};

/// What FROM joins: a relation, or outer joins as they are.
pub(super) struct Item {
    node: *mut pg_sys::Node,
    /// Range-table indexes in it, of joins too.
    members: Vec<c_int>,
}

impl Item {
    /// The range-table index of what is one relation.
    pub(super) fn relation(&self) -> Option<c_int> {
        match self.members.as_slice() {
            &[only] => Some(only),
            _ => None,
        }
    }
}

/// FROM and WHERE without inner joins.
pub(super) struct InnerJoins {
    /// The statement, its columns those of base relations.
    pub(super) query: *mut pg_sys::Query,
    pub(super) items: Vec<Item>,
    pub(super) clauses: Vec<*mut pg_sys::Node>,
}

/// Old and new indexes of range-table entries.
pub(super) type Places = Vec<(c_int, c_int)>;

impl InnerJoins {
    /// Reads a statement; `None` when it has fewer than two items, or more than there are numbers for.
    ///
    /// # Safety
    /// A valid statement of ours to change.
    pub(super) unsafe fn read(query: *mut pg_sys::Query) -> Option<Self> {
        let mut joins = Self {
            query,
            items: Vec::new(),
            clauses: Vec::new(),
        };
        // SAFETY: by the caller's promise.
        unsafe {
            nulling::forget(query);
            compat::flatten_groups(query)?;
            conditions::flatten_joins(query);
            joins.walk((*query).jointree.cast())?;
            let entries = list::length((*query).rtable);
            let is_small = (2..=Set::CAPACITY).contains(&joins.items.len());
            (is_small && entries < list::index(make::PARKING)).then_some(joins)
        }
    }

    unsafe fn walk(&mut self, node: *mut pg_sys::Node) -> Option<()> {
        // SAFETY: each cast follows the node's tag; children of a valid tree are valid.
        unsafe {
            match list::tag(node) {
                NodeTag::T_FromExpr => {
                    let from = node.cast::<pg_sys::FromExpr>();
                    for item in list::pointers((*from).fromlist) {
                        self.walk(item)?;
                    }
                    conditions::split((*from).quals, &mut self.clauses);
                }
                NodeTag::T_JoinExpr
                    if (*node.cast::<pg_sys::JoinExpr>()).jointype == JoinType::JOIN_INNER =>
                {
                    let join = node.cast::<pg_sys::JoinExpr>();
                    self.walk((*join).larg)?;
                    self.walk((*join).rarg)?;
                    conditions::split((*join).quals, &mut self.clauses);
                }
                _ => {
                    let mut members = Vec::new();
                    outer::find_members(node, &mut members)?;
                    self.items.push(Item { node, members });
                }
            }
        }
        Some(())
    }

    /// The items that an expression mentions, by position.
    ///
    /// # Safety
    /// A valid expression of the statement.
    pub(super) unsafe fn mentioned(&self, node: *mut pg_sys::Node) -> Set {
        let mut positions = Positions::of_each(&[]);
        for (at, item) in self.items.iter().enumerate() {
            positions.add(&item.members, at);
        }
        // SAFETY: by the caller's promise.
        unsafe { conditions::relations(node, &positions) }
    }

    /// A copy of the statement with nothing in FROM.
    pub(super) fn without_from(&self) -> *mut pg_sys::Query {
        // SAFETY: the statement is valid; only its copy is changed.
        unsafe {
            let query = make::copy(self.query);
            (*query).rtable = core::ptr::null_mut();
            compat::forget_permissions(query);
            query
        }
    }

    /// Copies the entries of items into a query's range table, with the permissions to check; where they are there, and
    /// the items.
    ///
    /// # Safety
    /// A query of ours to change.
    pub(super) unsafe fn move_items(
        &self,
        wanted: Set,
        to: *mut pg_sys::Query,
    ) -> (Places, Vec<*mut pg_sys::Node>) {
        let items = self.items.iter().enumerate();
        let wanted: Vec<&Item> = items
            .filter(|&(at, _)| wanted.contains(at))
            .map(|(_, item)| item)
            .collect();
        // SAFETY: by the caller's promise; members are indexes of the statement's range table.
        unsafe {
            let moved = wanted
                .iter()
                .map(|item| items::move_entries(self.query, &item.members, to));
            let places: Places = moved.flatten().collect();
            for &(_, place) in &places {
                let entry = make::entry(to, place);
                if (*entry).rtekind == RTEKind::RTE_JOIN {
                    make::localise((*entry).joinaliasvars.cast(), &places);
                }
            }
            let nodes = wanted.iter().map(|item| {
                let node = make::copy(item.node);
                make::localise(node, &places);
                node
            });
            (places.clone(), nodes.collect())
        }
    }
}
