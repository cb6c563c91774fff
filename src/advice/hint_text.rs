//! A statement's plan as pg_hint_plan hints and portable settings, in a comment before it.
//!
//! Hints name relations by their aliases, whatever query level they are in: where an alias occurs twice there are none.

use super::evidence_of;
use crate::observe::planned::{self, Planned};
use crate::pg::ereport::Report;
use crate::pg::hint_set;
use crate::pg::operators::OperatorView;
use engine::decision::{HintSet, WORKERS_SOONER, without_penalties};
use std::collections::HashSet;
use std::fmt::Write;

/// The statement with its decision in a comment; `None` when it is planned as stock PostgreSQL does.
pub(crate) fn rewrite(text: &str) -> Result<Option<String>, Report> {
    let planned = planned::plan(text)?;
    Ok(annotated(&planned, text))
}

/// `text` under a comment that makes pg_hint_plan give the plan that is in `planned`; `None` for a stock plan.
pub(super) fn annotated(planned: &Planned, text: &str) -> Option<String> {
    let remembered = planned
        .remembered
        .as_ref()
        .filter(|known| !known.decision.is_stock())?;
    let mut settings = settings(remembered.decision.hints);
    let facts = &remembered.facts;
    // Elsewhere penalties count; see `compile_by_cost`.
    let is_compiled_elsewhere = !facts.uses_jit && without_penalties(facts.total_cost) < facts.total_cost;
    if is_compiled_elsewhere && !remembered.decision.hints.is_without_jit() {
        settings.push(Setting::new("jit", "off"));
    }
    let mut lines = hints(planned);
    let set = |setting: &Setting| format!("Set({} {})", setting.name, setting.value);
    lines.extend(settings.iter().map(set));
    let choice = evidence_of(planned).unwrap_or_default().choose();
    let mut rewritten = String::from("/*+\n");
    for line in &lines {
        let _ = writeln!(rewritten, "  {line}");
    }
    let _ = writeln!(
        rewritten,
        "*/\n-- ruvector_dag: {} ({}: {})",
        remembered.describe(),
        choice.state.name(),
        choice.reason.text()
    );
    for setting in &settings {
        let _ = writeln!(rewritten, "-- SET LOCAL {setting};");
    }
    Some(rewritten + text.trim_start())
}

/// A setting of PostgreSQL, with a value that needs no quotes in a hint.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    name: &'static str,
    value: String,
}

impl Setting {
    fn new(name: &'static str, value: &str) -> Self {
        Self {
            name,
            value: value.to_owned(),
        }
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

/// What a hint set sets.
pub(crate) fn settings(hints: HintSet) -> Vec<Setting> {
    let methods = hints.methods();
    let mut all: Vec<Setting> = methods
        .filter_map(|method| Some(Setting::new(method.setting.to_str().ok()?, "off")))
        .collect();
    if hints.is_serial() {
        all.push(Setting::new("max_parallel_workers_per_gather", "0"));
    }
    if hints.asks_for_workers() {
        let names = WORKERS_SOONER.iter().filter_map(|name| name.to_str().ok());
        all.extend(names.map(|name| Setting::new(name, "0")));
    }
    if hints.is_without_jit() {
        all.push(Setting::new("jit", "off"));
    }
    if hints.memory_doublings() > 0 {
        all.push(Setting::new("work_mem", &hint_set::memory_kb(hints).to_string()));
    }
    let costs = hint_set::costs(hints);
    all.extend(costs.filter_map(|(name, cost)| Some(Setting::new(name.to_str().ok()?, &cost.to_string()))));
    all
}

/// Part of a plan in terms of aliases.
enum Part {
    Relation(String),
    Join(Box<Part>, Box<Part>),
}

impl Part {
    fn aliases(&self) -> Vec<&str> {
        match self {
            Part::Relation(alias) => vec![alias],
            Part::Join(outer, inner) => [outer.aliases(), inner.aliases()].concat(),
        }
    }

    fn order(&self) -> String {
        match self {
            Part::Relation(alias) => quoted(alias),
            Part::Join(outer, inner) => format!("({} {})", outer.order(), inner.order()),
        }
    }
}

struct Hints<'p> {
    operators: &'p [OperatorView],
    /// Scan and join methods.
    methods: Vec<String>,
    /// Join orders, one per query level with joins.
    orders: Vec<String>,
    /// Where further query levels begin.
    levels: Vec<usize>,
}

/// Hints for the plan; none when aliases don't tell its relations apart.
fn hints(planned: &Planned) -> Vec<String> {
    let aliases = aliases(&planned.operators);
    let distinct: HashSet<&str> = aliases.iter().copied().collect();
    let is_safe = |alias: &&str| !alias.contains("*/") && !alias.contains("/*");
    if distinct.len() < aliases.len() || !aliases.iter().all(is_safe) {
        return Vec::new();
    }
    let mut hints = Hints {
        operators: &planned.operators,
        methods: Vec::new(),
        orders: Vec::new(),
        levels: vec![0],
    };
    while let Some(level) = hints.levels.pop() {
        if let Some(part @ Part::Join(..)) = hints.part(level) {
            hints.orders.push(format!("Leading({})", part.order()));
        }
    }
    hints.orders.extend(hints.methods);
    hints.orders.extend(corrected_rows(planned));
    hints.orders
}

/// The aliases of all relations, those of a partitioned table once.
fn aliases(operators: &[OperatorView]) -> Vec<&str> {
    let whole = |view| partitioned(operators, view);
    let partitions = operators.iter().filter(|view| whole(view).is_some());
    let partitions: HashSet<usize> = partitions.flat_map(|view| view.inputs.iter().copied()).collect();
    let own = |(at, view): (usize, &'_ OperatorView)| is_leaf(view) && !partitions.contains(&at);
    let scans = operators.iter().enumerate().filter(|&scan| own(scan));
    let scans = scans.filter_map(|(_, view)| view.alias.as_deref());
    scans.chain(operators.iter().filter_map(whole)).collect()
}

/// The alias of the table whose partitions an operator puts together: they all have it.
fn partitioned<'p>(operators: &'p [OperatorView], append: &OperatorView) -> Option<&'p str> {
    let inputs = || append.inputs.iter().filter_map(|&input| operators.get(input));
    let alias = inputs().next()?.alias.as_deref()?;
    let is_partition = |view: &OperatorView| is_leaf(view) && view.alias.as_deref() == Some(alias);
    (append.name.ends_with("Append") && inputs().all(is_partition)).then_some(alias)
}

/// Whether an operator reads a relation of its query level.
fn is_leaf(view: &OperatorView) -> bool {
    view.alias.is_some() && view.name != "Bitmap Index Scan"
}

impl Hints<'_> {
    fn part(&mut self, at: usize) -> Option<Part> {
        let operators = self.operators;
        let view = operators.get(at)?;
        let is_subplan = |&&input: &&usize| {
            operators
                .get(input)
                .is_some_and(|view| view.subplan_name.is_some())
        };
        self.levels.extend(view.inputs.iter().filter(is_subplan));
        let inputs: Vec<usize> = view
            .inputs
            .iter()
            .copied()
            .filter(|input| !is_subplan(&input))
            .collect();
        if is_leaf(view) {
            return self.leaf(view, &inputs);
        }
        if let Some(alias) = partitioned(operators, view) {
            return Some(Part::Relation(alias.to_owned()));
        }
        match (join_hint(view.name), inputs.as_slice()) {
            (Some(method), &[outer, inner]) => {
                let (outer, inner) = (self.part(outer), self.part(inner));
                let part = Part::Join(Box::new(outer?), Box::new(inner?));
                let aliases: Vec<String> = part.aliases().into_iter().map(quoted).collect();
                self.methods.push(format!("{method}({})", aliases.join(" ")));
                Some(part)
            }
            (None, &[input]) => self.part(input),
            // The branches of an Append are levels of their own.
            (_, inputs) => {
                self.levels.extend(inputs);
                None
            }
        }
    }

    fn leaf(&mut self, view: &OperatorView, inputs: &[usize]) -> Option<Part> {
        let alias = view.alias.as_ref()?;
        let method = match view.name {
            "Seq Scan" => Some("SeqScan"),
            "Index Scan" => Some("IndexScan"),
            "Index Only Scan" => Some("IndexOnlyScan"),
            "Bitmap Heap Scan" => Some("BitmapScan"),
            _ => None,
        };
        match method {
            Some(method) => {
                let index = view
                    .index
                    .as_ref()
                    .map_or(String::new(), |index| format!(" {}", quoted(index)));
                self.methods.push(format!("{method}({}{index})", quoted(alias)));
            }
            // A subquery: what is below it is planned on its own.
            None => self.levels.extend(inputs),
        }
        Some(Part::Relation(alias.clone()))
    }
}

fn join_hint(operator: &str) -> Option<&'static str> {
    match operator {
        "Hash Join" => Some("HashJoin"),
        "Merge Join" => Some("MergeJoin"),
        "Nested Loop" => Some("NestLoop"),
        _ => None,
    }
}

/// The joins that are planned with learned counts.
fn corrected_rows(planned: &Planned) -> Vec<String> {
    let Some(remembered) = &planned.remembered else {
        return Vec::new();
    };
    let facts = &remembered.facts;
    let mut rows: Vec<String> = Vec::new();
    for counted in facts
        .counted
        .iter()
        .filter(|counted| counted.planned != counted.estimated)
    {
        let Some(place) = counted.sketched.filter(|place| place.set.count_ones() > 1) else {
            continue;
        };
        let Some(sketched) = facts.sketches.get(place.sketch) else {
            continue;
        };
        let names = sketched.aliases.iter().enumerate().take(u64::BITS as usize);
        let inside = names.filter(|(at, _)| place.set >> at & 1 == 1);
        let aliases: Vec<String> = inside.map(|(_, alias)| quoted(alias)).collect();
        let hint = format!("Rows({} #{:.0})", aliases.join(" "), counted.planned);
        if !rows.contains(&hint) {
            rows.push(hint);
        }
    }
    rows
}

/// A name as pg_hint_plan reads it.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match !name.is_empty() && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}
