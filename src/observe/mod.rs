//! Stage 6 of 9, execution: what ran, how long it took, how many rows each relation had. Never fails a statement: what
//! can't be recorded is dropped and counted.

pub(crate) mod bounds;
pub(crate) mod knowledge;
pub(crate) mod session;
pub(crate) mod scope;
pub(crate) mod watch;
pub(crate) mod learn;
pub(crate) mod planned;
pub(crate) mod trajectory;
