//! Everything at once for a while: many clients that learn, analyse, reset and export, and extensions that come and go in
//! other databases. Nothing may grow, wait for our locks or crash.

mod memory;
mod waits;

use anyhow::{Context, Result, ensure};
use clap::Args;
use memory::Memory;
use postgres::Client;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use testkit::{Cluster, Server};

/// Options of the soak.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How long.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Connections, each busy all the time.
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Folder of soak.json.
    #[arg(long, default_value = "bench-out")]
    out: PathBuf,
}

const DATA: &str = "CREATE EXTENSION ruvector_dag; CREATE ROLE tenant LOGIN;
    CREATE TABLE t (id int PRIMARY KEY, a int, b int); INSERT INTO t SELECT i, i % 50, i % 50 FROM generate_series(1, 5000) AS i;
    CREATE TABLE u (id int PRIMARY KEY, a int, c int); INSERT INTO u SELECT i, i % 50, i % 9 FROM generate_series(1, 5000) AS i;
    GRANT SELECT ON t, u TO tenant; ANALYZE t, u";

/// What a client does all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Learn,
    Analyse,
    Forget,
    Export,
    /// Has the others look things up again: they get invalidations of functions, tables and statistics.
    Invalidate,
    /// In a database of its own.
    ComeAndGo,
}

impl Task {
    /// Of sixteen clients ten learn, and each of the others does something else.
    fn of(client: usize) -> Self {
        match client % 16 {
            10 => Self::Invalidate,
            11 | 12 => Self::Analyse,
            13 => Self::Export,
            14 => Self::ComeAndGo,
            15 => Self::Forget,
            _ => Self::Learn,
        }
    }

    /// The statements of one turn.
    fn turn(self, number: usize) -> Vec<String> {
        let n = number % 50;
        let join = format!(
            "SELECT count(*) FROM t JOIN u USING (id) WHERE t.a = {n} AND t.b = {n} AND u.c < {}",
            n % 9
        );
        let of = |functions: &[&str]| {
            let calls = functions.iter();
            calls
                .map(|function| {
                    format!(
                        "SELECT * FROM ruvector.{}",
                        function.replace("$1", &format!("$q${join}$q$"))
                    )
                })
                .collect()
        };
        match self {
            Self::Learn => vec![
                join,
                format!("SELECT count(*) FROM t WHERE a = {n} AND b = {n}"),
                format!(
                    "SELECT u.c, count(*) FROM t JOIN u USING (a) WHERE t.id < {} GROUP BY 1 ORDER BY 2",
                    50 + n
                ),
            ],
            Self::Analyse => of(&[
                "dag_explain($1)",
                "dag_analyze_plan($1)",
                "dag_attention_scores($1)",
                "dag_bottlenecks($1, 0.1)",
                "dag_suggest_optimizations($1)",
                "dag_estimate($1)",
                "dag_similar_statements($1)",
                "dag_decisions() LIMIT 10",
                "dag_savings() LIMIT 10",
                "dag_status()",
                "dag_memory_usage()",
                "dag_trajectory_trends()",
                "dag_query_patterns(ruvector.dag_embedding($1))",
            ]),
            Self::Forget => match number % 20 {
                0 => of(&["dag_reset_learning(false, false)"]),
                10 => of(&["dag_reset_role('tenant', false, false)"]),
                _ => of(&["dag_learn_now()", "dag_status()"]),
            },
            Self::Export => of(&[
                "dag_import_state(ruvector.dag_export_state())",
                "dag_plan_fingerprint()",
            ]),
            Self::Invalidate => vec![
                format!("CREATE FUNCTION pg_temp.fresh() RETURNS int LANGUAGE sql AS 'SELECT {n}'"),
                "DROP FUNCTION pg_temp.fresh()".to_owned(),
                format!("ALTER TABLE t SET (parallel_workers = {})", n % 3),
                "ANALYZE u".to_owned(),
                join,
            ],
            Self::ComeAndGo => vec![
                "CREATE EXTENSION IF NOT EXISTS ruvector_dag".to_owned(),
                format!(
                    "SELECT count(*) FROM generate_series(1, 100) AS i JOIN local USING (i) WHERE i < {n}"
                ),
                "SELECT count(*) FROM ruvector.dag_learn_now()".to_owned(),
                "DROP EXTENSION ruvector_dag".to_owned(),
            ],
        }
    }
}

/// What all clients did.
#[derive(Default)]
struct Tally {
    statements: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    is_over: AtomicBool,
}

impl Tally {
    fn note(&self, statement: &str, outcome: Result<(), postgres::Error>) {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let Err(error) = outcome else { return };
        let code = error.code().map_or("connection lost", |code| code.code());
        let text = error
            .as_db_error()
            .map_or_else(|| error.to_string(), |error| error.message().to_owned());
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        // Without constants, so that equal ones are counted together.
        let begin = statement.split(['(', '=']).next().unwrap_or_default();
        *errors.entry(format!("{code} {text}: {begin}")).or_default() += 1;
    }
}

#[derive(Serialize)]
struct Report {
    minutes: f64,
    clients: usize,
    /// Whether those who invalidate also discard their own caches, which a server built for that offers.
    discards_caches: bool,
    statements: u64,
    errors: BTreeMap<String, u64>,
    internal_errors: f64,
    waits: waits::Report,
    memory: memory::Report,
}

/// Runs everything, writes the report and fails where something grew, waited or broke.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(
        options.minutes <= waits::KEPT_MINUTES,
        "latencies are kept for {} minutes",
        waits::KEPT_MINUTES
    );
    let server = Server::with_extension(testkit::build::major())?;
    let cluster = start(options, &server)?;
    let tally = Tally::default();
    let (waits, memory) = (
        Mutex::new(waits::Report::default()),
        Mutex::new(Memory::default()),
    );
    let until = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    std::thread::scope(|scope| -> Result<()> {
        for number in 0..options.clients {
            let mut client = connect(&cluster, number)?;
            let tally = &tally;
            scope.spawn(move || busy(&mut client, number, until, tally));
        }
        let mut observer = cluster.client("postgres")?;
        observer.batch_execute("SET ruvector.neural_dag_enabled = off")?;
        let (waits, over) = (&waits, &tally.is_over);
        let watching = scope.spawn(move || -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                waits
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .sample(&mut observer)?;
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        });
        while Instant::now() < until {
            memory
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .sample(cluster.postmaster()?)?;
            std::thread::sleep(Duration::from_millis(200));
        }
        tally.is_over.store(true, Ordering::Relaxed);
        watching.join().ok().context("the watching thread ends")?
    })?;
    report(options, &cluster, tally, waits, memory)
}

fn start<'s>(options: &Options, server: &'s Server) -> Result<Cluster<'s>> {
    let cluster = Cluster::builder(server)
        .set("max_connections", &(options.clients + 20).to_string())
        .set("max_worker_processes", "16")
        .set("ruvector.dag_min_duration", "0")
        .set("ruvector.dag_background_interval", "1s")
        .set("ruvector.dag_explore_budget", "0.2")
        .set("ruvector.dag_store_literals", "on")
        .set("ruvector.dag_dream_execute", "on")
        .set("ruvector.dag_time_locks", "on")
        // So that the latencies of all minutes and databases find room.
        .set("ruvector.dag_shared_memory", "256MB")
        .set("deadlock_timeout", "10s")
        .start()?;
    let mut owner = cluster.client("postgres")?;
    owner.batch_execute(DATA)?;
    for number in (0..options.clients).filter(|&number| Task::of(number) == Task::ComeAndGo) {
        owner.batch_execute(&format!("CREATE DATABASE other_{number}"))?;
        cluster
            .client(&format!("other_{number}"))?
            .batch_execute("CREATE TABLE local AS SELECT i FROM generate_series(1, 1000) AS i")?;
    }
    Ok(cluster)
}

/// A setting of servers that are built for tests; elsewhere it has one value.
const DISCARDS: &str = "SELECT max_val::int > 0 FROM pg_settings WHERE name = 'debug_discard_caches' UNION ALL SELECT false LIMIT 1";

fn connect(cluster: &Cluster<'_>, number: usize) -> Result<Client> {
    match Task::of(number) {
        Task::ComeAndGo => cluster.client(&format!("other_{number}")),
        Task::Invalidate => {
            let mut client = cluster.client("postgres")?;
            if client.query_one(DISCARDS, &[])?.get(0) {
                client.batch_execute("SET debug_discard_caches = 1")?;
            }
            Ok(client)
        }
        Task::Learn if number.is_multiple_of(3) => cluster.client_as("postgres", "tenant"),
        _ => cluster.client("postgres"),
    }
}

fn busy(client: &mut Client, number: usize, until: Instant, tally: &Tally) {
    let mut turn = number;
    while Instant::now() < until {
        for statement in Task::of(number).turn(turn) {
            tally.note(&statement, client.simple_query(&statement).map(drop));
        }
        turn += 1;
        if client.is_closed() {
            return;
        }
    }
}

fn report(
    options: &Options,
    cluster: &Cluster<'_>,
    tally: Tally,
    waits: Mutex<waits::Report>,
    memory: Mutex<Memory>,
) -> Result<()> {
    let mut client = cluster.client("postgres")?;
    let mut waits = waits.into_inner().unwrap_or_else(PoisonError::into_inner);
    waits.add(&mut client)?;
    for number in (0..options.clients).filter(|&number| Task::of(number) == Task::ComeAndGo) {
        let mut other = connect(cluster, number)?;
        other.batch_execute("CREATE EXTENSION IF NOT EXISTS ruvector_dag")?;
        waits.add(&mut other)?;
    }
    let measure = "SELECT value FROM ruvector.dag_measures() WHERE measure = $1";
    let dropped: f64 = client.query_one(measure, &[&"latencies_dropped"])?.get(0);
    ensure!(dropped == 0.0, "{dropped} latencies were not measured");
    let report = Report {
        minutes: options.minutes,
        clients: options.clients,
        discards_caches: client.query_one(DISCARDS, &[])?.get(0),
        statements: tally.statements.into_inner(),
        errors: tally.errors.into_inner().unwrap_or_else(PoisonError::into_inner),
        internal_errors: client.query_one(measure, &[&"internal_errors"])?.get(0),
        waits,
        memory: memory
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .report(),
    };
    let text = serde_json::to_string_pretty(&report)?;
    println!("{text}");
    std::fs::create_dir_all(&options.out)?;
    std::fs::write(options.out.join("soak.json"), &text)?;
    let log = cluster.log()?;
    for bad in ["PANIC", "terminated by signal", "TRAP:", "stack smashing"] {
        ensure!(
            !log.contains(bad),
            "the server's log has {bad}:\n{}",
            lines_with(&log, bad)
        );
    }
    ensure!(
        !report
            .errors
            .keys()
            .any(|error| error.starts_with("connection lost")),
        "a connection was lost"
    );
    ensure!(
        !report.errors.keys().any(|error| error.starts_with("40P01")),
        "sessions waited for each other in a circle"
    );
    ensure!(
        report.internal_errors == 0.0,
        "{} internal errors",
        report.internal_errors
    );
    report.waits.check()?;
    ensure!(report.memory.is_flat(), "memory grew");
    Ok(())
}

fn lines_with<'l>(log: &'l str, part: &str) -> String {
    let lines: Vec<&'l str> = log.lines().filter(|line| line.contains(part)).take(5).collect();
    lines.join("\n")
}
