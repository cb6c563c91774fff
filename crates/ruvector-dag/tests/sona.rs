//! The learning system on a seeded stream of statements whose latency depends on what their cost does not show.

mod workload;

use ruvector_dag::Error;
use ruvector_dag::learning::coordinator::{Due, LoopBudgets, LoopCoordinator, Situation};
use ruvector_dag::learning::evaluation::{LeftOut, ablate, cross_validate, pooled_alike};
use ruvector_dag::learning::{DagSonaEngine, LatencyQuery, Mechanisms, SonaConfig, Source};
use ruvector_dag::trajectory::Trajectory;
use workload::{CORRELATED, by_cost, run, trajectory, weighed};

/// Templates with their constants, in turn.
fn stream(templates: u64, constants: u64) -> Vec<Trajectory> {
    let all = (0..constants).flat_map(|constants| (0..templates).map(move |template| (template, constants)));
    all.enumerate()
        .map(|(at, (template, constants))| trajectory(template, constants, 0, CORRELATED, at as u64))
        .collect()
}

fn small() -> SonaConfig {
    SonaConfig {
        clusters: 20,
        ..SonaConfig::default()
    }
}

fn taught(config: SonaConfig, trajectories: &[Trajectory]) -> DagSonaEngine {
    let mut engine = DagSonaEngine::new(config).expect("settings");
    for seen in trajectories {
        engine.post_query(seen.clone());
    }
    engine.background_learn(trajectories.len() as u64);
    engine
}

#[test]
fn adapters_cost_and_neighbours_each_lower_the_error_for_statements_never_seen() {
    let runs: Vec<_> = (0..3u64)
        .flat_map(|constants| (0..80u64).map(move |template| (template, constants, 0)))
        .collect();
    let (all, uniform): (Vec<Trajectory>, Vec<Trajectory>) = runs
        .into_iter()
        .map(|identity| {
            let run = run(identity.0, identity.1, 0, CORRELATED);
            let seen = weighed(&run, &by_cost(&run.dag), identity, 0);
            let uniform = pooled_alike(&seen, &run.dag).expect("scores");
            (seen, uniform)
        })
        .unzip();
    let table = ablate(&all, &uniform, LeftOut::Statement, 2, &small()).expect("settings");
    table
        .rows()
        .iter()
        .for_each(|(name, errors)| println!("{name:<22} {errors:.3?}"));
    assert_eq!(table.full.predicted, all.len());
    assert!(
        table.full.mean < 0.95 * table.no_lora.mean,
        "the adapters earn too little"
    );
    assert!(
        table.full.mean < 0.9 * table.no_attention.mean,
        "attention earns too little"
    );
    assert!(
        table.full.mean < 0.7 * table.nearest_only.mean,
        "the line through cost earns too little"
    );
    assert!(
        table.full.mean < 0.5 * table.cost_only.mean,
        "the neighbours earn too little"
    );
}

#[test]
fn templates_never_seen_are_predicted_within_the_intervals_given() {
    let errors = cross_validate(&stream(60, 3), LeftOut::Template, 2, &small()).expect("settings");
    println!("{errors:.3?}");
    assert!(errors.mean < 0.65);
    assert!((0.8..=0.98).contains(&errors.coverage_90), "{errors:?}");
}

#[test]
fn the_error_falls_as_the_stream_goes_on() {
    let mut engine = DagSonaEngine::new(small()).expect("settings");
    let stream = stream(300, 1);
    let mut errors = Vec::new();
    for part in stream.chunks(100) {
        let sum: f64 = part
            .iter()
            .map(|seen| engine.post_query(seen.clone()).surprise)
            .sum();
        errors.push(sum / part.len() as f64);
        engine.background_learn(0);
    }
    println!("{errors:.3?}");
    assert!(errors[2] < 0.6 * errors[0], "{errors:?}");
}

#[test]
fn one_execution_is_enough_to_recall_a_statement() {
    let mut engine = DagSonaEngine::new(small()).expect("settings");
    let seen = trajectory(1, 1, 0, CORRELATED, 1);
    let first = engine.post_query(seen.clone());
    assert_eq!(first.expected.source, Source::CostAlone);
    let then = engine.predict(&LatencyQuery::of(&seen), &seen.embedding, &seen.operator_types);
    assert_eq!(
        (then.source, then.log_latency),
        (Source::Recalled, seen.log_latency)
    );
    let (least, greatest) = then.interval_90();
    assert!(least < seen.log_latency.exp() && seen.log_latency.exp() < greatest);
    let without = SonaConfig {
        mechanisms: Mechanisms {
            recall: false,
            ..Mechanisms::default()
        },
        ..small()
    };
    let engine = taught(without, std::slice::from_ref(&seen));
    let forgotten = engine.predict(&LatencyQuery::of(&seen), &seen.embedding, &seen.operator_types);
    assert_ne!(forgotten.source, Source::Recalled);
}

#[test]
fn before_a_query_its_plan_is_adapted_its_latency_expected_and_its_pattern_found() {
    let engine = taught(small(), &stream(60, 5));
    let run = run(3, 77, 0, CORRELATED);
    let seen = weighed(&run, &by_cost(&run.dag), (3, 77, 0), 0);
    let before = engine
        .pre_query(&run.dag, &by_cost(&run.dag), &LatencyQuery::of(&seen))
        .expect("scores");
    assert_eq!(before.embedding, seen.embedding);
    assert_ne!(before.adapted, before.embedding);
    assert_eq!(before.prediction.source, Source::Template);
    assert!(!before.matches.is_empty() && engine.bank().get(before.matches[0].id).is_some());
    assert!(
        engine
            .pre_query(
                &run.dag,
                &by_cost(&workload::run(1, 1, 1, CORRELATED).dag),
                &LatencyQuery::of(&seen)
            )
            .is_err()
    );
}

#[test]
fn a_run_that_was_cut_off_teaches_only_that_it_takes_longer() {
    let mut engine = taught(small(), &stream(30, 2));
    let seen = trajectory(100, 0, 0, CORRELATED, 0);
    let query = LatencyQuery::of(&seen);
    let expected = engine
        .predict(&query, &seen.embedding, &seen.operator_types)
        .log_latency;
    let cut = |log_latency| Trajectory {
        log_latency,
        is_cut_off: true,
        ..seen.clone()
    };
    // A bound below what is expected is no news.
    assert_eq!(engine.post_query(cut(expected - 1.0)).surprise, 0.0);
    assert!(engine.post_query(cut(expected + 2.0)).surprise > 1.0);
    assert_ne!(
        engine
            .predict(&query, &seen.embedding, &seen.operator_types)
            .source,
        Source::Recalled
    );
    engine.post_query(seen.clone());
    let then = engine.predict(&query, &seen.embedding, &seen.operator_types);
    assert_eq!(
        (then.source, then.log_latency),
        (Source::Recalled, seen.log_latency)
    );
}

#[test]
fn patterns_of_others_teach_an_engine_that_has_seen_nothing() {
    let others = taught(
        SonaConfig {
            mature_size: 1,
            mature_confidence: 0.0,
            clusters: 80,
            ..small()
        },
        &stream(60, 3),
    );
    let mature = others.get_mature_patterns();
    assert!(mature.len() > 20 && mature.is_sorted_by_key(|pattern| pattern.id));
    let mut engine = DagSonaEngine::new(small()).expect("settings");
    assert_eq!(engine.merge_network_patterns(mature, 5), others.bank().len());
    assert!(
        engine
            .bank()
            .patterns()
            .iter()
            .all(|pattern| !pattern.is_pinned && pattern.confidence <= 0.5)
    );
    let (mut with, mut without, mut count) = (0.0, 0.0, 0);
    let ignorant = DagSonaEngine::new(small()).expect("settings");
    for seen in stream(60, 5).iter().skip(180) {
        let error = |engine: &DagSonaEngine| {
            let expected = engine.predict(&LatencyQuery::of(seen), &seen.embedding, &seen.operator_types);
            (expected.log_latency - seen.log_latency).abs()
        };
        with += error(&engine);
        without += error(&ignorant);
        count += 1;
    }
    println!(
        "with {:.3}, without {:.3}",
        with / f64::from(count),
        without / f64::from(count)
    );
    assert!(with < 0.7 * without);
}

#[test]
fn clusters_learn_which_decision_is_best() {
    let mut engine = DagSonaEngine::new(SonaConfig {
        clusters: 1,
        ..small()
    })
    .expect("settings");
    // Nested loops take much longer than they cost: hash joins (decision 2) gain.
    for (template, decision) in (0..30).flat_map(|template| [0, 1, 2].map(|decision| (template, decision))) {
        engine.post_query(trajectory(template, 0, decision, CORRELATED, 0));
    }
    let report = engine.background_learn(9);
    assert_eq!((report.drained, report.found), (90, 1));
    let pattern = &engine.bank().patterns()[0];
    assert_eq!(pattern.decision, 2);
    assert!(pattern.decision_gain > 0.2, "{}", pattern.decision_gain);
}

#[test]
fn a_boosted_pattern_is_learned_from_more_and_ever_less_so() {
    let stream = stream(20, 2);
    let mut engine = taught(small(), &stream);
    let pattern = engine.bank().search(&stream[0].embedding, 1, 0.0)[0].id;
    assert!(!engine.boost_learning_rate(pattern, 0.5) && !engine.boost_learning_rate(u64::MAX, 2.0));
    assert!(engine.boost_learning_rate(pattern, 2.0));
    assert_eq!(engine.boosts()[&pattern], 2.0);
    for _ in 0..5 {
        engine.background_learn(0);
    }
    assert!(engine.boosts().is_empty());
}

#[test]
fn an_edge_deployment_takes_less_than_five_megabytes_when_it_is_full() {
    let config = SonaConfig::edge_deployment();
    let mut engine = DagSonaEngine::new(config).expect("settings");
    for (at, seen) in stream(200, 4).into_iter().enumerate() {
        engine.post_query(seen);
        if at % 100 == 99 {
            engine.background_learn(at as u64);
        }
    }
    println!(
        "{} executions, {} patterns, {} bytes",
        engine.executions().len(),
        engine.bank().len(),
        engine.memory_bytes()
    );
    assert!(engine.executions().len() > 200);
    assert!(engine.memory_bytes() < 5_000_000, "{}", engine.memory_bytes());
    assert!(engine.to_state().len() < 5_000_000);
}

#[test]
fn presets_are_valid_and_settings_out_of_range_refused_by_name() {
    for preset in [
        SonaConfig::default(),
        SonaConfig::max_throughput(),
        SonaConfig::max_quality(),
        SonaConfig::edge_deployment(),
        SonaConfig::batch_processing(),
    ] {
        assert_eq!(preset.validate(), Ok(()));
    }
    let refused = |config: SonaConfig| match DagSonaEngine::new(config) {
        Err(Error::InvalidSetting { name, .. }) => name,
        _ => "accepted",
    };
    assert_eq!(
        refused(SonaConfig {
            embedding_dim: 128,
            ..small()
        }),
        "embedding_dim"
    );
    assert_eq!(
        refused(SonaConfig {
            micro_rank: 3,
            ..small()
        }),
        "micro_rank"
    );
    assert_eq!(
        refused(SonaConfig {
            quality_threshold: f32::NAN,
            ..small()
        }),
        "quality_threshold"
    );
    assert_eq!(
        refused(SonaConfig {
            max_ewc_lambda: 1.0,
            ..small()
        }),
        "ewc_lambda"
    );
}

#[test]
fn a_full_buffer_drops_and_says_so() {
    let mut engine = DagSonaEngine::new(SonaConfig {
        trajectory_capacity: 2,
        ..small()
    })
    .expect("settings");
    let recorded: Vec<bool> = stream(3, 1)
        .into_iter()
        .map(|seen| engine.post_query(seen).is_recorded)
        .collect();
    assert_eq!(
        (recorded, engine.buffer().dropped()),
        (vec![true, true, false], 1)
    );
}

#[test]
fn only_trajectories_of_some_quality_become_patterns() {
    let mut engine = DagSonaEngine::new(SonaConfig {
        quality_threshold: 0.6,
        ..small()
    })
    .expect("settings");
    for (at, seen) in stream(10, 1).into_iter().enumerate() {
        let quality = if at < 4 { 0.7 } else { 0.5 };
        engine.post_query(Trajectory { quality, ..seen });
    }
    let report = engine.background_learn(0);
    assert_eq!(
        (report.drained, report.kept, engine.executions().len()),
        (10, 4, 10)
    );
}

#[test]
fn deep_learning_keeps_to_its_time_replays_and_dreams() {
    let mut engine = DagSonaEngine::new(small()).expect("settings");
    for template in 0..40 {
        engine.post_query(trajectory(template, 0, 0, CORRELATED, 0));
        engine.post_query(trajectory(template, 0, 1 + template % 3, CORRELATED, 0));
    }
    let mut now = 0;
    let clock = || {
        now += 1_000;
        now
    };
    let report = engine.deep_learn(clock, 100_000, 10);
    println!("{report:?}");
    assert!(report.training.steps > 10 && report.training.error_after <= report.training.error_before);
    assert!(report.consolidation.replayed > 10);
    assert!(now <= 110_000, "{now}");
    assert!(!report.dreams.is_empty() && report.dreams.len() <= 10);
    let is_known = |statement, decision| {
        engine
            .executions()
            .iter()
            .any(|seen| (seen.statement, seen.decision) == (statement, decision))
    };
    assert!(
        report
            .dreams
            .iter()
            .all(|dream| !is_known(dream.statement, dream.decision))
    );
    let nothing = engine.deep_learn(|| 0, 0, 10);
    assert_eq!(
        (
            nothing.training.steps,
            nothing.consolidation.replayed,
            nothing.dreams.len()
        ),
        (0, 0, 0)
    );
}

fn at(now_us: u64, load: f64, waiting: usize) -> Situation {
    Situation {
        now_us,
        load,
        waiting,
        capacity: 1_000,
    }
}

#[test]
fn loops_are_due_by_time_load_and_what_waits() {
    let budgets = LoopBudgets {
        background_interval_us: 100,
        deep_interval_us: 1_000,
        ..LoopBudgets::default()
    };
    let mut coordinator = LoopCoordinator::new(budgets).expect("budgets");
    let background = Due::Background { budget_us: 1_000_000 };
    assert_eq!(coordinator.due(&at(5, 0.0, 500)), Due::Nothing);
    assert_eq!(coordinator.due(&at(105, 0.9, 99)), Due::Nothing);
    assert_eq!(coordinator.due(&at(105, 0.9, 100)), background);
    coordinator.finished(background, 105, 2_000_105);
    assert_eq!(coordinator.counts()[1].overruns, 1);
    assert_eq!(coordinator.due(&at(2_000_106, 0.9, 799)), Due::Nothing);
    assert_eq!(coordinator.due(&at(2_000_106, 0.9, 800)), background);
    coordinator.want_background();
    assert_eq!(coordinator.due(&at(2_000_106, 0.9, 0)), background);
    coordinator.finished(background, 2_000_106, 2_000_107);
    let deep = coordinator.due(&at(2_000_108, 0.1, 0));
    assert_eq!(
        deep,
        Due::Deep {
            budget_us: 600_000_000
        }
    );
    coordinator.finished(deep, 2_000_108, 2_000_200);
    assert_eq!(coordinator.due(&at(2_000_201, 0.1, 0)), Due::Nothing);
    coordinator.instant(50);
    coordinator.instant(500);
    assert_eq!(
        (coordinator.counts()[0].runs, coordinator.counts()[0].overruns),
        (2, 1)
    );
    assert!(
        LoopCoordinator::new(LoopBudgets {
            idle_load: 2.0,
            ..budgets
        })
        .is_err()
    );
}
