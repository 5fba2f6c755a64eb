//! Flooding obligations towards one neighbour.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_types::Time;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::EntryId;

/// What one neighbour was sent and has not acknowledged: OSPF's link state retransmission list (RFC 2328 section 10),
/// IS-IS's SRM flags on a point-to-point circuit (ISO 10589 section 7.3.15).
///
/// Every entry added stays until it is acknowledged or dropped by the caller, and comes due again each interval.
#[derive(Debug, Clone, Default)]
pub struct FloodQueue {
    /// When each unacknowledged entry was last sent.
    sent: HashTable<(EntryId, Time)>,
    /// The same in the order of sending. An item whose time differs from `sent` is out of date.
    order: VecDeque<(Time, EntryId)>,
}

impl FloodQueue {
    /// Notes that an entry was sent at `now` and must be acknowledged.
    pub fn add(&mut self, id: EntryId, now: Time) {
        match self.sent.entry(hash(id), |held| held.0 == id, |held| hash(held.0)) {
            Entry::Occupied(mut held) => held.get_mut().1 = now,
            Entry::Vacant(place) => {
                place.insert((id, now));
            }
        }
        self.order.push_back((now, id));
        self.drop_stale();
        // Items that went out of date are dropped here too, lest a busy entry grow the queue without bound.
        if self.order.len() > 2 * self.sent.len() + 32 {
            let sent = &self.sent;
            self.order.retain(|&(time, id)| find(sent, id) == Some(time));
        }
    }

    /// Clears an obligation; whether there was one.
    pub fn acknowledge(&mut self, id: EntryId) -> bool {
        let known = self.forget(id);
        if known {
            self.drop_stale();
        }
        known
    }

    /// Whether the entry awaits an acknowledgement.
    #[must_use]
    pub fn contains(&self, id: EntryId) -> bool {
        self.sent_at(id).is_some()
    }

    /// When an entry was last sent that awaits an acknowledgement.
    #[must_use]
    pub fn sent_at(&self, id: EntryId) -> Option<Time> {
        find(&self.sent, id)
    }

    /// When the entry was sent that was sent longest ago.
    #[must_use]
    pub fn first_sent(&self) -> Option<Time> {
        self.order.front().map(|&(time, _)| time)
    }

    /// Takes the entry sent longest ago, if that is at least `interval` ago. The caller sends and adds it again.
    pub fn pop_due(&mut self, now: Time, interval: Duration) -> Option<EntryId> {
        let &(time, id) = self.order.front().filter(|&&(time, _)| time + interval <= now)?;
        debug_assert_eq!(self.sent_at(id), Some(time), "the front is never out of date");
        self.order.pop_front();
        self.forget(id);
        self.drop_stale();
        Some(id)
    }

    /// When the next entry comes due.
    #[must_use]
    pub fn deadline(&self, interval: Duration) -> Option<Time> {
        self.first_sent().map(|time| time + interval)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.sent.clear();
        self.order.clear();
    }

    /// How many entries await an acknowledgement.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether nothing awaits an acknowledgement.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Whether it was known.
    fn forget(&mut self, id: EntryId) -> bool {
        let Ok(held) = self.sent.find_entry(hash(id), |held| held.0 == id) else { return false };
        held.remove();
        true
    }

    fn drop_stale(&mut self) {
        while let Some(&(time, id)) = self.order.front()
            && self.sent_at(id) != Some(time)
        {
            self.order.pop_front();
        }
        if self.order.is_empty() && self.order.capacity() > 16 {
            // A burst leaves no long queue behind.
            self.order.shrink_to(16);
            self.sent.shrink_to(16, |held| hash(held.0));
        }
    }
}

fn find(sent: &HashTable<(EntryId, Time)>, id: EntryId) -> Option<Time> {
    sent.find(hash(id), |held| held.0 == id).map(|&(_, time)| time)
}

/// Ids count up, and nobody outside chooses them.
const fn hash(id: EntryId) -> u64 {
    (id.index() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Database, Entry};

    struct Name(u8);

    impl Entry for Name {
        type Key = u8;

        fn key(&self) -> u8 {
            self.0
        }

        fn deadline(&self) -> Option<Time> {
            None
        }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Send(usize),
        Acknowledge(usize),
        Advance(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0usize..6).prop_map(Op::Send),
            (0usize..6).prop_map(Op::Acknowledge),
            (0u64..8).prop_map(Op::Advance),
        ]
    }

    proptest! {
        #[test]
        fn no_obligation_is_ever_lost(script in prop::collection::vec(op(), 0..120)) {
            let interval = Duration::from_nanos(5);
            let mut ids = Database::default();
            let ids: Vec<_> = (0..6).map(|key| ids.insert(Name(key))).collect();
            let mut queue = FloodQueue::default();
            let mut model: BTreeMap<EntryId, Time> = BTreeMap::new();
            let mut now = Time::ZERO;
            for op in script {
                match op {
                    Op::Send(index) => {
                        queue.add(ids[index], now);
                        model.insert(ids[index], now);
                    }
                    Op::Acknowledge(index) => {
                        prop_assert_eq!(queue.sent_at(ids[index]), model.get(&ids[index]).copied());
                        let known = queue.acknowledge(ids[index]);
                        prop_assert_eq!(known, model.remove(&ids[index]).is_some());
                    }
                    Op::Advance(nanos) => {
                        now += Duration::from_nanos(nanos);
                        let mut due = Vec::new();
                        while let Some(id) = queue.pop_due(now, interval) {
                            prop_assert!(model[&id] + interval <= now);
                            due.push(id);
                        }
                        for &id in &due {
                            queue.add(id, now);
                            model.insert(id, now);
                        }
                        prop_assert!(model.values().all(|&sent| sent + interval > now));
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                prop_assert_eq!(
                    queue.deadline(interval),
                    model.values().min().map(|&sent| sent + interval)
                );
            }
        }
    }
}
