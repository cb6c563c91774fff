//! Learned row counts: what a relation *is* (its key), and how far a count learned earlier can still be trusted.
//!
//! This module knows sets of relations and expressions, not PostgreSQL: the glue translates a planner's clauses into
//! [`Term`]s and asks for the [`RelationKey`] of a set.

mod identity;
mod mixing;
mod trust;

pub use identity::{OuterJoin, Relation, RelationGraph, RelationKey, RelationSet, Term};
pub(crate) use mixing::mix;
pub use mixing::{hash_bytes, hash_words};
pub use trust::{blend, is_material, trust};
