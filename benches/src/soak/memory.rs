//! What the server's processes take for themselves, without what they share.

use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;

/// A process may grow by so much in the second half of the time: caches of the server's own fill until the end.
const SLACK_KB: u64 = 4096;
const SLACK_SHARE: f64 = 0.1;

/// Anonymous memory per process and sample, in kB.
#[derive(Default)]
pub(super) struct Memory {
    samples: u64,
    processes: BTreeMap<i32, Process>,
}

struct Process {
    title: String,
    first_sample: u64,
    kb: Vec<u64>,
}

/// A kind of process: at half of the time and at the end.
#[derive(Serialize, Default)]
struct Kind {
    processes: usize,
    half_kb: u64,
    end_kb: u64,
}

/// What it comes to.
#[derive(Serialize)]
pub(super) struct Report {
    /// Sessions that were there all the time: of each the most in a tenth of the time around the half, and at the end.
    sessions: Kind,
    /// The session that grew most from the half to the end.
    most_grown: Option<(String, u64, u64)>,
    /// Workers, which come and go: the largest one in each half.
    workers: Kind,
    grown: usize,
}

impl Report {
    pub(super) fn is_flat(&self) -> bool {
        self.grown == 0
    }
}

fn is_grown(half_kb: u64, end_kb: u64) -> bool {
    end_kb > half_kb + SLACK_KB + (half_kb as f64 * SLACK_SHARE) as u64
}

impl Memory {
    /// Reads of each child of the postmaster what it takes.
    pub(super) fn sample(&mut self, postmaster: i32) -> Result<()> {
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))?;
        for pid in children
            .split_whitespace()
            .filter_map(|pid| pid.parse::<i32>().ok())
        {
            // Processes end between two looks.
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
                continue;
            };
            let Some(kb) = field(&status, "RssAnon:") else {
                continue;
            };
            let title = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let samples = self.samples;
            let process = self.processes.entry(pid).or_insert_with(|| Process {
                title: String::new(),
                first_sample: samples,
                kb: Vec::new(),
            });
            process.title = title.trim_end_matches('\0').to_owned();
            process.kb.push(kb);
        }
        self.samples += 1;
        Ok(())
    }

    pub(super) fn report(&self) -> Report {
        let usize_of = |samples: u64| usize::try_from(samples).unwrap_or(usize::MAX);
        let (all, half) = (usize_of(self.samples), usize_of(self.samples / 2));
        let tenth = (all / 10).max(1);
        let most = |kb: &[u64]| kb.iter().copied().max().unwrap_or(0);
        let mut report = Report {
            sessions: Kind::default(),
            most_grown: None,
            workers: Kind::default(),
            grown: 0,
        };
        for process in self.processes.values() {
            if process.title.contains("ruvector_dag worker") {
                let in_first_half = process.first_sample < self.samples / 2;
                let kind = &mut report.workers;
                kind.processes += 1;
                let kept = if in_first_half {
                    &mut kind.half_kb
                } else {
                    &mut kind.end_kb
                };
                *kept = (*kept).max(most(&process.kb));
            } else if process.kb.len() + 2 >= all && process.first_sample < 2 {
                let before = most(&process.kb[half.saturating_sub(tenth)..(half + 1).min(process.kb.len())]);
                let end = most(&process.kb[process.kb.len().saturating_sub(tenth)..]);
                report.sessions.processes += 1;
                report.sessions.half_kb += before;
                report.sessions.end_kb += end;
                report.grown += usize::from(is_grown(before, end));
                let growth = end.saturating_sub(before);
                if report
                    .most_grown
                    .as_ref()
                    .is_none_or(|(_, half, end)| growth > end.saturating_sub(*half))
                {
                    report.most_grown = Some((process.title.clone(), before, end));
                }
            }
        }
        report.grown += usize::from(is_grown(report.workers.half_kb, report.workers.end_kb));
        report
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace()
        .next()
        .context("a number")
        .ok()?
        .parse()
        .ok()
}
