//! Learned row counts: what a relation *is* (its key), how far a count learned earlier can still be trusted, and what
//! sub-joins never seen are expected to return, from the parts they share with those seen ([`RowModel`]).
//!
//! This module knows sets of relations and expressions, not PostgreSQL: the glue translates a planner's clauses into
//! [`Term`]s and asks for the [`RelationKey`] of a set.

mod identity;
mod mixing;
mod trust;
mod template;
mod regression;
mod neighbours;
mod uncertainty;
mod row_model;
mod row_state;
mod sketch;
mod counts;
mod propagation;

pub use counts::{CountedSketch, SetCount};
pub use identity::{Grouping, OuterJoin, Relation, RelationGraph, RelationKey, RelationSet, Term};
pub(crate) use mixing::mix;
pub use mixing::{hash_bytes, hash_words};
pub use propagation::{LogCorrection, Propagation};
pub use regression::{Belief, FeatureRegression, MAX_CAPACITY};
pub use row_model::{RowModel, RowModelConfig, RowPrediction};
pub use row_state::ROW_MODEL_VERSION;
pub use sketch::{JoinSketch, TableFacts};
pub use template::{BaseRelation, ClauseEstimate, Feature, JoinClass, MAX_FEATURES, PriorVariances, SubJoin};
pub use trust::{blend, is_material, trust};
pub use uncertainty::Calibration;
