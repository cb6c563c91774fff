//! How much slower than usual the whole server is at the moment, so that a busy minute is not taken for a bad plan.
//!
//! The median of the latest executions' latencies relative to what their plans usually take, over several statement
//! classes: one class whose data changed does not move it.

/// Executions that are remembered.
const EXECUTIONS: usize = 24;
/// Statement classes among them below which nothing is said.
const LEAST_CLASSES: usize = 5;
/// The factor is kept within the exponentials of these.
const BOUNDS: (f32, f32) = (-0.5, 2.5);

/// The latest executions of a database.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct LoadGauge {
    classes: [u64; EXECUTIONS],
    log_ratios: [f32; EXECUTIONS],
    count: u32,
    reserved: u32,
}

impl LoadGauge {
    /// Notes an execution of a class: its latency relative to what its plan usually takes on a quiet server.
    pub fn note(&mut self, class: u64, ratio: f64) {
        let at = self.count as usize % EXECUTIONS;
        self.classes[at] = class;
        self.log_ratios[at] = ratio.max(1e-6).ln() as f32;
        // Stays above the number of places once they are filled.
        self.count = if self.count as usize >= 2 * EXECUTIONS - 1 {
            EXECUTIONS as u32
        } else {
            self.count + 1
        };
    }

    /// The factor by which everything is slower than usual; 1 when too little is known.
    pub fn slowdown(&self) -> f64 {
        let known = (self.count as usize).min(EXECUTIONS);
        let classes = &self.classes[..known];
        let is_first = |&at: &usize| !classes[..at].contains(&classes[at]);
        if (0..known).filter(is_first).count() < LEAST_CLASSES {
            return 1.0;
        }
        let mut sorted = self.log_ratios;
        let sorted = &mut sorted[..known];
        sorted.sort_by(f32::total_cmp);
        let median = sorted.get(known / 2).copied().unwrap_or(0.0);
        f64::from(median.clamp(BOUNDS.0, BOUNDS.1)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_slows_all_classes_down_a_changed_class_does_not() {
        let mut gauge = LoadGauge::default();
        for at in 0..100u64 {
            gauge.note(at % 8, if at % 8 == 3 { 20.0 } else { 1.0 });
        }
        assert!((gauge.slowdown() - 1.0).abs() < 1e-6, "{}", gauge.slowdown());
        for at in 0..30u64 {
            gauge.note(at % 8, 4.0);
        }
        assert!((gauge.slowdown() - 4.0).abs() < 1e-3);
        let mut single = LoadGauge::default();
        (0..50).for_each(|_| single.note(1, 9.0));
        assert_eq!(single.slowdown(), 1.0, "one class says nothing about the server");
    }
}
