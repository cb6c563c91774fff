//! Stage 5 of 9, decision, applied: learned row counts in place of the planner's estimates, and hint sets. Never changes a result.

pub(crate) mod choice;
pub(crate) mod rows;
