//! The engine of `ruvector_dag`: query plans as graphs that can be learned from. Pure: no I/O, no clock, no PostgreSQL.
//!
//! ```text
//!  plan ─► dag ─► attention ─► embedding ─► decision ─► execution
//!            2         3            4         5  ▲             │ 6
//!                      patterns 9 ◄── learning 8 ◄── trajectory 7
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
//! What matters in a plan, by a mechanism that its tension chooses:
//!
//! ```
//! use ruvector_dag::attention::{AttentionSelector, Choice, DagAttention, MechanismId, PlanSignals, SelectionPolicy};
//! use ruvector_dag::mincut::DagMinCutEngine;
//! use ruvector_dag::{OperatorNode, QueryDag};
//!
//! let mut dag = QueryDag::new();
//! let scan = dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(1e6, 0.0, 20_000.0));
//! let filter = dag.add_node(OperatorNode::filter(1, "age > 18").with_estimate(10.0, 20_000.0, 20_001.0));
//! dag.add_edge(scan, filter)?;
//!
//! let mut mincut = DagMinCutEngine::new();
//! mincut.build_from_dag(&dag);
//! let analysis = mincut.analyze_bottlenecks(&dag);
//! assert!(analysis.plan_tension > 0.7); // one operator costs all
//!
//! let mut selector = AttentionSelector::new();
//! let signals = PlanSignals::of_plan(&dag);
//! let policy = SelectionPolicy::default();
//! assert_eq!(policy.suggest(&signals), MechanismId::MincutGated);
//! if let Choice::Mechanism(mechanism) = selector.select_by_policy(dag.shape_fingerprint(), &policy, &signals) {
//!     let scores = mechanism.with_defaults().forward(&dag);
//!     assert_eq!(scores.as_slice().len(), 2);
//! }
//! selector.force(Some(Choice::Mechanism(MechanismId::CriticalPath)));
//! # Ok::<(), ruvector_dag::Error>(())
//! ```
//!
//! Costs of another machine than PostgreSQL's:
//!
//! ```
//! use ruvector_dag::cost::{CostModel, EmbeddedCostModel};
//! use ruvector_dag::{OperatorNode, QueryDag};
//!
//! let mut dag = QueryDag::with_cost_model(Box::new(EmbeddedCostModel { ram_kb: 512, flash_latency_ns: 100 }));
//! let scan = dag.add_node(OperatorNode::seq_scan(0, "readings").with_estimate(1_000.0, 0.0, 20.0));
//! assert!(dag.self_cost(scan) > 20.0); // nanoseconds, not units of PostgreSQL
//! ```
//!
//! Learning from what ran:
//!
//! ```
//! use ruvector_dag::attention::{DagAttention, TopologicalAttention};
//! use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, SonaConfig};
//! use ruvector_dag::trajectory::TrajectoryBuilder;
//! use ruvector_dag::{OperatorNode, QueryDag};
//!
//! let mut dag = QueryDag::new();
//! dag.add_node(OperatorNode::seq_scan(0, "users").with_estimate(1e4, 0.0, 180.0));
//! let scores = TopologicalAttention::new(Default::default()).forward(&dag);
//!
//! let mut sona = DagSonaEngine::new(SonaConfig { ewc_lambda: 5_000.0, ..SonaConfig::default() })?;
//! let query = LatencyQuery { statement: 7, template: 1, decision: 0, log_cost: 180f64.ln() };
//! let before = sona.pre_query(&dag, &scores, &query)?;
//! let ran = TrajectoryBuilder::new(7, 1, before.embedding).cost(180.0).operator_types(before.operator_types);
//! sona.post_query(ran.build(12.5, 0)); // milliseconds, at this time
//! sona.background_learn(1_000_000);
//! let after = sona.pre_query(&dag, &scores, &query)?;
//! assert!((after.prediction.log_latency.exp() - 12.5).abs() < 1.0);
//! # Ok::<(), ruvector_dag::Error>(())
//! ```
//!
//! Modules stand in the order in which a plan passes them.

#![forbid(unsafe_code)]

mod error;
mod ids;
mod frame;
mod interruptible;
pub mod dag;
pub mod cost;
pub mod mincut;
pub mod attention;
pub mod embedding;
pub mod cardinality;
pub mod decision;
pub mod rewrite;
pub mod trajectory;
pub mod learning;
pub mod patterns;
pub mod healing;
pub mod bundle;
pub mod histogram;

pub use dag::{Clause, ClauseKind, CriticalPath, Drawing, OperatorNode, OperatorType, QueryDag};
pub use error::Error;
pub use ids::OperatorId;
pub use interruptible::IsOver;
