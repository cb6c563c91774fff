//! Completion of the matrix of latencies, the order of dreams, Φ, and what idle time keeps.

use proptest::prelude::*;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::learning::completion::{Cell, Completion, CompletionConfig};
use ruvector_dag::learning::consolidator::{Memory, MemoryConsolidator};
use ruvector_dag::learning::dream::{Dream, DreamConfig, DreamEngine, Experience};
use ruvector_dag::learning::phi::{PhiEvaluator, PhiParts};

/// A number in [-1, 1) of these words.
fn number(words: [u64; 3]) -> f64 {
    (hash_words(words) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

const ROWS: usize = 80;
const COLUMNS: usize = 25;

/// Log latencies of statements under decisions: sizes, overall effects, and three hidden properties that interact.
fn planted(row: usize, column: usize) -> f64 {
    let hidden: f64 = (0..3)
        .map(|k| number([1, row as u64, k]) * number([2, column as u64, k]))
        .sum();
    4.0 + 2.0 * number([3, row as u64, 0]) + 0.5 * number([4, column as u64, 0]) + 2.0 * hidden
}

fn is_observed(row: usize, column: usize) -> bool {
    number([5, row as u64, column as u64]) < -0.4
}

fn places() -> impl Iterator<Item = (usize, usize)> {
    (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)))
}

fn observed() -> Vec<Cell> {
    let cell = |(row, column)| Cell {
        row,
        column,
        value: planted(row, column) + 0.05 * number([6, row as u64, column as u64]),
        is_lower_bound: false,
    };
    places()
        .filter(|&(row, column)| is_observed(row, column))
        .map(cell)
        .collect()
}

fn of_rank(rank: usize) -> CompletionConfig {
    CompletionConfig {
        rank,
        ..CompletionConfig::default()
    }
}

/// Mean absolute error over the cells that were not observed.
fn error(predict: impl Fn(usize, usize) -> f64) -> f64 {
    let missing = || places().filter(|&(row, column)| !is_observed(row, column));
    let sum: f64 = missing()
        .map(|(row, column)| (predict(row, column) - planted(row, column)).abs())
        .sum();
    sum / missing().count() as f64
}

#[test]
fn a_planted_matrix_of_which_thirty_percent_are_known_is_recovered() {
    let cells = observed();
    let share = cells.len() as f64 / (ROWS * COLUMNS) as f64;
    assert!((0.27..0.33).contains(&share), "{share}");
    let mean_of = |is_in: &dyn Fn(&Cell) -> bool| {
        let values: Vec<f64> = cells
            .iter()
            .filter(|cell| is_in(cell))
            .map(|cell| cell.value)
            .collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let whole = mean_of(&|_| true);
    let rows: Vec<f64> = (0..ROWS).map(|row| mean_of(&|cell| cell.row == row)).collect();
    let columns: Vec<f64> = (0..COLUMNS)
        .map(|column| mean_of(&|cell| cell.column == column))
        .collect();
    let of_means = error(|row, column| rows[row] + columns[column] - whole);
    let of_rows = error(|row, _| rows[row]);
    let completion = Completion::fit(ROWS, COLUMNS, &cells, &of_rank(3)).expect("settings");
    let of_model = error(|row, column| completion.predict(row, column).expect("a cell").mean);
    println!("rows {of_rows:.3}, rows and columns {of_means:.3}, completed {of_model:.3}");
    assert!(of_model < 0.3 * of_means.min(of_rows));
}

#[test]
fn the_doubt_of_a_prediction_is_that_of_its_error() {
    let completion = Completion::fit(ROWS, COLUMNS, &observed(), &of_rank(3)).expect("settings");
    let missing = places().filter(|&(row, column)| !is_observed(row, column));
    let scores: Vec<f64> = missing
        .map(|(row, column)| {
            let estimate = completion.predict(row, column).expect("a cell");
            ((estimate.mean - planted(row, column)) / estimate.deviation).abs()
        })
        .collect();
    let within =
        |bound: f64| scores.iter().filter(|&&score| score < bound).count() as f64 / scores.len() as f64;
    println!(
        "within one deviation {:.2}, within two {:.2}",
        within(1.0),
        within(2.0)
    );
    assert!((0.5..0.95).contains(&within(1.0)) && within(2.0) > 0.85);
}

#[test]
fn a_bound_lifts_a_prediction_below_it_and_leaves_one_above() {
    let cells = observed();
    let without = Completion::fit(ROWS, COLUMNS, &cells, &of_rank(3)).expect("settings");
    let (row, column) = places()
        .find(|&(row, column)| !is_observed(row, column))
        .expect("a missing cell");
    let before = without.predict(row, column).expect("a cell").mean;
    let with_bound = |value| {
        let bound = Cell {
            row,
            column,
            value,
            is_lower_bound: true,
        };
        let cells = [cells.as_slice(), &[bound]].concat();
        let completion = Completion::fit(ROWS, COLUMNS, &cells, &of_rank(3)).expect("settings");
        completion.predict(row, column).expect("a cell").mean
    };
    assert!(with_bound(before + 2.0) > before + 0.5);
    assert!((with_bound(before - 2.0) - before).abs() < 0.05);
}

#[test]
fn cutting_runs_off_loses_little_when_bounds_count_and_much_when_they_pass_for_times() {
    // Everything above a limit was cut off there.
    let cut = |is_lower_bound: bool| -> Vec<Cell> {
        let limit = 5.0;
        let cut = |cell: Cell| {
            if cell.value > limit {
                Cell {
                    value: limit,
                    is_lower_bound,
                    ..cell
                }
            } else {
                cell
            }
        };
        observed().into_iter().map(cut).collect()
    };
    let of_cells = |cells: &[Cell]| {
        let completion = Completion::fit(ROWS, COLUMNS, cells, &of_rank(3)).expect("settings");
        error(|row, column| completion.predict(row, column).expect("a cell").mean)
    };
    let (as_bounds, as_times) = (of_cells(&cut(true)), of_cells(&cut(false)));
    println!("as bounds {as_bounds:.3}, as times {as_times:.3}");
    assert!(as_bounds < 0.9 * as_times);
}

#[test]
fn a_rank_out_of_range_is_refused() {
    for rank in [0, 9] {
        assert!(Completion::fit(2, 2, &[], &of_rank(rank)).is_err());
    }
    let nothing = Completion::fit(2, 2, &[], &of_rank(8)).expect("settings");
    assert_eq!(nothing.predict(0, 0).expect("a cell").mean, 0.0);
    assert!(nothing.predict(2, 0).is_none() && nothing.predict(0, 2).is_none());
}

fn experiences() -> Vec<Experience> {
    observed()
        .iter()
        .map(|cell| Experience {
            statement: cell.row as u64,
            decision: cell.column as u64,
            log_latency: cell.value,
            is_cut_off: false,
        })
        .collect()
}

fn engine() -> DreamEngine {
    let config = DreamConfig {
        completion: of_rank(3),
        ..DreamConfig::default()
    };
    DreamEngine::new(config, PhiEvaluator::default()).expect("settings")
}

fn best_known(experiences: &[Experience], statement: u64) -> f64 {
    let of_statement = experiences
        .iter()
        .filter(|seen| seen.statement == statement && !seen.is_cut_off);
    of_statement
        .map(|seen| seen.log_latency)
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn dreams_come_by_expected_gain_per_second_and_never_of_what_is_known() {
    let experiences = experiences();
    let dreams = engine()
        .plan(&experiences, |_| 100.0, 1_000)
        .expect("a configuration");
    assert!(dreams.len() > 20);
    assert!(dreams.is_sorted_by(|a, b| a.gain_per_second() >= b.gain_per_second()));
    for dream in &dreams {
        assert!(!is_observed(dream.statement as usize, dream.decision as usize));
        let best = best_known(&experiences, dream.statement).exp();
        assert!((dream.time_limit_ms / best - 1.1).abs() < 1e-9);
        assert!(dream.expected_cost_ms <= dream.time_limit_ms && dream.expected_gain_ms <= 100.0 * best);
        assert!((0.3..=1.0).contains(&dream.phi));
    }
    assert_eq!(
        engine()
            .plan(&experiences, |_| 100.0, 1_000)
            .expect("a configuration"),
        dreams
    );
}

#[test]
fn an_hour_of_dreams_gains_more_than_an_hour_of_random_trials() {
    /// Total time of one run of each statement after `budget` milliseconds of trials, each cut off at its limit.
    fn after(budget: f64, mut next: impl FnMut(&[Experience]) -> Option<(u64, u64)>) -> f64 {
        let mut known: Vec<Experience> = (0..ROWS as u64)
            .map(|statement| tried(statement, 0, f64::MAX))
            .collect();
        let mut spent = 0.0;
        while spent < budget {
            let Some((statement, decision)) = next(&known) else {
                break;
            };
            let limit = 1.1 * best_known(&known, statement).exp();
            known.push(tried(statement, decision, limit));
            spent += limit.min(planted(statement as usize, decision as usize).exp());
        }
        (0..ROWS as u64)
            .map(|statement| best_known(&known, statement).exp())
            .sum()
    }
    fn tried(statement: u64, decision: u64, limit: f64) -> Experience {
        let latency = planted(statement as usize, decision as usize).exp();
        Experience {
            statement,
            decision,
            log_latency: latency.min(limit).ln(),
            is_cut_off: latency > limit,
        }
    }
    let stock = after(0.0, |_| None);
    let optimum: f64 = (0..ROWS)
        .map(|row| {
            (0..COLUMNS)
                .map(|column| planted(row, column).exp())
                .fold(f64::MAX, f64::min)
        })
        .sum();
    let mut seed = 0;
    let mut at_random = |known: &[Experience]| {
        (0..1_000).find_map(|_| {
            seed += 1;
            let (statement, decision) = (
                hash_words([seed]) % ROWS as u64,
                hash_words([seed, 1]) % COLUMNS as u64,
            );
            let is_known = known
                .iter()
                .any(|seen| (seen.statement, seen.decision) == (statement, decision));
            (!is_known).then_some((statement, decision))
        })
    };
    let random = after(stock, &mut at_random);
    // The decisions exist before they were tried: one run of each, of the cheapest statement.
    let config = DreamConfig {
        completion: of_rank(3),
        phi_threshold: 0.0,
        ..DreamConfig::default()
    };
    let engine = DreamEngine::new(config, PhiEvaluator::default()).expect("settings");
    let cheapest = (0..ROWS as u64)
        .min_by(|&a, &b| planted(a as usize, 0).total_cmp(&planted(b as usize, 0)))
        .expect("rows");
    let mut planned: Vec<Dream> = Vec::new();
    let dreaming = after(stock, |known| {
        let untried =
            (1..COLUMNS as u64).find(|&decision| known.iter().all(|seen| seen.decision != decision));
        if let Some(decision) = untried {
            return Some((cheapest, decision));
        }
        if planned.is_empty() {
            planned = engine.plan(known, |_| 1.0, 16).expect("a configuration");
            planned.reverse();
        }
        planned.pop().map(|dream| (dream.statement, dream.decision))
    });
    println!("stock {stock:.0} ms, random {random:.0}, dreams {dreaming:.0}, optimum {optimum:.0}");
    assert!(stock - dreaming > 1.2 * (stock - random));
}

#[test]
fn a_pair_cut_off_beyond_the_best_time_is_not_dreamt_of_again() {
    let mut experiences = experiences();
    let first = engine()
        .plan(&experiences, |_| 100.0, 1)
        .expect("a configuration")[0];
    experiences.push(Experience {
        statement: first.statement,
        decision: first.decision,
        log_latency: first.time_limit_ms.ln(),
        is_cut_off: true,
    });
    let then = engine()
        .plan(&experiences, |_| 100.0, 10_000)
        .expect("a configuration");
    assert!(
        then.iter()
            .all(|dream| (dream.statement, dream.decision) != (first.statement, first.decision))
    );
}

proptest! {
    #[test]
    fn phi_is_in_the_unit_interval_and_rises_in_each_part(
        parts in prop::array::uniform3(0.01..1.0f64),
        at in 0..3usize,
        rise in 0.001..1.0f64,
        weights in prop::array::uniform3(0.1..5.0f64),
    ) {
        let phi = PhiEvaluator::new(weights, 10.0).expect("weights");
        let of = |parts: [f64; 3]| phi.phi(&PhiParts { novelty: parts[0], coherence: parts[1], expected_use: parts[2] });
        let mut more = parts;
        more[at] = (more[at] + rise).min(1.0);
        let (before, after) = (of(parts), of(more));
        prop_assert!((0.0..=1.0).contains(&before) && (0.0..=1.0).contains(&after));
        let is_right = if more[at] > parts[at] { after > before } else { after == before };
        prop_assert!(is_right, "{} to {}", before, after);
        let mut none = parts;
        none[at] = 0.0;
        prop_assert_eq!(of(none), 0.0);
    }

    #[test]
    fn phi_takes_any_number(best: f64, mean: f64, deviation: f64, coherence: f64, executions: f64) {
        let phi = PhiEvaluator::default();
        let value = phi.phi(&phi.parts(best, mean, deviation, coherence, executions));
        prop_assert!((0.0..=1.0).contains(&value));
    }
}

#[test]
fn consolidation_stops_when_its_time_is_over() {
    let mut consolidator = MemoryConsolidator::new(100);
    for item in 0..50u32 {
        consolidator.remember(Memory {
            class: 0,
            surprise: f64::from(item),
            item,
        });
    }
    let mut now = 0;
    let mut order = Vec::new();
    let clock = || {
        now += 10;
        now
    };
    let done = consolidator.consolidate(clock, 100, |&item| {
        order.push(item);
        0.5 * f64::from(item)
    });
    assert_eq!((done.replayed, done.strengthened, done.dropped), (9, 9, 0));
    assert_eq!(order, (41..50).rev().collect::<Vec<u32>>());
}

#[test]
fn a_busy_class_does_not_crowd_out_the_others() {
    let mut consolidator = MemoryConsolidator::new(10);
    for item in 0..3u32 {
        consolidator.remember(Memory {
            class: u64::from(item),
            surprise: 0.1,
            item,
        });
    }
    for item in 100..1_000u32 {
        consolidator.remember(Memory {
            class: 99,
            surprise: f64::from(item),
            item,
        });
    }
    let done = consolidator.consolidate(|| 0, 1, |&item| f64::from(item));
    assert!(done.dropped <= 10 && consolidator.memories().len() == 10);
    let kept: Vec<u32> = consolidator.memories().iter().map(|memory| memory.item).collect();
    assert!([0, 1, 2, 999].iter().all(|item| kept.contains(item)), "{kept:?}");
}
