//! Stage 8 of 9, learning: what is made of trajectories.

pub mod btsp_memory;
