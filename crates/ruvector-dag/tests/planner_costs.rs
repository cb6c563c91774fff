//! Cost settings from executions: what is clear is found, what is not is left alone.

mod arbitrary;

use proptest::prelude::*;
use ruvector_dag::cardinality::hash_words;
use ruvector_dag::cost::PostgresCostModel;
use ruvector_dag::decision::{CostSetting, ExecutedPlan, PlannerCosts, SpentCosts, planner_costs};
use ruvector_dag::{Error, OperatorId, OperatorNode, OperatorType, QueryDag};

/// How long a unit of cost takes on a server, in milliseconds: in order, at random, in processing rows.
type Speeds = [f64; 3];

const RIGHT: Speeds = [0.005; 3];
/// The right settings are a tenth of the current `random_page_cost`, and four times the current `cpu_*` costs.
const OFF: Speeds = [0.005, 0.0005, 0.02];

fn prices() -> PostgresCostModel {
    PostgresCostModel {
        random_page_cost: 40.0,
        ..PostgresCostModel::default()
    }
}

fn uniform(words: [u64; 3]) -> f64 {
    hash_words(words) as f64 / u64::MAX as f64
}

/// Nearly normal, of deviation 1.
fn noise(seed: u64, of: u64) -> f64 {
    (0..12).map(|part| uniform([seed, of, part])).sum::<f64>() - 6.0
}

/// A plan of a statement: each spends most on one or two kinds, as real ones do.
fn plan(seed: u64, statement: u64, class: u64) -> [f64; 3] {
    let cost = 1500.0 * (4.0 * uniform([seed, statement, 101])).exp() * (1.0 + uniform([seed, class, 102]));
    let share = 0.3 * uniform([seed, statement, 103]);
    let [most, next] = [1.0 - share, share].map(|share| share * cost);
    match statement % 4 {
        0 => [most, 0.0, next],
        1 => [next, most, 0.0],
        2 => [next, 0.0, most],
        _ => [0.0, most, next],
    }
}

/// Executions of so many statements, four with each of three constants. Latencies are off by some 20 % each, and those of a statement
/// by 40 % together.
fn executions(seed: u64, statements: u64, speeds: Speeds) -> Vec<ExecutedPlan> {
    let of_run = |run: u64| {
        let (class, statement) = (run / 4, run / 12);
        let [sequential, random, cpu] = plan(seed, statement, class);
        let [a, b, c] = speeds;
        let off = 0.4 * noise(seed, 1000 + statement) + 0.2 * noise(seed, 100_000 + run);
        ExecutedPlan {
            statement,
            class,
            plan_shape: statement,
            costs: SpentCosts {
                sequential,
                random,
                cpu,
            },
            elapsed_ms: (a * sequential + b * random + c * cpu) * off.exp(),
        }
    };
    (0..12 * statements).map(of_run).collect()
}

fn costs(executed: &[ExecutedPlan]) -> PlannerCosts {
    planner_costs(executed, &prices(), &mut || false).expect("not cancelled")
}

fn suggestions(costs: &PlannerCosts) -> usize {
    let settings = costs.settings.iter();
    settings.filter(|setting| setting.suggested.is_some()).count()
}

fn holds(setting: &CostSetting, value: f64) -> bool {
    setting
        .interval
        .is_some_and(|(lower, upper)| lower <= value && value <= upper)
}

#[test]
fn settings_that_are_off_are_found_in_noisy_executions() {
    let costs = costs(&executions(2, 60, OFF));
    assert_eq!((costs.plans, costs.statements), (180, 60));
    let expected = [4.0, 0.04, 0.02, 0.01];
    for (setting, expected) in costs.settings.iter().zip(expected) {
        let suggested = setting.suggested.expect("it is far off");
        assert!((suggested / expected).ln().abs() < 0.6, "{setting:?}");
    }
}

#[test]
fn nineteen_of_twenty_intervals_hold_what_is_right() {
    let (mut held, mut all) = (0, 0);
    for seed in 0..100 {
        for (statements, speeds, random, tuple) in [(40, OFF, 4.0, 0.04), (16, RIGHT, 40.0, 0.01)] {
            let [of_random, of_tuple, ..] = costs(&executions(seed, statements, speeds)).settings;
            held += usize::from(holds(&of_random, random)) + usize::from(holds(&of_tuple, tuple));
            all += 2;
        }
    }
    assert!(held * 100 >= all * 92, "{held} of {all}");
}

#[test]
fn settings_that_are_right_are_left_alone() {
    let wrong: usize = (0..100)
        .map(|seed| suggestions(&costs(&executions(seed, 20, RIGHT))))
        .sum();
    // Two of a hundred are as many as may be: three settings share a ratio.
    assert!(wrong <= 6, "{wrong}");
}

#[test]
fn too_little_says_nothing() {
    let all = executions(2, 60, OFF);
    let few_statements: Vec<_> = all.iter().copied().filter(|plan| plan.statement < 9).collect();
    let few_plans: Vec<_> = all
        .iter()
        .copied()
        .filter(|plan| plan.class % 3 == 0 && plan.statement < 29)
        .collect();
    let cheap = all.iter().map(|plan| ExecutedPlan {
        costs: SpentCosts {
            cpu: 900.0,
            ..SpentCosts::default()
        },
        ..*plan
    });
    for executed in [few_statements, few_plans, cheap.collect(), Vec::new()] {
        let costs = costs(&executed);
        let says = |setting: &CostSetting| setting.interval.is_some() || setting.suggested.is_some();
        assert!(!costs.settings.iter().any(says), "{costs:?}");
        assert_eq!(costs.settings[0].current, 40.0);
    }
}

#[test]
fn of_a_kind_that_hardly_occurs_nothing_is_said() {
    let mut executed = executions(2, 60, OFF);
    executed.retain(|plan| plan.costs.random == 0.0 || plan.statement < 8);
    let [random, tuple, ..] = costs(&executed).settings;
    assert_eq!((random.interval, random.suggested), (None, None));
    assert!(tuple.suggested.is_some());
}

#[test]
fn plans_that_mix_the_kinds_alike_say_nothing() {
    let mut executed = executions(2, 60, OFF);
    for plan in &mut executed {
        let third = plan.costs.total() / 3.0;
        plan.costs = SpentCosts {
            sequential: third,
            random: third,
            cpu: third,
        };
        plan.elapsed_ms = 0.01 * plan.costs.total();
    }
    let costs = costs(&executed);
    assert_eq!(suggestions(&costs), 0);
    let (lower, upper) = costs.settings[0].interval.expect("there are enough plans");
    assert!(upper > 9.0 * lower, "{lower} to {upper}");
}

#[test]
fn what_ran_a_thousand_times_counts_once() {
    let mut executed = executions(2, 60, OFF);
    let before = costs(&executed);
    let again = executed[..4].repeat(1000);
    executed.extend(again);
    assert_eq!(costs(&executed), before);
}

#[test]
fn a_statement_with_a_thousand_constants_counts_as_one() {
    let mut executed = executions(2, 200, OFF);
    let before = costs(&executed);
    let slow = executed[16];
    executed.extend((0..1000).map(|at| ExecutedPlan {
        class: 1_000_000 + at,
        elapsed_ms: 50.0 * slow.elapsed_ms,
        ..slow
    }));
    let after = costs(&executed);
    assert_eq!(after.plans, before.plans + 1000);
    for (after, before) in after.settings.iter().zip(&before.settings) {
        let (after, before) = (
            after.suggested.expect("as before"),
            before.suggested.expect("off"),
        );
        assert!((after / before).ln().abs() < 0.2, "{before} became {after}");
    }
}

#[test]
fn a_suggestion_is_never_below_a_page_in_order_nor_away_from_what_is_right() {
    let executed = executions(2, 60, [0.005, 0.000_005, 0.005]);
    assert_eq!(costs(&executed).settings[0].suggested, Some(1.0));
    let cheap = PostgresCostModel {
        random_page_cost: 0.5,
        ..PostgresCostModel::default()
    };
    let costs = planner_costs(&executed, &cheap, &mut || false).expect("not cancelled");
    assert_eq!(costs.settings[0].suggested, None);
}

#[test]
fn it_ends_when_it_is_to_end() {
    let cancelled = planner_costs(&executions(2, 60, OFF), &prices(), &mut || true);
    assert_eq!(cancelled, Err(Error::Cancelled));
}

/// Operators with their total costs and rows; each edge leads from an input to its consumer.
fn tree(operators: &[(OperatorType, f64, f64)], edges: &[(u32, u32)]) -> QueryDag {
    let mut dag = QueryDag::new();
    for (number, &(operator, cost, rows)) in (0..).zip(operators) {
        dag.add_node(OperatorNode::new(number, operator).with_estimate(rows, 0.0, cost));
    }
    for &(from, to) in edges {
        dag.add_edge(OperatorId(from), OperatorId(to)).expect("a tree");
    }
    dag
}

fn spent(dag: &QueryDag) -> Option<[f64; 3]> {
    SpentCosts::of(dag, &PostgresCostModel::default())
        .map(|costs| [costs.sequential, costs.random, costs.cpu])
}

fn assert_spent(dag: &QueryDag, expected: [f64; 3]) {
    let spent = spent(dag).expect("all is priced");
    let off = spent.iter().zip(expected).map(|(one, other)| (one - other).abs());
    assert!(off.fold(0.0, f64::max) < 1e-6, "{spent:?}, not {expected:?}");
}

#[test]
fn an_index_looked_up_for_each_row_is_read_at_random_as_often() {
    let lookups = [
        (OperatorType::NestedLoop, 510.0, 50.0),
        (OperatorType::SeqScan, 100.0, 50.0),
        (OperatorType::IndexScan, 8.0, 2.0),
    ];
    let mut dag = tree(&lookups, &[(1, 0), (2, 0)]);
    // Two rows of 0.0175 each in every one of 50 lookups; 10 are the join's own.
    assert_spent(&dag, [100.0, 400.0 - 1.75, 10.0 + 1.75]);
    // As counted: 30.
    for number in 0..3 {
        let node = dag.node(OperatorId(number)).expect("is there").clone();
        let loops = if number == 2 { 30.0 } else { 1.0 };
        dag.add_node(node.with_actual(1.0, loops));
    }
    assert_spent(&dag, [100.0, 240.0 - 1.05, 170.0 + 1.05]);
}

#[test]
fn what_is_kept_is_read_once_and_what_is_limited_in_part() {
    let kept = [
        (OperatorType::NestedLoop, 300.0, 50.0),
        (OperatorType::SeqScan, 100.0, 50.0),
        (OperatorType::Materialize, 60.0, 10.0),
        (OperatorType::SeqScan, 50.0, 10.0),
    ];
    assert_spent(&tree(&kept, &[(1, 0), (2, 0), (3, 2)]), [150.0, 0.0, 150.0]);
    let limited = [
        (OperatorType::Limit, 25.0, 1.0),
        (OperatorType::HashJoin, 100.0, 4.0),
        (OperatorType::SeqScan, 60.0, 4.0),
    ];
    assert_spent(&tree(&limited, &[(1, 0), (2, 1)]), [15.0, 0.0, 10.0]);
}

#[test]
fn what_other_settings_price_is_left_out() {
    for operator in [
        OperatorType::Gather,
        OperatorType::ForeignScan,
        OperatorType::ModifyTable,
    ] {
        let parts = [(operator, 200.0, 1.0), (OperatorType::SeqScan, 100.0, 1.0)];
        assert_eq!(spent(&tree(&parts, &[(1, 0)])), None);
    }
    assert_eq!(spent(&tree(&[(OperatorType::SeqScan, 1e10, 1.0)], &[])), None);
    let mut correlated = tree(
        &[
            (OperatorType::SeqScan, 200.0, 9.0),
            (OperatorType::IndexScan, 8.0, 1.0),
        ],
        &[(1, 0)],
    );
    let mut lookup = correlated.node(OperatorId(1)).expect("is there").clone();
    lookup.subplan_name = Some("SubPlan 1".to_owned());
    correlated.add_node(lookup);
    assert_eq!(spent(&correlated), None, "nobody knows how often it ran");
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..1e5, 0.0..1e-3, any::<f64>()]
}

fn any_execution() -> impl Strategy<Value = ExecutedPlan> {
    let numbers = (any_number(), any_number(), any_number(), any_number());
    (0u64..40, 0u64..4, numbers).prop_map(|(statement, class, (sequential, random, cpu, elapsed_ms))| {
        ExecutedPlan {
            statement,
            class,
            plan_shape: 0,
            costs: SpentCosts {
                sequential,
                random,
                cpu,
            },
            elapsed_ms,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_ran_suggestions_are_finite_and_within_bounds(
        executed in proptest::collection::vec(any_execution(), 0..200),
    ) {
        for setting in costs(&executed).settings {
            if let Some((lower, upper)) = setting.interval {
                prop_assert!(0.0 <= lower && lower <= upper && !upper.is_nan(), "{setting:?}");
            }
            if let Some(value) = setting.suggested {
                let factor = value / setting.current;
                prop_assert!((0.0094..=106.0).contains(&factor), "{setting:?}");
            }
        }
    }

    #[test]
    fn costs_by_kind_add_up_to_the_cost_of_the_plan(parts in arbitrary::parts(10)) {
        const OPERATORS: [OperatorType; 6] = [
            OperatorType::NestedLoop, OperatorType::IndexScan, OperatorType::Limit,
            OperatorType::SeqScan, OperatorType::Memoize, OperatorType::HashJoin,
        ];
        let mut parts = parts;
        for (at, node) in parts.nodes.iter_mut().enumerate() {
            node.operator_type = OPERATORS[(at + node.width as usize) % OPERATORS.len()];
            node.total_cost = node.total_cost.min(1e6);
        }
        let dag = parts.dag();
        let expected: f64 = dag.sinks().filter_map(|id| dag.node(id)).map(|node| node.total_cost).sum();
        let costs = SpentCosts::of(&dag, &PostgresCostModel::default());
        let total = costs.map_or(expected, |costs| costs.total());
        prop_assert!((total - expected).abs() <= 1e-6 * expected, "{total} of {expected}");
    }
}
