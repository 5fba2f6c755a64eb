//! Octets of flags, whose bits have names.

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

        impl std::ops::BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

pub(crate) use flags;

#[cfg(test)]
mod tests {
    use crate::ospf::{Options, RouterFlags};

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
