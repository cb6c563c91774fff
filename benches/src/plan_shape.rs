//! A plan in one line, and what changed between two.

use serde_json::Value;

/// A plan's joins and scans, outermost first: `Hash(Nested(o, c), i)`.
pub(crate) fn summary(plan: &Value) -> String {
    let children: Vec<String> = plan["Plans"]
        .as_array()
        .into_iter()
        .flatten()
        .map(summary)
        .collect();
    let name = plan["Node Type"].as_str().unwrap_or("?");
    let alias = plan["Alias"].as_str().unwrap_or("");
    match name {
        "Nested Loop" | "Hash Join" | "Merge Join" => {
            format!(
                "{}({})",
                name.split(' ').next().unwrap_or(name),
                children.join(", ")
            )
        }
        _ if name.ends_with("Scan") && !alias.is_empty() => format!("{}{alias}", scan_mark(name)),
        _ => children.join("; "),
    }
}

/// How a table is read: nothing for sequentially, `#` by an index.
fn scan_mark(name: &str) -> &'static str {
    if name.starts_with("Seq") { "" } else { "#" }
}

/// What a change is called that is none.
pub(crate) const SAME: &str = "same plan";

/// What changed between what EXPLAIN says, with costs, for a table.
pub(crate) fn change(before: &Value, after: &Value) -> String {
    let plans = [before, after];
    let [before, after] = match plans.map(|explained| summary(&explained["Plan"])) {
        [before, after] if before == after => plans.map(|explained| execution(explained).to_owned()),
        other => other,
    };
    if before == after {
        SAME.to_owned()
    } else {
        format!("{before} → {after}")
    }
}

/// How a plan is executed, besides its joins and scans.
fn execution(explained: &Value) -> &'static str {
    match (is_parallel(&explained["Plan"]), explained["JIT"].is_object()) {
        (false, false) => "serial",
        (false, true) => "serial, JIT",
        (true, false) => "parallel",
        (true, true) => "parallel, JIT",
    }
}

fn is_parallel(plan: &Value) -> bool {
    let gathers = plan["Node Type"]
        .as_str()
        .is_some_and(|name| name.starts_with("Gather"));
    gathers || plan["Plans"].as_array().into_iter().flatten().any(is_parallel)
}

/// Rows of the topmost join, and of all scans and joins together, of an analysed plan.
pub(crate) fn join_rows(plan: &Value) -> (f64, f64) {
    let (mut top, mut all) = (0.0, 0.0);
    visit(plan, &mut |name, rows| {
        if name.ends_with("Scan") || name.ends_with("Join") || name == "Nested Loop" {
            if top == 0.0 {
                top = rows;
            }
            all += rows;
        }
    });
    (top, all)
}

fn visit(plan: &Value, note: &mut dyn FnMut(&str, f64)) {
    let rows = plan["Actual Rows"].as_f64().unwrap_or(0.0) * plan["Actual Loops"].as_f64().unwrap_or(0.0);
    note(plan["Node Type"].as_str().unwrap_or("?"), rows);
    for child in plan["Plans"].as_array().into_iter().flatten() {
        visit(child, note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn join(kind: &str, outer: &str, inner: &str) -> Value {
        let scan = |alias: &str| json!({ "Node Type": "Seq Scan", "Alias": alias, "Actual Rows": 10, "Actual Loops": 1 });
        json!({ "Node Type": kind, "Actual Rows": 80, "Actual Loops": 1, "Plans": [scan(outer), scan(inner)] })
    }

    #[test]
    fn a_change_of_join_method_or_order_is_told() {
        let explained = |plan: Value| json!({ "Plan": plan });
        let before = explained(join("Nested Loop", "a", "b"));
        assert_eq!(change(&before, &before), SAME);
        assert_eq!(
            change(&before, &explained(join("Hash Join", "b", "a"))),
            "Nested(a, b) → Hash(b, a)"
        );
    }

    #[test]
    fn a_change_of_workers_or_compilation_alone_is_told() {
        let plan = || join("Hash Join", "a", "b");
        let serial = json!({ "Plan": plan() });
        let compiled = json!({ "Plan": plan(), "JIT": { "Functions": 7 } });
        let parallel =
            json!({ "Plan": { "Node Type": "Gather", "Plans": [plan()] }, "JIT": { "Functions": 7 } });
        assert_eq!(change(&compiled, &serial), "serial, JIT → serial");
        assert_eq!(change(&serial, &parallel), "serial → parallel, JIT");
    }

    #[test]
    fn rows_of_the_top_join_and_of_all_are_told_apart() {
        assert_eq!(join_rows(&join("Hash Join", "a", "b")), (80.0, 100.0));
    }
}
