//! Hashing under a key.

use std::hash::{Hash, Hasher};

use bugle_types::Rng;

/// Hashes that nobody can predict who does not know the seed: a neighbour chooses the keys of what it sends, and must not be able to
/// choose them such that all fall together. Equal seeds hash equally.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyedHash {
    start: u64,
    factor: u64,
}

impl KeyedHash {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self { start: rng.next_u64(), factor: rng.next_u64() | 1 }
    }

    pub(crate) fn of(self, key: &impl Hash) -> u64 {
        let mut folding = Folding { state: self.start, factor: self.factor };
        key.hash(&mut folding);
        folding.finish()
    }
}

/// Multiplies each word into the state, and folds the upper half of the product onto the lower.
struct Folding {
    state: u64,
    factor: u64,
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        self.state = u64::try_from(low ^ high).unwrap_or_default();
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equal_seeds_hash_equally_and_others_differently() {
        let keys = || (0..100_u64).map(|key| (key << 32, key));
        let under = |seed: u64| keys().map(|key| KeyedHash::new(seed).of(&key)).collect::<Vec<_>>();
        assert_eq!(under(1), under(1));
        let all: BTreeSet<u64> = (0..100).flat_map(under).collect();
        assert_eq!(all.len(), 100 * 100);
    }

    #[test]
    fn the_bits_that_choose_a_bucket_are_spread_evenly() {
        // Host routes of one router: ids that count up in the upper half of a word.
        let hash = KeyedHash::new(7);
        let mut buckets = [0_u32; 128];
        for host in 0..12_800_u64 {
            let bucket = hash.of(&(5_u64, (0x0A64_0000 + host) << 32 | 0xC612_0001)) & 127;
            buckets[usize::try_from(bucket).unwrap()] += 1;
        }
        assert!(buckets.iter().all(|count| (40..180).contains(count)), "{buckets:?}");
    }
}
