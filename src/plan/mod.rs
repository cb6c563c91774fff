//! Stage 1 of 9, plan: PostgreSQL's plan as the engine's `QueryDag`. Without a dag the statement runs all the same.

pub(crate) mod read;
