//! What a base or join relation *is*: a 64-bit key of its tables and of the clauses that apply to exactly that set.
//!
//! The key does not depend on aliases, on the order of tables, clauses and operands, or on the statement around it, so
//! that a sub-join learned in one statement serves another. Constants count. Two instances of one table in a set are
//! told apart by the clauses they take part in (colour refinement, Weisfeiler and Leman 1968, three rounds).
//!
//! ```text
//!   c.userid = b.userid, c.score = 0          key({b, c}) = Σ colour(table + own clauses)
//!        comments ── badges                                + Σ clauses and equivalences inside the set
//!                                                          + Σ outer, semi and anti joins completed by it
//! ```

use super::mixing::{hash_words, mix};
use std::borrow::Cow;

/// Rounds of colour refinement for sets that hold the same table twice.
const REFINEMENTS: usize = 3;

/// Tags that keep the parts of a key apart.
mod tag {
    pub(super) const COLUMN: u64 = 1;
    pub(super) const LEAF: u64 = 2;
    pub(super) const CALL: u64 = 3;
    pub(super) const BAG: u64 = 4;
    pub(super) const CLAUSE: u64 = 5;
    pub(super) const EQUIVALENCE: u64 = 6;
    pub(super) const OUTER_JOIN: u64 = 7;
    pub(super) const RELATION: u64 = 8;
    pub(super) const INCIDENT: u64 = 9;
    pub(super) const GROUPS: u64 = 10;
}

/// The identity of a relation. Equal keys mean: the same rows, as far as the planner can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationKey(pub u64);

/// A set of base relations, as a bit mask over their positions in a [`RelationGraph`].
pub type RelationSet = u64;

/// An expression in normal form.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    /// A column of the relation at this position in the graph.
    Column {
        /// Position of the relation.
        relation: usize,
        /// Attribute number (`varattno`).
        attribute: i16,
    },
    /// Anything without columns, hashed by the caller: a constant, a type.
    Leaf(u64),
    /// Operands in an order that matters.
    Call(u64, Vec<Term>),
    /// Operands in any order: AND, OR.
    Bag(u64, Vec<Term>),
    /// A binary operator that has a commutator: `a < b` is the same as `b > a`.
    Commuting {
        /// The operator.
        operator: u64,
        /// Its commutator; may be the operator itself.
        commutator: u64,
        /// Left and right operand.
        operands: Box<[Term; 2]>,
    },
}

impl Term {
    /// The relations whose columns occur.
    pub fn relations(&self) -> RelationSet {
        match self {
            Term::Column { relation, .. } => member(*relation),
            Term::Leaf(_) => 0,
            Term::Call(_, operands) | Term::Bag(_, operands) => {
                operands.iter().fold(0, |set, operand| set | operand.relations())
            }
            Term::Commuting { operands, .. } => operands[0].relations() | operands[1].relations(),
        }
    }

    pub(super) fn hash(&self, colour: &dyn Fn(usize) -> u64) -> u64 {
        match self {
            Term::Column { relation, attribute } => {
                hash_words([tag::COLUMN, colour(*relation), *attribute as u64])
            }
            Term::Leaf(leaf) => hash_words([tag::LEAF, *leaf]),
            Term::Call(call, operands) => {
                let operands = operands.iter().map(|operand| operand.hash(colour));
                hash_words([tag::CALL, *call].into_iter().chain(operands))
            }
            Term::Bag(bag, operands) => {
                let sum = unordered(operands.iter().map(|operand| operand.hash(colour)));
                hash_words([tag::BAG, *bag, sum])
            }
            Term::Commuting {
                operator,
                commutator,
                operands,
            } => {
                let [left, right] = [operands[0].hash(colour), operands[1].hash(colour)];
                let as_written = hash_words([tag::CALL, *operator, left, right]);
                as_written.min(hash_words([tag::CALL, *commutator, right, left]))
            }
        }
    }
}

impl Term {
    /// The same with all that has no columns alike: clauses that differ in constants only have one template.
    pub(super) fn without_constants(&self) -> Term {
        let all = |operands: &[Term]| operands.iter().map(Term::without_constants).collect();
        match self {
            Term::Column { .. } => self.clone(),
            Term::Leaf(_) => Term::Leaf(0),
            Term::Call(call, operands) => Term::Call(*call, all(operands)),
            Term::Bag(bag, operands) => Term::Bag(*bag, all(operands)),
            Term::Commuting {
                operator,
                commutator,
                operands,
            } => Term::Commuting {
                operator: *operator,
                commutator: *commutator,
                operands: Box::new([operands[0].without_constants(), operands[1].without_constants()]),
            },
        }
    }

    /// Relation and attribute of each column, as often as it occurs.
    pub(super) fn columns(&self) -> Vec<(usize, i16)> {
        match self {
            Term::Column { relation, attribute } => vec![(*relation, *attribute)],
            Term::Leaf(_) => Vec::new(),
            Term::Call(_, operands) | Term::Bag(_, operands) => {
                operands.iter().flat_map(Term::columns).collect()
            }
            Term::Commuting { operands, .. } => operands.iter().flat_map(Term::columns).collect(),
        }
    }
}

/// The hash of a multiset: a sum of mixed members, so that order does not matter and repetition does.
fn unordered(hashes: impl Iterator<Item = u64>) -> u64 {
    hashes.fold(0, |sum, hash| sum.wrapping_add(mix(0, hash)))
}

/// A base relation: what it is, and the clauses that restrict it alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// What the relation reads (a table's OID and storage, a subquery's text), hashed; `None` when that can't be told,
    /// which leaves every set with it without a key.
    pub source: Option<u64>,
    /// Its restriction clauses.
    pub clauses: Vec<Term>,
}

/// A join that is not a plain inner join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterJoin {
    /// The join type (left, full, semi, anti), as a number.
    pub kind: u64,
    /// The least set of relations of the left side.
    pub left: RelationSet,
    /// The least set of relations of the right side.
    pub right: RelationSet,
}

/// How a query level groups what it joins.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grouping {
    /// What it groups by, in any order.
    pub by: Vec<Term>,
    /// The conditions that groups meet, in any order.
    pub having: Vec<Term>,
    /// The columns of its result, by number.
    pub columns: Vec<Term>,
}

/// The relations of one query level and what connects them.
#[derive(Debug, Clone, Default)]
pub struct RelationGraph {
    pub(super) relations: Vec<Relation>,
    colours: Vec<u64>,
    pub(super) clauses: Vec<(RelationSet, Term)>,
    pub(super) equivalences: Vec<Vec<(RelationSet, Term)>>,
    pub(super) outer_joins: Vec<OuterJoin>,
    opaque: RelationSet,
}

impl RelationGraph {
    /// A graph without relations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a base relation and returns its position. Columns in `clauses` must name that position. Beyond 64
    /// relations only the sets of the first 64 have keys.
    pub fn add_relation(&mut self, relation: Relation) -> usize {
        let position = self.relations.len();
        // Its own columns are coloured by the source alone: the clauses make the colour.
        let own = |_| relation.source.unwrap_or(0);
        let clauses = unordered(relation.clauses.iter().map(|clause| clause.hash(&own)));
        self.colours
            .push(hash_words([tag::RELATION, relation.source.unwrap_or(0), clauses]));
        self.relations.push(relation);
        position
    }

    /// Adds a clause that needs every relation of `set`.
    pub fn add_clause(&mut self, set: RelationSet, clause: Term) {
        self.clauses.push((set, clause));
    }

    /// Adds a clause that can't be described: sets that contain all of `set` get no key.
    pub fn add_opaque_clause(&mut self, set: RelationSet) {
        self.opaque |= set;
    }

    /// Adds a class of expressions known to be equal, each with the relations it reads.
    pub fn add_equivalence(&mut self, members: Vec<(RelationSet, Term)>) {
        self.equivalences.push(members);
    }

    /// Adds an outer, semi or anti join.
    pub fn add_outer_join(&mut self, join: OuterJoin) {
        self.outer_joins.push(join);
    }

    /// The number of base relations.
    pub fn len(&self) -> usize {
        self.relations.len()
    }

    /// Whether there are no relations.
    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// The key of the base relation at `position`.
    ///
    /// Complexity: O(1).
    pub fn base_key(&self, position: usize) -> Option<RelationKey> {
        self.relations.get(position)?.source?;
        Some(RelationKey(hash_words([
            tag::RELATION,
            1,
            mix(0, self.colours[position]),
        ])))
    }

    /// The key of the join of `set`; `None` when the set is empty, or when a relation or a clause in it can't be
    /// described.
    ///
    /// Complexity: O(relations + clauses + equivalence members) time, O(1) space unless a table occurs twice.
    pub fn key(&self, set: RelationSet) -> Option<RelationKey> {
        let members = || positions(set);
        if set.count_ones() < 2 {
            return self.base_key(members().next()?);
        }
        if self.opaque & set != 0
            || !members().all(|p| self.relations.get(p).is_some_and(|r| r.source.is_some()))
        {
            return None;
        }
        let colours = self.colours_in(set);
        let relations = unordered(members().map(|p| colours[p]));
        let edges = unordered(self.edges(set, &colours).map(|(_, hash)| hash));
        Some(RelationKey(hash_words([
            tag::RELATION,
            u64::from(set.count_ones()),
            relations.wrapping_add(edges),
        ])))
    }

    /// The groups that are made of the join of `set`, as the source of a relation in another graph; `None` where the join has
    /// no key.
    ///
    /// Complexity: as of [`Self::key`], and the size of the terms.
    pub fn groups(&self, set: RelationSet, grouping: &Grouping) -> Option<u64> {
        let RelationKey(key) = self.key(set)?;
        let colours = self.colours_in(set);
        let hash_of = |term: &Term| term.hash(&|position| colours.get(position).copied().unwrap_or(0));
        let sum = |terms: &[Term]| unordered(terms.iter().map(hash_of));
        let columns = hash_words(grouping.columns.iter().map(hash_of));
        let words = [
            tag::GROUPS,
            key,
            sum(&grouping.by),
            sum(&grouping.having),
            columns,
        ];
        Some(hash_words(words))
    }

    /// Colours that tell the relations of a set apart.
    fn colours_in(&self, set: RelationSet) -> Cow<'_, [u64]> {
        match self.has_twins(set) {
            true => Cow::Owned(self.refine(set)),
            false => Cow::Borrowed(&self.colours),
        }
    }

    /// Everything that connects relations inside `set`: the relations concerned and a hash.
    fn edges<'g>(
        &'g self,
        set: RelationSet,
        colours: &'g [u64],
    ) -> impl Iterator<Item = (RelationSet, u64)> + 'g {
        let hash_of = move |term: &Term| term.hash(&|position| colours.get(position).copied().unwrap_or(0));
        let inside = move |part: RelationSet| part != 0 && part & !set == 0;
        let clauses = self.clauses.iter().filter(move |(part, _)| inside(*part));
        let clauses = clauses.map(move |(part, term)| (*part, hash_words([tag::CLAUSE, hash_of(term)])));
        let equivalences = self.equivalences.iter().filter_map(move |class| {
            let members = || class.iter().filter(|(part, _)| inside(*part));
            let touched = members().fold(0, |touched, (part, _)| touched | part);
            let hash = unordered(members().map(|(_, term)| hash_of(term)));
            (members().count() > 1).then_some((touched, hash_words([tag::EQUIVALENCE, hash])))
        });
        let joins = self
            .outer_joins
            .iter()
            .filter(move |join| inside(join.left | join.right));
        let joins = joins.map(move |join| {
            let side = |part| unordered(positions(part).map(|p| colours[p]));
            let hash = hash_words([tag::OUTER_JOIN, join.kind, side(join.left), side(join.right)]);
            (join.left | join.right, hash)
        });
        clauses.chain(equivalences).chain(joins)
    }

    fn has_twins(&self, set: RelationSet) -> bool {
        positions(set).any(|p| {
            positions(set & !(2u64 << p).wrapping_sub(1)).any(|q| self.colours[p] == self.colours[q])
        })
    }

    /// Colours that tell the instances of one table apart by what connects them inside `set`.
    fn refine(&self, set: RelationSet) -> Vec<u64> {
        let mut colours = self.colours.clone();
        for _ in 0..REFINEMENTS {
            let marked: Vec<_> = positions(set)
                .map(|p| (p, self.incident(set, &colours, p)))
                .collect();
            for (position, incident) in marked {
                colours[position] = hash_words([tag::INCIDENT, colours[position], incident]);
            }
        }
        colours
    }

    /// What connects the relation at `position`, seen from it: its own column is marked in each edge.
    fn incident(&self, set: RelationSet, colours: &[u64], position: usize) -> u64 {
        let mut marked = colours.to_vec();
        marked[position] = mix(tag::INCIDENT, colours[position]);
        let edges = self
            .edges(set, &marked)
            .filter(|(part, _)| part & member(position) != 0);
        unordered(edges.map(|(_, hash)| hash))
    }
}

/// The set of one position; empty beyond the 64th.
fn member(position: usize) -> RelationSet {
    u32::try_from(position)
        .ok()
        .and_then(|shift| 1u64.checked_shl(shift))
        .unwrap_or(0)
}

/// The positions in a set, ascending.
pub(super) fn positions(set: RelationSet) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(set), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0)
        .map(|rest| rest.trailing_zeros() as usize)
}
