//! The same run with each mechanism off.

use crate::comparison::{self, FreshCopy};
use crate::report;
use crate::session::Session;
use crate::workload::DATABASE;
use anyhow::Result;
use clap::Args;
use std::fmt::Write;
use testkit::Server;

/// Options of the ablation.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    comparison: comparison::Options,
    /// Only these mechanisms, separated by commas.
    #[arg(long, value_delimiter = ',')]
    mechanisms: Vec<String>,
}

/// A mechanism, and what switches it off.
struct Mechanism {
    name: &'static str,
    off: &'static [(&'static str, &'static str)],
}

/// What is switched off; the first is everything on.
const MECHANISMS: &[Mechanism] = &[
    Mechanism {
        name: "nothing",
        off: &[],
    },
    Mechanism {
        name: "decisions (learn, run stock plans)",
        off: &[("ruvector.dag_mode", "observe")],
    },
    Mechanism {
        name: "row corrections",
        off: &[("ruvector.dag_row_corrections", "off")],
    },
    Mechanism {
        name: "learned row model",
        off: &[("ruvector.dag_row_model", "off")],
    },
    Mechanism {
        name: "partial knowledge (bounds)",
        off: &[("ruvector.dag_row_bounds", "off")],
    },
    Mechanism {
        name: "hint sets",
        off: &[("ruvector.dag_hint_sets", "off")],
    },
    Mechanism {
        name: "settings of one statement",
        off: &[("ruvector.dag_statement_settings", "off")],
    },
    Mechanism {
        name: "trials in the foreground",
        off: &[("ruvector.dag_explore_budget", "0")],
    },
    Mechanism {
        name: "trials in idle time",
        off: &[("ruvector.dag_dream_execute", "off")],
    },
    Mechanism {
        name: "plans' tension in the choice of attention",
        off: &[("ruvector.dag_mincut_enabled", "off")],
    },
    Mechanism {
        name: "choice among attention mechanisms",
        off: &[("ruvector.dag_attention_type", "topological")],
    },
    Mechanism {
        name: "elastic weight consolidation",
        off: &[("ruvector.dag_ewc_lambda", "1e-9")],
    },
];

/// Runs them one after another, each in a fresh copy of the data.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = options.comparison.workload.start(&server)?;
    let mut text = "| without | last / stock | steady / stock | regressions | paid back after |\n|---|---|---|---|---|\n".to_owned();
    let mut json = Vec::new();
    let wanted = |name: &str| {
        let names = &options.mechanisms;
        names.is_empty() || names.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    let chosen = MECHANISMS.iter().filter(|mechanism| wanted(mechanism.name));
    for (number, mechanism) in chosen.enumerate() {
        let name = mechanism.name;
        println!("without: {name}");
        if let Some(missing) = missing(&mut Session::open(&cluster, "postgres", "")?, mechanism)? {
            println!("not run: no setting {missing}");
            let _ = writeln!(
                text,
                "| {name} | not run: this build has no setting {missing} | | | |"
            );
            json.push(serde_json::json!({ "without": name, "missing_setting": missing }));
            continue;
        }
        let copy = FreshCopy::new(&cluster, number)?;
        let report = comparison::compare(
            &cluster,
            &copy.name,
            &options.comparison,
            &commands(mechanism, "SET"),
        )?;
        let mut owner = Session::open(&cluster, "postgres", "")?;
        for command in commands(mechanism, "RESET") {
            owner.execute(&command)?;
        }
        copy.remove(&cluster)?;
        let total = &report.total;
        let (last, steady) = (total.last_ms / total.stock_ms, total.steady_ms / total.stock_ms);
        let paid = report
            .paid_back_after
            .map_or("not within the run".to_owned(), |number| number.to_string());
        let line = format!(
            "| {name} | {last:.3} | {steady:.3} | {} | {paid} |",
            report.regressions.len()
        );
        println!("{line}");
        let _ = writeln!(text, "{line}");
        json.push(serde_json::json!({
            "without": name, "last": last, "steady": steady, "regressions": report.regressions,
            "paid_back_after": report.paid_back_after, "same_results": report.all_results_same(),
        }));
    }
    report::write(&options.comparison.out, "ablation", &json, &text)?;
    println!("{DATABASE} ran {} times:\n{text}", json.len());
    Ok(())
}

/// The first setting of a mechanism that this build does not have.
fn missing(session: &mut Session, mechanism: &Mechanism) -> Result<Option<&'static str>> {
    for (setting, _) in mechanism.off {
        if !session.has_setting(setting)? {
            return Ok(Some(setting));
        }
    }
    Ok(None)
}

/// For the server, since not every setting is a session's own.
fn commands(mechanism: &Mechanism, verb: &str) -> Vec<String> {
    let mut commands: Vec<String> = mechanism
        .off
        .iter()
        .map(|(setting, value)| match verb {
            "SET" => format!("ALTER SYSTEM SET {setting} = '{value}'"),
            _ => format!("ALTER SYSTEM RESET {setting}"),
        })
        .collect();
    commands.push("SELECT pg_reload_conf()".to_owned());
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_switched_back() {
        for mechanism in MECHANISMS {
            let (off, back) = (commands(mechanism, "SET"), commands(mechanism, "RESET"));
            assert_eq!(off.len(), mechanism.off.len() + 1);
            for (setting, _) in mechanism.off {
                assert!(back.contains(&format!("ALTER SYSTEM RESET {setting}")));
            }
        }
    }

    #[test]
    fn the_first_switches_nothing_off() {
        assert!(MECHANISMS[0].off.is_empty());
        assert!(MECHANISMS[1..].iter().all(|mechanism| !mechanism.off.is_empty()));
    }
}
