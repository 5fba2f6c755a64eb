//! The two checksums of OSPF, one of which is that of IS-IS, too.

/// The Internet checksum (RFC 1071) of the concatenation of `parts`, whose lengths are even except for the last's.
///
/// Over data that holds its own correct checksum, the result is zero.
#[must_use]
pub fn internet(parts: &[&[u8]]) -> u16 {
    let sum = parts.iter().fold(0, |sum: u64, part| sum.wrapping_add(word_sum(part)));
    !fold(sum)
}

/// The two checksum octets of an LSA or LSP, as a number (RFC 905 annex B; RFC 2328 section 12.1.7; ISO 10589 section
/// 7.3.11).
///
/// `bytes` is what the checksum covers: the LSA without its age, the LSP behind its lifetime. The octets themselves, at offset `at`, count as zero
/// whatever they hold. The result is never zero.
#[must_use]
pub fn fletcher(bytes: &[u8], at: usize) -> u16 {
    let (head, tail) = bytes.split_at_checked(at).unwrap_or((bytes, &[]));
    let tail = tail.get(2..).unwrap_or_default();
    let (a, b) = FletcherSums::default().add(head).add(&[0, 0]).add(tail).reduced();
    // With c0 = a and c1 = b over the data, the octets x and y that bring both sums to zero are, modulo 255,
    // x = k * a - b and y = -a - x, where k octets follow x.
    let following = u64::try_from(tail.len()).unwrap_or(0) % 255;
    let x = following.wrapping_add(1).wrapping_mul(a).wrapping_add(255).wrapping_sub(b) % 255;
    let y = 510_u64.wrapping_sub(a).wrapping_sub(x) % 255;
    // Zero and 255 are the same number in ones' complement; zero octets would read as "no checksum".
    let octet = |value: u64| u8::try_from(value).ok().filter(|&value| value != 0).unwrap_or(255);
    u16::from_be_bytes([octet(x), octet(y)])
}

/// Whether `bytes`, which hold their Fletcher checksum somewhere, are undamaged.
#[must_use]
pub fn fletcher_ok(bytes: &[u8]) -> bool {
    FletcherSums::default().add(bytes).reduced() == (0, 0)
}

/// The running sums of RFC 905: `c0` of the octets, `c1` of every value of `c0`.
///
/// Neither is reduced modulo 255 but once for every [`Self::REDUCE`] octets: within that many, `c1` stays below
/// 255 * 2^32 and cannot overflow.
#[derive(Default, Clone, Copy)]
struct FletcherSums {
    c0: u64,
    c1: u64,
}

impl FletcherSums {
    /// Octets that may be added between reductions.
    const REDUCE: usize = 1 << 16;
    /// Octets added at a time, by sums that compile to vector instructions.
    const BLOCK: usize = 32;
    /// How often the first octet of a block counts in `c1`: once for each octet of the block.
    const FIRST_WEIGHT: u32 = 32;

    fn add(mut self, bytes: &[u8]) -> Self {
        for piece in bytes.chunks(Self::REDUCE) {
            let (blocks, rest) = piece.as_chunks::<{ Self::BLOCK }>();
            for block in blocks {
                // After a block of n octets, c1 has grown by n * c0, and by each octet once for itself and once for
                // each that follows it in the block.
                let (mut sum, mut weighted, mut weight) = (0_u32, 0_u32, Self::FIRST_WEIGHT);
                for &octet in block {
                    sum = sum.wrapping_add(u32::from(octet));
                    weighted = weighted.wrapping_add(u32::from(octet).wrapping_mul(weight));
                    weight = weight.wrapping_sub(1);
                }
                self.c1 = self.c1.wrapping_add(self.c0.wrapping_mul(u64::from(Self::FIRST_WEIGHT)));
                self.c1 = self.c1.wrapping_add(u64::from(weighted));
                self.c0 = self.c0.wrapping_add(u64::from(sum));
            }
            for &octet in rest {
                self.c0 = self.c0.wrapping_add(u64::from(octet));
                self.c1 = self.c1.wrapping_add(self.c0);
            }
            self = Self { c0: self.c0 % 255, c1: self.c1 % 255 };
        }
        self
    }

    const fn reduced(self) -> (u64, u64) {
        (self.c0 % 255, self.c1 % 255)
    }
}

/// The sum of the big-endian 16-bit words of `bytes`, padded with a zero octet, taken two words at a time.
fn word_sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let whole = words
        .iter()
        .fold(0_u64, |sum, &word| sum.wrapping_add(u64::from(u32::from_be_bytes(word))));
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(slot, &octet)| *slot = octet);
    whole.wrapping_add(u64::from(u32::from_be_bytes(last)))
}

/// Adds the carries back in until 16 bits are left.
fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(folded) => return folded,
            Err(_) => sum = (sum & 0xffff).wrapping_add(sum >> 16),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 905 annex B as it is written: one octet at a time, modulo 255 at each.
    fn fletcher_by_the_book(bytes: &[u8]) -> (u32, u32) {
        bytes.iter().fold((0, 0), |(c0, c1), &octet| {
            let c0 = (c0 + u32::from(octet)) % 255;
            (c0, (c1 + c0) % 255)
        })
    }

    /// RFC 1071 as it is written: one word at a time.
    fn internet_by_the_book(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    #[test]
    fn internet_checksum_of_the_rfc_1071_example() {
        assert_eq!(internet(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(internet(&[]), 0xffff);
    }

    #[test]
    fn fletcher_survives_the_largest_sums() {
        let bytes = vec![0xff; 3 * FletcherSums::REDUCE + 17];
        let (c0, c1) = fletcher_by_the_book(&bytes);
        assert_eq!(FletcherSums::default().add(&bytes).reduced(), (u64::from(c0), u64::from(c1)));
    }

    proptest! {
        #[test]
        fn fast_sums_equal_those_of_the_book(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let (c0, c1) = fletcher_by_the_book(&bytes);
            prop_assert_eq!(
                FletcherSums::default().add(&bytes).reduced(),
                (u64::from(c0), u64::from(c1))
            );
            prop_assert_eq!(internet(&[&bytes]), internet_by_the_book(&bytes));
        }

        #[test]
        fn a_fletcher_checksum_verifies_and_a_damaged_octet_does_not(
            mut bytes in prop::collection::vec(any::<u8>(), 18..300),
            position in any::<prop::sample::Index>(),
            change in 1_u8..255,
        ) {
            let checksum = fletcher(&bytes, 14);
            bytes[14..16].copy_from_slice(&checksum.to_be_bytes());
            prop_assert!(fletcher_ok(&bytes));
            prop_assert_eq!(fletcher(&bytes, 14), checksum);
            prop_assert!(bytes[14] != 0 && bytes[15] != 0);
            let damaged = position.index(bytes.len());
            // 0 and 255 are the same number to this checksum, so the octet must move by less than 255.
            bytes[damaged] = u8::try_from((u16::from(bytes[damaged]) + u16::from(change)) % 255).unwrap();
            prop_assert!(!fletcher_ok(&bytes));
        }

        #[test]
        fn an_internet_checksum_verifies(
            head in prop::collection::vec(any::<u8>(), 8),
            tail in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            let checksum = internet(&[&head, &tail]).to_be_bytes();
            prop_assert_eq!(internet(&[&head, &checksum, &tail]), 0);
        }
    }
}
