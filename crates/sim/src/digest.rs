//! A fingerprint of what happened, to tell whether two runs were the same.

use std::hash::Hasher;

/// A running hash: not for secrets, but the same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) const fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn mix(&mut self, word: u64) {
        let mut z = (self.0 ^ word).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z ^= z >> 32;
        self.0 = z.wrapping_mul(0x94D0_49BB_1331_11EB) ^ (z >> 29);
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
