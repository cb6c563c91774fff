//! Signals: who wants to know of changes of the cut is called, at once and in the caller's thread.

use crate::OperatorId;

/// The cut changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CutSignal {
    /// The value of the minimum cut before.
    pub before: f64,
    /// Its value now.
    pub after: f64,
    /// The edge whose change it was; `None` when several changed, or the engine was built anew.
    pub edge: Option<(OperatorId, OperatorId)>,
}

/// Names a subscriber, to unsubscribe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionId(u64);

type Subscriber = Box<dyn FnMut(&CutSignal) + Send>;

/// Those who want to know.
#[derive(Default)]
pub(super) struct Subscribers {
    called: Vec<(SubscriptionId, Subscriber)>,
    next: u64,
}

impl Subscribers {
    pub(super) fn add(&mut self, subscriber: Subscriber) -> SubscriptionId {
        let id = SubscriptionId(self.next);
        self.next += 1;
        self.called.push((id, subscriber));
        id
    }

    /// Tells whether there was such a subscriber.
    pub(super) fn remove(&mut self, id: SubscriptionId) -> bool {
        let count = self.called.len();
        self.called.retain(|(other, _)| *other != id);
        self.called.len() < count
    }

    /// Calls each, when the cut changed.
    #[inline]
    pub(super) fn signal(&mut self, signal: CutSignal) {
        if self.called.is_empty() || signal.before == signal.after {
            return;
        }
        for (_, subscriber) in &mut self.called {
            subscriber(&signal);
        }
    }
}
