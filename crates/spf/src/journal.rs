//! Which nodes of a graph may be reached otherwise than before, in the order in which that came about.

use crate::graph::NodeIdx;

/// The nodes that live edges enter of which something has changed.
///
/// It is kept by the graph and read by any number of calculations, each of which remembers how far it has read. Of entries
/// that nobody has read it forgets the oldest: whoever has fallen that far behind has as much to do as with a graph it does
/// not know.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    entries: Vec<NodeIdx>,
    /// How many have been forgotten.
    forgotten: u64,
}

/// What a small graph's journal holds at least.
const AT_LEAST: usize = 64;

impl Journal {
    /// Notes that `node` may be reached otherwise, in a graph of `nodes` nodes. The last `nodes` notes at least are kept.
    pub(crate) fn push(&mut self, node: NodeIdx, nodes: usize) {
        let keep = nodes.max(AT_LEAST);
        if self.entries.len() >= 2 * keep {
            let excess = self.entries.len() - keep;
            self.entries.drain(..excess);
            self.forgotten += excess as u64;
        }
        self.entries.push(node);
    }

    /// How many nodes have been noted in all.
    pub(crate) fn end(&self) -> u64 {
        self.forgotten + self.entries.len() as u64
    }

    /// What has been noted since [`end`](Self::end) was `read`, with repetitions; `None` if some of it has been forgotten.
    pub(crate) fn since(&self, read: u64) -> Option<&[NodeIdx]> {
        let known = read.checked_sub(self.forgotten)?;
        self.entries.get(usize::try_from(known).ok()?..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_entries_are_kept_as_there_are_nodes_and_at_most_twice_as_many() {
        for nodes in [AT_LEAST, 100] {
            let mut journal = Journal::default();
            for entry in 0..1000 {
                assert_eq!(journal.end(), u64::from(entry));
                journal.push(NodeIdx(entry), nodes);
                let kept = u64::from(entry + 1).min(nodes as u64);
                let read = journal.since(journal.end() - kept).unwrap();
                let expected: Vec<_> = (entry + 1 - u32::try_from(kept).unwrap()..=entry).collect();
                assert_eq!(read.iter().map(|node| node.0).collect::<Vec<_>>(), expected);
                assert!(journal.entries.len() <= 2 * nodes);
            }
            assert!(journal.since(0).is_none());
            assert_eq!(journal.since(journal.end()), Some(&[][..]));
            assert!(journal.since(journal.end() + 1).is_none());
        }
    }
}
