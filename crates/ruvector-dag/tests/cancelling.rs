//! Work that takes long stops soon after it is asked to, wherever it is.

mod workload;

use ruvector_dag::Error;
use ruvector_dag::embedding::PlanEmbedding;
use ruvector_dag::learning::{DagSonaEngine, SonaConfig};
use ruvector_dag::patterns::kmeans::{MAX_ITERATIONS, kmeans_pp, kmeans_pp_until};
use ruvector_dag::patterns::silhouette::silhouette;
use ruvector_dag::patterns::{Pattern, ReasoningBank};
use ruvector_dag::trajectory::Trajectory;
use std::cell::Cell;
use std::rc::Rc;
use workload::{CORRELATED, trajectory};

/// Asks for the end from the question after so many on, and counts them.
fn after(questions: usize) -> (impl FnMut() -> bool, Rc<Cell<usize>>) {
    let asked = Rc::new(Cell::new(0));
    let count = asked.clone();
    let is_over = move || {
        count.set(count.get() + 1);
        count.get() > questions
    };
    (is_over, asked)
}

fn stream(count: u64) -> Vec<Trajectory> {
    (0..count)
        .map(|at| trajectory(at % 40, at, 0, CORRELATED, at))
        .collect()
}

fn points(count: u64) -> Vec<PlanEmbedding> {
    stream(count).into_iter().map(|seen| seen.embedding).collect()
}

fn engine(seen: &[Trajectory]) -> DagSonaEngine {
    let config = SonaConfig {
        clusters: 20,
        ..SonaConfig::default()
    };
    let mut engine = DagSonaEngine::new(config).expect("settings");
    for seen in seen {
        engine.post_query(seen.clone());
    }
    engine
}

fn bank(points: &[PlanEmbedding]) -> ReasoningBank {
    let mut bank = ReasoningBank::default();
    for point in points {
        let pattern = Pattern::new(point.clone(), 3, 0.5, 0.1, 1);
        bank.store(pattern).expect("room");
    }
    bank
}

/// How many questions whole work asks, and what it answers when it is over at each tenth of them: always that.
fn stops_everywhere(mut work: impl FnMut(&mut dyn FnMut() -> bool) -> Result<(), Error>) {
    let (mut never, asked) = after(usize::MAX);
    assert_eq!(work(&mut never), Ok(()));
    let all = asked.get();
    assert!(all >= 10, "{all}");
    for tenth in 0..10 {
        let (mut is_over, asked) = after(all * tenth / 10);
        assert_eq!(work(&mut is_over), Err(Error::Cancelled));
        // Whoever was told is not asked on and on.
        assert!(asked.get() <= all * tenth / 10 + 3, "{} of {all}", asked.get());
    }
}

#[test]
fn clustering_stops_when_it_is_asked_to() {
    let points = points(1_500);
    stops_everywhere(|is_over| kmeans_pp_until(&points, 30, 7, MAX_ITERATIONS, is_over).map(drop));
    let clustering = kmeans_pp(&points, 30, 7, MAX_ITERATIONS);
    let (mut is_over, _) = after(2);
    assert_eq!(
        silhouette(&points, &clustering, &mut is_over),
        Err(Error::Cancelled)
    );
}

#[test]
fn consolidating_stops_with_nothing_changed() {
    let bank = bank(&points(600));
    stops_everywhere(|is_over| {
        let mut changed = bank.clone();
        let result = changed.consolidate_until(20, 7, is_over).map(drop);
        assert_eq!(result.is_err(), changed.patterns() == bank.patterns());
        result
    });
    stops_everywhere(|is_over| bank.clone().merge_similar_until(is_over).map(drop));
}

#[test]
fn loop_b_stops_at_any_time_and_what_it_leaves_goes_on_learning() {
    let seen = stream(300);
    stops_everywhere(|is_over| engine(&seen).background_learn_until(300, is_over).map(drop));
    let (mut is_over, _) = after(500);
    let mut stopped = engine(&seen);
    assert_eq!(
        stopped.background_learn_until(300, &mut is_over),
        Err(Error::Cancelled)
    );
    for seen in &seen {
        stopped.post_query(seen.clone());
    }
    assert_eq!(stopped.background_learn(600).drained, 300);
}

#[test]
fn finding_patterns_anew_stops_with_nothing_changed_while_clusters_are_looked_for() {
    let seen = stream(300);
    let mut whole = engine(&seen);
    whole.background_learn(300);
    let before = whole.bank().patterns().to_vec();
    let (mut is_over, _) = after(10);
    assert_eq!(
        whole.recluster_until(&seen, 301, &mut is_over),
        Err(Error::Cancelled)
    );
    assert_eq!(whole.bank().patterns(), before);
    stops_everywhere(|is_over| {
        let mut engine = engine(&seen);
        engine.recluster_until(&seen, 301, is_over).map(drop)
    });
}
