//! Any text: refused, or a graph that comes back from its stored form. Start from `../tests/explain`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ruvector_dag::QueryDag;

fuzz_target!(|text: &str| {
    if let Ok(dag) = QueryDag::from_explain_json(text) {
        assert_eq!(dag.topological_order().len(), dag.len());
        assert_eq!(QueryDag::from_binary(&dag.to_binary()), Ok(dag));
    }
});
