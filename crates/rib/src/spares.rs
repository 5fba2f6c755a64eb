//! Second routes for the kernel to fall back to, a few at a time.
//!
//! They are for the next failure. The routes that packets take now come first, and nobody waits for many spares: they are put,
//! replaced and deleted in slices, with time between for the kernel to make what was asked of it. A route that goes takes its spare
//! along at once.

use std::time::Duration;

use bugle_types::{Prefix, Time, VrfId};

use crate::rib::Rib;

/// How many spares change in one go: some 0.1 ms of the kernel's time. In tests few enough that it matters.
const SLICE: usize = if cfg!(test) { 2 } else { 64 };
/// How many routes are looked at in one go: less than 0.1 ms.
const LOOK: usize = if cfg!(test) { 3 } else { 2048 };
/// What the kernel is given for each change asked of it, before there are more spares.
const FOR_EACH: Duration = Duration::from_micros(3);

/// How many spares may change, and when.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    left: usize,
    /// When there is another slice.
    next: Time,
    /// A spare was put off.
    owing: bool,
}

impl Pace {
    /// Something happens at `now`.
    pub(crate) fn begin(&mut self, now: Time) {
        if now >= self.next {
            self.left = SLICE;
        }
    }

    /// So many changes were asked of the kernel.
    pub(crate) fn end(&mut self, now: Time, changes: u64) {
        let changes = u32::try_from(changes).unwrap_or(u32::MAX);
        self.next = self.next.max(now) + FOR_EACH * changes;
    }

    /// Whether one more spare may change now.
    pub(crate) fn admit(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        self.owing |= left.is_none();
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Some spares are to be looked for.
    pub(crate) fn owe(&mut self) {
        self.owing = true;
    }
}

/// How far the routes have been gone through in search of spares that were put off.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// The next route to look at; none: nothing is searched.
    at: Option<(VrfId, Option<Prefix>)>,
    /// Others were put off meanwhile: from the start once more.
    again: bool,
}

impl Rib {
    /// Sees to spares that were put off, as far as the slice goes.
    pub(crate) fn settle_spares(&mut self) {
        const START: (VrfId, Option<Prefix>) = (VrfId(0), None);
        if std::mem::take(&mut self.shadow.pace.owing) {
            self.search.again |= self.search.at.is_some();
            self.search.at.get_or_insert(START);
        }
        let Some((first, mut from)) = self.search.at else { return };
        let mut look = LOOK;
        for (vrf, table) in self.tables.range_mut(first..) {
            let from = from.take().filter(|_| *vrf == first);
            if let Some(stopped) = table.settle_spares(&mut self.shadow, from, &mut look) {
                self.shadow.pace.owing = false;
                self.search.at = Some((*vrf, Some(stopped)));
                return;
            }
        }
        self.search.at = std::mem::take(&mut self.search.again).then_some(START);
    }

    /// When to go on with that.
    pub(crate) fn spares_due(&self) -> Option<Time> {
        self.search.at.map(|_| self.shadow.pace.next)
    }
}
