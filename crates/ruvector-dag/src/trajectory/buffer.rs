//! Where sessions leave trajectories for the learner: a bounded queue without locks, whose writers never wait.
//!
//! The queue is Dmitry Vyukov's bounded queue of many producers and many consumers, as crossbeam has it.

use super::Trajectory;
use crossbeam_queue::ArrayQueue;
use std::sync::atomic::{AtomicU64, Ordering};

/// Trajectories in the order they ended. When it is full, new ones are dropped and counted.
#[derive(Debug)]
pub struct TrajectoryBuffer {
    queue: ArrayQueue<Trajectory>,
    recorded: AtomicU64,
    dropped: AtomicU64,
}

impl TrajectoryBuffer {
    /// A buffer with room for `capacity` trajectories, at least one.
    pub fn new(capacity: usize) -> Self {
        Self {
            queue: ArrayQueue::new(capacity.max(1)),
            recorded: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Adds a trajectory; `false` when there was no room for it.
    pub fn push(&self, trajectory: Trajectory) -> bool {
        let is_kept = self.queue.push(trajectory).is_ok();
        let counter = if is_kept { &self.recorded } else { &self.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
        is_kept
    }

    /// Takes the trajectories, oldest first: at most as many as there is room for, so that it ends while others write.
    pub fn drain(&self) -> Vec<Trajectory> {
        let mut drained = Vec::with_capacity(self.queue.len());
        while drained.len() < self.queue.capacity() {
            match self.queue.pop() {
                Some(trajectory) => drained.push(trajectory),
                None => break,
            }
        }
        drained
    }

    /// How many trajectories wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many can wait.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// How many were kept since the buffer was made.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// How many were dropped for want of room since the buffer was made.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
