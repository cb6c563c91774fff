//! Whether the planner's cost settings fit this server, by the executions that the caller may see.

use crate::error::{from_engine, internal};
use crate::pg::ereport::Report;
use crate::pg::{interrupts, own_settings};
use crate::settings;
use engine::QueryDag;
use engine::cost::PostgresCostModel;
use engine::decision::{CostSetting, ExecutedPlan, HintSet, PlannerCosts, SpentCosts};
use pgrx::Spi;
use pgrx::spi::{SpiHeapTupleData, SpiResult};

/// What the caller's sessions begin with: a SET of this session is no setting that statements were planned with.
const PRICES: &str = "SELECT name, reset_val::float8 FROM pg_settings \
     WHERE name IN ('seq_page_cost', 'random_page_cost', 'cpu_tuple_cost', 'cpu_index_tuple_cost', 'cpu_operator_cost')";

/// Executions since the settings were read that ran to their end on plans whose row counts were right. Trials run at low
/// priority, or not to their end; what a decision planned with fitted costs was made at other prices.
const EXECUTED: &str = "SELECT queryid, class, plan_shape, execution_ms, plan FROM ruvector.dag_trajectories \
     WHERE plan IS NOT NULL AND NOT is_cut_off AND NOT is_trial AND max_q_error <= 2 AND ended_at > pg_conf_load_time() \
     AND hints & $1 = 0 ORDER BY trajectory_id DESC LIMIT 5000";

/// What executions say of the settings, and what these are.
pub(crate) fn on_all() -> Result<(PlannerCosts, PostgresCostModel), Report> {
    settings::paused(|| {
        own_settings::within(|| {
            let prices = prices().map_err(internal)?;
            let executed = executed(&prices).map_err(internal)?;
            let costs =
                engine::decision::planner_costs(&executed, &prices, &mut interrupts::is_asked_to_stop);
            let costs = interrupts::finished(costs).map_err(from_engine)?;
            Ok((costs, prices))
        })
    })
}

/// What sets a setting to its suggestion.
pub(crate) fn sql(setting: &CostSetting) -> Option<String> {
    let value = setting.suggested?;
    Some(format!(
        "ALTER SYSTEM SET {} = {value}; SELECT pg_reload_conf();",
        setting.name
    ))
}

fn prices() -> SpiResult<PostgresCostModel> {
    let mut prices = PostgresCostModel::default();
    Spi::connect(|client| {
        for row in client.select(PRICES, None, &[])? {
            let (name, value) = (row.get::<String>(1)?, row.get::<f64>(2)?);
            let place = match name.as_deref() {
                Some("seq_page_cost") => &mut prices.seq_page_cost,
                Some("random_page_cost") => &mut prices.random_page_cost,
                Some("cpu_tuple_cost") => &mut prices.cpu_tuple_cost,
                Some("cpu_index_tuple_cost") => &mut prices.cpu_index_tuple_cost,
                _ => &mut prices.cpu_operator_cost,
            };
            *place = value.unwrap_or(*place);
        }
        Ok(prices)
    })
}

fn executed(prices: &PostgresCostModel) -> SpiResult<Vec<ExecutedPlan>> {
    Spi::connect(|client| {
        let rows = client.select(EXECUTED, None, &[(HintSet::ALL_COSTS.bits() as i32).into()])?;
        rows.filter_map(|row| plan(&row, prices).transpose()).collect()
    })
}

fn plan(row: &SpiHeapTupleData<'_>, prices: &PostgresCostModel) -> SpiResult<Option<ExecutedPlan>> {
    let word = |column| -> SpiResult<u64> { Ok(row.get::<i64>(column)?.unwrap_or(0) as u64) };
    let dag = row
        .get::<Vec<u8>>(5)?
        .and_then(|plan| QueryDag::from_binary(&plan).ok());
    let Some(costs) = dag.and_then(|dag| SpentCosts::of(&dag, prices)) else {
        return Ok(None);
    };
    Ok(Some(ExecutedPlan {
        statement: word(1)?,
        class: word(2)?,
        plan_shape: word(3)?,
        costs,
        elapsed_ms: row.get::<f64>(4)?.unwrap_or(0.0),
    }))
}
