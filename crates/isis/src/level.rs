//! Two levels side by side.

use std::ops::{Index, IndexMut};

use bugle_wire::isis::Level;

/// One of something for each level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerLevel<T> {
    /// Level 1's.
    pub l1: T,
    /// Level 2's.
    pub l2: T,
}

impl<T> Index<Level> for PerLevel<T> {
    type Output = T;

    fn index(&self, level: Level) -> &T {
        match level {
            Level::L1 => &self.l1,
            Level::L2 => &self.l2,
        }
    }
}

impl<T> IndexMut<Level> for PerLevel<T> {
    fn index_mut(&mut self, level: Level) -> &mut T {
        match level {
            Level::L1 => &mut self.l1,
            Level::L2 => &mut self.l2,
        }
    }
}
