//! What PostgreSQL plans under each hint set, with what it is estimated to spend and what was measured of it.

use crate::oracle::{self, Oracle};
use crate::session::Session;
use anyhow::Result;
use engine::OperatorType;
use engine::cardinality::hash_words;
use engine::decision::{Compilation, CostedOperator, HintSet, METHODS, PlanCosts, WORKERS_SOONER, arms};
use serde_json::Value;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A plan.
#[derive(Debug)]
pub(super) struct Plan {
    /// Which operators it has, and in which order.
    pub(super) shape: u64,
    pub(super) total_cost: f64,
    pub(super) costs: PlanCosts,
    /// The methods it uses, as bits of [`METHODS`].
    pub(super) methods: u32,
    /// What it takes, `None` where it was cut off; `None` where it was not measured: other statistics gave other plans.
    measured: Option<Option<f64>>,
}

impl Plan {
    /// What it takes; `None` where it was cut off.
    pub(super) fn ms(&self) -> Option<f64> {
        self.measured.flatten()
    }
}

/// A statement's plans.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) stock_ms: f64,
    /// The stock plan is the first one.
    plans: Vec<Plan>,
    by_hints: HashMap<HintSet, usize>,
}

impl Planned {
    /// Plans a statement under all hint sets; `None` of one that was not measured.
    pub(super) fn read(session: &mut Session, oracle: &Oracle, id: &str, sql: &str) -> Result<Option<Self>> {
        let Some(stock_ms) = oracle.stock_ms(id) else {
            return Ok(None);
        };
        let mut statement = Self {
            stock_ms,
            plans: Vec::new(),
            by_hints: HashMap::new(),
        };
        for hint_set in oracle::HintSet::all() {
            session.execute(&hint_set.apply())?;
            let explained = session.explain("COSTS ON", sql)?;
            session.execute(oracle::HintSet::RESET)?;
            let measured_ms = match statement.plans.is_empty() {
                true => Some(Some(stock_ms)),
                false => oracle.plan_ms(id, &hint_set.to_string()),
            };
            let place = statement.add(&explained, measured_ms);
            if let Some(hints) = engine_hints(&hint_set.apply()) {
                statement.by_hints.insert(hints, place);
            }
        }
        Ok(Some(statement))
    }

    fn add(&mut self, explained: &Value, measured: Option<Option<f64>>) -> usize {
        let top = &explained["Plan"];
        let compilation = compilation(explained);
        let shape = hash_words([shape(top), u64::from(compilation != Compilation::Off)]);
        if let Some(known) = self.plans.iter().position(|plan| plan.shape == shape) {
            let plan = &mut self.plans[known];
            plan.measured = plan.measured.or(measured);
            return known;
        }
        self.plans.push(Plan {
            shape,
            total_cost: number(top, "Total Cost"),
            costs: PlanCosts::of_plan(&Explained(top), compilation),
            methods: methods(top),
            measured,
        });
        self.plans.len() - 1
    }

    pub(super) fn stock(&self) -> &Plan {
        &self.plans[0]
    }

    /// The plan under a hint set of the engine's, if it was measured.
    pub(super) fn under(&self, hints: HintSet) -> Option<&Plan> {
        let plan = self.plans.get(*self.by_hints.get(&hints)?)?;
        plan.measured.is_some().then_some(plan)
    }

    /// How many of its plans were measured, and how many it has.
    pub(super) fn known(&self) -> (usize, usize) {
        let measured = self.plans.iter().filter(|plan| plan.measured.is_some());
        (measured.count(), self.plans.len())
    }

    /// What the fastest plan takes.
    pub(super) fn best_ms(&self) -> f64 {
        self.plans
            .iter()
            .filter_map(Plan::ms)
            .fold(self.stock_ms, f64::min)
    }
}

/// The hint set that makes these settings; `None` of what leaves everything on.
fn engine_hints(settings: &str) -> Option<HintSet> {
    let is_off = |name: &std::ffi::CStr| {
        let name = name.to_string_lossy();
        settings.contains(&format!("SET {name} = off"))
    };
    let off = METHODS.iter().filter(|method| is_off(method.setting));
    let none = match settings.contains(&*WORKERS_SOONER[0].to_string_lossy()) {
        true => HintSet::NONE.with_workers(),
        false => HintSet::NONE,
    };
    let bits = off.fold(none.bits(), |bits, method| bits | method.bit);
    arms().into_iter().find(|hints| bits != 0 && hints.bits() == bits)
}

fn compilation(explained: &Value) -> Compilation {
    let options = &explained["JIT"]["Options"];
    let is_on = |option: &str| options[option].as_bool().unwrap_or(false);
    match options.is_object() {
        false => Compilation::Off,
        true if is_on("Inlining") || is_on("Optimization") => Compilation::Optimized,
        true => Compilation::Quick,
    }
}

fn text<'v>(node: &'v Value, key: &str) -> &'v str {
    node[key].as_str().unwrap_or_default()
}

fn number(node: &Value, key: &str) -> f64 {
    node[key].as_f64().unwrap_or(0.0)
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}

fn hash(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

fn shape(node: &Value) -> u64 {
    let own = ["Node Type", "Relation Name", "Alias", "Index Name", "Join Type"].map(|key| text(node, key));
    hash_words(std::iter::once(hash(own)).chain(children(node).map(shape)))
}

fn methods(node: &Value) -> u32 {
    let nodes = [
        "Hash Join",
        "Merge Join",
        "Nested Loop",
        "Seq Scan",
        "Index Scan",
        "Index Only Scan",
        "Bitmap Heap Scan",
    ];
    let own = METHODS
        .iter()
        .zip(nodes)
        .find(|(_, name)| *name == text(node, "Node Type"));
    let own = own.map_or(0, |(method, _)| method.bit);
    children(node).fold(own, |bits, child| bits | methods(child))
}

/// An operator of EXPLAIN's.
struct Explained<'v>(&'v Value);

impl CostedOperator for Explained<'_> {
    fn operator_type(&self) -> OperatorType {
        OperatorType::from_name(text(self.0, "Node Type")).unwrap_or(OperatorType::CustomScan)
    }

    fn total_cost(&self) -> f64 {
        number(self.0, "Total Cost")
    }

    fn inputs(&self) -> Vec<Self> {
        let is_subplan =
            |child: &&Value| matches!(text(child, "Parent Relationship"), "InitPlan" | "SubPlan");
        children(self.0)
            .filter(|child| !is_subplan(child))
            .map(Explained)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hint_sets_but_the_first_are_the_engines() {
        let known: Vec<Option<HintSet>> = oracle::HintSet::all()
            .map(|set| engine_hints(&set.apply()))
            .collect();
        assert_eq!(known[0], None);
        assert!(known[1..].iter().all(Option::is_some), "{known:?}");
    }

    #[test]
    fn subplans_are_no_inputs_and_joins_and_scans_are_methods() {
        let plan = serde_json::json!({"Node Type": "Nested Loop", "Total Cost": 100.0, "Plans": [
            {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Total Cost": 30.0},
            {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Total Cost": 0.5},
            {"Node Type": "Hash Join", "Parent Relationship": "SubPlan", "Total Cost": 7.0}]});
        let top = Explained(&plan);
        let inputs = top.inputs();
        let costs: Vec<f64> = inputs.iter().map(CostedOperator::total_cost).collect();
        assert_eq!((top.total_cost(), costs), (100.0, vec![30.0, 0.5]));
        assert_eq!(inputs[1].operator_type(), OperatorType::IndexScan);
        assert_eq!(methods(&plan), 0b1_1101);
    }

    #[test]
    fn how_a_plan_is_compiled_is_read() {
        let options = |inlining| serde_json::json!({"JIT": {"Functions": 3, "Options": {"Inlining": inlining, "Optimization": false}}});
        let read =
            [serde_json::json!({"Plan": {}}), options(false), options(true)].map(|plan| compilation(&plan));
        assert_eq!(
            read,
            [Compilation::Off, Compilation::Quick, Compilation::Optimized]
        );
    }
}
