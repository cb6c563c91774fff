//! How the time of a change of the minimum cut grows with the plan, as a table and a fitted exponent: the slope of a
//! least-squares line through the logarithms of size and time. Between 10^2 and 10^6 operators it is to be at most 0.12.

#[path = "../tests/network/random.rs"]
mod random;

use random::Random;
use ruvector_dag::mincut::{DagMinCutEngine, plan_tension, tensions};
use ruvector_dag::{OperatorId, OperatorNode, OperatorType, QueryDag};
use std::hint::black_box;
use std::time::{Duration, Instant};

const SIZES: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];
/// Measured this often; the least time counts, as what else the machine does only adds to it.
const ROUNDS: usize = 9;

/// A capacity of an edge.
fn capacity(random: &mut Random) -> f64 {
    f64::from(1 + random.below(1_000_000))
}

type Edges = Vec<(u32, u32)>;

/// Each operator feeds one of those before it, by any chance.
fn recursive(nodes: u32, random: &mut Random) -> Edges {
    (1..nodes).map(|from| (from, random.below(from))).collect()
}

/// Two inputs each, as in a bushy join.
fn binary(nodes: u32, _: &mut Random) -> Edges {
    (1..nodes).map(|from| (from, (from - 1) / 2)).collect()
}

/// Scans joined one after the other.
fn left_deep(nodes: u32, _: &mut Random) -> Edges {
    let join = |from: u32| if from % 2 == 1 { from - 1 } else { from - 2 };
    (1..nodes).map(|from| (from, join(from))).collect()
}

fn chain(nodes: u32, _: &mut Random) -> Edges {
    (1..nodes).map(|from| (from, from - 1)).collect()
}

fn fan(nodes: u32, _: &mut Random) -> Edges {
    (1..nodes).map(|from| (from, 0)).collect()
}

/// A random tree where up to 16 subplans have a second consumer.
fn near_tree(nodes: u32, random: &mut Random) -> Edges {
    let mut edges = recursive(nodes, random);
    let count = (nodes / 100).min(16);
    for at in 0..count {
        // Distinct by their heads' places, so that no edge is there twice.
        let from = nodes - 1 - at;
        let to = random.below(from);
        if !edges.contains(&(from, to)) {
            edges.push((from, to));
        }
    }
    edges
}

fn dag(nodes: u32, edges: &[(u32, u32)]) -> QueryDag {
    let mut dag = QueryDag::new();
    for node in 0..nodes {
        dag.add_node(OperatorNode::new(node, OperatorType::Append));
    }
    for &(from, to) in edges {
        // Inputs first, so that no search for cycles is needed.
        dag.add_edge(OperatorId(from), OperatorId(to))
            .expect("a new edge");
    }
    dag
}

/// An engine with random capacities.
fn engine(nodes: u32, edges: &[(u32, u32)], capacity: &mut dyn FnMut(u32) -> f64) -> DagMinCutEngine {
    let mut engine = DagMinCutEngine::new();
    if edges.iter().all(|&(_, to)| to == 0) {
        // A plan looks through all inputs of an operator at each new one: a fan is made in the engine.
        (0..nodes).for_each(|node| engine.insert_operator(OperatorId(node)).expect("new"));
        for &(from, to) in edges {
            engine
                .insert_edge(OperatorId(from), OperatorId(to), capacity(from))
                .expect("a new edge");
        }
        return engine;
    }
    engine.build_from_dag(&dag(nodes, edges));
    for &(from, to) in edges {
        engine
            .update_edge(OperatorId(from), OperatorId(to), capacity(from))
            .expect("an edge");
    }
    engine
}

type Update = (OperatorId, OperatorId, f64);

/// The time of a change, in nanoseconds: one after the other, and all in one call.
fn time_of_updates(engine: &mut DagMinCutEngine, updates: &[(u32, u32, f64)]) -> [f64; 3] {
    let least = |run: &mut dyn FnMut(&[Update])| {
        let times = (0..=ROUNDS)
            .map(|round| {
                // Other capacities in each round, so that each change is one.
                let changes: Vec<Update> = updates
                    .iter()
                    .map(|&(from, to, capacity)| (OperatorId(from), OperatorId(to), capacity + round as f64))
                    .collect();
                let start = Instant::now();
                run(&changes);
                start.elapsed().as_nanos() as f64 / updates.len() as f64
            })
            .skip(1);
        times.fold(f64::INFINITY, f64::min)
    };
    let visits_before = engine.visits();
    let one_by_one = least(&mut |changes| {
        for &(from, to, capacity) in changes {
            black_box(engine.update_edge(from, to, capacity)).expect("an edge");
        }
    });
    let together = least(&mut |changes| {
        black_box(engine.update_edges(changes)).expect("edges");
    });
    let changes = 2 * (ROUNDS + 1) * updates.len();
    let visits = (engine.visits() - visits_before) as f64 / changes as f64;
    [one_by_one, together, visits]
}

/// The slope of the least-squares line through the logarithms.
fn exponent(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |pick: fn(&(f64, f64)) -> f64| logs.iter().map(pick).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = logs.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    above / logs.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

fn row(name: &str, times: &[(f64, f64)]) {
    let cells: String = times.iter().map(|(_, time)| format!("{time:>11.1}")).collect();
    println!("{name:<44}{cells}{:>10.3}", exponent(times));
}

fn rows(name: &str, times: impl Iterator<Item = (f64, [f64; 3])>) {
    let times: Vec<_> = times.collect();
    for (at, way) in ["one by one", "in one call", "nodes visited"].iter().enumerate() {
        let times: Vec<_> = times.iter().map(|(nodes, times)| (*nodes, times[at])).collect();
        row(&format!("{name}, {way}"), &times);
    }
}

type Shape = fn(u32, &mut Random) -> Edges;

/// Random edges of a shape get random capacities.
fn measure_random(name: &str, shape: Shape) {
    let measure = |&nodes: &u32| {
        let mut random = Random(u64::from(nodes));
        let edges = shape(nodes, &mut random);
        let mut engine = engine(nodes, &edges, &mut |_| capacity(&mut random));
        let updates: Vec<(u32, u32, f64)> = (0..100_000)
            .map(|_| {
                let (from, to) = edges[random.below(edges.len() as u32) as usize];
                (from, to, capacity(&mut random))
            })
            .collect();
        (f64::from(nodes), time_of_updates(&mut engine, &updates))
    };
    rows(name, SIZES.iter().map(measure));
}

/// Only scans limit the flow, so that each change of one goes all the way up.
fn measure_all_the_way(name: &str, shape: Shape) {
    let measure = |&nodes: &u32| {
        let mut random = Random(u64::from(nodes));
        let edges = shape(nodes, &mut random);
        let mut is_scan = vec![true; nodes as usize];
        edges.iter().for_each(|&(_, to)| is_scan[to as usize] = false);
        let mut engine = engine(nodes, &edges, &mut |from| {
            if is_scan[from as usize] {
                capacity(&mut random)
            } else {
                1e15
            }
        });
        let scans: Edges = edges
            .into_iter()
            .filter(|&(from, _)| is_scan[from as usize])
            .collect();
        let updates: Vec<(u32, u32, f64)> = (0..100_000)
            .map(|_| {
                let (from, to) = scans[random.below(scans.len() as u32) as usize];
                (from, to, capacity(&mut random))
            })
            .collect();
        (f64::from(nodes), time_of_updates(&mut engine, &updates))
    };
    rows(name, SIZES.iter().map(measure));
}

/// What memory alone costs: a number in each of n records of a cache line changes, at random.
fn measure_memory() {
    let measure = |&nodes: &u32| {
        let mut random = Random(u64::from(nodes));
        let mut records = vec![[1.0f64; 8]; nodes as usize];
        let places: Vec<u32> = (0..100_000).map(|_| random.below(nodes)).collect();
        let mut at = 0;
        let start = Instant::now();
        for place in &places {
            // Each place depends on what was read before, as a way through a tree does.
            let record = &mut records[(place ^ at) as usize % nodes as usize];
            record[0] += 1.0;
            at = u32::from(record[0] > 1e9);
        }
        black_box(&records);
        (
            f64::from(nodes),
            start.elapsed().as_nanos() as f64 / places.len() as f64,
        )
    };
    row(
        "(one dependent write to memory)",
        &SIZES.iter().map(measure).collect::<Vec<_>>(),
    );
}

/// Edges removed and put back under another consumer.
fn measure_moves() {
    let measure = |&nodes: &u32| {
        let mut random = Random(u64::from(nodes));
        let mut edges = recursive(nodes, &mut random);
        let mut engine = engine(nodes, &edges, &mut |_| capacity(&mut random));
        let moves: Vec<(u32, u32)> = (0..50_000)
            .map(|_| {
                let from = 1 + random.below(nodes - 1);
                (from, random.below(from))
            })
            .collect();
        let start = Instant::now();
        for &(from, to) in &moves {
            let old = std::mem::replace(&mut edges[from as usize - 1].1, to);
            engine
                .remove_edge(OperatorId(from), OperatorId(old))
                .expect("an edge");
            engine
                .insert_edge(OperatorId(from), OperatorId(to), 1.0)
                .expect("a new edge");
        }
        let time = start.elapsed().as_nanos() as f64 / (2 * moves.len()) as f64;
        (f64::from(nodes), time)
    };
    row(
        "tree, edges removed and inserted",
        &SIZES.iter().map(measure).collect::<Vec<_>>(),
    );
}

/// Half of all possible edges: nearly every operator is shared.
fn measure_dense() {
    println!("\ndense DAGs (half of all possible edges), random edges updated");
    println!("{:>8}{:>10}{:>14}", "nodes", "edges", "ns per update");
    let mut points = Vec::new();
    for nodes in [10, 20, 50, 100, 200, 400] {
        let mut random = Random(u64::from(nodes));
        let mut edges = Edges::new();
        for from in 1..nodes {
            edges.extend((0..from).filter(|_| random.below(2) == 0).map(|to| (from, to)));
        }
        let mut engine = DagMinCutEngine::new();
        engine.build_from_dag(&dag(nodes, &edges));
        let started = Instant::now();
        let mut updates = 0;
        while started.elapsed() < Duration::from_secs(1) {
            let (from, to) = edges[random.below(edges.len() as u32) as usize];
            engine
                .update_edge(OperatorId(from), OperatorId(to), capacity(&mut random))
                .expect("an edge");
            updates += 1;
        }
        let time = started.elapsed().as_nanos() as f64 / f64::from(updates);
        println!("{nodes:>8}{:>10}{time:>14.0}", edges.len());
        points.push((edges.len() as f64, time));
    }
    println!("exponent over edges: {:.2}", exponent(&points));
}

/// Tension of a plan of 100 operators, which attention asks for.
fn measure_tension() {
    let mut plan = QueryDag::new();
    let mut random = Random(7);
    for node in 0..100 {
        let node = OperatorNode::new(node, OperatorType::Append)
            .with_estimate(f64::from(random.below(1000)), 0.0, f64::from(2000 - 10 * node))
            .with_actual(f64::from(random.below(1000)), 1.0);
        plan.add_node(node);
    }
    for (from, to) in recursive(100, &mut random) {
        plan.add_edge(OperatorId(from), OperatorId(to))
            .expect("a new edge");
    }
    let runs = 100_000;
    let start = Instant::now();
    (0..runs).for_each(|_| drop(black_box(tensions(black_box(&plan)))));
    let each = start.elapsed().as_nanos() as f64 / f64::from(runs);
    let start = Instant::now();
    (0..runs).for_each(|_| _ = black_box(plan_tension(black_box(&plan))));
    let whole = start.elapsed().as_nanos() as f64 / f64::from(runs);
    println!("\n100 operators: tensions {each:.0} ns, plan_tension {whole:.0} ns");
}

fn main() {
    println!("ns per change, amortised over 100,000 changes, least of {ROUNDS}");
    let heads: String = SIZES.iter().map(|size| format!("{size:>11}")).collect();
    println!("{:<44}{heads}{:>10}", "nodes", "exponent");
    // The shapes whose names hold the word given on the command line, else all.
    let word = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .unwrap_or_default();
    let shapes: [(&str, Shape); 6] = [
        ("random tree", recursive),
        ("near-tree, ≤ 16 shared subplans", near_tree),
        ("binary tree", binary),
        ("left-deep tree", left_deep),
        ("chain", chain),
        ("fan", fan),
    ];
    for (name, shape) in shapes.into_iter().filter(|(name, _)| name.contains(&word)) {
        measure_random(name, shape);
    }
    for (name, shape) in [("random tree", recursive as Shape), ("left-deep tree", left_deep)] {
        if name.contains(&word) {
            measure_all_the_way(&format!("{name}, all the way up"), shape);
        }
    }
    measure_moves();
    measure_memory();
    measure_dense();
    measure_tension();
}
