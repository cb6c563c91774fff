//! A plan built by hand, weighed for PostgreSQL and for a small device, stored and read again.

use ruvector_dag::cost::{CostModel, EmbeddedCostModel, PostgresCostModel};
use ruvector_dag::{ClauseKind, Error, OperatorNode, OperatorType, QueryDag};

fn plan(model: Box<dyn CostModel>) -> Result<QueryDag, Error> {
    let mut dag = QueryDag::with_cost_model(model);
    let items = OperatorNode::seq_scan(0, "items")
        .with_estimate(50_000.0, 0.0, 771.0)
        .with_width(16);
    let orders = OperatorNode::seq_scan(1, "orders")
        .with_estimate(10_000.0, 0.0, 155.0)
        .with_width(24);
    let join =
        OperatorNode::new(2, OperatorType::HashJoin).with_clause(ClauseKind::HashCond, "(i.order_id = o.id)");
    let items = dag.add_node(items);
    let orders = dag.add_node(orders);
    let join = dag.add_node(
        join.with_join_type("Inner")
            .with_estimate(50_000.0, 280.0, 1_739.0),
    );
    dag.add_edge(items, join)?;
    dag.add_edge(orders, join)?;
    Ok(dag)
}

fn main() -> Result<(), Error> {
    let device = EmbeddedCostModel {
        ram_kb: 512,
        flash_latency_ns: 50_000,
    };
    let models: [(&str, Box<dyn CostModel>); 2] = [
        ("PostgreSQL", Box::new(PostgresCostModel::default())),
        ("a small device, ns", Box::new(device)),
    ];
    for (name, model) in models {
        println!("self costs for {name}:");
        let dag = plan(model)?;
        for (id, cost) in dag.self_costs() {
            let kind = dag.node(id).map_or("", |node| node.operator_type.name());
            println!("  {id} {kind:<10} {cost:>16.2}");
        }
        println!("  critical path {:?}", dag.critical_path());
    }
    let dag = plan(Box::new(PostgresCostModel::default()))?;
    let bytes = dag.to_binary();
    println!(
        "{} bytes, read again: {}",
        bytes.len(),
        QueryDag::from_binary(&bytes)? == dag
    );
    println!(
        "shape {:016x}, with relations {:016x}",
        dag.shape_fingerprint(),
        dag.relations_fingerprint()
    );
    print!("{}", dag.to_mermaid());
    Ok(())
}
