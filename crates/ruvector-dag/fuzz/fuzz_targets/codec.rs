//! Any bytes, as the binary form and as JSON: refused, or a graph that comes back from both. Start from
//! `../tests/stored`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ruvector_dag::QueryDag;

fn check(dag: QueryDag) {
    assert_eq!(dag.topological_order().len(), dag.len());
    assert_eq!(QueryDag::from_json(&dag.to_json()).as_ref(), Ok(&dag));
    assert_eq!(QueryDag::from_binary(&dag.to_binary()), Ok(dag));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(dag) = QueryDag::from_binary(bytes) {
        check(dag);
    }
    if let Ok(json) = serde_json::from_slice(bytes)
        && let Ok(dag) = QueryDag::from_json(&json)
    {
        check(dag);
    }
});
