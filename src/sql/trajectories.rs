//! `dag_record_trajectory` and its like: executions that others watched, and what of ours is kept.

use super::attention::graph;
use super::learning::may_learn;
use crate::attention;
use crate::error::{from_engine, invalid_argument, or_raise};
use crate::pg::ereport::{Report, sqlstate};
use crate::pg::own_settings;
use crate::settings;
use crate::worker::known;
use crate::worker::recording::{Recorded, record};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::SetOfIterator;
use pgrx::{JsonB, pg_extern};
use serde::Deserialize;

/// An execution as the caller tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Told {
    query_hash: i64,
    dag_structure: serde_json::Value,
    execution_time_ms: f64,
    #[serde(default)]
    improvement_ratio: Option<f64>,
    #[serde(default)]
    attention_mechanism: Option<String>,
}

impl Told {
    fn recorded(&self) -> Result<Recorded, Report> {
        if !(self.execution_time_ms.is_finite() && self.execution_time_ms >= 0.0) {
            return Err(invalid_argument(
                format!(
                    "execution_time_ms must be at least 0, not {}",
                    self.execution_time_ms
                ),
                "It is the time in milliseconds that the execution took.",
            ));
        }
        if let Some(improvement) = self.improvement_ratio
            && !(improvement.is_finite() && improvement < 1.0)
        {
            return Err(invalid_argument(
                format!("improvement_ratio must be below 1, not {improvement}"),
                "It is 1 - execution time / time of the stock plan; NULL when that is not known.",
            ));
        }
        let mechanism = self.attention_mechanism.as_deref().unwrap_or("auto");
        Ok(Recorded {
            template: self.query_hash,
            mechanism: attention::by_name(mechanism).map_err(from_engine)?,
            dag: graph(&self.dag_structure)?,
            execution_ms: self.execution_time_ms,
            baseline_ms: self
                .improvement_ratio
                .map(|improvement| self.execution_time_ms / (1.0 - improvement)),
        })
    }
}

/// Writes an execution down, for the next run of loop B; answers its number.
#[pg_extern]
fn dag_record_trajectory(
    query_hash: Option<i64>,
    dag_structure: Option<JsonB>,
    execution_time_ms: Option<f64>,
    improvement_ratio: Option<f64>,
    attention_mechanism: Option<String>,
) -> Option<i64> {
    let told = query_hash.zip(dag_structure).zip(execution_time_ms);
    let told = told.map(|((query_hash, dag), execution_time_ms)| Told {
        query_hash,
        dag_structure: dag.0,
        execution_time_ms,
        improvement_ratio,
        attention_mechanism,
    });
    or_raise(match told {
        Some(told) => record_one(&told).map(Some),
        None => Ok(None),
    })
}

fn record_one(told: &Told) -> Result<i64, Report> {
    may_learn()?;
    let recorded = told.recorded()?;
    settings::paused(|| own_settings::within(|| record(&recorded)))
}

/// The same of many, all or none; answers how many.
#[pg_extern]
fn dag_bulk_record_trajectories(trajectories: Vec<Option<JsonB>>) -> i32 {
    or_raise(record_all(trajectories))
}

fn record_all(trajectories: Vec<Option<JsonB>>) -> Result<i32, Report> {
    may_learn()?;
    let (count, most) = (trajectories.len(), settings::max_trajectories());
    if count > most {
        return Err(overflow(count, most));
    }
    let recorded: Vec<Recorded> = trajectories
        .into_iter()
        .enumerate()
        .map(|(at, trajectory)| read(trajectory).map_err(|report| of_element(report, at)))
        .collect::<Result<_, _>>()?;
    let record_all = || {
        recorded
            .iter()
            .try_for_each(|recorded| record(recorded).map(drop))
    };
    settings::paused(|| own_settings::within(record_all))?;
    Ok(count as i32)
}

fn read(trajectory: Option<JsonB>) -> Result<Recorded, Report> {
    let value = trajectory.map_or(serde_json::Value::Null, |trajectory| trajectory.0);
    let told: Told = serde_json::from_value(value).map_err(|error| {
        invalid_argument(
            error.to_string(),
            "A trajectory is an object of query_hash, dag_structure, execution_time_ms, improvement_ratio and \
             attention_mechanism.",
        )
    })?;
    told.recorded()
}

/// Says which element of the array an error is of.
fn of_element(report: Report, at: usize) -> Report {
    Report {
        detail: Some(format!("This is trajectory {} of the array.", at + 1)),
        ..report
    }
}

fn overflow(count: usize, most: usize) -> Report {
    Report {
        sqlstate: sqlstate(b"RV010"),
        message: format!("{count} trajectories are more than the {most} that are kept"),
        detail: None,
        hint: Some("Record fewer at a time, or raise ruvector.dag_max_trajectories.".to_owned()),
    }
}

/// When each pattern that is kept was found first.
#[pg_extern]
fn dag_patterns_found() -> SetOfIterator<'static, TimestampWithTimeZone> {
    let found = or_raise(settings::paused(|| {
        own_settings::within(known::patterns_found_at)
    }));
    SetOfIterator::new(
        found
            .into_iter()
            .filter_map(|at| TimestampWithTimeZone::try_from(at).ok())
            .collect::<Vec<_>>(),
    )
}
