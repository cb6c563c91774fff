//! The kinds of events: the part of the extension, how bad it is, and the sentence that their numbers make.

use engine::decision::State;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Kept for chosen components only.
    Debug,
    Info,
    Warning,
    Error,
}

impl Severity {
    pub(crate) const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    /// As users see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The part of the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Component {
    Planning,
    Execution,
    Decision,
    Trial,
    Learning,
    State,
    Worker,
    Internal,
}

impl Component {
    pub(crate) const ALL: [Self; 8] = [
        Self::Planning,
        Self::Execution,
        Self::Decision,
        Self::Trial,
        Self::Learning,
        Self::State,
        Self::Worker,
        Self::Internal,
    ];

    /// As users see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Execution => "execution",
            Self::Decision => "decision",
            Self::Trial => "trial",
            Self::Learning => "learning",
            Self::State => "state",
            Self::Worker => "worker",
            Self::Internal => "internal",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $component:ident $severity:ident |$a:ident, $b:ident| $text:expr;)*) => {
        /// What happened. Entries hold the kind's place in this list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Where it happened.
            pub(crate) fn component(self) -> Component {
                match self { $(Self::$kind => Component::$component),* }
            }

            /// How bad it is.
            pub(crate) fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity),* }
            }

            /// In words, with an entry's numbers.
            pub(crate) fn text(self, numbers: [f64; 2]) -> String {
                match self { $(Self::$kind => { let [$a, $b] = numbers; $text }),* }
            }
        }
    };
}

kinds! {
    InternalError Internal Error |_a, _b| "an internal error was caught; the statement went on without the extension".to_owned();
    BreakerOpened Decision Warning |minutes, _b| format!("applied decisions were slower than stock PostgreSQL lately; all are suspended for {minutes} minute(s)");
    DecisionChanged Decision Info |from, to| format!("the decision's state went from {} to {}", state(from), state(to));
    DecisionMissed Decision Debug |_a, _b| "the decision gave another plan than the one that was measured; the statement was planned as stock would".to_owned();
    Planned Planning Debug |corrected, cost| format!("planned with {corrected} corrected row estimates, cost {cost:.2}");
    Learned Execution Debug |took_ms, counted| format!("learned from an execution of {took_ms:.3} ms that counted {counted} relations");
    Cancelled Execution Info |took_ms, _b| format!("cancelled after {took_ms:.3} ms, a lower bound of its plan's latency");
    TrialCompleted Trial Info |took_ms, best_ms| format!("a trial ended after {took_ms:.3} ms; the best plan known takes {best_ms:.3} ms");
    TrialCutOff Trial Info |took_ms, best_ms| format!("a trial was given up after {took_ms:.3} ms; the best plan known takes {best_ms:.3} ms");
    TrialFailed Trial Warning |_a, _b| "a trial ended with an error; its plan is not tried again".to_owned();
    LearningCycle Learning Info |executions, patterns| format!("learned from {executions} executions; there are {patterns} patterns");
    DeepCycle Learning Info |dreams, took_ms| format!("learned deeply for {took_ms:.0} ms; {dreams} trials promise something");
    LearningReset Learning Info |_a, _b| "what was learned was forgotten on request".to_owned();
    StateLoaded State Info |corrections, classes| format!("loaded {corrections} row counts and {classes} statement classes");
    StateSaved State Debug |bytes, patterns| format!("saved a state of {bytes} bytes with {patterns} patterns");
    StateRefused State Warning |_a, _b| "a part of what was learned earlier can't be read; learning begins anew there".to_owned();
    WorkerWrote Worker Info |entries, executions| format!("wrote down {entries} row counts and statement classes, and {executions} executions");
    WorkerFailed Worker Warning |failures, _b| format!("the worker did not end its cycle, for the {failures}. time in a row; it is started again later");
    WorkerWanted Worker Warning |_a, _b| "no background worker slot is free; max_worker_processes may be too low".to_owned();
    Healed Learning Info |repaired, tried| format!("{repaired} of {tried} repairs of what was learned helped");
    RingFull Worker Warning |dropped, _b| format!("{dropped} executions were dropped so far because the ring was full");
}

/// The place of a state, as [`Kind::DecisionChanged`] has it.
pub(crate) fn place(state: State) -> f64 {
    f64::from(state as u8)
}

fn state(place: f64) -> &'static str {
    let states = [
        State::Observing,
        State::Exploring,
        State::Applied,
        State::Reverted,
        State::Pinned,
    ];
    let found = states.into_iter().find(|&known| self::place(known) == place);
    found.map_or("unknown", State::name)
}
