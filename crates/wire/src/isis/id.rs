//! Who and what: levels, systems, nodes, LSPs, areas and topologies.

use std::fmt;
use std::str::FromStr;

use bugle_types::{ParseError, SystemId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::DecodeError;
use crate::list::Element;
use crate::reader::Reader;

/// One of the two levels of routing (ISO 10589 section 6.8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Within an area.
    L1,
    /// Between areas.
    L2,
}

impl Level {
    /// Both levels.
    pub const ALL: [Self; 2] = [Self::L1, Self::L2];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
        })
    }
}

/// The levels a circuit is used for: two bits, of which none set is reserved (ISO 10589 section 9.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "u8", from = "u8")]
pub struct CircuitType(u8);

impl CircuitType {
    /// Level 1 only.
    pub const L1: Self = Self(1);
    /// Level 2 only.
    pub const L2: Self = Self(2);
    /// Both levels.
    pub const L1_L2: Self = Self(3);

    /// The circuit type of an octet's lowest two bits; the others are reserved and ignored.
    #[must_use]
    pub const fn from_octet(octet: u8) -> Self {
        Self(octet & 3)
    }

    /// The octet.
    #[must_use]
    pub const fn octet(self) -> u8 {
        self.0
    }

    /// The levels that the circuit is used for.
    pub fn levels(self) -> impl Iterator<Item = Level> {
        Level::ALL.into_iter().filter(move |&level| self.includes(level))
    }

    /// Whether the circuit is used for `level`.
    #[must_use]
    pub const fn includes(self, level: Level) -> bool {
        let bit = match level {
            Level::L1 => Self::L1,
            Level::L2 => Self::L2,
        };
        self.0 & bit.0 != 0
    }
}

impl From<u8> for CircuitType {
    fn from(octet: u8) -> Self {
        Self::from_octet(octet)
    }
}

impl From<CircuitType> for u8 {
    fn from(circuit_type: CircuitType) -> Self {
        circuit_type.octet()
    }
}

impl fmt::Display for CircuitType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match *self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L1_L2 => "L1L2",
            _ => "reserved",
        })
    }
}

/// A node of the topology graph: a system, or with a number other than zero a pseudonode of it; written
/// `0000.0000.0001.00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId {
    /// The system; for a pseudonode the LAN's designated intermediate system.
    pub system: SystemId,
    /// The number of the pseudonode, or zero for the system itself.
    pub pseudonode: u8,
}

impl NodeId {
    /// The node that is the system itself.
    #[must_use]
    pub const fn of_system(system: SystemId) -> Self {
        Self { system, pseudonode: 0 }
    }

    /// Whether this is a LAN.
    #[must_use]
    pub const fn is_pseudonode(self) -> bool {
        self.pseudonode != 0
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { system: SystemId(*reader.array()?), pseudonode: reader.u8()? })
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02x}", self.system, self.pseudonode)
    }
}

/// Identifies an LSP among the LSPs of a level: a node and the number of the fragment; written `0000.0000.0001.00-00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LspId {
    /// Whom the LSP describes.
    pub node: NodeId,
    /// Which part of the description this is. Fragment zero must be there for the others to count.
    pub fragment: u8,
}

impl LspId {
    /// The smallest LSP ID, where a complete description of a database begins.
    pub const MIN: Self =
        Self { node: NodeId { system: SystemId([0; 6]), pseudonode: 0 }, fragment: 0 };
    /// The largest LSP ID, where a complete description of a database ends.
    pub const MAX: Self =
        Self { node: NodeId { system: SystemId([0xff; 6]), pseudonode: 0xff }, fragment: 0xff };

    /// The eight octets as a number that orders LSP IDs as they are ordered.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        u64::from_be_bytes(self.octets())
    }

    /// The octets on the wire.
    #[must_use]
    pub fn octets(self) -> [u8; 8] {
        let mut octets = [0; 8];
        let fields = self.node.system.0.into_iter().chain([self.node.pseudonode, self.fragment]);
        octets.iter_mut().zip(fields).for_each(|(octet, field)| *octet = field);
        octets
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { node: NodeId::read(reader)?, fragment: reader.u8()? })
    }
}

impl fmt::Display for LspId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02x}", self.node, self.fragment)
    }
}

/// Orders the instances of an LSP: an unsigned number that only grows (ISO 10589 section 7.3.16.1). Zero is older than every
/// instance there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SequenceNumber(pub u32);

impl SequenceNumber {
    /// The first instance's.
    pub const INITIAL: Self = Self(1);
    /// The last; after it the system must be silent until the LSP has expired everywhere.
    pub const MAX: Self = Self(u32::MAX);

    /// The following instance's; `None` after [`Self::MAX`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// An area's address: up to thirteen octets, written `49.0001` (ISO 10589 section 7.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaAddress {
    octets: [u8; Self::MAX_LENGTH],
    length: u8,
}

impl AreaAddress {
    /// The octets of the longest address.
    pub const MAX_LENGTH: usize = 13;

    /// The address of these octets; `None` if they are more than [`Self::MAX_LENGTH`], or none.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        let length = u8::try_from(octets.len()).ok().filter(|&length| length > 0)?;
        let mut padded = [0; Self::MAX_LENGTH];
        padded.get_mut(..octets.len())?.copy_from_slice(octets);
        Some(Self { octets: padded, length })
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Display for AreaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, octet) in self.octets().iter().enumerate() {
            // The authority's octet stands alone, the others in pairs.
            let separator = if position % 2 == 1 { "." } else { "" };
            write!(f, "{separator}{octet:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for AreaAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex_octets(text).and_then(|octets| Self::new(&octets)).ok_or_else(|| ParseError {
            expected: "an area address like 49.0001, of at most 13 octets",
            found: text.to_owned(),
        })
    }
}

/// One of several topologies over the same routers (RFC 5120): a number of twelve bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopologyId(u16);

impl TopologyId {
    /// The standard topology, and the only one of TLVs that name none.
    pub const STANDARD: Self = Self(0);
    /// IPv6 unicast.
    pub const IPV6: Self = Self(2);

    /// The topology of a word's lower twelve bits; the others are reserved and ignored.
    #[must_use]
    pub const fn from_word(word: u16) -> Self {
        Self(word & 0x0fff)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Whether this is the standard topology.
    #[must_use]
    pub const fn is_standard(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for TopologyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The octets of hexadecimal digits with dots between whole octets.
fn hex_octets(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(AreaAddress::MAX_LENGTH);
    for part in text.split('.') {
        let (pairs, rest) = part.as_bytes().as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() {
            return None;
        }
        for &[high, low] in pairs {
            let digit =
                |byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            octets.push(digit(high)? << 4 | digit(low)?);
        }
    }
    Some(octets)
}

/// Identifiers look in logs as they do everywhere else, and are text to serde.
macro_rules! textual {
    ($($type:ty)*) => {
        $(impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

textual! { NodeId LspId SequenceNumber AreaAddress TopologyId }

macro_rules! deserialized_from_text {
    ($($type:ty)*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        })*
    };
}

deserialized_from_text! { AreaAddress }

impl Element for SystemId {
    const SIZE: usize = 6;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(bytes, 0).array().copied().map(Self)
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Element for NodeId {
    const SIZE: usize = 7;

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read(&mut Reader::new(bytes, 0))
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.system.0);
        out.push(self.pseudonode);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_parse_what_they_print_and_nothing_else() {
        let system: SystemId = "1720.1600.10ab".parse().unwrap();
        let node = NodeId { system, pseudonode: 2 };
        assert_eq!(node.to_string(), "1720.1600.10ab.02");
        assert_eq!(LspId { node, fragment: 17 }.to_string(), "1720.1600.10ab.02-11");
        for area in ["49", "49.0001", "47.0005.80ff.f800.0000.0001.0001"] {
            assert_eq!(area.parse::<AreaAddress>().unwrap().to_string(), area);
        }
        assert_eq!("490001".parse::<AreaAddress>().unwrap().octets(), [0x49, 0, 1]);
        for bad in [
            "",
            "4",
            "49.",
            ".49",
            "49.001",
            "49..0001",
            "4x",
            "00.0000.0000.0000.0000.0000.0000.00",
        ] {
            assert!(bad.parse::<AreaAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn lsp_ids_are_ordered_as_their_octets_and_as_numbers() {
        let id = |text: [u8; 8]| LspId::read(&mut Reader::new(&text, 0)).unwrap();
        let ordered = [
            LspId::MIN,
            id([0, 0, 0, 0, 0, 1, 0, 0]),
            id([0, 0, 0, 0, 0, 1, 0, 255]),
            id([0, 0, 0, 0, 0, 1, 1, 0]),
            id([1, 0, 0, 0, 0, 0, 0, 0]),
            LspId::MAX,
        ];
        assert!(ordered.is_sorted());
        assert!(ordered.map(LspId::as_u64).is_sorted());
        assert_eq!(ordered.map(|lsp| id(lsp.octets())), ordered);
    }

    #[test]
    fn a_circuit_is_used_for_the_levels_of_its_type() {
        for (octet, name, l1, l2) in [
            (0, "reserved", false, false),
            (1, "L1", true, false),
            (2, "L2", false, true),
            (0xff, "L1L2", true, true),
        ] {
            let circuit = CircuitType::from_octet(octet);
            assert_eq!((circuit.includes(Level::L1), circuit.includes(Level::L2)), (l1, l2));
            assert_eq!(circuit.to_string(), name);
        }
    }

    #[test]
    fn sequence_numbers_run_from_one_to_the_last_and_no_further() {
        assert_eq!(SequenceNumber::INITIAL.to_string(), "0x00000001");
        assert_eq!(SequenceNumber::INITIAL.next(), Some(SequenceNumber(2)));
        assert_eq!(SequenceNumber::MAX.next(), None);
    }
}
