//! Stage 8 of 9, learning: what executions change in how plans are seen.
//!
//! ```text
//!  embedding ─► BaseLora ─► MicroLora ─► adapted embedding ─► prediction
//!                   ▲           ▲                                  │ loss, reward
//!                   └─ EWC++ ───┴── gradients ◄── objective ◄──────┘
//! ```
//!
//! Adapters move embeddings so that plans of equal behaviour lie close. What they are moved by is a gradient with respect
//! to the adapted embedding, whatever it comes from (see [`objective`]).

mod adapters;
mod base_lora;
mod boundary;
mod ewc;
mod low_rank;
mod micro_lora;
mod normal_equations;
pub mod objective;
mod singular;

pub use adapters::{AdapterGradient, PlanAdapters};
pub use base_lora::{BaseLora, MAX_RANK as MAX_BASE_RANK};
pub use ewc::{EwcConfig, EwcPlusPlus};
pub use micro_lora::{FLUSH_AT, MAX_RANK as MAX_MICRO_RANK, MicroLora};
