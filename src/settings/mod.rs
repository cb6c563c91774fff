//! Every setting in one place: definitions, and typed getters. Nothing else reads a `GucSetting`.
//!
//! `MarkGUCPrefixReserved` is not called: RuVector's vector extension has settings of its own under `ruvector.`, and
//! reserving the prefix would make them fail when both are loaded.

mod decisions;
mod healing;
mod monitoring;

pub(crate) use decisions::{
    FirstSight, asks_row_model, believes_bounds, chooses_kinds, completes_trials, confidence, corrects_rows,
    dream_budget, explore_budget, first_sight, gives_hints, keeps_roles_apart, max_work_mem_kb, runs_trials,
    sets_parameters, stores_literals, uses_regions,
};

pub(crate) use healing::healing_interval;
pub(crate) use monitoring::{debugs, times_locks};

use core::ffi::CStr;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::cell::Cell;
use std::ffi::CString;
use std::time::Duration;

/// How far the extension goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub(crate) enum Mode {
    /// Hooks only chain.
    #[name = c"off"]
    Off,
    /// Learn, and plan as stock PostgreSQL does.
    #[name = c"observe"]
    Observe,
    /// As observe; functions report what would be done.
    #[name = c"advise"]
    Advise,
    /// Learn and steer.
    #[name = c"on"]
    On,
}

/// When statements are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub(crate) enum RewriteMode {
    /// Never.
    #[name = c"off"]
    Off,
    /// When PostgreSQL estimates the other form to be much cheaper.
    #[name = c"auto"]
    Auto,
    /// Whenever a rule knows another form.
    #[name = c"force"]
    Force,
}

/// What weighs the operators of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub(crate) enum AttentionType {
    /// Policy and bandit choose for each pattern.
    #[name = c"auto"]
    Auto,
    /// Always this mechanism.
    #[name = c"topological"]
    Topological,
    /// Always this mechanism.
    #[name = c"causal_cone"]
    CausalCone,
    /// Always this mechanism.
    #[name = c"critical_path"]
    CriticalPath,
    /// Always this mechanism.
    #[name = c"mincut_gated"]
    MincutGated,
    /// Always this mechanism.
    #[name = c"hierarchical_lorentz"]
    HierarchicalLorentz,
    /// Always this mechanism.
    #[name = c"parallel_branch"]
    ParallelBranch,
    /// Always this mechanism.
    #[name = c"temporal_btsp"]
    TemporalBtsp,
    /// The mean of all seven.
    #[name = c"ensemble"]
    Ensemble,
}

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static MODE: GucSetting<Mode> = GucSetting::<Mode>::new(Mode::On);
static REWRITE: GucSetting<RewriteMode> = GucSetting::<RewriteMode>::new(RewriteMode::Auto);
static REWRITE_RULES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"all"));
static REWRITE_FLOAT_SUMS: GucSetting<bool> = GucSetting::<bool>::new(false);
static TRUST_FOREIGN_KEYS: GucSetting<bool> = GucSetting::<bool>::new(false);
static SAMPLE_RATE: GucSetting<f64> = GucSetting::<f64>::new(1.0);
static MIN_DURATION_MS: GucSetting<f64> = GucSetting::<f64>::new(1.0);
static MAX_TRAJECTORIES: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static SHARED_MEMORY_MB: GucSetting<i32> = GucSetting::<i32>::new(64);
static BACKGROUND_INTERVAL_S: GucSetting<i32> = GucSetting::<i32>::new(3600);
static ATTENTION_TYPE: GucSetting<AttentionType> = GucSetting::<AttentionType>::new(AttentionType::Auto);
static ATTENTION_PARAMETERS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c"{}"));
static EXPLORATION: GucSetting<f64> = GucSetting::<f64>::new(0.1);
static UCB_C: GucSetting<f64> = GucSetting::<f64>::new(std::f64::consts::SQRT_2);
static LEARNING_RATE: GucSetting<f64> = GucSetting::<f64>::new(0.002);
static PATTERN_CLUSTERS: GucSetting<i32> = GucSetting::<i32>::new(100);
static QUALITY_THRESHOLD: GucSetting<f64> = GucSetting::<f64>::new(0.3);
static EWC_LAMBDA: GucSetting<f64> = GucSetting::<f64>::new(2000.0);
static EWC_MAX_LAMBDA: GucSetting<f64> = GucSetting::<f64>::new(15_000.0);
static EWC_FISHER_DECAY: GucSetting<f64> = GucSetting::<f64>::new(0.999);
static DREAM_LOAD: GucSetting<f64> = GucSetting::<f64>::new(0.2);
static MICRO_LORA_RANK: GucSetting<i32> = GucSetting::<i32>::new(2);
static BASE_LORA_RANK: GucSetting<i32> = GucSetting::<i32>::new(8);
static MAX_PATTERNS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static HDC_DIMENSIONS: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static MINCUT_ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static MINCUT_THRESHOLD: GucSetting<f64> = GucSetting::<f64>::new(0.5);

/// Name, one sentence, and what else a DBA should know.
type Text = (&'static CStr, &'static CStr, &'static CStr);

/// Defines the settings. The sizes can only be defined while the server starts.
pub(crate) fn init(is_preloading: bool) {
    define_switches();
    define_rewrites();
    define_limits();
    decisions::define();
    healing::define();
    monitoring::define();
    define_attention();
    define_mincut();
    define_learning();
    define_ewc();
    if is_preloading {
        define_sizes();
        define_ranks();
    }
}

fn define_switches() {
    let enabled: Text = (
        c"ruvector.neural_dag_enabled",
        c"Enables learning from statements and steering their plans.",
        c"Off leaves every statement to stock PostgreSQL, whatever ruvector.dag_mode says.",
    );
    define_switch(enabled, &ENABLED, GucContext::Userset);
    let (name, short, long): Text = (
        c"ruvector.dag_mode",
        c"Sets how far statements are learned from and steered.",
        c"off does nothing, observe records executions, advise also reports what it would do, on steers plans.",
    );
    GucRegistry::define_enum_guc(name, short, long, &MODE, GucContext::Userset, GucFlags::default());
}

fn define_rewrites() {
    let (name, short, long): Text = (
        c"ruvector.dag_rewrite",
        c"Sets when a statement is planned in another form that has the same result.",
        c"auto does so where the estimated gain is clear, force wherever it is possible, off never.",
    );
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_enum_guc(name, short, long, &REWRITE, context, flags);
    let (name, short, long): Text = (
        c"ruvector.dag_rewrite_rules",
        c"Sets which rules may rewrite statements, as a list of names.",
        c"all allows every rule, an empty list none.",
    );
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_string_guc(name, short, long, &REWRITE_RULES, context, flags);
    let sums: Text = (
        c"ruvector.dag_rewrite_float_sums",
        c"Allows other forms of statements to add floating-point numbers up in another order.",
        c"Sums and averages may then differ in their last digits, and in whether huge values overflow.",
    );
    define_switch(sums, &REWRITE_FLOAT_SUMS, GucContext::Userset);
    let trust: Text = (
        c"ruvector.dag_rewrite_trust_foreign_keys",
        c"Allows other forms of statements to leave out joins that only check what foreign keys enforce.",
        c"Where keys were not enforced (session_replication_role = replica, disabled triggers) results may then differ.",
    );
    define_switch(trust, &TRUST_FOREIGN_KEYS, GucContext::Userset);
}

fn define_limits() {
    let (name, short, long): Text = (
        c"ruvector.dag_sample_rate",
        c"Sets the share of executions that are learned from.",
        c"1 learns from every execution, 0 from none.",
    );
    let (context, flags) = (GucContext::Suset, GucFlags::default());
    GucRegistry::define_float_guc(name, short, long, &SAMPLE_RATE, 0.0, 1.0, context, flags);
    let (name, short, long): Text = (
        c"ruvector.dag_min_duration",
        c"Sets the execution time below which a statement is counted but not learned from.",
        c"0 learns from every statement.",
    );
    let (context, flags) = (GucContext::Suset, GucFlags::UNIT_MS);
    GucRegistry::define_float_guc(name, short, long, &MIN_DURATION_MS, 0.0, 3.6e6, context, flags);
    let (name, short, long): Text = (
        c"ruvector.dag_background_interval",
        c"Sets the time between two learning cycles of a database's worker.",
        c"What was learned is written down about every second; a cycle also removes what is out of date.",
    );
    let (context, flags) = (GucContext::Sighup, GucFlags::UNIT_S);
    GucRegistry::define_int_guc(
        name,
        short,
        long,
        &BACKGROUND_INTERVAL_S,
        1,
        86_400,
        context,
        flags,
    );
}

fn define_attention() {
    let (name, short, long): Text = (
        c"ruvector.dag_attention_type",
        c"Sets what weighs the operators of a plan.",
        c"auto chooses a mechanism for each plan shape: by what the plan looks like first, by what mechanisms earned later.",
    );
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_enum_guc(name, short, long, &ATTENTION_TYPE, context, flags);
    let (name, short, long): Text = (
        c"ruvector.dag_attention_parameters",
        c"Sets parameters of attention mechanisms, as a JSON object of objects by mechanism.",
        c"Use dag_attention_configure, which checks them; what is not valid here is ignored.",
    );
    let (context, flags) = (GucContext::Userset, GucFlags::default());
    GucRegistry::define_string_guc(name, short, long, &ATTENTION_PARAMETERS, context, flags);
    let (name, short, long): Text = (
        c"ruvector.dag_attention_exploration",
        c"Sets the share of choices of a mechanism that are drawn at random in the beginning.",
        c"The share falls with the number of choices. 0 draws none.",
    );
    define_real((name, short, long), &EXPLORATION, (0.0, 1.0), GucContext::Userset);
    let (name, short, long): Text = (
        c"ruvector.dag_ucb_c",
        c"Sets how much a mechanism that was rarely chosen is preferred.",
        c"The factor c of UCB1. 0 always chooses the mechanism that earned most.",
    );
    define_real((name, short, long), &UCB_C, (0.0, 10.0), GucContext::Sighup);
}

fn define_mincut() {
    let enabled: Text = (
        c"ruvector.dag_mincut_enabled",
        c"Enables the choice of an attention mechanism by a plan's tension.",
        c"Tension is high where one operator takes most of the time or is misestimated.",
    );
    define_switch(enabled, &MINCUT_ENABLED, GucContext::Userset);
    let (name, short, long): Text = (
        c"ruvector.dag_mincut_threshold",
        c"Sets the tension above which the narrowest place of a plan gets the attention.",
        c"Tensions are at least 0 and below 1.",
    );
    define_real(
        (name, short, long),
        &MINCUT_THRESHOLD,
        (0.0, 1.0),
        GucContext::Userset,
    );
}

/// A whole number that is set for the server: name, sentences, where, least, greatest.
fn define_number(
    (name, short, long): Text,
    setting: &'static GucSetting<i32>,
    (least, greatest): (i32, i32),
    context: GucContext,
) {
    GucRegistry::define_int_guc(
        name,
        short,
        long,
        setting,
        least,
        greatest,
        context,
        GucFlags::default(),
    );
}

/// A setting that is on or off.
fn define_switch((name, short, long): Text, setting: &'static GucSetting<bool>, context: GucContext) {
    GucRegistry::define_bool_guc(name, short, long, setting, context, GucFlags::default());
}

/// A real number, as [`define_number`].
fn define_real(
    (name, short, long): Text,
    setting: &'static GucSetting<f64>,
    (least, greatest): (f64, f64),
    context: GucContext,
) {
    GucRegistry::define_float_guc(
        name,
        short,
        long,
        setting,
        least,
        greatest,
        context,
        GucFlags::default(),
    );
}

fn define_learning() {
    let learning_rate: Text = (
        c"ruvector.dag_learning_rate",
        c"Sets the step of the adapters per operator type, the instant part of learning.",
        c"A session learns with its own; what the worker trains has a step of its own.",
    );
    define_real(learning_rate, &LEARNING_RATE, (1e-6, 1.0), GucContext::Userset);
    let clusters: Text = (
        c"ruvector.dag_pattern_clusters",
        c"Sets into how many clusters a learning cycle sorts the executions it learns from.",
        c"Each cluster becomes a pattern, or part of one that is nearly equal.",
    );
    define_number(clusters, &PATTERN_CLUSTERS, (1, 10_000), GucContext::Sighup);
    let threshold: Text = (
        c"ruvector.dag_quality_threshold",
        c"Sets the quality below which an execution becomes part of no pattern.",
        c"0.5 is as fast as the stock plan, 1 much faster, 0 much slower.",
    );
    define_real(threshold, &QUALITY_THRESHOLD, (0.0, 1.0), GucContext::Sighup);
    let load: Text = (
        c"ruvector.dag_dream_load",
        c"Sets up to how many active sessions per processor the worker calls the server idle, for deep learning.",
        c"Deep learning replays what surprised and plans trials; it runs none.",
    );
    define_real(load, &DREAM_LOAD, (0.0, 1.0), GucContext::Sighup);
}

fn define_ewc() {
    let lambda: Text = (
        c"ruvector.dag_ewc_lambda",
        c"Sets how much what was learned from one workload resists the next.",
        c"Grows with the number of workloads up to ruvector.dag_ewc_max_lambda.",
    );
    define_real(lambda, &EWC_LAMBDA, (1e-9, 1e9), GucContext::Sighup);
    let max: Text = (
        c"ruvector.dag_ewc_max_lambda",
        c"Sets up to what ruvector.dag_ewc_lambda grows.",
        c"Nothing below ruvector.dag_ewc_lambda has an effect.",
    );
    define_real(max, &EWC_MAX_LAMBDA, (1e-9, 1e9), GucContext::Sighup);
    let decay: Text = (
        c"ruvector.dag_ewc_fisher_decay",
        c"Sets how much of a parameter's importance remains after each gradient.",
        c"Near 1 remembers long.",
    );
    define_real(decay, &EWC_FISHER_DECAY, (1e-6, 1.0 - 1e-9), GucContext::Sighup);
}

fn define_ranks() {
    let micro: Text = (
        c"ruvector.dag_micro_lora_rank",
        c"Sets the rank of the adapters per operator type.",
        c"Adapters of another rank begin anew.",
    );
    define_number(micro, &MICRO_LORA_RANK, (1, 2), GucContext::Postmaster);
    let base: Text = (
        c"ruvector.dag_base_lora_rank",
        c"Sets the rank of the adapter of all plans.",
        c"Adapters of another rank begin anew.",
    );
    define_number(base, &BASE_LORA_RANK, (1, 64), GucContext::Postmaster);
    let patterns: Text = (
        c"ruvector.dag_max_patterns",
        c"Sets how many patterns a database keeps.",
        c"The least worthy ones go; pinned ones stay.",
    );
    define_number(patterns, &MAX_PATTERNS, (1, 1_000_000), GucContext::Postmaster);
    let dimensions: Text = (
        c"ruvector.dag_hdc_dimensions",
        c"Sets the bits of the hypervectors that tell plan shapes apart.",
        c"More bits confuse less and take longer.",
    );
    define_number(
        dimensions,
        &HDC_DIMENSIONS,
        (1024, 65_536),
        GucContext::Postmaster,
    );
}

fn define_sizes() {
    let (name, short, long): Text = (
        c"ruvector.dag_max_trajectories",
        c"Sets how many executions are kept, in shared memory until written down and in the table after.",
        c"The oldest ones are removed from the table; what does not fit into shared memory is dropped and counted.",
    );
    let (context, flags) = (GucContext::Postmaster, GucFlags::default());
    GucRegistry::define_int_guc(
        name,
        short,
        long,
        &MAX_TRAJECTORIES,
        100,
        1_000_000,
        context,
        flags,
    );
    let (name, short, long): Text = (
        c"ruvector.dag_shared_memory",
        c"Sets the shared memory reserved at server start for what is learned.",
        c"A quarter each is for executions on their way to the worker, row counts, statement classes and patterns.",
    );
    let (context, flags) = (GucContext::Postmaster, GucFlags::UNIT_MB);
    GucRegistry::define_int_guc(name, short, long, &SHARED_MEMORY_MB, 8, 65_536, context, flags);
}

thread_local! {
    static PAUSES: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work` unobserved: our own statements are nothing to learn from.
pub(crate) fn paused<R>(work: impl FnOnce() -> R) -> R {
    struct Resume;
    impl Drop for Resume {
        fn drop(&mut self) {
            PAUSES.set(PAUSES.get() - 1);
        }
    }
    PAUSES.set(PAUSES.get() + 1);
    let _resume = Resume;
    work()
}

/// Whether anything is done at all.
pub(crate) fn is_active() -> bool {
    is_enabled() && PAUSES.get() == 0
}

/// Whether the settings allow anything.
pub(crate) fn is_enabled() -> bool {
    ENABLED.get() && MODE.get() != Mode::Off
}

/// `ruvector.dag_mode`.
pub(crate) fn mode() -> Mode {
    MODE.get()
}

/// Whether plans may be changed.
pub(crate) fn may_steer() -> bool {
    ENABLED.get() && MODE.get() == Mode::On
}

/// `ruvector.dag_rewrite`.
pub(crate) fn rewrite_mode() -> RewriteMode {
    REWRITE.get()
}

/// A list of names.
pub(crate) struct Names(String);

impl Names {
    fn of(setting: &GucSetting<Option<CString>>) -> Self {
        let text = setting.get();
        Self(text.map_or_else(String::new, |text| text.to_string_lossy().into_owned()))
    }

    /// Whether a name is in the list, or all are.
    pub(crate) fn contains(&self, wanted: &str) -> bool {
        let mut names = self.0.split(',').map(|name| name.trim().trim_matches('"'));
        names.any(|name| name == "all" || name == wanted)
    }
}

/// `ruvector.dag_rewrite_rules`.
pub(crate) fn rewrite_rules() -> Names {
    Names::of(&REWRITE_RULES)
}

/// `ruvector.dag_rewrite_float_sums`.
pub(crate) fn rewrites_float_sums() -> bool {
    REWRITE_FLOAT_SUMS.get()
}

/// `ruvector.dag_rewrite_trust_foreign_keys`.
pub(crate) fn trusts_foreign_keys() -> bool {
    TRUST_FOREIGN_KEYS.get()
}

/// `ruvector.dag_sample_rate`.
pub(crate) fn sample_rate() -> f64 {
    SAMPLE_RATE.get()
}

/// `ruvector.dag_min_duration`, in milliseconds.
pub(crate) fn min_duration_ms() -> f64 {
    MIN_DURATION_MS.get()
}

/// `ruvector.dag_max_trajectories`.
pub(crate) fn max_trajectories() -> usize {
    usize::try_from(MAX_TRAJECTORIES.get()).unwrap_or(0)
}

/// `ruvector.dag_shared_memory`, in bytes.
pub(crate) fn shared_memory_bytes() -> usize {
    usize::try_from(SHARED_MEMORY_MB.get()).unwrap_or(0) << 20
}

/// `ruvector.dag_background_interval`.
pub(crate) fn background_interval() -> Duration {
    Duration::from_secs(u64::try_from(BACKGROUND_INTERVAL_S.get()).unwrap_or(1))
}

/// `ruvector.dag_attention_type`.
pub(crate) fn attention_type() -> AttentionType {
    ATTENTION_TYPE.get()
}

/// `ruvector.dag_attention_parameters`: a JSON text, not checked.
pub(crate) fn attention_parameters() -> String {
    let text = ATTENTION_PARAMETERS.get();
    text.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
}

/// `ruvector.dag_attention_exploration`.
pub(crate) fn attention_exploration() -> f64 {
    EXPLORATION.get()
}

/// `ruvector.dag_ucb_c`.
pub(crate) fn ucb_c() -> f64 {
    UCB_C.get()
}

/// `ruvector.dag_mincut_threshold`; infinite when tension plays no part.
pub(crate) fn tension_threshold() -> f64 {
    if MINCUT_ENABLED.get() {
        MINCUT_THRESHOLD.get()
    } else {
        f64::INFINITY
    }
}

/// How the worker learns, as the settings say.
pub(crate) fn sona() -> engine::learning::SonaConfig {
    let count = |setting: &GucSetting<i32>| usize::try_from(setting.get()).unwrap_or(1);
    let lambda = EWC_LAMBDA.get() as f32;
    engine::learning::SonaConfig {
        micro_rank: count(&MICRO_LORA_RANK),
        base_rank: count(&BASE_LORA_RANK),
        micro_learning_rate: LEARNING_RATE.get() as f32,
        ewc_lambda: lambda,
        max_ewc_lambda: lambda.max(EWC_MAX_LAMBDA.get() as f32),
        ewc_fisher_decay: EWC_FISHER_DECAY.get() as f32,
        pattern_capacity: count(&MAX_PATTERNS),
        clusters: count(&PATTERN_CLUSTERS),
        quality_threshold: QUALITY_THRESHOLD.get() as f32,
        ..engine::learning::SonaConfig::default()
    }
}

/// `ruvector.dag_learning_rate`.
pub(crate) fn learning_rate() -> f64 {
    LEARNING_RATE.get()
}

/// When the worker's loops run, and for how long.
pub(crate) fn budgets() -> engine::learning::coordinator::LoopBudgets {
    let interval_us = u64::try_from(background_interval().as_micros()).unwrap_or(u64::MAX);
    engine::learning::coordinator::LoopBudgets {
        background_interval_us: interval_us,
        background_least: 1,
        deep_interval_us: interval_us,
        deep_us: 2_000_000,
        idle_load: DREAM_LOAD.get(),
        ..Default::default()
    }
}

/// `ruvector.dag_hdc_dimensions`.
pub(crate) fn hdc_dimensions() -> usize {
    usize::try_from(HDC_DIMENSIONS.get()).unwrap_or(0)
}
