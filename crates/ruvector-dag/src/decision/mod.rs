//! Stage 5 of 9, decision: which row corrections a statement class is planned with.
//!
//! This module weighs measured latencies and says what to plan next; it neither plans nor measures. A decision is a
//! *knowledge cutoff*: every correction carries the sequence number at which it was first learned, and planning with
//! cutoff `c` applies the corrections numbered up to `c`. Cutoff 0 is stock PostgreSQL. A plan that was good once is
//! had again by planning with the cutoff it was found with, which suppresses the corrections that led away from it.

mod evidence;
mod lifecycle;

pub use evidence::{MAX_PLANS, PlanEvidence, SAMPLES, StatementEvidence};
pub use lifecycle::{Choice, Reason, State};
