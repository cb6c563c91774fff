//! The engine of `ruvector_dag`: query plans as graphs that can be learned from. Pure: no I/O, no clock, no PostgreSQL.
//!
//! ```text
//!  plan ─► dag ─► attention ─► embedding ─► decision ─► execution
//!            2         3            4         5  ▲             │
//!                                               └── learning ◄┘
//! ```
//!
//! ```
//! use ruvector_dag::{OperatorNode, OperatorType, QueryDag};
//!
//! let mut dag = QueryDag::new();
//! let scan = dag.add_node(OperatorNode::hnsw_scan(0, "vectors_idx", 64));
//! let filter = dag.add_node(OperatorNode::filter(1, "score > 0.5"));
//! let result = dag.add_node(OperatorNode::new(2, OperatorType::Result));
//! dag.add_edge(scan, filter)?;
//! dag.add_edge(filter, result)?;
//!
//! assert_eq!(dag.topological_order(), [scan, filter, result]);
//! assert!(dag.add_edge(result, scan).is_err()); // a cycle
//! assert_eq!(QueryDag::from_binary(&dag.to_binary())?, dag);
//!
//! // The same from PostgreSQL's own words; self costs are then PostgreSQL's.
//! let text = r#"[{"Plan": {"Node Type": "Limit", "Total Cost": 3.5, "Plan Rows": 1, "Plans": [
//!     {"Node Type": "Seq Scan", "Relation Name": "users", "Total Cost": 3.0, "Plan Rows": 100}]}}]"#;
//! let dag = QueryDag::from_explain_json(text)?;
//! let path = dag.critical_path();
//! assert_eq!((path.operators.len(), path.cost), (2, 3.5));
//! # Ok::<(), ruvector_dag::Error>(())
//! ```
//!
//! Modules stand in the order in which a plan passes them.

#![forbid(unsafe_code)]

mod error;
mod ids;
mod frame;
pub mod dag;
pub mod cost;
pub mod mincut;
pub mod attention;
pub mod embedding;
pub mod cardinality;
pub mod decision;
pub mod trajectory;
pub mod learning;
pub mod patterns;

pub use dag::{Clause, ClauseKind, CriticalPath, Drawing, OperatorNode, OperatorType, QueryDag};
pub use error::Error;
pub use ids::OperatorId;
