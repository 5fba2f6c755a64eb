//! Octets of flags.

use crate::flags::flags;

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
