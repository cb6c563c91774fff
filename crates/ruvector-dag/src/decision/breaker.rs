//! The circuit breaker: when applied decisions are slower than stock in all, stock plans everything for a while.
//!
//! The first time that is a minute: where the data changed, the classes concerned go back to stock by themselves meanwhile, and
//! the others are not kept waiting. When it opens again soon it stays open for twice as long each time.

/// Milliseconds of a window.
const WINDOW_MS: u64 = 300_000;
/// Milliseconds for which the breaker stays open the first time, and at most.
const OPEN_MS: (u64, u64) = (60_000, 3_600_000);
/// Milliseconds after it closed in which opening again is opening once more.
const SOON_MS: u64 = 1_800_000;
/// Executions that must be compared before it opens.
const LEAST_RUNS: u32 = 20;
/// Opens when decisions take this much of what stock took …
const FACTOR: f64 = 1.1;
/// … and this many milliseconds more.
const SLACK_MS: f64 = 1000.0;

/// What the breaker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Decisions are applied.
    Closed,
    /// Stock plans everything.
    Open,
}

/// Sums over the window under way and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Breaker {
    window: u64,
    runs: [u32; 2],
    taken_ms: [f64; 2],
    baseline_ms: [f64; 2],
    opened_at_ms: u64,
    /// For how many milliseconds it opened last.
    open_ms: u64,
    /// Times it opened.
    pub openings: u64,
}

impl Breaker {
    /// Adds an execution of an applied decision. True when this opens the breaker.
    pub fn record(&mut self, now_ms: u64, taken_ms: f64, baseline_ms: f64) -> bool {
        self.turn(now_ms);
        self.runs[0] = self.runs[0].saturating_add(1);
        self.taken_ms[0] += taken_ms;
        self.baseline_ms[0] += baseline_ms;
        let is_worse = self.runs() >= LEAST_RUNS
            && self.taken_ms.iter().sum::<f64>() > FACTOR * self.baseline_ms.iter().sum::<f64>() + SLACK_MS;
        let opens = is_worse && self.state(now_ms) == BreakerState::Closed;
        if opens {
            *self = Self {
                window: self.window,
                opened_at_ms: now_ms.max(1),
                open_ms: self.next_open_ms(now_ms),
                openings: self.openings + 1,
                ..Self::default()
            };
        }
        opens
    }

    fn next_open_ms(&self, now_ms: u64) -> u64 {
        let (first, most) = OPEN_MS;
        let closed_for = now_ms.saturating_sub(self.opened_at_ms.saturating_add(self.open_ms));
        match self.openings > 0 && closed_for < SOON_MS {
            true => self.open_ms.saturating_mul(2).clamp(first, most),
            false => first,
        }
    }

    /// For how many minutes it opened last.
    pub fn open_minutes(&self) -> u64 {
        self.open_ms / 60_000
    }

    /// Open for some minutes after decisions were slower than stock.
    pub fn state(&self, now_ms: u64) -> BreakerState {
        let is_open = self.opened_at_ms > 0 && now_ms.saturating_sub(self.opened_at_ms) < self.open_ms;
        match is_open {
            true => BreakerState::Open,
            false => BreakerState::Closed,
        }
    }

    /// Executions in the two windows.
    pub fn runs(&self) -> u32 {
        self.runs[0].saturating_add(self.runs[1])
    }

    fn turn(&mut self, now_ms: u64) {
        let window = now_ms / WINDOW_MS;
        if window == self.window {
            return;
        }
        let is_next = window == self.window + 1;
        let last = |values: [f64; 2]| if is_next { values[0] } else { 0.0 };
        self.runs = [0, if is_next { self.runs[0] } else { 0 }];
        self.taken_ms = [0.0, last(self.taken_ms)];
        self.baseline_ms = [0.0, last(self.baseline_ms)];
        self.window = window;
    }
}
