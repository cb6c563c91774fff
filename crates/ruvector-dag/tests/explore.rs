mod workload;
use ruvector_dag::learning::evaluation::*;
use ruvector_dag::learning::*;
use workload::*;
use ruvector_dag::embedding::PlanEmbedding;
#[test]
fn explore() {
    let mut all = Vec::new(); let mut uniform = Vec::new();
    for c in 0..6u64 { for t in 0..100u64 {
        let r = run(t, c, 0, CORRELATED);
        all.push(weighed(&r, &by_cost(&r.dag), (t,c,0), (c*100+t)*1000));
        uniform.push(PlanEmbedding::uniform(&r.dag).unwrap());
    }}
    for lr in [0.5f32, 0.2, 0.05] { for steps in [0usize, 24, 100] {
        let config = SonaConfig { base_learning_rate: lr, training_steps: steps, ..SonaConfig::default() };
        for by in [LeftOut::Statement, LeftOut::Template] {
            let at = std::time::Instant::now();
            let e = cross_validate(&all, by, 5, &config).unwrap();
            println!("lr {lr} steps {steps} {by:?} {e:.3?} {:?}", at.elapsed());
        }
    }}
    let mut engine = DagSonaEngine::new(SonaConfig::default()).unwrap();
    for t in &all { engine.post_query(t.clone()); }
    let at = std::time::Instant::now();
    println!("{:?} {:?}", engine.background_learn(1), at.elapsed());
    for by in [LeftOut::Statement, LeftOut::Template] {
        let a = ablate(&all, &uniform, by, 5, &SonaConfig::default()).unwrap();
        for (name, e) in a.rows() { println!("{by:?} {name}: {e:.3?}"); }
    }
}
