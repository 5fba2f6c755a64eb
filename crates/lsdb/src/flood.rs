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
    /// Where each unacknowledged entry stands in `order`.
    sent: HashTable<(EntryId, Place)>,
    /// In the order of sending. An item that stands elsewhere than `sent` says is out of date; the front never is.
    order: VecDeque<EntryId>,
    /// The place of the front of `order`.
    front: Place,
    /// The times at which those in `order` were sent, each with the place of the first.
    times: VecDeque<(Place, Time)>,
}

/// Counts up with each item that joins a queue, and wraps: 2^32 items at once do not fit in memory. A burst of LSAs stands in as
/// many queues as there are neighbours, so an item takes four bytes there and its time is held once.
type Place = u32;

impl FloodQueue {
    /// Notes that an entry was sent at `now` and must be acknowledged.
    pub fn add(&mut self, id: EntryId, now: Time) {
        let place =
            Place::try_from(self.order.len()).unwrap_or(Place::MAX).wrapping_add(self.front);
        let since = self.times.back().filter(|&&(_, time)| time == now).map(|&(first, _)| first);
        match self.sent.entry(hash(id), |held| held.0 == id, |held| hash(held.0)) {
            Entry::Occupied(mut held) => {
                let behind = |place: Place| place.wrapping_sub(self.front);
                if since.is_some_and(|first| behind(first) <= behind(held.get().1)) {
                    return;
                }
                held.get_mut().1 = place;
            }
            Entry::Vacant(vacant) => {
                vacant.insert((id, place));
            }
        }
        self.order.push_back(id);
        if since.is_none() {
            self.times.push_back((place, now));
        }
        self.drop_stale();
        // Items that went out of date are dropped here too, lest a busy entry grow the queue without bound.
        if self.order.len() > 2 * self.sent.len() + 32 {
            self.close_ranks();
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
        self.place(id).is_some()
    }

    /// When an entry was last sent that awaits an acknowledgement.
    #[must_use]
    pub fn sent_at(&self, id: EntryId) -> Option<Time> {
        let behind = |place: Place| place.wrapping_sub(self.front);
        let own = behind(self.place(id)?);
        let later = self.times.partition_point(|&(first, _)| behind(first) <= own);
        self.times.get(later.checked_sub(1)?).map(|&(_, time)| time)
    }

    /// When the entry was sent that was sent longest ago.
    #[must_use]
    pub fn first_sent(&self) -> Option<Time> {
        self.times.front().map(|&(_, time)| time)
    }

    /// Takes the entry sent longest ago, if that is at least `interval` ago. The caller sends and adds it again.
    pub fn pop_due(&mut self, now: Time, interval: Duration) -> Option<EntryId> {
        self.first_sent().filter(|&time| time + interval <= now)?;
        let &id = self.order.front()?;
        debug_assert_eq!(self.place(id), Some(self.front), "the front is never out of date");
        self.acknowledge(id);
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
        self.times.clear();
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

    fn place(&self, id: EntryId) -> Option<Place> {
        self.sent.find(hash(id), |held| held.0 == id).map(|&(_, place)| place)
    }

    /// Whether it was known.
    fn forget(&mut self, id: EntryId) -> bool {
        let Ok(held) = self.sent.find_entry(hash(id), |held| held.0 == id) else { return false };
        held.remove();
        true
    }

    fn drop_stale(&mut self) {
        while let Some(&id) = self.order.front()
            && self.place(id) != Some(self.front)
        {
            self.order.pop_front();
            self.front = self.front.wrapping_add(1);
            let next = self.times.get(1).is_some_and(|&(first, _)| first == self.front);
            if next || self.order.is_empty() {
                self.times.pop_front();
            } else if let Some((first, _)) = self.times.front_mut() {
                *first = self.front;
            }
        }
        if self.order.is_empty() && self.order.capacity() > 16 {
            // A burst leaves no long queue behind.
            self.order.shrink_to(16);
            self.times.shrink_to(16);
            self.sent.shrink_to(16, |held| hash(held.0));
        }
    }

    /// Drops all items that are out of date.
    fn close_ranks(&mut self) {
        let mut place = self.front.wrapping_sub(1);
        let mut current = Vec::with_capacity(self.sent.len());
        for &id in &self.order {
            place = place.wrapping_add(1);
            if self.place(id) == Some(place) {
                current.extend(self.sent_at(id).map(|time| (id, time)));
            }
        }
        self.clear();
        for (id, time) in current {
            self.add(id, time);
        }
    }
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
        fn no_obligation_is_ever_lost(
            script in prop::collection::vec(op(), 0..400),
            interval in prop::sample::select(vec![5, 400]),
            front in prop::sample::select(vec![0, Place::MAX - 30]),
        ) {
            let interval = Duration::from_nanos(interval);
            let mut ids = Database::default();
            let ids: Vec<_> = (0..6).map(|key| ids.insert(Name(key))).collect();
            let mut queue = FloodQueue { front, ..FloodQueue::default() };
            let mut model: BTreeMap<EntryId, Time> = BTreeMap::new();
            let mut now = Time::ZERO;
            for op in script {
                match op {
                    Op::Send(index) => {
                        queue.add(ids[index], now);
                        model.insert(ids[index], now);
                    }
                    Op::Acknowledge(index) => {
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
                prop_assert!(queue.order.len() <= 2 * ids.len() + 32);
                for &id in &ids {
                    prop_assert_eq!(queue.sent_at(id), model.get(&id).copied());
                }
                prop_assert_eq!(
                    queue.deadline(interval),
                    model.values().min().map(|&sent| sent + interval)
                );
            }
        }
    }
}
