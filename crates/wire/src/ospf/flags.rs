//! Octets of flags.

use std::fmt;
use std::ops::BitOr;

/// Defines an octet of flags.
macro_rules! flags {
    (
        $(#[$doc:meta])* $type:ident {
            $($(#[$flag_doc:meta])* $flag:ident = $bit:literal, $text:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $type(pub u8);

        impl $type {
            /// No flag.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self($bit);)*

            /// Whether every flag of `other` is set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These flags less those of `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The names of the flags that are set and have one.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$((Self::$flag, $text)),*]
                    .into_iter()
                    .filter_map(move |(flag, text)| self.contains(flag).then_some(text))
            }

            /// The flags that are set and have no name.
            #[must_use]
            pub const fn unnamed(self) -> Self {
                self.without(Self(0 $(| $bit)*))
            }
        }

        impl BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut set = f.debug_set();
                self.names().for_each(|name| { set.entry(&format_args!("{name}")); });
                if self.unnamed() != Self::NONE {
                    set.entry(&format_args!("{:#04x}", self.unnamed().0));
                }
                set.finish()
            }
        }
    };
}

flags! {
    /// What a router, or the part of the network an LSA describes, is capable of (RFC 2328 section A.2; RFC 5250 section
    /// 4.1; RFC 5613 section 2.1).
    ///
    /// ```text
    /// +----+---+----+---+-----+----+---+----+
    /// | DN | O | DC | L | N/P | MC | E | MT |
    /// +----+---+----+---+-----+----+---+----+
    /// ```
    Options {
        /// Multi-topology routing (RFC 4915), formerly TOS routing.
        MT = 0x01, "MT";
        /// AS-external-LSAs are flooded: the area is no stub.
        E = 0x02, "E";
        /// Multicast forwarding (RFC 1584).
        MC = 0x04, "MC";
        /// N in Hellos: the area is an NSSA. P in type-7 LSAs: translate this one to type 5 (RFC 3101).
        NP = 0x08, "N/P";
        /// A block of link-local signalling follows the packet (RFC 5613).
        L = 0x10, "L";
        /// Demand circuits, and with them `DoNotAge` (RFC 1793).
        DC = 0x20, "DC";
        /// Opaque LSAs (RFC 5250), in Database Description packets.
        O = 0x40, "O";
        /// Down: the route came from a VPN's provider edge and must not go back (RFC 4576).
        DN = 0x80, "DN";
    }
}

flags! {
    /// Where a Database Description packet stands in the exchange (RFC 2328 section A.3.3).
    DdFlags {
        /// The sender is the master.
        MASTER = 0x01, "MS";
        /// More packets follow.
        MORE = 0x02, "M";
        /// The first packet.
        INIT = 0x04, "I";
        /// Out-of-band resynchronization (RFC 4811).
        RESYNC = 0x08, "R";
    }
}

flags! {
    /// What kind of router a router-LSA describes (RFC 2328 section A.4.2; RFC 3101 appendix B).
    RouterFlags {
        /// An area border router.
        B = 0x01, "B";
        /// An AS boundary router.
        E = 0x02, "E";
        /// An endpoint of a virtual link through the area.
        V = 0x04, "V";
        /// A wild-card multicast receiver (RFC 1584).
        W = 0x08, "W";
        /// Always translates type-7 LSAs to type 5.
        NT = 0x10, "Nt";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_shown_once() {
        assert_eq!(format!("{:?}", Options::E | Options::O), "{E, O}");
        assert_eq!(format!("{:?}", RouterFlags::NT | RouterFlags(0x60)), "{Nt, 0x60}");
        for bits in 0..=u8::MAX {
            let flags = RouterFlags(bits);
            assert_eq!(flags.names().count(), (bits & 0x1f).count_ones() as usize);
            assert_eq!(flags.unnamed().0, bits & 0xe0);
        }
    }

    #[test]
    fn contains_asks_for_all_of_the_flags() {
        let both = Options::E | Options::NP;
        assert!(both.contains(Options::E) && both.contains(both) && both.contains(Options::NONE));
        assert!(!Options::E.contains(both));
        assert_eq!(both.without(Options::E), Options::NP);
    }
}
