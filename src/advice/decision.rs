//! Decisions that were measured faster than the stock plan, for those who want them without the extension; and more memory
//! where temporary files were written.

use super::Advice;
use super::hint_text;
use crate::observe::planned::Planned;
use engine::decision::{Decision, HintSet, StatementEvidence};

/// Confidence in more memory where none was tried.
const UNTRIED: f64 = 0.3;

pub(super) fn on(text: &str, planned: &Planned, evidence: &StatementEvidence) -> Vec<Advice> {
    let decision = evidence.settled().decision;
    let mut all = Vec::new();
    if !decision.is_stock() {
        all.extend(measured(text, planned, evidence));
    }
    let gives_memory = decision.hints.memory_doublings() > 0;
    if evidence.spilled_mb > 0 && !gives_memory {
        all.push(more_memory(evidence.spilled_mb));
    }
    all
}

fn measured(text: &str, planned: &Planned, evidence: &StatementEvidence) -> Option<Advice> {
    let decision = evidence.settled().decision;
    let (used, stock) = (evidence.plan_of(decision)?, evidence.stock()?);
    let (used_ms, stock_ms) = (used.typical_ms()?, stock.expected_ms()?);
    let settings = hint_text::settings(decision.hints);
    // Corrected counts have no setting: only the plan itself can be asked for.
    let sql = match decision.cutoff > 0 || settings.is_empty() {
        true => hint_text::annotated(planned, text)?,
        false => {
            let each = settings.iter().map(|setting| format!("SET LOCAL {setting};"));
            each.collect::<Vec<_>>().join(" ")
        }
    };
    Some(Advice {
        category: category(decision),
        description: format!(
            "with {} the statement took {used_ms:.1} ms ({} runs) instead of {stock_ms:.1} ms ({} runs)",
            decision.describe(),
            used.runs,
            stock.runs
        ),
        expected_improvement: evidence.improvement(),
        sql,
        confidence: evidence.confidence().unwrap_or(0.5),
    })
}

/// The one that says most about a decision; just-in-time compilation goes with the parallel workers, as what is done with a
/// plan rather than what plan it is.
fn category(decision: Decision) -> &'static str {
    let hints = decision.hints;
    if decision.cutoff > 0 || hints.plan_methods() != HintSet::NONE || hints.has_costs() {
        "join_order"
    } else if hints.memory_doublings() > 0 {
        "memory"
    } else {
        "parallelism"
    }
}

fn more_memory(spilled_mb: u32) -> Advice {
    let needed_mb = u64::from(spilled_mb).saturating_mul(2).next_power_of_two();
    Advice {
        category: "memory",
        description: format!(
            "an execution wrote {spilled_mb} MB to temporary files; in memory that takes about twice as much, per operator \
             and per session that runs it"
        ),
        expected_improvement: None,
        sql: format!("SET LOCAL work_mem = '{needed_mb}MB';"),
        confidence: UNTRIED,
    }
}
