//! How long sessions wait for our locks, by sampling pg_stat_activity.

use anyhow::Result;
use postgres::Client;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The longest wait that passes.
pub(super) const MOST_MS: f64 = 100.0;

/// Samples in a row that make a wait: of fewer it can't be told whether they were two.
const IN_A_ROW: u32 = 4;

const WAITING: &str =
    "SELECT pid::bigint, coalesce(extract(epoch FROM query_start), 0)::float8 FROM pg_stat_activity
    WHERE wait_event_type = 'LWLock' AND wait_event = 'ruvector_dag'";

/// A session seen waiting in one sample after the other, in the same statement.
struct Wait {
    began: Instant,
    statement: f64,
    samples: u32,
}

/// All that was sampled.
#[derive(Default)]
pub(super) struct Waits {
    waiting: HashMap<i64, Wait>,
    samples: u64,
    seen: u64,
    longest: Duration,
    slowest_sample: Duration,
}

/// What it comes to.
#[derive(Serialize)]
pub(super) struct Report {
    samples: u64,
    /// Sessions that waited when a sample was taken, in all.
    seen_waiting: u64,
    /// Seen without interruption for so long.
    pub(super) longest_ms: f64,
    /// Between two samples pass at most so many milliseconds.
    slowest_sample_ms: f64,
}

impl Waits {
    /// Looks once.
    pub(super) fn sample(&mut self, client: &mut Client) -> Result<()> {
        let begun = Instant::now();
        let rows = client.query(WAITING, &[])?;
        let now = Instant::now();
        let mut still = HashMap::new();
        for row in rows {
            let (pid, statement): (i64, f64) = (row.get(0), row.get(1));
            let known = self
                .waiting
                .remove(&pid)
                .filter(|known| known.statement == statement);
            let mut wait = known.unwrap_or(Wait {
                began: begun,
                statement,
                samples: 0,
            });
            wait.samples += 1;
            if wait.samples >= IN_A_ROW {
                self.longest = self.longest.max(now - wait.began);
            }
            self.seen += 1;
            still.insert(pid, wait);
        }
        self.waiting = still;
        self.samples += 1;
        self.slowest_sample = self.slowest_sample.max(now - begun);
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        Report {
            samples: self.samples,
            seen_waiting: self.seen,
            longest_ms: self.longest.as_secs_f64() * 1000.0,
            slowest_sample_ms: self.slowest_sample.as_secs_f64() * 1000.0,
        }
    }
}
