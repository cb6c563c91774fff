//! Stage 5 of 9, decision, applied: learned row counts in place of the planner's estimates, hint sets, and statements in
//! another form. Never changes a result.

pub(crate) mod choice;
pub(crate) mod first_sight;
pub(crate) mod rows;
pub(crate) mod rewrite;
