//! A plan built by hand: order, critical path, fingerprints.

use ruvector_dag::{OperatorNode, OperatorType, QueryDag};

fn main() -> Result<(), ruvector_dag::Error> {
    let mut dag = QueryDag::new();
    let orders = dag.add_node(OperatorNode::seq_scan(0, "orders").with_estimate(10_000.0, 0.0, 155.0));
    let items = dag.add_node(OperatorNode::seq_scan(1, "items").with_estimate(50_000.0, 0.0, 771.0));
    let join =
        dag.add_node(OperatorNode::new(2, OperatorType::HashJoin).with_estimate(50_000.0, 280.0, 1_739.0));
    dag.add_edge(items, join)?;
    dag.add_edge(orders, join)?;
    println!("order: {:?}", dag.topological_order());
    println!("critical path: {:?}", dag.critical_path());
    println!("shape: {:016x}", dag.shape_fingerprint());
    Ok(())
}
