//! How long sessions wait for our locks.
//!
//! Clients that are all busy wait for a processor most of the time, also the one that has a lock, and the one that
//! just got it: by the clock that looks like a wait for the lock. So nothing is sampled. The library times each
//! wait itself (`lock_wait`), and with `ruvector.dag_time_locks` also what others did under that lock meanwhile, by the
//! kernel's account of when they had no processor (`lock_work`): what the wait comes to at most where there are
//! processors for all. That is what the limit is for; the other is reported beside it.
//!
//! Turns (`turn_wait`) are another thing: whoever imports, learns or resets waits for who does the same, as written in
//! docs/operations.md. And what other statements wait for in PostgreSQL's own table of locks, where objects of ours are
//! concerned, is looked for in `pg_locks`, which says since when.

use anyhow::{Result, ensure};
use postgres::Client;
use serde::Serialize;

/// The longest wait that passes.
const MOST_MS: f64 = 100.0;

/// A server keeps an hour of latencies; they are read at the end.
pub(super) const KEPT_MINUTES: f64 = 50.0;

/// Sessions that wait for objects of ours or for rows in our tables (nobody changes others), but turns; those of who makes or
/// drops the extension apart.
const WAITING: &str = "SELECT a.query ~ '^(CREATE|DROP) EXTENSION' AS is_definition,
        1000 * extract(epoch FROM clock_timestamp() - l.waitstart)::float8 AS ms, left(a.query, 60) AS query
    FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE NOT l.granted AND l.waitstart IS NOT NULL AND a.backend_type = 'client backend' AND (l.locktype IN ('transactionid', 'tuple')
        OR l.classid = 'pg_extension'::regclass AND l.objsubid = 0
        OR l.relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'ruvector'::regnamespace)
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))";

const MEASURED: &str = "SELECT coalesce(sum(h.count), 0)::bigint, coalesce(max(b.max_us), 0) / 1000,
        coalesce(sum(h.count) FILTER (WHERE h.middle_us > $2), 0)::bigint
    FROM ruvector.dag_latency_breakdown() AS b JOIN ruvector.dag_latency_buckets() AS h USING (component)
    WHERE b.component = $1";

/// Waits of one kind, in all databases.
#[derive(Debug, Default, Serialize)]
struct Waits {
    times: i64,
    longest_ms: f64,
    /// Above the limit.
    too_long: i64,
}

impl Waits {
    fn add(&mut self, client: &mut Client, component: &str) -> Result<()> {
        let row = client.query_one(MEASURED, &[&component, &(MOST_MS * 1000.0)])?;
        self.times += row.get::<_, i64>(0);
        self.longest_ms = self.longest_ms.max(row.get(1));
        self.too_long += row.get::<_, i64>(2);
        Ok(())
    }
}

/// What was seen in `pg_locks`.
#[derive(Debug, Default, Serialize)]
struct Seen {
    times: u64,
    longest_ms: f64,
    /// The statement that waited longest.
    statement: String,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// For locks in shared memory, by the clock.
    locks: Waits,
    /// The work of others under these locks meanwhile.
    work: Waits,
    turns: Waits,
    /// Looks at `pg_locks`.
    samples: u64,
    statements: Seen,
    /// CREATE EXTENSION and DROP EXTENSION, which wait for who uses it.
    definitions: Seen,
}

impl Report {
    /// Looks at `pg_locks`.
    pub(super) fn sample(&mut self, client: &mut Client) -> Result<()> {
        self.samples += 1;
        for row in client.query(WAITING, &[])? {
            let seen = match row.get("is_definition") {
                true => &mut self.definitions,
                false => &mut self.statements,
            };
            seen.times += 1;
            let ms: f64 = row.get("ms");
            if ms > seen.longest_ms {
                seen.longest_ms = ms;
                seen.statement = row.get("query");
            }
        }
        Ok(())
    }

    /// Adds what the library measured in a database.
    pub(super) fn add(&mut self, client: &mut Client) -> Result<()> {
        self.locks.add(client, "lock_wait")?;
        self.work.add(client, "lock_work")?;
        self.turns.add(client, "turn_wait")
    }

    /// Fails when a statement waited too long.
    pub(super) fn check(&self) -> Result<()> {
        // Read in this order, so that there may be more of these.
        ensure!(
            self.work.times >= self.locks.times,
            "of {} waits for our locks {} were timed",
            self.locks.times,
            self.work.times
        );
        ensure!(
            self.work.longest_ms <= MOST_MS,
            "a wait for {} ms of work under our locks",
            self.work.longest_ms
        );
        ensure!(
            self.statements.longest_ms <= MOST_MS,
            "a wait of {} ms for an object of ours: {}",
            self.statements.longest_ms,
            self.statements.statement
        );
        Ok(())
    }
}
