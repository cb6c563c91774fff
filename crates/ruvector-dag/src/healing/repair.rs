//! Healing: the order in which anything is repaired: detect, diagnose, plan, apply, verify, and roll back where that failed.
//!
//! [`repair`] decides the order and nothing else; what is wrong, what helps and how that is undone is the strategy's. Stages
//! that a strategy can't do fail with its own error, whose text is passed on with the name of the stage.

use std::fmt::Display;

/// What is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is concerned: an index, a table, a part of what was learned.
    pub target: String,
    /// What is wrong with it, for a reader.
    pub issue: String,
}

/// A way to put one kind of fault right. `C` is what it looks at and changes.
///
/// A strategy is one target's: where several are concerned there are several strategies.
pub trait RepairStrategy<C: ?Sized> {
    /// What will be done, and whatever undoing it will need.
    type Plan;
    /// Why a stage failed.
    type Error: Display;

    /// The kind of repair, as it is stored and shown.
    fn kind(&self) -> &'static str;

    /// Looks whether there is something to repair; changes nothing.
    ///
    /// # Errors
    /// When that can't be told.
    fn detect(&self, context: &C) -> Result<Option<Finding>, Self::Error>;

    /// Says why it is so, for a reader; changes nothing.
    ///
    /// # Errors
    /// When no cause is found that this strategy could remove.
    fn diagnose(&self, context: &C, finding: &Finding) -> Result<String, Self::Error>;

    /// Decides what to do, and keeps what undoing it needs; changes nothing.
    ///
    /// # Errors
    /// When nothing can be done.
    fn plan(&self, context: &C, finding: &Finding) -> Result<Self::Plan, Self::Error>;

    /// Does it.
    ///
    /// # Errors
    /// When it failed, perhaps half done: it is rolled back then.
    fn apply(&self, context: &mut C, plan: &Self::Plan) -> Result<(), Self::Error>;

    /// Measures whether it helped; changes nothing.
    ///
    /// # Errors
    /// When that can't be told: it is rolled back then, as where it did not help.
    fn verify(&self, context: &C, plan: &Self::Plan) -> Result<bool, Self::Error>;

    /// Undoes what was applied, wholly or half.
    ///
    /// # Errors
    /// When it can't be undone.
    fn roll_back(&self, context: &mut C, plan: &Self::Plan) -> Result<(), Self::Error>;
}

/// How a repair ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepairOutcome {
    /// Nothing was wrong.
    Unneeded,
    /// It was done and it helped.
    Repaired,
    /// It failed or did not help, and all is as it was.
    RolledBack {
        /// What failed: the stage and its error.
        reason: String,
    },
    /// It could not be done.
    Failed {
        /// What failed: the stage and its error.
        reason: String,
        /// Why what had been done could not be undone; `None` where nothing had been changed.
        roll_back_error: Option<String>,
    },
}

impl RepairOutcome {
    /// As it is stored and shown.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unneeded => "unneeded",
            Self::Repaired => "repaired",
            Self::RolledBack { .. } => "rolled_back",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What a repair found, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairReport {
    /// The strategy's kind.
    pub kind: &'static str,
    /// What was wrong; `None` where nothing was, or that could not be told.
    pub finding: Option<Finding>,
    /// Why it was; `None` where no cause was found.
    pub diagnosis: Option<String>,
    /// How it ended.
    pub outcome: RepairOutcome,
}

/// Runs a strategy from its first stage to the last one needed.
///
/// After an error of `detect`, `diagnose` or `plan` nothing has been changed. After one of `apply` or `verify`, or where
/// `verify` says that it did not help, it is rolled back. A panic in a stage passes through: nothing is rolled back then.
pub fn repair<C: ?Sized, S: RepairStrategy<C> + ?Sized>(strategy: &S, context: &mut C) -> RepairReport {
    let mut report = RepairReport {
        kind: strategy.kind(),
        finding: None,
        diagnosis: None,
        outcome: RepairOutcome::Unneeded,
    };
    report.outcome = match find_plan(strategy, context, &mut report) {
        Ok(Some(plan)) => carry_out(strategy, context, &plan),
        Ok(None) => RepairOutcome::Unneeded,
        Err(reason) => RepairOutcome::Failed {
            reason,
            roll_back_error: None,
        },
    };
    report
}

/// The stages that change nothing; no plan where nothing is wrong.
fn find_plan<C: ?Sized, S: RepairStrategy<C> + ?Sized>(
    strategy: &S,
    context: &C,
    report: &mut RepairReport,
) -> Result<Option<S::Plan>, String> {
    report.finding = strategy.detect(context).map_err(in_stage("detect"))?;
    let Some(finding) = &report.finding else {
        return Ok(None);
    };
    let diagnosis = strategy.diagnose(context, finding);
    report.diagnosis = Some(diagnosis.map_err(in_stage("diagnose"))?);
    strategy
        .plan(context, finding)
        .map(Some)
        .map_err(in_stage("plan"))
}

fn carry_out<C: ?Sized, S: RepairStrategy<C> + ?Sized>(
    strategy: &S,
    context: &mut C,
    plan: &S::Plan,
) -> RepairOutcome {
    let Err(reason) = apply_and_verify(strategy, context, plan) else {
        return RepairOutcome::Repaired;
    };
    match strategy.roll_back(context, plan) {
        Ok(()) => RepairOutcome::RolledBack { reason },
        Err(error) => RepairOutcome::Failed {
            reason,
            roll_back_error: Some(in_stage("roll back")(error)),
        },
    }
}

fn apply_and_verify<C: ?Sized, S: RepairStrategy<C> + ?Sized>(
    strategy: &S,
    context: &mut C,
    plan: &S::Plan,
) -> Result<(), String> {
    strategy.apply(context, plan).map_err(in_stage("apply"))?;
    match strategy.verify(context, plan).map_err(in_stage("verify"))? {
        true => Ok(()),
        false => Err("verify: it did not help".to_owned()),
    }
}

/// Names the stage that an error is of.
fn in_stage<E: Display>(stage: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{stage}: {error}")
}
