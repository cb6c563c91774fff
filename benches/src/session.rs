//! One connection that measures: latency on the client's clock, and the result as text.

use anyhow::{Context, Result};
use postgres::error::SqlState;
use postgres::{Client, SimpleQueryMessage};
use std::time::Instant;
use testkit::Cluster;

/// A session with settings of its own.
pub(crate) struct Session {
    client: Client,
}

/// What a statement gave.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Its rows, sorted, since order is not promised.
    Rows(Vec<String>),
    /// It was cancelled by the time limit.
    CutOff,
}

impl Session {
    /// Connects and applies `settings`.
    pub(crate) fn open(cluster: &Cluster<'_>, database: &str, settings: &str) -> Result<Self> {
        let mut client = cluster.client(database)?;
        client.batch_execute(settings)?;
        Ok(Self { client })
    }

    /// Runs a statement and returns its latency in milliseconds.
    pub(crate) fn run(&mut self, sql: &str) -> Result<(f64, Outcome)> {
        let begun = Instant::now();
        let answer = self.client.simple_query(sql);
        let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        match answer {
            Ok(messages) => Ok((took_ms, Outcome::Rows(rows(&messages)))),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Ok((took_ms, Outcome::CutOff)),
            Err(error) => Err(error).with_context(|| format!("statement failed: {sql}")),
        }
    }

    /// Runs a statement that gives nothing of interest.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql)?)
    }

    /// The first field of the first row.
    pub(crate) fn value(&mut self, sql: &str) -> Result<String> {
        let messages = self.client.simple_query(sql)?;
        let first = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(first.with_context(|| format!("nothing from {sql}"))?.to_owned())
    }

    /// Whether the server knows a setting; one that is only a placeholder does not count.
    pub(crate) fn has_setting(&mut self, name: &str) -> Result<bool> {
        let known = self.value(&format!("SELECT count(*) FROM pg_settings WHERE name = '{name}'"))?;
        Ok(known != "0")
    }

    /// What the extension decided for a statement, in words.
    pub(crate) fn decision(&mut self, sql: &str) -> Result<String> {
        let row = self
            .client
            .query_one("SELECT ruvector.dag_explain($1)", &[&sql])?;
        let text: String = row.get(0);
        let line = text.lines().find_map(|line| line.strip_prefix("Decision: "));
        Ok(line.unwrap_or_default().to_owned())
    }

    /// EXPLAIN's JSON.
    pub(crate) fn explain(&mut self, options: &str, sql: &str) -> Result<serde_json::Value> {
        let messages = self
            .client
            .simple_query(&format!("EXPLAIN ({options}, FORMAT JSON) {sql}"))?;
        let text = rows(&messages).concat();
        let json: serde_json::Value = serde_json::from_str(&text)?;
        json.get(0).cloned().context("an empty EXPLAIN")
    }
}

fn rows(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let mut rows: Vec<String> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                let fields = (0..row.len()).map(|at| row.get(at).unwrap_or("\u{0}NULL"));
                Some(fields.collect::<Vec<_>>().join("\u{1}"))
            }
            _ => None,
        })
        .collect();
    rows.sort_unstable();
    rows
}

/// The median; 0 of nothing.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    quantile(numbers, 0.5)
}

/// The value below which a share `q` of the numbers lies; 0 of nothing.
pub(crate) fn quantile(numbers: &[f64], q: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = q * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0]), 1.5);
        assert_eq!(quantile(&[0.0, 10.0], 0.99), 9.9);
        assert_eq!(median(&[]), 0.0);
    }
}
