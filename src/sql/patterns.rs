//! The patterns: kept by the owner, looked up by everybody.

use super::state::{Viewer, is_readable, is_writable};
use crate::error::{from_engine, invalid_argument, null_argument, or_raise, pattern_not_found, too_large};
use crate::pg::ereport::Report;
use crate::pg::{catalog, interrupts, own_settings};
use crate::settings;
use crate::shmem::uses;
use crate::worker::patterns::{change, recluster, representative};
use crate::worker::sona::{Learned, microseconds, with_known};
use engine::embedding::PlanEmbedding;
use engine::patterns::{Match, Pattern};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::iter::TableIterator;
use pgrx::{JsonB, name, pg_extern};
use std::time::Instant;

/// The longest text of metadata.
const METADATA_BYTES: usize = 8192;
const EMBEDDING_HINT: &str = "Use 256 numbers, as dag_embedding returns them.";

/// Stores a pattern and returns its number.
#[pg_extern]
fn dag_store_pattern(
    pattern_vector: Option<Vec<Option<f32>>>,
    pattern_metadata: Option<JsonB>,
    quality_score: Option<f64>,
) -> i64 {
    or_raise(store(pattern_vector, pattern_metadata, quality_score))
}

fn store(
    vector: Option<Vec<Option<f32>>>,
    metadata: Option<JsonB>,
    quality: Option<f64>,
) -> Result<i64, Report> {
    is_writable()?;
    let centroid = embedding(vector, "pattern_vector")?;
    let quality = quality.ok_or_else(|| null_argument("quality_score"))?;
    let metadata = metadata.map_or_else(|| "{}".to_owned(), |JsonB(metadata)| metadata.to_string());
    if metadata.len() > METADATA_BYTES {
        return Err(too_large("metadata", metadata.len(), METADATA_BYTES));
    }
    let pattern = Pattern {
        metadata,
        ..Pattern::new(centroid, 1, quality as f32, 0.0, microseconds())
    };
    let stored =
        settings::paused(|| change(|learned| learned.engine.bank_mut().store(pattern).map_err(from_engine)));
    Ok(stored? as i64)
}

fn embedding(vector: Option<Vec<Option<f32>>>, name: &str) -> Result<PlanEmbedding, Report> {
    let numbers: Option<Vec<f32>> = vector.ok_or_else(|| null_argument(name))?.into_iter().collect();
    let numbers = numbers.ok_or_else(|| null_argument(&format!("a number of {name}")))?;
    PlanEmbedding::normalised(&numbers).map_err(|error| Report {
        hint: Some(EMBEDDING_HINT.to_owned()),
        ..from_engine(error)
    })
}

type FoundRow = (i64, f32, f64, Option<JsonB>, i64, Option<TimestampWithTimeZone>);

/// The patterns nearest to a plan.
#[pg_extern]
fn dag_query_patterns(
    query_vector: Vec<Option<f32>>,
    k: i32,
    similarity_threshold: f64,
) -> TableIterator<
    'static,
    (
        name!(pattern_id, i64),
        name!(similarity, f32),
        name!(quality_score, f64),
        name!(metadata, Option<JsonB>),
        name!(usage_count, i64),
        name!(last_used, Option<TimestampWithTimeZone>),
    ),
> {
    TableIterator::new(or_raise(query(query_vector, k, similarity_threshold)))
}

fn query(vector: Vec<Option<f32>>, k: i32, threshold: f64) -> Result<Vec<FoundRow>, Report> {
    is_readable()?;
    let wanted = embedding(Some(vector), "query_vector")?;
    let k = usize::try_from(k).ok().filter(|&k| k > 0);
    let k =
        k.ok_or_else(|| invalid_argument("k is not positive".to_owned(), "Ask for at least one pattern."))?;
    if !(-1.0..=1.0).contains(&threshold) {
        let message = format!("similarity_threshold is out of its range: {threshold}");
        return Err(invalid_argument(message, "Similarities are from -1 to 1."));
    }
    let find = |learned: &Learned| -> Vec<FoundRow> {
        let bank = learned.engine.bank();
        let found = bank.search(&wanted, k, threshold as f32);
        found
            .into_iter()
            .filter_map(|found| Some(found_row(found, bank.get(found.id)?)))
            .collect()
    };
    settings::paused(|| own_settings::within(|| with_known(|learned, _| find(learned))))
}

/// Counts the use, too.
fn found_row(found: Match, pattern: &Pattern) -> FoundRow {
    let database = catalog::database();
    uses::note(database, found.id, catalog::now());
    let (usage_count, last_used) = used(database, pattern);
    (
        found.id as i64,
        found.similarity,
        widened(pattern.quality),
        metadata(pattern),
        usage_count,
        last_used,
    )
}

/// How often a pattern was used and when last, what the learner has not taken over yet included.
fn used(database: u32, pattern: &Pattern) -> (i64, Option<TimestampWithTimeZone>) {
    let waiting = uses::waiting(database, pattern.id);
    let (count, last_at) = waiting.map_or((0, 0), |waiting| (waiting.count, waiting.last_at));
    let count = pattern.uses.saturating_add(u64::from(count));
    (
        count as i64,
        time(pattern.used_us.max(u64::try_from(last_at).unwrap_or(0))),
    )
}

fn time(at_us: u64) -> Option<TimestampWithTimeZone> {
    i64::try_from(at_us)
        .ok()
        .and_then(|at| TimestampWithTimeZone::try_from(at).ok())
}

/// Metadata that came from elsewhere may be any text.
fn metadata(pattern: &Pattern) -> Option<JsonB> {
    let text = Some(&pattern.metadata).filter(|text| !text.is_empty())?;
    Some(JsonB(
        serde_json::from_str(text).unwrap_or_else(|_| text.clone().into()),
    ))
}

/// A share to six digits, so that 0.7 stays 0.7.
fn widened(share: f32) -> f64 {
    (f64::from(share) * 1e6).round() / 1e6
}

type PatternRow = (
    i64,
    Vec<f32>,
    i64,
    f64,
    f64,
    &'static str,
    f64,
    i64,
    f64,
    Option<f64>,
    i64,
    Option<TimestampWithTimeZone>,
    Option<TimestampWithTimeZone>,
    bool,
    Option<JsonB>,
);

/// All patterns.
#[pg_extern]
fn dag_list_patterns() -> TableIterator<
    'static,
    (
        name!(pattern_id, i64),
        name!(centroid, Vec<f32>),
        name!(member_count, i64),
        name!(quality_score, f64),
        name!(quality_deviation, f64),
        name!(verdict, &'static str),
        name!(confidence, f64),
        name!(decision, i64),
        name!(decision_gain, f64),
        name!(predicted_ms, Option<f64>),
        name!(usage_count, i64),
        name!(last_used, Option<TimestampWithTimeZone>),
        name!(created_at, Option<TimestampWithTimeZone>),
        name!(is_pinned, bool),
        name!(metadata, Option<JsonB>),
    ),
> {
    TableIterator::new(or_raise(list()))
}

fn list() -> Result<Vec<PatternRow>, Report> {
    is_readable()?;
    let database = catalog::database();
    settings::paused(|| {
        own_settings::within(|| {
            with_known(|learned, _| {
                let patterns = in_order(learned).into_iter();
                patterns.map(|pattern| pattern_row(database, pattern)).collect()
            })
        })
    })
}

fn in_order(learned: &Learned) -> Vec<&Pattern> {
    let mut patterns: Vec<&Pattern> = learned.engine.bank().patterns().iter().collect();
    patterns.sort_unstable_by_key(|pattern| pattern.id);
    patterns
}

fn pattern_row(database: u32, pattern: &Pattern) -> PatternRow {
    let (usage_count, last_used) = used(database, pattern);
    (
        pattern.id as i64,
        pattern.centroid.as_slice().to_vec(),
        i64::from(pattern.size),
        widened(pattern.quality),
        widened(pattern.quality_deviation),
        pattern.verdict.name(),
        widened(pattern.confidence),
        pattern.decision as i64,
        widened(pattern.decision_gain),
        // Of a pattern that was stored none is known.
        (pattern.log_latency != 0.0).then(|| pattern.log_latency.exp()),
        usage_count,
        last_used,
        time(pattern.created_us),
        pattern.is_pinned,
        metadata(pattern),
    )
}

type ClusterRow = (i64, Vec<f32>, i64, f64, Option<String>);

/// The patterns as clusters, each with the statement it stands for best. Other users' are shown to `pg_read_all_stats`
/// only.
#[pg_extern]
fn dag_pattern_clusters() -> TableIterator<
    'static,
    (
        name!(cluster_id, i64),
        name!(centroid, Vec<f32>),
        name!(member_count, i64),
        name!(avg_quality, f64),
        name!(representative_query, Option<String>),
    ),
> {
    TableIterator::new(or_raise(clusters()))
}

fn clusters() -> Result<Vec<ClusterRow>, Report> {
    is_readable()?;
    let viewer = Viewer::current();
    settings::paused(|| {
        own_settings::within_as_owner(|| {
            with_known(|learned, _| {
                let patterns = in_order(learned).into_iter();
                patterns
                    .map(|pattern| cluster_row(pattern, learned, &viewer))
                    .collect()
            })
        })
    })
}

fn cluster_row(pattern: &Pattern, learned: &Learned, viewer: &Viewer) -> ClusterRow {
    if interrupts::is_asked_to_stop() {
        interrupts::raise();
    }
    let execution = representative(pattern, learned.engine.executions());
    let execution = execution.filter(|execution| viewer.sees(execution.statement));
    (
        pattern.id as i64,
        pattern.centroid.as_slice().to_vec(),
        i64::from(pattern.size),
        widened(pattern.quality),
        execution.map(|execution| (execution.template as i64).to_string()),
    )
}

/// Merges patterns until at most so many are left.
#[pg_extern]
fn dag_consolidate_patterns(
    target_clusters: i32,
) -> TableIterator<
    'static,
    (
        name!(clusters_before, i64),
        name!(clusters_after, i64),
        name!(patterns_merged, i64),
        name!(consolidation_time_ms, f64),
        name!(silhouette, f64),
    ),
> {
    TableIterator::once(or_raise(consolidate(target_clusters)))
}

fn consolidate(target: i32) -> Result<(i64, i64, i64, f64, f64), Report> {
    is_writable()?;
    let target = usize::try_from(target).ok().filter(|&target| target > 0);
    let target = target.ok_or_else(|| {
        let message = "target_clusters is not positive".to_owned();
        invalid_argument(message, "Ask for at least one cluster.")
    })?;
    let begun = Instant::now();
    let done = settings::paused(|| {
        change(|learned| {
            let seed = learned.engine.config().seed;
            let bank = learned.engine.bank_mut();
            let done = bank.consolidate_until(target, seed, &mut interrupts::is_asked_to_stop);
            interrupts::finished(done).map_err(from_engine)
        })
    })?;
    let (before, after) = (done.before as i64, done.after as i64);
    let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
    Ok((before, after, before - after, took_ms, done.silhouette))
}

/// Finds patterns anew.
#[pg_extern]
fn dag_recompute_clusters(
    algorithm: &str,
) -> TableIterator<
    'static,
    (
        name!(old_clusters, i64),
        name!(new_clusters, i64),
        name!(silhouette_score, f64),
    ),
> {
    TableIterator::once(or_raise(recompute(algorithm)))
}

fn recompute(algorithm: &str) -> Result<(i64, i64, f64), Report> {
    is_writable()?;
    if algorithm != "kmeans_pp" {
        let message = format!("unrecognized algorithm \"{algorithm}\"");
        return Err(invalid_argument(message, "Use kmeans_pp."));
    }
    let done = settings::paused(|| change(recluster))?;
    Ok((done.before as i64, done.after as i64, done.silhouette))
}

/// Forgets what was learned about patterns, but not the patterns; answers of how many.
#[pg_extern]
fn dag_reset_pattern_quality(pattern_ids: Option<Vec<Option<i64>>>) -> i32 {
    or_raise(reset_quality(pattern_ids))
}

fn reset_quality(ids: Option<Vec<Option<i64>>>) -> Result<i32, Report> {
    is_writable()?;
    settings::paused(|| {
        change(|learned| {
            let bank = learned.engine.bank_mut();
            let ids: Vec<u64> = match ids {
                Some(ids) => ids.into_iter().flatten().map(|id| id as u64).collect(),
                None => bank.patterns().iter().map(|pattern| pattern.id).collect(),
            };
            let ids: std::collections::BTreeSet<u64> = ids.into_iter().collect();
            Ok(ids.into_iter().filter(|&id| bank.reset_quality(id)).count() as i32)
        })
    })
}

/// Forgets a pattern.
#[pg_extern]
fn dag_forget(pattern_id: i64) {
    or_raise(change_one(pattern_id, |learned, id| {
        learned.engine.bank_mut().forget(id).is_some()
    }));
}

/// Keeps a pattern whatever happens.
#[pg_extern]
fn dag_pin(pattern_id: i64) {
    or_raise(change_one(pattern_id, |learned, id| {
        learned.engine.bank_mut().pin(id)
    }));
}

/// Lets a pattern fade and go like any other.
#[pg_extern]
fn dag_unpin(pattern_id: i64) {
    or_raise(change_one(pattern_id, |learned, id| {
        learned.engine.bank_mut().unpin(id)
    }));
}

fn change_one(pattern: i64, work: impl FnOnce(&mut Learned, u64) -> bool) -> Result<(), Report> {
    is_writable()?;
    settings::paused(|| {
        change(|learned| match work(learned, pattern as u64) {
            true => Ok(()),
            false => Err(pattern_not_found(pattern)),
        })
    })
}
