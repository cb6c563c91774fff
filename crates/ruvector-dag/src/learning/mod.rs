//! Stage 8 of 9, learning: what executions change in how plans are seen.
