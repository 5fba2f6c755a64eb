//! Octets of flags.

use crate::flags::flags;

flags! {
    /// What kind of system an LSP describes (ISO 10589 section 9.8).
    ///
    /// ```text
    /// +---+-----+---------+-------+---------+----+----+----+
    /// | P | ATT | ATT     | ATT   | ATT     | OL | IS type |
    /// |   | err | expense | delay | default |    | 2  | 1  |
    /// +---+-----+---------+-------+---------+----+----+----+
    /// ```
    LspFlags {
        /// A level 1 system; set for every system.
        LEVEL_1 = 0x01, "L1";
        /// With the bit above: a level 2 system.
        LEVEL_2 = 0x02, "L2";
        /// The database is overloaded: paths must not lead through this system.
        OVERLOAD = 0x04, "OL";
        /// Attached to other areas, by the default metric.
        ATTACHED = 0x08, "ATT";
        /// Attached to other areas, by the delay metric.
        ATTACHED_DELAY = 0x10, "ATT-delay";
        /// Attached to other areas, by the expense metric.
        ATTACHED_EXPENSE = 0x20, "ATT-expense";
        /// Attached to other areas, by the error metric.
        ATTACHED_ERROR = 0x40, "ATT-error";
        /// Repairs partitions of areas.
        PARTITION_REPAIR = 0x80, "P";
    }
}

flags! {
    /// Where a restart stands (RFC 5306 section 3.2; RFC 8706 section 3.2).
    RestartFlags {
        /// Restart Request.
        RR = 0x01, "RR";
        /// Restart Acknowledgement.
        RA = 0x02, "RA";
        /// Suppress adjacency advertisement.
        SA = 0x04, "SA";
        /// Planned Restart.
        PR = 0x08, "PR";
        /// Planned Restart Acknowledgement.
        PA = 0x10, "PA";
    }
}

flags! {
    /// How far a router capability TLV is flooded (RFC 7981 section 2).
    CapabilityFlags {
        /// Across the whole routing domain, leaked between levels.
        DOMAIN = 0x01, "S";
        /// Leaked from level 2 down to level 1, and never up again.
        DOWN = 0x02, "D";
    }
}

flags! {
    /// Where a prefix came from: the first octet of the Prefix Attribute Flags (RFC 7794 section 2.1).
    PrefixFlags {
        /// Redistributed from another protocol. TLVs 236 and 237 have a bit of their own for this.
        EXTERNAL = 0x80, "X";
        /// Leaked from one level to another.
        READVERTISED = 0x40, "R";
        /// Identifies the advertising router.
        NODE = 0x20, "N";
    }
}

flags! {
    /// What a receiver of LSPs promises (RFC 9681 section 4.4).
    FloodingFlags {
        /// LSPs are acknowledged in the order they were received in.
        ORDERED = 0x80, "O";
    }
}
