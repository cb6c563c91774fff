//! One query level in the planner: its relations and clauses as the engine's graph, and its row estimates.
//!
//! Read when the first base relation of the level gets its paths: at that moment every base relation has its size, all
//! clauses are distributed and equivalences are complete. What can't be described has no key and is left alone: system
//! catalogs, temporary and foreign tables, functions, CTEs, TABLESAMPLE, LATERAL, and subqueries planned on their own unless they
//! group (`groups.rs`).

use super::level_rows::LevelRows;
use super::{catalog, compat, expression, groups, list};
use engine::cardinality::{OuterJoin, Relation, RelationGraph, RelationKey, RelationSet, Term, hash_words};
use pgrx::pg_sys;
use pgrx::pg_sys::RelOptKind::{RELOPT_BASEREL, RELOPT_OTHER_MEMBER_REL};
use std::collections::{HashMap, HashSet};

/// A part of a level that can have a learned row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// A set of base relations.
    Set(RelationSet),
    /// One partition or inheritance child, by range-table index.
    Child(usize),
}

impl Part {
    /// A number for the part of the level with this number.
    pub(crate) fn number(self, level: usize) -> u64 {
        let (kind, which) = match self {
            Part::Set(set) => (0, set),
            Part::Child(rtindex) => (1, rtindex as u64),
        };
        hash_words([level as u64, kind, which])
    }
}

/// What is learned about, in terms of tables.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    /// The relation's identity.
    pub(crate) key: RelationKey,
    /// Who alone knows it, where roles are kept apart; 0 is everybody.
    pub(crate) role: u32,
    /// OIDs of its tables, ascending.
    pub(crate) tables: Vec<u32>,
    /// Sum of the tables' sizes in rows, as the planner sees them.
    pub(crate) table_rows: f64,
}

/// A base relation's tables.
#[derive(Debug, Default, Clone)]
pub(super) struct Storage {
    pub(super) rtindex: usize,
    pub(super) tables: Vec<u32>,
    pub(super) table_rows: f64,
    /// The level below whose groups it is.
    pub(super) groups: Option<*mut pg_sys::PlannerInfo>,
}

/// A query level.
#[derive(Debug)]
pub(crate) struct Level {
    pub(super) root: *mut pg_sys::PlannerInfo,
    role: u32,
    pub(super) graph: RelationGraph,
    pub(super) positions: Vec<u8>,
    pub(super) bases: Vec<Storage>,
    pub(super) children: HashMap<usize, (Subject, usize)>,
    pub(super) rows: LevelRows,
}

impl Level {
    /// Whether this is the level of `root`.
    pub(crate) fn is_of(&self, root: *mut pg_sys::PlannerInfo) -> bool {
        self.root == root
    }

    /// What its corrected parts are planned with, if this is the level with this number.
    pub(crate) fn planned_rows(&self, number: usize) -> impl Iterator<Item = (u64, f64)> {
        let planned = self.rows.planned();
        planned.map(move |(part, rows)| (part.number(number), rows))
    }

    /// The base relations of a set.
    pub(super) fn members(&self, set: RelationSet) -> impl Iterator<Item = &Storage> {
        let bases = self.bases.iter().enumerate();
        let members = bases.filter(move |(position, _)| set >> position & 1 == 1);
        members.map(|(_, base)| base)
    }

    /// Reads the level of `root`; `below` are the levels that were planned before.
    pub(crate) fn read(root: *mut pg_sys::PlannerInfo, below: &[Level]) -> Self {
        let mut level = Self {
            root,
            role: catalog::scope(),
            graph: RelationGraph::new(),
            positions: Vec::new(),
            bases: Vec::new(),
            children: HashMap::new(),
            rows: LevelRows::default(),
        };
        // SAFETY: called from the planner's hook with its root; everything reachable from it is valid now.
        unsafe {
            level.number_relations();
            level.read_relations(below);
            level.read_children();
            level.read_join_clauses();
            level.read_equivalences();
            level.read_outer_joins();
        }
        level
    }

    /// The relation lives in planning memory, not in this struct; callers hold one at a time.
    pub(super) unsafe fn relation<'p>(&self, rtindex: usize) -> Option<&'p mut pg_sys::RelOptInfo> {
        // SAFETY: the array has `simple_rel_array_size` entries, null where there is no relation.
        unsafe {
            let within = rtindex < list::index((*self.root).simple_rel_array_size);
            within.then(|| (*(*self.root).simple_rel_array.add(rtindex)).as_mut())?
        }
    }

    pub(super) unsafe fn range_table_entry<'p>(&self, rtindex: usize) -> &'p pg_sys::RangeTblEntry {
        // SAFETY: the array has an entry wherever the relation array has one.
        unsafe { &**(*self.root).simple_rte_array.add(rtindex) }
    }

    unsafe fn rtindexes_of(&self, kind: pg_sys::RelOptKind::Type) -> Vec<usize> {
        // SAFETY: the planner's arrays.
        unsafe {
            let size = list::index((*self.root).simple_rel_array_size);
            (1..size)
                .filter(|&rt| self.relation(rt).is_some_and(|rel| rel.reloptkind == kind))
                .collect()
        }
    }

    unsafe fn number_relations(&mut self) {
        // SAFETY: the planner's arrays.
        unsafe {
            self.positions = vec![u8::MAX; list::index((*self.root).simple_rel_array_size)];
            for rtindex in self
                .rtindexes_of(RELOPT_BASEREL)
                .into_iter()
                .take(RelationSet::BITS as usize)
            {
                self.positions[rtindex] = self.bases.len() as u8;
                self.bases.push(Storage {
                    rtindex,
                    ..Storage::default()
                });
            }
        }
    }

    unsafe fn read_relations(&mut self, below: &[Level]) {
        for position in 0..self.bases.len() {
            let rtindex = self.bases[position].rtindex;
            // SAFETY: numbered above, so the relation exists.
            unsafe {
                let Some(rel) = self.relation(rtindex) else {
                    continue;
                };
                let grouped = groups::below(rel, below);
                let source = match &grouped {
                    Some((_, source)) => Some(*source),
                    None => self.source(rtindex, rel),
                };
                let clauses = restrictions(rel, &self.positions);
                let opaque = source.is_none() || clauses.is_none();
                let relation = Relation {
                    source: if opaque { None } else { source },
                    clauses: clauses.unwrap_or_default(),
                };
                self.graph.add_relation(relation);
                self.bases[position] = match grouped {
                    Some((level, _)) => level.groups_as_base(rtindex),
                    None => Storage {
                        rtindex,
                        tables: vec![self.range_table_entry(rtindex).relid.to_u32()],
                        table_rows: rel.tuples.max(0.0),
                        groups: None,
                    },
                };
            }
        }
    }

    /// What a base relation reads, hashed.
    unsafe fn source(&self, rtindex: usize, rel: &pg_sys::RelOptInfo) -> Option<u64> {
        // SAFETY: the planner's arrays.
        unsafe {
            let entry = self.range_table_entry(rtindex);
            let relkind = entry.relkind as u8;
            let plain = [
                pg_sys::RELKIND_RELATION,
                pg_sys::RELKIND_MATVIEW,
                pg_sys::RELKIND_PARTITIONED_TABLE,
            ];
            if entry.rtekind != pg_sys::RTEKind::RTE_RELATION
                || !plain.contains(&relkind)
                || !entry.tablesample.is_null()
                || !list::is_empty(rel.lateral_relids)
            {
                return None;
            }
            let storage = catalog::storage(entry.relid)?;
            let words = [
                u64::from(entry.relid.to_u32()),
                u64::from(storage),
                u64::from(entry.inh),
            ];
            // What is known to everybody has the key it had before roles could be kept apart.
            let role = (self.role != 0).then_some(u64::from(self.role));
            Some(hash_words(words.into_iter().chain(role)))
        }
    }

    unsafe fn read_children(&mut self) {
        // SAFETY: the planner's arrays.
        unsafe {
            for rtindex in self.rtindexes_of(RELOPT_OTHER_MEMBER_REL) {
                let Some(rel) = self.relation(rtindex) else {
                    continue;
                };
                let Some(parent) = self.top_parent(rtindex) else {
                    continue;
                };
                let entry = self.range_table_entry(rtindex);
                if entry.rtekind != pg_sys::RTEKind::RTE_RELATION {
                    continue;
                }
                let table_rows = rel.tuples.max(0.0);
                self.bases[parent].tables.push(entry.relid.to_u32());
                self.bases[parent].table_rows += table_rows;
                let graph = self.child_graph(rtindex, rel).filter(|_| !entry.inh);
                let Some(key) = graph.and_then(|graph| graph.base_key(0)) else {
                    continue;
                };
                let subject = Subject {
                    key,
                    role: self.role,
                    tables: vec![entry.relid.to_u32()],
                    table_rows,
                };
                self.children.insert(rtindex, (subject, parent));
            }
            for base in &mut self.bases {
                base.tables.sort_unstable();
                base.tables.dedup();
            }
        }
    }

    /// The graph of a child alone; `None` when it can't be described.
    pub(super) unsafe fn child_graph(
        &self,
        rtindex: usize,
        rel: &pg_sys::RelOptInfo,
    ) -> Option<RelationGraph> {
        let mut alone = vec![u8::MAX; self.positions.len()];
        *alone.get_mut(rtindex)? = 0;
        let mut graph = RelationGraph::new();
        // SAFETY: the planner's arrays.
        unsafe {
            graph.add_relation(Relation {
                source: Some(self.source(rtindex, rel)?),
                clauses: restrictions(rel, &alone)?,
            });
        }
        Some(graph)
    }

    /// The position of the base relation that a child is expanded from.
    unsafe fn top_parent(&self, child: usize) -> Option<usize> {
        // SAFETY: the array is null without inheritance, else of the relation array's size.
        unsafe {
            let parents = (*self.root).append_rel_array;
            let mut rtindex = child;
            while !parents.is_null() {
                let Some(link) = (*parents.add(rtindex)).as_ref() else {
                    break;
                };
                rtindex = link.parent_relid as usize;
            }
            self.position(rtindex)
        }
    }

    fn position(&self, rtindex: usize) -> Option<usize> {
        self.positions
            .get(rtindex)
            .filter(|&&position| position != u8::MAX)
            .map(|&position| usize::from(position))
    }

    unsafe fn read_join_clauses(&mut self) {
        let mut seen = HashSet::new();
        for position in 0..self.bases.len() {
            // SAFETY: numbered above; the clause lists are the planner's.
            unsafe {
                let Some(rel) = self.relation(self.bases[position].rtindex) else {
                    continue;
                };
                let clauses = list::pointers::<pg_sys::RestrictInfo>(rel.joininfo);
                for clause in clauses
                    .filter(|&clause| !compat::is_clone(clause))
                    .collect::<Vec<_>>()
                {
                    if !seen.insert(clause) {
                        continue;
                    }
                    let set = self.set_of((*clause).required_relids);
                    match expression::term((*clause).clause, &self.positions) {
                        Some(term) => {
                            let pushed_down = u64::from((*clause).is_pushed_down);
                            self.graph.add_clause(set, Term::Call(pushed_down, vec![term]));
                        }
                        None => self.graph.add_opaque_clause(set),
                    }
                }
            }
        }
    }

    unsafe fn read_equivalences(&mut self) {
        // SAFETY: the planner's lists.
        unsafe {
            for class in list::pointers::<pg_sys::EquivalenceClass>((*self.root).eq_classes) {
                let class = &*class;
                // With a constant the members are restricted one by one, as base clauses.
                if !class.ec_merged.is_null() || class.ec_has_const {
                    continue;
                }
                let members = list::pointers::<pg_sys::EquivalenceMember>(class.ec_members);
                let members: Vec<_> = members
                    .filter(|&member| !(*member).em_is_const && !(*member).em_is_child)
                    .map(|member| {
                        let set = self.set_of((*member).em_relids);
                        (set, expression::term((*member).em_expr, &self.positions))
                    })
                    .collect();
                if members.len() < 2 {
                    continue;
                }
                if class.ec_has_volatile || class.ec_broken || members.iter().any(|(_, term)| term.is_none())
                {
                    let set = members.iter().fold(0, |set, (part, _)| set | part);
                    self.graph.add_opaque_clause(set);
                    continue;
                }
                let described = members
                    .into_iter()
                    .filter_map(|(set, term)| Some((set, term?)))
                    .collect();
                self.graph.add_equivalence(described);
            }
        }
    }

    unsafe fn read_outer_joins(&mut self) {
        // SAFETY: the planner's lists.
        unsafe {
            for join in list::pointers::<pg_sys::SpecialJoinInfo>((*self.root).join_info_list) {
                let left = self.set_of((*join).min_lefthand);
                let right = self.set_of((*join).min_righthand);
                self.graph.add_outer_join(OuterJoin {
                    kind: u64::from((*join).jointype),
                    left,
                    right,
                });
            }
        }
    }

    /// The positions of a set of range-table indexes; outer joins' own indexes (16 and later) have none.
    pub(super) unsafe fn set_of(&self, relids: *mut pg_sys::Bitmapset) -> RelationSet {
        // SAFETY: by the caller's promise.
        unsafe { list::members(relids) }
            .filter_map(|rtindex| self.position(rtindex))
            .fold(0, |set, position| set | 1 << position)
    }

    /// What a part is, if it can be learned about.
    pub(crate) fn subject(&self, part: Part) -> Option<Subject> {
        match part {
            Part::Child(rtindex) => self.children.get(&rtindex).map(|(subject, _)| subject.clone()),
            Part::Set(set) => {
                let key = self.graph.key(set)?;
                let bases = || {
                    (0..self.bases.len())
                        .filter(|p| set & (1 << p) != 0)
                        .map(|p| &self.bases[p])
                };
                let mut tables: Vec<u32> = bases().flat_map(|base| base.tables.iter().copied()).collect();
                tables.sort_unstable();
                Some(Subject {
                    key,
                    role: self.role,
                    tables,
                    table_rows: bases().map(|base| base.table_rows).sum(),
                })
            }
        }
    }

    /// Whether any part of this level can be learned about.
    pub(crate) fn is_describable(&self) -> bool {
        (0..self.graph.len()).any(|position| self.graph.base_key(position).is_some())
    }

    /// The part that one entry of the flattened range table stands for, if it belongs to this level.
    pub(super) fn part_of_entry(&self, flat: *const pg_sys::RangeTblEntry) -> Option<Part> {
        // SAFETY: the flattened entries share the `eref` of the entry they were copied from (setrefs.c,
        // add_rte_to_flat_rtable), and planning memory is still alive.
        unsafe {
            let shared = (*flat).eref;
            let size = list::index((*self.root).simple_rel_array_size);
            let rtindex = (1..size).find(|&rtindex| {
                let entry = *(*self.root).simple_rte_array.add(rtindex);
                !entry.is_null() && (*entry).eref == shared
            })?;
            match self.position(rtindex) {
                Some(position) => Some(Part::Set(1 << position)),
                None => self
                    .children
                    .contains_key(&rtindex)
                    .then_some(Part::Child(rtindex)),
            }
        }
    }
}

/// The restriction clauses of a relation; `None` when one can't be described.
unsafe fn restrictions(rel: &pg_sys::RelOptInfo, positions: &[u8]) -> Option<Vec<Term>> {
    // SAFETY: the planner's list.
    unsafe {
        list::pointers::<pg_sys::RestrictInfo>(rel.baserestrictinfo)
            .map(|clause| expression::term((*clause).clause, positions))
            .collect()
    }
}
