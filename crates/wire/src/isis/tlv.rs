//! The variable part of PDUs: code, length, value (ISO 10589 section 9.5).

use std::fmt;

use super::tlv_body::TlvBody;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// What a TLV's value means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvCode(pub u8);

/// Defines the codes that have a name.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $number:literal, $name:literal;)*) => {
        impl TlvCode {
            $($(#[$doc])* pub const $code: Self = Self($number);)*

            /// The name of the code, for people; `None` for one this crate does not know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self {
                    $(Self::$code => $name,)*
                    _ => return None,
                })
            }
        }
    };
}

codes! {
    /// The sender's areas (ISO 10589).
    AREA_ADDRESSES = 1, "area-addresses";
    /// Links with narrow metrics (ISO 10589).
    IS_NEIGHBORS = 2, "is-neighbors";
    /// The stations heard on a LAN (ISO 10589).
    LAN_NEIGHBORS = 6, "lan-neighbors";
    /// Fills a Hello up (ISO 10589).
    PADDING = 8, "padding";
    /// Which LSPs there are (ISO 10589).
    LSP_ENTRIES = 9, "lsp-entries";
    /// A password or digest (ISO 10589, RFC 5304, RFC 5310).
    AUTHENTICATION = 10, "authentication";
    /// A checksum of Hellos and sequence numbers PDUs (RFC 3358).
    CHECKSUM = 12, "checksum";
    /// Who purged an LSP (RFC 6232).
    PURGE_ORIGINATOR = 13, "purge-originator";
    /// The largest LSP the sender originates (ISO 10589).
    LSP_BUFFER_SIZE = 14, "lsp-buffer-size";
    /// How fast LSPs may be sent to the sender (RFC 9681).
    FLOODING_PARAMETERS = 21, "flooding-parameters";
    /// Links with wide metrics (RFC 5305).
    EXTENDED_IS_REACHABILITY = 22, "extended-is-reachability";
    /// IPv4 prefixes with narrow metrics, of the IS-IS domain (RFC 1195).
    IP_INTERNAL_REACHABILITY = 128, "ip-internal-reachability";
    /// The network protocols the sender speaks (RFC 1195).
    PROTOCOLS_SUPPORTED = 129, "protocols-supported";
    /// IPv4 prefixes with narrow metrics, from elsewhere (RFC 1195; RFC 5302).
    IP_EXTERNAL_REACHABILITY = 130, "ip-external-reachability";
    /// IPv4 addresses of the sender (RFC 1195).
    IPV4_INTERFACE_ADDRESSES = 132, "ipv4-interface-addresses";
    /// An IPv4 address of the router that never changes (RFC 5305).
    TE_ROUTER_ID = 134, "te-router-id";
    /// IPv4 prefixes with wide metrics (RFC 5305).
    EXTENDED_IP_REACHABILITY = 135, "extended-ip-reachability";
    /// The sender's name (RFC 5301).
    HOSTNAME = 137, "hostname";
    /// An IPv6 address of the router that never changes (RFC 6119).
    IPV6_TE_ROUTER_ID = 140, "ipv6-te-router-id";
    /// What BFD is to be run for (RFC 6213).
    BFD_ENABLED = 148, "bfd-enabled";
    /// Where a restart stands (RFC 5306).
    RESTART = 211, "restart";
    /// Links of one topology (RFC 5120).
    MT_IS_REACHABILITY = 222, "mt-is-reachability";
    /// The topologies the sender takes part in (RFC 5120).
    MULTI_TOPOLOGY = 229, "multi-topology";
    /// IPv6 addresses of the sender: link-local ones in Hellos, others in LSPs (RFC 5308).
    IPV6_INTERFACE_ADDRESSES = 232, "ipv6-interface-addresses";
    /// Global IPv6 addresses of the sender's interface, in Hellos (RFC 6119).
    IPV6_GLOBAL_INTERFACE_ADDRESSES = 233, "ipv6-global-interface-addresses";
    /// IPv4 prefixes of one topology (RFC 5120).
    MT_IP_REACHABILITY = 235, "mt-ip-reachability";
    /// IPv6 prefixes (RFC 5308).
    IPV6_REACHABILITY = 236, "ipv6-reachability";
    /// IPv6 prefixes of one topology (RFC 5120).
    MT_IPV6_REACHABILITY = 237, "mt-ipv6-reachability";
    /// The state of a three-way handshake (RFC 5303).
    THREE_WAY = 240, "three-way";
    /// What the router is capable of (RFC 7981).
    ROUTER_CAPABILITY = 242, "router-capability";
}

impl fmt::Display for TlvCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "tlv-{}", self.0),
        }
    }
}

impl fmt::Debug for TlvCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One TLV, whoever understands it.
///
/// ```text
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |     Code      |    Length     |  Value  ...
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy)]
pub struct Tlv<'a> {
    code: TlvCode,
    value: Reader<'a>,
}

impl<'a> Tlv<'a> {
    /// What the value means.
    #[must_use]
    pub const fn code(&self) -> TlvCode {
        self.code
    }

    /// The value's bytes.
    #[must_use]
    pub const fn value(&self) -> &'a [u8] {
        self.value.rest()
    }

    /// What the TLV says; [`TlvBody::Unknown`] if its code is not known.
    ///
    /// A TLV that is refused is to be ignored; the PDU around it counts.
    ///
    /// # Errors
    /// When the value does not have the structure of its code; offsets count from the start of the PDU.
    pub fn body(&self) -> Result<TlvBody<'a>, DecodeError> {
        TlvBody::parse(self.code, self.value)
    }

    /// The offset of the value in the PDU.
    pub(super) const fn at(&self) -> usize {
        self.value.at()
    }
}

impl PartialEq for Tlv<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.code, self.value()) == (other.code, other.value())
    }
}

impl Eq for Tlv<'_> {}

impl fmt::Debug for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What authenticates may be a password, and no log is to show it.
        let value = if self.code == TlvCode::AUTHENTICATION { &[] } else { self.value() };
        f.debug_tuple("Tlv").field(&self.code).field(&value).finish()
    }
}

/// The TLVs of a PDU, each of which fits it: that was checked when the PDU was decoded.
#[derive(Clone, Copy)]
pub struct Tlvs<'a>(Reader<'a>);

impl<'a> Tlvs<'a> {
    /// The TLVs in `reader`'s remaining bytes.
    pub(super) fn parse(reader: Reader<'a>) -> Result<Self, DecodeError> {
        let mut walk = reader;
        while !walk.rest().is_empty() {
            read(&mut walk)?;
        }
        Ok(Self(reader))
    }

    /// The TLVs in order.
    #[must_use]
    pub const fn iter(&self) -> TlvIter<'a> {
        TlvIter(self.0)
    }

    /// The TLVs of one code.
    pub fn of(&self, code: TlvCode) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        self.iter().filter(move |tlv| tlv.code == code)
    }

    /// The bytes of all of them.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0.rest()
    }
}

impl PartialEq for Tlvs<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Tlvs<'_> {}

impl fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

/// The TLVs of a [`Tlvs`].
#[derive(Clone, Debug)]
pub struct TlvIter<'a>(Reader<'a>);

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        read(&mut self.0).ok()
    }
}

/// The TLV at the front of `reader`, which stays where it is if there is no whole one.
fn read<'a>(reader: &mut Reader<'a>) -> Result<Tlv<'a>, DecodeError> {
    let mut ahead = *reader;
    let &[code, length] = ahead.array()?;
    let at = ahead.at();
    let have = ahead.rest().len();
    let value = ahead.take(usize::from(length)).map_err(|error| {
        DecodeErrorKind::BadTlvLength { code, length, have }.at(error.at.saturating_sub(1))
    })?;
    *reader = ahead;
    Ok(Tlv { code: TlvCode(code), value: Reader::new(value, at) })
}
