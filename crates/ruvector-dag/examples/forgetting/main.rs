//! What the forgetting experiment finds, as a table, and as a figure where a path is given:
//! `cargo run --release -p ruvector-dag --example forgetting -- forgetting.svg`.

mod experiment;
mod figure;

use experiment::{Outcome, WORKLOADS};
use figure::Line;
use ruvector_dag::learning::SonaConfig;
use std::error::Error;

const SEEDS: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let outcomes = |is_guarded| {
        (1..=SEEDS)
            .map(|seed| experiment::run(is_guarded, seed))
            .collect::<Result<Vec<_>, _>>()
    };
    let (without, with) = (outcomes(false)?, outcomes(true)?);
    let curves = |outcomes: &[Outcome]| outcomes.iter().map(Outcome::retained).collect();
    let lines = [
        Line {
            label: "without EWC++",
            color: "#b3541e",
            curves: curves(&without),
        },
        Line {
            label: "with EWC++",
            color: "#1f5fa8",
            curves: curves(&with),
        },
    ];
    print_table(&lines, &without, &with);
    for lambda in [0.0, 2_000.0] {
        let config = SonaConfig {
            memory_capacity: experiment::TRAINING,
            ewc_lambda: lambda,
            max_ewc_lambda: 7.5 * lambda,
            ..SonaConfig::default()
        };
        let looped = experiment::loop_through(config, 0)?;
        println!(
            "through the engine with a λ of {lambda}: errors of the first {:.3?}, of each when learned {:.3?}, {} tasks",
            looped.of_first, looped.when_learned, looped.tasks
        );
    }
    if let Some(path) = std::env::args().nth(1) {
        let names = WORKLOADS.each_ref().map(|workload| workload.name);
        std::fs::write(path, figure::draw(&names, &lines)?)?;
    }
    Ok(())
}

/// Means over the seeds, in percent.
fn print_table(lines: &[Line; 2], without: &[Outcome], with: &[Outcome]) {
    let mean = |outcomes: &[Outcome], at: usize| {
        outcomes.iter().map(|outcome| outcome.learned()[at]).sum::<f64>() / outcomes.len() as f64
    };
    println!("            left of the gain on the first    error removed from this one");
    println!("after       without EWC++   with EWC++       without EWC++   with EWC++");
    for (at, workload) in WORKLOADS.iter().enumerate() {
        let [left_without, left_with] = lines.each_ref().map(|line| 100.0 * line.mean()[at]);
        let (learned_without, learned_with) = (100.0 * mean(without, at), 100.0 * mean(with, at));
        let name = workload.name;
        println!(
            "{name:<10} {left_without:13.0} % {left_with:10.0} % {learned_without:17.0} % {learned_with:10.0} %"
        );
    }
    let boundaries = (WORKLOADS.len() - 1) * with.len();
    let noticed: Vec<usize> = with
        .iter()
        .flat_map(|outcome| &outcome.noticed_after)
        .flatten()
        .copied()
        .collect();
    let false_alarms: usize = with.iter().map(|outcome| outcome.false_alarms).sum();
    let slowest = noticed.iter().max().map_or(0, |latest| latest + 1);
    println!(
        "{} of {boundaries} boundaries noticed, after {slowest} executions at most; {false_alarms} false alarms",
        noticed.len()
    );
}
