//! Statements in another form with the same result: what may be aggregated before it is joined, and what need not be joined.
//!
//! Pure decisions on an abstract description; reading a statement into it and building the other form belong to the
//! glue. [`JoinGraph`] describes the inner joins of one query level, [`JoinGraph::eager_aggregations`] answers with trees
//! of grouped joins, [`semi_joins`] with sides of joins that only have to be there.

mod bits;
mod join_tree;
mod eager_aggregation;
mod semi_joins;

pub use bits::Set;
pub use eager_aggregation::GroupedJoin;
pub use semi_joins::{Link, semi_joins};

/// A relation of the level, after its own filters.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// Estimated rows.
    pub rows: f64,
    /// Whether it has filters by which it may reduce what is joined with it.
    pub is_filtered: bool,
    /// Whether each of its rows stands for several of the statement's, with a number that is known.
    pub is_weighted: bool,
    /// Sets of classes whose columns in this relation are a unique key: two rows never agree on all of them.
    pub unique: Vec<Set>,
}

/// A column of a relation that is equated with others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// The relation's position.
    pub relation: usize,
    /// Estimated number of its values.
    pub distinct: f64,
}

/// The inner joins of one query level. At most 64 relations and 64 classes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JoinGraph {
    /// The relations.
    pub relations: Vec<Relation>,
    /// Classes of columns that are all equal in every joined row, by operators that are strict and transitive, and
    /// by whose equality each of them may be grouped.
    pub classes: Vec<Vec<Member>>,
    /// Relations that other conditions connect: they are joined before anything is grouped.
    pub links: Vec<Set>,
    /// Relations whose columns the result needs, as they are.
    pub kept: Set,
}
