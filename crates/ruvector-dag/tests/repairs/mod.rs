//! Repairs of a list that is to be sorted, each stage of which can be made to fail.

use proptest::prelude::*;
use ruvector_dag::healing::{Finding, RepairOutcome, RepairReport, RepairStrategy, repair};
use std::cell::RefCell;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Nothing,
    Detect,
    Diagnose,
    Plan,
    /// With half of the list sorted.
    Apply,
    /// The list is sorted the wrong way round.
    Effect,
    Verify,
}

const FAULTS: [Fault; 7] = [
    Fault::Nothing,
    Fault::Detect,
    Fault::Diagnose,
    Fault::Plan,
    Fault::Apply,
    Fault::Effect,
    Fault::Verify,
];

struct Sorting {
    fault: Fault,
    is_undoable: bool,
    /// The stages that were entered.
    stages: RefCell<Vec<&'static str>>,
}

impl Sorting {
    fn new(fault: Fault, is_undoable: bool) -> Self {
        Self {
            fault,
            is_undoable,
            stages: RefCell::default(),
        }
    }

    fn enter(&self, stage: &'static str, fault: Fault) -> Result<(), String> {
        self.stages.borrow_mut().push(stage);
        match self.fault == fault {
            true => Err(format!("{fault:?} went wrong")),
            false => Ok(()),
        }
    }
}

impl RepairStrategy<[u8]> for Sorting {
    type Plan = Vec<u8>;
    type Error = String;

    fn kind(&self) -> &'static str {
        "sort"
    }

    fn detect(&self, list: &[u8]) -> Result<Option<Finding>, String> {
        self.enter("detect", Fault::Detect)?;
        Ok((!list.is_sorted()).then(|| Finding {
            target: "list".to_owned(),
            issue: "not sorted".to_owned(),
        }))
    }

    fn diagnose(&self, list: &[u8], _: &Finding) -> Result<String, String> {
        self.enter("diagnose", Fault::Diagnose)?;
        let at = list.windows(2).position(|pair| pair[0] > pair[1]);
        Ok(format!("it falls after {at:?}"))
    }

    fn plan(&self, list: &[u8], _: &Finding) -> Result<Vec<u8>, String> {
        self.enter("plan", Fault::Plan)?;
        Ok(list.to_vec())
    }

    fn apply(&self, list: &mut [u8], _: &Vec<u8>) -> Result<(), String> {
        let half = list.len() / 2;
        list[half..].sort_unstable();
        self.enter("apply", Fault::Apply)?;
        list.sort_unstable();
        if self.fault == Fault::Effect {
            list.reverse();
        }
        Ok(())
    }

    fn verify(&self, list: &[u8], _: &Vec<u8>) -> Result<bool, String> {
        self.enter("verify", Fault::Verify)?;
        Ok(list.is_sorted())
    }

    fn roll_back(&self, list: &mut [u8], before: &Vec<u8>) -> Result<(), String> {
        self.stages.borrow_mut().push("roll_back");
        if !self.is_undoable {
            return Err("no copy".to_owned());
        }
        list.copy_from_slice(before);
        Ok(())
    }
}

/// What came of repairing a list, the list, and the stages that were entered.
fn repaired(list: &[u8], fault: Fault, is_undoable: bool) -> (RepairReport, Vec<u8>, Vec<&'static str>) {
    let mut list = list.to_vec();
    let strategy = Sorting::new(fault, is_undoable);
    let report = repair(&strategy, &mut list[..]);
    (report, list, strategy.stages.into_inner())
}

const WHOLE: [&str; 6] = ["detect", "diagnose", "plan", "apply", "verify", "roll_back"];

#[test]
fn what_is_not_wrong_is_left_alone() {
    let (report, list, stages) = repaired(&[1, 2, 3], Fault::Nothing, true);
    let unneeded = RepairReport {
        kind: "sort",
        finding: None,
        diagnosis: None,
        outcome: RepairOutcome::Unneeded,
    };
    assert_eq!((report, list, stages), (unneeded, vec![1, 2, 3], vec!["detect"]));
}

#[test]
fn a_repair_says_what_was_wrong_and_why() {
    let (report, list, stages) = repaired(&[1, 3, 2], Fault::Nothing, true);
    let finding = Finding {
        target: "list".to_owned(),
        issue: "not sorted".to_owned(),
    };
    assert_eq!(report.finding, Some(finding));
    assert_eq!(report.diagnosis.as_deref(), Some("it falls after Some(1)"));
    assert_eq!(report.outcome, RepairOutcome::Repaired);
    assert_eq!((&list[..], &stages[..]), (&[1, 2, 3][..], &WHOLE[..5]));
}

#[test]
fn nothing_is_changed_where_an_early_stage_fails() {
    for (fault, entered) in [(Fault::Detect, 1), (Fault::Diagnose, 2), (Fault::Plan, 3)] {
        let (report, list, stages) = repaired(&[3, 1, 2], fault, true);
        let failed = RepairOutcome::Failed {
            reason: format!("{}: {fault:?} went wrong", WHOLE[entered - 1]),
            roll_back_error: None,
        };
        assert_eq!(report.outcome, failed);
        assert_eq!((&list[..], &stages[..]), (&[3, 1, 2][..], &WHOLE[..entered]));
        assert_eq!(
            (report.finding.is_some(), report.diagnosis.is_some()),
            (entered > 1, entered > 2)
        );
    }
}

#[test]
fn what_fails_half_way_or_does_not_help_is_rolled_back() {
    let cases = [
        (Fault::Apply, "apply: Apply went wrong"),
        (Fault::Verify, "verify: Verify went wrong"),
        (Fault::Effect, "verify: it did not help"),
    ];
    for (fault, reason) in cases {
        let reason = reason.to_owned();
        let (report, list, stages) = repaired(&[2, 1, 4, 3], fault, true);
        assert_eq!(
            report.outcome,
            RepairOutcome::RolledBack {
                reason: reason.clone()
            }
        );
        assert_eq!((list, stages.last()), (vec![2, 1, 4, 3], Some(&"roll_back")));
        let (report, _, _) = repaired(&[2, 1, 4, 3], fault, false);
        let roll_back_error = Some("roll back: no copy".to_owned());
        assert_eq!(
            report.outcome,
            RepairOutcome::Failed {
                reason,
                roll_back_error
            }
        );
    }
}

#[test]
fn outcomes_have_names() {
    let names = [
        (Fault::Nothing, true),
        (Fault::Effect, true),
        (Fault::Effect, false),
    ]
    .map(|(fault, is_undoable)| repaired(&[2, 1], fault, is_undoable).0.outcome.name());
    assert_eq!(names, ["repaired", "rolled_back", "failed"]);
    assert_eq!(repaired(&[], Fault::Nothing, true).0.outcome.name(), "unneeded");
}

proptest! {
    #[test]
    fn a_repair_helps_or_changes_nothing_or_says_that_it_could_not_be_undone(
        before in prop::collection::vec(any::<u8>(), 0..20),
        fault in prop::sample::select(FAULTS.to_vec()),
        is_undoable in any::<bool>(),
    ) {
        let (report, after, stages) = repaired(&before, fault, is_undoable);
        let was_rolled_back = stages.contains(&"roll_back");
        prop_assert!(WHOLE.starts_with(&stages) || (was_rolled_back && stages[..4] == WHOLE[..4]), "{stages:?}");
        match report.outcome {
            RepairOutcome::Repaired => {
                prop_assert!(after.is_sorted() && !before.is_sorted() && !was_rolled_back);
                prop_assert_eq!(fault, Fault::Nothing);
            }
            RepairOutcome::Unneeded => prop_assert!(after == before && before.is_sorted()),
            RepairOutcome::RolledBack { .. } => prop_assert!(after == before && was_rolled_back && is_undoable),
            RepairOutcome::Failed { roll_back_error: Some(_), .. } => prop_assert!(was_rolled_back && !is_undoable),
            RepairOutcome::Failed { roll_back_error: None, .. } => {
                prop_assert!(after == before && !stages.contains(&"apply"));
            }
        }
    }
}
