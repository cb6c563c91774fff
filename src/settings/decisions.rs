//! Settings of decisions: by what means statements are steered, and what may be tried.

use super::{Text, define_real, define_switch};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::time::Duration;

/// For whom learning is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
enum Scope {
    /// Row counts are known to all roles of a database.
    #[name = c"database"]
    Database,
    /// Nothing is known to a role but what its own statements taught.
    #[name = c"role"]
    Role,
}

static SCOPE: GucSetting<Scope> = GucSetting::<Scope>::new(Scope::Database);
static EXPLORE_BUDGET: GucSetting<f64> = GucSetting::<f64>::new(0.05);
/// What steers a statement that was never seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub(crate) enum FirstSight {
    /// Nothing.
    #[name = c"off"]
    Off,
    /// What was faster on statements with plans like its own.
    #[name = c"similar"]
    Similar,
    /// The row counts that others taught.
    #[name = c"rows"]
    Rows,
    /// How long operators took in other plans.
    #[name = c"predicted"]
    Predicted,
}

static FIRST_SIGHT: GucSetting<FirstSight> = GucSetting::<FirstSight>::new(FirstSight::Predicted);
static CONFIDENCE: GucSetting<f64> = GucSetting::<f64>::new(0.8);
static PLAN_REGIONS: GucSetting<bool> = GucSetting::<bool>::new(true);
static PLAN_KINDS: GucSetting<bool> = GucSetting::<bool>::new(true);
static DREAM_EXECUTE: GucSetting<bool> = GucSetting::<bool>::new(false);
static TRIAL_COMPLETION: GucSetting<bool> = GucSetting::<bool>::new(false);
static STORE_LITERALS: GucSetting<bool> = GucSetting::<bool>::new(false);
static DREAM_BUDGET_S: GucSetting<i32> = GucSetting::<i32>::new(300);
static MAX_WORK_MEM_KB: GucSetting<i32> = GucSetting::<i32>::new(64 * 1024);
static ROW_CORRECTIONS: GucSetting<bool> = GucSetting::<bool>::new(true);
static ROW_MODEL: GucSetting<bool> = GucSetting::<bool>::new(true);
static ROW_BOUNDS: GucSetting<bool> = GucSetting::<bool>::new(true);
static HINT_SETS: GucSetting<bool> = GucSetting::<bool>::new(true);
static STATEMENT_SETTINGS: GucSetting<bool> = GucSetting::<bool>::new(true);

/// Defines them.
pub(super) fn define() {
    define_trials();
    define_dreams();
    define_means();
    let (name, short, long): Text = (
        c"ruvector.dag_scope",
        c"Sets for whom learning is kept apart within a database.",
        c"database shares row counts among its roles, role plans a role's statements with what its own statements taught.",
    );
    let (context, flags) = (GucContext::Sighup, GucFlags::default());
    GucRegistry::define_enum_guc(name, short, long, &SCOPE, context, flags);
}

fn define_trials() {
    let budget: Text = (
        c"ruvector.dag_explore_budget",
        c"Sets the share of the statements' time that trials of other plans may cost users.",
        c"A second is given on credit. A trial that ends in time is the answer and costs nothing. 0 tries nothing while users wait.",
    );
    define_real(budget, &EXPLORE_BUDGET, (0.0, 1.0), GucContext::Suset);
    let (name, short, long): Text = (
        c"ruvector.dag_first_sight",
        c"Sets with what other statements taught a statement never seen is planned.",
        c"predicted takes the plan without some of the planner's methods that is predicted to be faster by how long operators took, \
          similar the methods that were faster where stock plans were like its own and their plan is estimated to cost at most a \
          tenth more, rows the row counts that others taught, off nothing: the stock plan is measured first.",
    );
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_enum_guc(name, short, long, &FIRST_SIGHT, context, flags);
    let confidence: Text = (
        c"ruvector.dag_confidence",
        c"Sets the probability of a gain below which what other statements taught is not applied to a statement never seen.",
        c"It follows from the expected gain, which 0.8 asks to be 40 % (14 % with dag_first_sight = similar). Up to 0.5 any expected gain is enough; 1 applies nothing.",
    );
    define_real(confidence, &CONFIDENCE, (0.0, 1.0), GucContext::Userset);
    let plan_regions: Text = (
        c"ruvector.dag_plan_regions",
        c"Plans statements with constants never seen as was measured to be faster with others.",
        c"A region is the constants for which PostgreSQL makes the same plan. Off leaves each new set of constants its stock plan.",
    );
    define_switch(plan_regions, &PLAN_REGIONS, GucContext::Userset);
    let plan_kinds: Text = (
        c"ruvector.dag_plan_kinds",
        c"Chooses between custom and generic plans of prepared statements by measured times.",
        c"A plan of the slower kind is given a thousand times its cost, so that PostgreSQL makes the other one. Off leaves the choice to \
          estimated costs, as does a plan_cache_mode other than auto.",
    );
    define_switch(plan_kinds, &PLAN_KINDS, GucContext::Userset);
    let (name, short, long): Text = (
        c"ruvector.dag_max_work_mem",
        c"Sets up to what work_mem may be raised for a statement that wrote temporary files.",
        c"A value not above work_mem never raises it.",
    );
    let (context, flags) = (GucContext::Suset, GucFlags::UNIT_KB);
    GucRegistry::define_int_guc(name, short, long, &MAX_WORK_MEM_KB, 64, i32::MAX, context, flags);
}

fn define_dreams() {
    let dream_execute: Text = (
        c"ruvector.dag_dream_execute",
        c"Runs trials of other plans when the server is idle.",
        c"Needs ruvector.dag_store_literals. SELECTs only, read only, with the rights of who ran them; they use processor, memory \
          and disk, and functions called STABLE that do more than read do it once more.",
    );
    define_switch(dream_execute, &DREAM_EXECUTE, GucContext::Suset);
    let completion: Text = (
        c"ruvector.dag_trial_completion",
        c"Chooses trials on an idle server by what is expected of the single statement.",
        c"The matrix of statements and hint sets, completed at low rank, with what their plans are predicted to take. Off goes by what each \
          hint set brought to all statements.",
    );
    define_switch(completion, &TRIAL_COMPLETION, GucContext::Suset);
    let store_literals: Text = (
        c"ruvector.dag_store_literals",
        c"Stores the text of statements with their constants, for trials when the server is idle.",
        c"Only superusers can read the table. Off also removes what was stored.",
    );
    define_switch(store_literals, &STORE_LITERALS, GucContext::Suset);
    let (name, short, long): Text = (
        c"ruvector.dag_dream_budget",
        c"Sets how long trials may run per hour when the server is idle.",
        c"0 runs none.",
    );
    let (context, flags) = (GucContext::Sighup, GucFlags::UNIT_S);
    GucRegistry::define_int_guc(name, short, long, &DREAM_BUDGET_S, 0, 3600, context, flags);
}

fn define_means() {
    let switches: [(Text, &'static GucSetting<bool>); 5] = [
        (
            (
                c"ruvector.dag_row_corrections",
                c"Plans with learned row counts.",
                c"Off leaves every estimate to PostgreSQL.",
            ),
            &ROW_CORRECTIONS,
        ),
        (
            (
                c"ruvector.dag_row_model",
                c"Plans joins that were not counted with what the row model expects.",
                c"Off uses counted relations and what follows from them.",
            ),
            &ROW_MODEL,
        ),
        (
            (
                c"ruvector.dag_row_bounds",
                c"Plans with the rows that executions gave before they were cut off, as lower bounds.",
                c"Off uses complete counts.",
            ),
            &ROW_BOUNDS,
        ),
        (
            (
                c"ruvector.dag_hint_sets",
                c"Tries plans without some of the planner's join and scan methods.",
                c"Off tries learned row counts and parameters.",
            ),
            &HINT_SETS,
        ),
        (
            (
                c"ruvector.dag_statement_settings",
                c"Tries work_mem, parallel workers, JIT and fitted planner costs for single statements.",
                c"work_mem is raised up to ruvector.dag_max_work_mem, and only where a statement wrote temporary files; costs are tried \
                  where executions say that the settings are clearly off.",
            ),
            &STATEMENT_SETTINGS,
        ),
    ];
    for (text, setting) in switches {
        define_switch(text, setting, GucContext::Userset);
    }
}

/// `ruvector.dag_scope`: whether what one role's statements teach is for that role alone.
pub(crate) fn keeps_roles_apart() -> bool {
    SCOPE.get() == Scope::Role
}

/// `ruvector.dag_first_sight`.
pub(crate) fn first_sight() -> FirstSight {
    FIRST_SIGHT.get()
}

/// `ruvector.dag_confidence`.
pub(crate) fn confidence() -> f64 {
    CONFIDENCE.get()
}

/// `ruvector.dag_plan_regions`.
pub(crate) fn uses_regions() -> bool {
    PLAN_REGIONS.get()
}

/// `ruvector.dag_plan_kinds`.
pub(crate) fn chooses_kinds() -> bool {
    PLAN_KINDS.get()
}

/// `ruvector.dag_explore_budget`.
pub(crate) fn explore_budget() -> f64 {
    EXPLORE_BUDGET.get()
}

/// `ruvector.dag_dream_execute`, which needs texts.
pub(crate) fn runs_trials() -> bool {
    DREAM_EXECUTE.get() && STORE_LITERALS.get()
}

/// `ruvector.dag_trial_completion`.
pub(crate) fn completes_trials() -> bool {
    TRIAL_COMPLETION.get()
}

/// `ruvector.dag_store_literals`.
pub(crate) fn stores_literals() -> bool {
    STORE_LITERALS.get()
}

/// `ruvector.dag_dream_budget`: time per hour.
pub(crate) fn dream_budget() -> Duration {
    Duration::from_secs(u64::try_from(DREAM_BUDGET_S.get()).unwrap_or(0))
}

/// `ruvector.dag_max_work_mem`, in kilobytes.
pub(crate) fn max_work_mem_kb() -> i32 {
    MAX_WORK_MEM_KB.get()
}

/// `ruvector.dag_row_corrections`.
pub(crate) fn corrects_rows() -> bool {
    ROW_CORRECTIONS.get()
}

/// `ruvector.dag_row_model`.
pub(crate) fn asks_row_model() -> bool {
    ROW_MODEL.get()
}

/// `ruvector.dag_row_bounds`.
pub(crate) fn believes_bounds() -> bool {
    ROW_BOUNDS.get()
}

/// `ruvector.dag_hint_sets`.
pub(crate) fn gives_hints() -> bool {
    HINT_SETS.get()
}

/// `ruvector.dag_statement_settings`.
pub(crate) fn sets_parameters() -> bool {
    STATEMENT_SETTINGS.get()
}
