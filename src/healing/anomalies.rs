//! Anomalies: values that are far above what was usual for their statement class, in `dag_anomalies` from the first one until a
//! value is usual again.
//!
//! A class's latencies and row estimates are judged as logarithms, since both vary by factors. A value must also be clearly
//! greater in itself: a latency that never varied by more than a thousandth is not anomalous at two thousandths.

use super::series::{self, Class, Execution};
use crate::settings;
use crate::worker::persist::{run, timestamp};
use engine::healing::{Anomaly, AnomalyDetector};
use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::spi::{SpiHeapTupleData, SpiResult};
use std::collections::HashMap;

/// Values that one is compared with; a quarter of them has to be there first.
const WINDOW: usize = 64;
/// The same of minutes.
const MINUTES: usize = 32;
/// Robust standard deviations from which on a value is anomalous (Iglewicz and Hoaglin 1993).
const THRESHOLD: f64 = 3.5;
/// The least factor above the median of what is judged as a logarithm.
const LEAST_FACTOR: f64 = 1.5;
/// The least difference of tensions, which are from 0 to 1.
const LEAST_DIFFERENCE: f64 = 0.1;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Milliseconds of an execution.
    Latency,
    /// The largest q-error of its row counts.
    RowEstimates,
    /// The tension of its plan.
    Tension,
    /// Microseconds that we add to a planning.
    PlanningOverhead,
}

impl Kind {
    const OF_CLASSES: [Self; 3] = [Self::Latency, Self::RowEstimates, Self::Tension];

    /// As users see it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::RowEstimates => "row_estimates",
            Self::Tension => "tension",
            Self::PlanningOverhead => "planning_overhead",
        }
    }

    fn value(self, execution: &Execution) -> Option<f64> {
        match self {
            Self::Latency => Some(execution.execution_ms),
            Self::RowEstimates => execution.q_error,
            Self::Tension => execution.tension,
            Self::PlanningOverhead => None,
        }
    }

    fn is_by_factor(self) -> bool {
        self != Self::Tension
    }

    /// The scale on which values are compared, and back.
    fn scaled(self, value: f64) -> f64 {
        if self.is_by_factor() { value.ln() } else { value }
    }

    fn unscaled(self, scaled: f64) -> f64 {
        if self.is_by_factor() { scaled.exp() } else { scaled }
    }

    /// Whether an anomaly is one that matters: above what was usual, and clearly so.
    fn is_clear(self, anomaly: &Anomaly) -> bool {
        let least = match self.is_by_factor() {
            true => LEAST_FACTOR.ln(),
            false => LEAST_DIFFERENCE,
        };
        anomaly.value - anomaly.median >= least
    }
}

/// A measured value: the number of its execution or minute, when it was measured, and itself.
#[derive(Debug, Clone, Copy)]
struct Measured {
    id: i64,
    at: i64,
    value: f64,
}

/// A row of `dag_anomalies`.
#[derive(Debug, Clone, PartialEq)]
struct Episode {
    /// 0 of one that is not written yet.
    id: i64,
    began_at: i64,
    last_at: i64,
    resolved_at: Option<i64>,
    value: f64,
    median: f64,
    z_score: f64,
    /// As the engine names it.
    severity: String,
    is_changed: bool,
}

/// A class whose executions are all slower lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Suspect {
    pub(super) of: Class,
    /// Anomalous executions in a row.
    pub(super) executions: usize,
    pub(super) latest_ms: f64,
    pub(super) usual_ms: f64,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) suspects: Vec<Suspect>,
    /// Up to which execution was looked.
    pub(super) up_to: i64,
}

/// Looks at what was measured since execution `after` and minute `since` (in seconds), in the turn to write.
pub(super) fn look(classes: &[(Class, Vec<Execution>)], after: i64, since: i64) -> SpiResult<Found> {
    let mut open = open_episodes()?;
    let mut found = Found {
        up_to: series::newest()?.max(after),
        ..Found::default()
    };
    for (class, executions) in classes {
        for kind in Kind::OF_CLASSES {
            let values: Vec<Measured> = executions
                .iter()
                .filter_map(|execution| measured(kind, execution))
                .collect();
            let known = open.remove(&(kind.name().to_owned(), class.class));
            let judged = judge(kind, WINDOW, &values, after, known);
            judged
                .episodes
                .iter()
                .for_each(|episode| write(kind, Some(*class), episode));
            if kind == Kind::Latency
                && let Some(usual_ms) = judged.usual
                && let Some(latest) = values.last()
            {
                found.suspects.push(Suspect {
                    of: *class,
                    executions: judged.in_a_row,
                    latest_ms: latest.value,
                    usual_ms,
                });
            }
        }
    }
    look_at_plannings(since, open.remove(&(Kind::PlanningOverhead.name().to_owned(), 0)));
    close_forgotten();
    tidy();
    Ok(found)
}

fn measured(kind: Kind, execution: &Execution) -> Option<Measured> {
    // What took no time at all has no logarithm, and says nothing.
    let value = kind
        .value(execution)
        .filter(|&value| kind.scaled(value).is_finite())?;
    Some(Measured {
        id: execution.id,
        at: execution.at,
        value,
    })
}

fn look_at_plannings(since: i64, known: Option<Episode>) {
    let values: Vec<Measured> = series::planning_overhead()
        .into_iter()
        .map(|(at, value)| Measured { id: at, at, value })
        .collect();
    let judged = judge(Kind::PlanningOverhead, MINUTES, &values, since * 1_000_000, known);
    judged
        .episodes
        .iter()
        .for_each(|episode| write(Kind::PlanningOverhead, None, episode));
}

struct Judged {
    episodes: Vec<Episode>,
    /// Anomalous values in a row at the end, and what the last of them was compared with.
    in_a_row: usize,
    usual: Option<f64>,
}

/// Goes through values in their order; those up to number `after` were judged before and are what later ones are compared with.
fn judge(kind: Kind, window: usize, values: &[Measured], after: i64, known: Option<Episode>) -> Judged {
    let mut judged = Judged {
        episodes: Vec::new(),
        in_a_row: 0,
        usual: None,
    };
    let Ok(mut detector) = AnomalyDetector::new(window, THRESHOLD) else {
        return judged;
    };
    let mut current = known;
    for measured in values {
        let anomaly = detector.observe(kind.scaled(measured.value));
        let anomaly = anomaly.filter(|anomaly| kind.is_clear(anomaly));
        judged.in_a_row = anomaly.map_or(0, |_| judged.in_a_row + 1);
        judged.usual = anomaly.map(|anomaly| kind.unscaled(anomaly.median));
        if measured.id <= after {
            continue;
        }
        match (anomaly, &mut current) {
            (Some(anomaly), Some(episode)) => episode.go_on(kind, measured.at, &anomaly),
            (Some(anomaly), None) => current = Some(Episode::begin(kind, measured.at, &anomaly)),
            (None, _) => judged
                .episodes
                .extend(current.take().map(|episode| episode.end(measured.at))),
        }
    }
    judged
        .episodes
        .extend(current.filter(|episode| episode.is_changed));
    judged
}

impl Episode {
    fn begin(kind: Kind, at: i64, anomaly: &Anomaly) -> Self {
        Self {
            id: 0,
            began_at: at,
            last_at: at,
            resolved_at: None,
            value: kind.unscaled(anomaly.value),
            median: kind.unscaled(anomaly.median),
            z_score: anomaly.z_score,
            severity: anomaly.severity.name().to_owned(),
            is_changed: true,
        }
    }

    fn go_on(&mut self, kind: Kind, at: i64, anomaly: &Anomaly) {
        let (id, began_at) = (self.id, self.began_at);
        if anomaly.z_score > self.z_score {
            *self = Self::begin(kind, at, anomaly);
        }
        (self.id, self.began_at, self.last_at) = (id, began_at, at);
        self.is_changed = true;
    }

    fn end(self, at: i64) -> Self {
        Self {
            resolved_at: Some(at),
            is_changed: true,
            ..self
        }
    }
}

/// Anomalies that are not resolved, by type and class; 0 of no class.
fn open_episodes() -> SpiResult<HashMap<(String, i64), Episode>> {
    Spi::connect_mut(|client| {
        let rows = client.update(
            "SELECT anomaly_type, coalesce(class, 0), anomaly_id, detected_at, last_seen_at, value, median, z_score, severity \
             FROM ruvector.dag_anomalies WHERE resolved_at IS NULL",
            None,
            &[],
        )?;
        rows.map(|row| {
            let kind = row.get::<String>(1)?.unwrap_or_default();
            Ok(((kind, row.get::<i64>(2)?.unwrap_or(0)), episode(&row)?))
        })
        .collect()
    })
}

fn episode(row: &SpiHeapTupleData<'_>) -> SpiResult<Episode> {
    let time =
        |column| -> SpiResult<i64> { Ok(row.get::<TimestampWithTimeZone>(column)?.map_or(0, i64::from)) };
    let number = |column| -> SpiResult<f64> { Ok(row.get::<f64>(column)?.unwrap_or(0.0)) };
    Ok(Episode {
        id: row.get(3)?.unwrap_or(0),
        began_at: time(4)?,
        last_at: time(5)?,
        resolved_at: None,
        value: number(6)?,
        median: number(7)?,
        z_score: number(8)?,
        severity: row.get(9)?.unwrap_or_default(),
        is_changed: false,
    })
}

/// What began when one that is known did is that one: after a restart all executions are looked at again.
const INSERT: &str = "INSERT INTO ruvector.dag_anomalies \
     (detected_at, last_seen_at, resolved_at, value, median, z_score, severity, anomaly_type, queryid, class, userid) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 WHERE NOT EXISTS (SELECT FROM ruvector.dag_anomalies AS known \
        WHERE known.anomaly_type = $8 AND known.class IS NOT DISTINCT FROM $10 AND known.detected_at = $1)";
const UPDATE: &str = "UPDATE ruvector.dag_anomalies SET last_seen_at = $2, resolved_at = $3, value = $4, median = $5, \
     z_score = $6, severity = $7 WHERE anomaly_id = $8";

fn write(kind: Kind, class: Option<Class>, episode: &Episode) {
    let measured = [
        timestamp(episode.began_at).into(),
        timestamp(episode.last_at).into(),
        episode.resolved_at.and_then(timestamp).into(),
        episode.value.into(),
        episode.median.into(),
        episode.z_score.into(),
        episode.severity.as_str().into(),
    ];
    let (sql, rest) = match episode.id {
        0 => (
            INSERT,
            vec![
                kind.name().into(),
                class.map(|class| class.queryid).into(),
                class.map(|class| class.class).into(),
                class.map(|class| class.user).into(),
            ],
        ),
        known => (UPDATE, vec![known.into()]),
    };
    let values: Vec<_> = measured.into_iter().chain(rest).collect();
    run(sql, &values);
}

/// What does not run any more is usual no more, and anomalous neither.
fn close_forgotten() {
    run(
        "UPDATE ruvector.dag_anomalies AS a SET resolved_at = now() WHERE resolved_at IS NULL AND class IS NOT NULL \
         AND NOT EXISTS (SELECT FROM ruvector.dag_trajectories AS t WHERE t.class = a.class)",
        &[],
    );
}

/// Keeps as many rows as there are executions.
fn tidy() {
    run(
        "DELETE FROM ruvector.dag_anomalies WHERE anomaly_id <= \
         (SELECT anomaly_id FROM ruvector.dag_anomalies ORDER BY anomaly_id DESC OFFSET $1 LIMIT 1)",
        &[(settings::max_trajectories() as i64).into()],
    );
}

/// Anomalies of a class's latency that began before its latest repair: it had its repair.
pub(super) fn is_repaired(class: i64) -> SpiResult<bool> {
    let sql = "SELECT EXISTS (SELECT FROM ruvector.dag_anomalies AS a JOIN ruvector.dag_repairs AS r USING (class) \
         WHERE a.class = $1 AND a.anomaly_type = 'latency' AND a.resolved_at IS NULL AND r.repaired_at >= a.detected_at)";
    Ok(Spi::get_one_with_args::<bool>(sql, &[class.into()])?.unwrap_or(false))
}

/// Anomalies that are not resolved: how many of each type and severity, those that the current user sees.
pub(super) fn open() -> SpiResult<Vec<(String, String, i64)>> {
    Spi::connect(|client| {
        let rows = client.select(
            "SELECT anomaly_type, severity, count(*) FROM ruvector.dag_anomalies WHERE resolved_at IS NULL \
             GROUP BY 1, 2 ORDER BY 1, 2",
            None,
            &[],
        )?;
        rows.map(|row| {
            Ok((
                row.get(1)?.unwrap_or_default(),
                row.get(2)?.unwrap_or_default(),
                row.get(3)?.unwrap_or(0),
            ))
        })
        .collect()
    })
}
