//! Planning time on top of stock for 1 to 12 joined tables, with learned row counts present; and of statements never seen whose
//! forms are compared, with rewrites on and off.

use crate::report;
use crate::session::{Outcome, Session, quantile};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use testkit::{Cluster, Server};

const TABLES: usize = 12;
/// Runs after which nothing more is tried while somebody waits.
const SETTLING_RUNS: usize = 6;
/// Tables of the largest join whose forms are compared.
const REWRITTEN_TABLES: usize = 8;

/// Options of the planning measurement.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Plannings per number of tables and mode.
    #[arg(long, default_value_t = 300)]
    plannings: usize,
    /// Folder of planning.json and planning.md.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

/// Measures and writes the report.
pub(crate) fn run(options: &Options) -> Result<()> {
    let server = Server::with_extension(15)?;
    let cluster = Cluster::builder(&server)
        .set("autovacuum", "off")
        .set("ruvector.dag_min_duration", "0")
        .start()?;
    let mut owner = Session::open(&cluster, "postgres", "CREATE EXTENSION ruvector_dag")?;
    for table in 1..=TABLES {
        owner.execute(&format!(
            "CREATE TABLE t{table} (id int PRIMARY KEY, next_id int, kind int);
             INSERT INTO t{table} SELECT i, i % 1000, i * i % 7 FROM generate_series(1, 2000) AS i;
             CREATE INDEX ON t{table} (next_id); ANALYZE t{table}"
        ))?;
    }
    // All tables in one join search, and the standard search up to the twelfth.
    let one_search = "SET join_collapse_limit = 20; SET from_collapse_limit = 20; SET geqo_threshold = 13";
    let mut stock = Session::open(
        &cluster,
        "postgres",
        &format!("{one_search}; SET ruvector.dag_mode = off"),
    )?;
    let mut learned = Session::open(&cluster, "postgres", one_search)?;
    let mut text =
        "| tables | corrected | stock p50 ms | learned p50 ms | added p50 ms | stock p99 ms | learned p99 ms | embedding µs | decision |\n\
                    |---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let mut rows = Vec::new();
    for tables in 1..=TABLES {
        let sql = chain(tables);
        // Two runs of stock teach the row counts, and other plans are tried until the sixth; the first four are embedded.
        let embedding_us = time_of_embedding(&mut learned, &sql)?;
        for _ in 0..SETTLING_RUNS {
            learned.run(&sql)?;
        }
        let corrected = corrections_of_a_planning(&mut learned, &sql)?;
        let count = if tables > 9 {
            options.plannings.div_ceil(6)
        } else {
            options.plannings
        };
        let mut times = [Vec::new(), Vec::new()];
        for planning in 0..count {
            for is_stock in [planning % 2 == 0, planning % 2 != 0] {
                let session = if is_stock { &mut stock } else { &mut learned };
                let explained = session.explain("SUMMARY", &sql)?;
                times[usize::from(!is_stock)].push(explained["Planning Time"].as_f64().unwrap_or(0.0));
            }
        }
        let decision = learned.decision(&sql)?;
        let [before, after] = &times;
        let (p50, learned_p50) = (quantile(before, 0.5), quantile(after, 0.5));
        let (p99, learned_p99) = (quantile(before, 0.99), quantile(after, 0.99));
        let added = learned_p50 - p50;
        let line = format!(
            "| {tables} | {corrected} | {p50:.3} | {learned_p50:.3} | {added:.3} | {p99:.3} | {learned_p99:.3} | {embedding_us:.0} | {decision} |"
        );
        println!("{line}");
        let _ = writeln!(text, "{line}");
        rows.push(serde_json::json!({
            "tables": tables, "corrected": corrected, "plannings": count, "stock_p50_ms": p50, "learned_p50_ms": learned_p50,
            "stock_p99_ms": p99, "learned_p99_ms": learned_p99,
            "embedding_us": embedding_us, "decision": decision,
        }));
    }
    let (rewritten, of_rewritten) = first_sights(options, &cluster, &mut owner)?;
    let json = serde_json::json!({ "known": rows, "first_sight": of_rewritten });
    report::write(&options.out, "planning", &json, &format!("{text}\n{rewritten}"))
}

/// Plans joins that are only counted, each with a constant never seen, with rewrites on and off in turn.
fn first_sights(
    options: &Options,
    cluster: &Cluster<'_>,
    owner: &mut Session,
) -> Result<(String, Vec<serde_json::Value>)> {
    for table in 1..=REWRITTEN_TABLES {
        owner.execute(&format!(
            "CREATE TABLE r{table} (id int PRIMARY KEY, a int, b int);
             INSERT INTO r{table} SELECT i, i % 200, i * i % 211 FROM generate_series(1, 20000) AS i; ANALYZE r{table}"
        ))?;
    }
    let mut off = Session::open(cluster, "postgres", "SET ruvector.dag_rewrite = off")?;
    let mut on = Session::open(cluster, "postgres", "SET ruvector.dag_rewrite = auto")?;
    let mut text =
        "| tables | rewritten | off p50 ms | on p50 ms | added p50 ms | off p99 ms | on p99 ms | added p99 ms |\n\
                    |---|---|---|---|---|---|---|---|\n"
            .to_owned();
    println!("statements never seen, with rewrites on and off");
    let mut rows = Vec::new();
    for tables in 2..=REWRITTEN_TABLES {
        let (mut times, mut rewritten) = ([Vec::new(), Vec::new()], 0);
        for planning in 0..options.plannings {
            let sql = fan_out(tables, planning);
            for is_on in [planning % 2 == 0, planning % 2 != 0] {
                let session = if is_on { &mut on } else { &mut off };
                let explained = session.explain("SUMMARY", &sql)?;
                times[usize::from(is_on)].push(explained["Planning Time"].as_f64().unwrap_or(0.0));
                let decision = explained["RuVector"].as_str().unwrap_or_default();
                rewritten += usize::from(decision.contains("rewritten"));
            }
        }
        // The first ones of a session read the catalog.
        let [before, after] = times.map(|times| times.into_iter().skip(10).collect::<Vec<_>>());
        let [p50, p99] = [0.5, 0.99].map(|q| (quantile(&before, q), quantile(&after, q)));
        let line = format!(
            "| {tables} | {rewritten} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} | {:.3} |",
            p50.0,
            p50.1,
            p50.1 - p50.0,
            p99.0,
            p99.1,
            p99.1 - p99.0
        );
        println!("{line}");
        let _ = writeln!(text, "{line}");
        rows.push(serde_json::json!({
            "tables": tables, "plannings": options.plannings, "rewritten": rewritten, "off_p50_ms": p50.0, "on_p50_ms": p50.1,
            "off_p99_ms": p99.0, "on_p99_ms": p99.1,
        }));
    }
    Ok((text, rows))
}

/// A chain of joins in which each row finds a hundred others, which are only counted.
fn fan_out(tables: usize, constant: usize) -> String {
    let from: Vec<String> = (1..=tables).map(|table| format!("r{table}")).collect();
    let joins = (2..=tables).map(|table| {
        let column = if table % 2 == 0 { "a" } else { "b" };
        format!("r{}.{column} = r{table}.{column}", table - 1)
    });
    let clauses: Vec<String> = joins.chain([format!("r1.id > {constant}")]).collect();
    format!(
        "SELECT count(*) FROM {} WHERE {}",
        from.join(", "),
        clauses.join(" AND ")
    )
}

/// How many row estimates one planning replaces. EXPLAIN tries nothing, so every planning measured replaces as many.
fn corrections_of_a_planning(session: &mut Session, sql: &str) -> Result<u64> {
    let before = measure(session, "corrections_applied")?;
    session.explain("SUMMARY", sql)?;
    Ok((measure(session, "corrections_applied")? - before) as u64)
}

/// Microseconds from a live plan to its embedding, the mean of two executions.
fn time_of_embedding(session: &mut Session, sql: &str) -> Result<f64> {
    let counts = |session: &mut Session| -> Result<[f64; 2]> {
        Ok([
            measure(session, "embeddings")?,
            measure(session, "embedding_nanoseconds")?,
        ])
    };
    let before = counts(session)?;
    for _ in 0..2 {
        session.run(sql)?;
    }
    let after = counts(session)?;
    Ok((after[1] - before[1]) / (after[0] - before[0]) / 1000.0)
}

fn measure(session: &mut Session, name: &str) -> Result<f64> {
    let sql = format!("SELECT value FROM ruvector.dag_measures() WHERE measure = '{name}'");
    let (_, outcome) = session.run(&sql)?;
    let Outcome::Rows(rows) = outcome else {
        bail!("cut off")
    };
    Ok(rows.first().context("no counter")?.parse()?)
}

/// A chain of joins with correlated filters.
fn chain(tables: usize) -> String {
    let from: Vec<String> = (1..=tables).map(|table| format!("t{table}")).collect();
    let joins = (2..=tables).map(|table| format!("t{}.next_id = t{table}.id", table - 1));
    let filters = (1..=tables)
        .step_by(3)
        .map(|table| format!("t{table}.kind = 1 AND t{table}.next_id < 900"));
    let clauses: Vec<String> = joins.chain(filters).collect();
    format!(
        "SELECT count(*) FROM {} WHERE {}",
        from.join(", "),
        clauses.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use super::{chain, fan_out};

    #[test]
    fn a_fan_out_joins_each_table_to_the_next_by_one_of_two_columns() {
        let sql = fan_out(3, 7);
        assert!(
            sql.ends_with("WHERE r1.a = r2.a AND r2.b = r3.b AND r1.id > 7"),
            "{sql}"
        );
    }

    #[test]
    fn a_chain_joins_each_table_to_the_next() {
        let sql = chain(2);
        assert!(
            sql.contains("FROM t1, t2 WHERE t1.next_id = t2.id AND t1.kind = 1"),
            "{sql}"
        );
    }
}
