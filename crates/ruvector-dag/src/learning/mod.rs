//! Stage 8 of 9, learning: SONA, which learns from executions at three speeds.
//!
//! ```text
//!  embedding ─► BaseLora ─► MicroLora ─► adapted embedding ─► prediction
//!                   ▲           ▲                                  │ loss, reward
//!                   └─ EWC++ ───┴── gradients ◄── objective ◄──────┘
//! ```
//!
//! - **Loop A**, with each statement (`instant`): predict, remember, sum up what the adapters per operator type learn.
//! - **Loop B**, in the background (`background`): train the adapter of all plans so that plans of equal behaviour lie
//!   close, find patterns, calibrate.
//! - **Loop C**, in idle time (`deep`): replay what surprised, dream of plans that were never run.
//!
//! [`DagSonaEngine`] holds what is learned; `coordinator` says which loop is due; `state` keeps it all.

mod adapters;
mod base_lora;
mod boundary;
mod ewc;
mod low_rank;
mod micro_lora;
pub(crate) mod normal_equations;
pub mod objective;
mod singular;
pub(crate) mod normal;
mod one_shot;
mod readout;
mod ridge;
mod config;
mod configure;
mod latency;
mod memory;
mod model;
mod training;
mod background;
mod recluster;
mod engine;
mod instant;
mod deep;
mod state;
pub mod btsp_memory;
pub mod conformal;
pub mod coordinator;
pub mod completion;
pub mod consolidator;
pub mod dream;
pub mod phi;
pub mod evaluation;

pub use adapters::{AdapterGradient, PlanAdapters};
pub use background::BackgroundReport;
pub use base_lora::{BaseLora, MAX_RANK as MAX_BASE_RANK};
pub use config::{Mechanisms, SonaConfig};
pub use deep::DeepReport;
pub use engine::DagSonaEngine;
pub use ewc::{EwcConfig, EwcPlusPlus};
pub use instant::{PostQuery, PreQuery};
pub use memory::Execution;
pub use micro_lora::{FLUSH_AT, MAX_RANK as MAX_MICRO_RANK, MicroLora};
pub use model::{LatencyPrediction, LatencyQuery, Source};
pub use recluster::Reclustering;
pub use state::STATE_VERSION;
pub use training::Training;
