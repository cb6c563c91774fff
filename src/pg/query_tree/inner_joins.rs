//! The inner joins of FROM as items and the conditions on them, and FROM made of some of the items.

use super::super::list;
use super::conditions::{self, Positions};
use super::{aggregates, items, make, nulling, outer, pattern, statistics};
use core::ffi::c_int;
use engine::rewrite::Set;
use pgrx::pg_sys;
use pgrx::pg_sys::{JoinType, NodeTag};

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
            conditions::flatten(query)?;
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

    /// The statement with what is left in FROM and WHERE. The entries of what was taken out stay in the range table, with the
    /// permissions to check.
    ///
    /// # Safety
    /// The items and clauses left mention no entry that was taken out.
    unsafe fn rebuilt_without(&self, dropped: &[c_int]) -> *mut pg_sys::Query {
        // SAFETY: the statement was copied when it was read.
        unsafe {
            let query = self.without_from();
            let (places, from) = self.move_items((0..self.items.len()).collect(), query);
            items::move_entries(self.query, dropped, query);
            let quals = make::all_of(self.clauses.iter().map(|&clause| make::copy(clause)));
            make::localise(quals, &places);
            make::localise((*query).targetList.cast(), &places);
            make::localise((*query).havingQual, &places);
            (*query).jointree = pg_sys::makeFromExpr(make::list_of(from), quals);
            query
        }
    }

    /// What an equality with a column says of its own: that it is not null. Nothing where the table says so.
    ///
    /// # Safety
    /// A column of the statement.
    pub(super) unsafe fn not_null(&self, column: &pg_sys::Var) -> Option<*mut pg_sys::Node> {
        // SAFETY: by the caller's promise.
        unsafe {
            let entry = make::entry(self.query, column.varno as c_int);
            let is_declared = statistics::is_not_null(entry, column.varattno);
            (!is_declared).then(|| make::is_not_null(make::copy(column).cast()).cast())
        }
    }

    /// A copy of the statement with nothing in FROM.
    pub(super) fn without_from(&self) -> *mut pg_sys::Query {
        // SAFETY: the statement is valid.
        unsafe { items::without_from(self.query) }
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
        let wanted = items.filter(|&(at, _)| wanted.contains(at));
        let (mut places, mut nodes) = (Places::new(), Vec::new());
        for (_, item) in wanted {
            // SAFETY: by the caller's promise; members are indexes of the statement's range table.
            let (of_item, node) = unsafe { items::move_item(self.query, (item.node, &item.members), to) };
            places.extend(of_item);
            nodes.push(node);
        }
        (places, nodes)
    }
}

/// The statement without the items that `take_out` takes out, one at a time, each with the conditions that say that it adds nothing;
/// it answers the item's range-table index. `None` where none goes, or fewer joins could give other rows: below a LIMIT, or
/// an aggregate that depends on their order.
///
/// # Safety
/// The planner's statement, valid and not planned yet; only its copy is changed.
pub(super) unsafe fn without_joins(
    parse: *mut pg_sys::Query,
    take_out: impl Fn(&mut InnerJoins) -> Option<c_int>,
) -> Option<*mut pg_sys::Query> {
    // SAFETY: by the caller's promise.
    unsafe {
        let is_candidate = (*parse).limitCount.is_null()
            && (*parse).limitOffset.is_null()
            && pattern::is_plain_join(parse)
            && aggregates::ignore_order(parse);
        if !is_candidate {
            return None;
        }
        let mut joins = InnerJoins::read(make::copy(parse))?;
        let dropped: Vec<c_int> = core::iter::from_fn(|| take_out(&mut joins)).collect();
        (!dropped.is_empty()).then(|| nulling::marked(joins.rebuilt_without(&dropped)))
    }
}

/// The operation and the columns of a condition that compares two of them, perhaps relabelled.
///
/// # Safety
/// A valid condition, which outlives what is read of it.
pub(super) unsafe fn compared_columns<'q>(
    clause: *mut pg_sys::Node,
) -> Option<(&'q pg_sys::OpExpr, [&'q pg_sys::Var; 2])> {
    // SAFETY: each cast follows the node's tag.
    unsafe {
        if list::tag(clause) != NodeTag::T_OpExpr {
            return None;
        }
        let clause = &*clause.cast::<pg_sys::OpExpr>();
        let columns: Option<Vec<&pg_sys::Var>> = list::pointers::<pg_sys::Node>(clause.args)
            .map(|side| {
                let bare = make::bare(side);
                (list::tag(bare) == NodeTag::T_Var).then(|| &*bare.cast::<pg_sys::Var>())
            })
            .collect();
        Some((clause, columns?.try_into().ok()?))
    }
}
