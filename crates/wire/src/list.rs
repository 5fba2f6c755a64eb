//! Lists of fixed-size elements.

use std::fmt;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, Ipv6Addr};

use bugle_types::Mac;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::reader::Reader;

/// Elements of a fixed size over a packet's bytes, whose length was checked when the packet was decoded.
#[derive(Clone, Copy)]
pub struct List<'a, T> {
    bytes: &'a [u8],
    elements: PhantomData<T>,
}

/// What a [`List`] can hold: something that takes the same number of bytes whatever its value.
pub trait Element: Copy {
    /// The number of bytes.
    const SIZE: usize;

    /// Decodes one element; offsets in the error count from the element's first byte.
    ///
    /// # Errors
    /// When there are fewer than [`Self::SIZE`] bytes, or no element has these.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;

    /// Appends the element's bytes.
    fn encode(self, out: &mut Vec<u8>);
}

impl<'a, T: Element> List<'a, T> {
    /// The elements that `bytes` are.
    ///
    /// # Errors
    /// When these are not a whole number of elements.
    pub fn new(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::parse(Reader::new(bytes, 0))
    }

    /// The elements in `reader`'s remaining bytes.
    pub(crate) fn parse(reader: Reader<'a>) -> Result<Self, DecodeError> {
        let (size, length) = (T::SIZE, reader.rest().len());
        if !length.is_multiple_of(size) {
            return Err(DecodeErrorKind::BadListLength { size, length }.at(reader.at()));
        }
        Ok(Self { bytes: reader.rest(), elements: PhantomData })
    }

    /// The elements in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'a, T> {
        Iter(*self)
    }

    /// The bytes of all of them.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(T::SIZE).unwrap_or(0)
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The elements of a [`List`].
#[derive(Clone)]
pub struct Iter<'a, T>(List<'a, T>);

impl<T: Element> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let (element, rest) = self.0.bytes.split_at_checked(T::SIZE)?;
        self.0.bytes = rest;
        T::decode(element).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = self.0.len();
        (length, Some(length))
    }
}

impl<T: Element> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Element> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Element> IntoIterator for &List<'a, T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Element + PartialEq> PartialEq for List<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Element + Eq> Eq for List<'_, T> {}

impl<T: Element + fmt::Debug> fmt::Debug for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Numbers and addresses, in network byte order.
macro_rules! elements {
    ($($type:ty: $size:literal, $decode:expr, $encode:expr;)*) => {
        $(impl Element for $type {
            const SIZE: usize = $size;

            fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                Reader::new(bytes, 0).array().copied().map($decode)
            }

            fn encode(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&$encode(self));
            }
        })*
    };
}

elements! {
    u8: 1, Self::from_be_bytes, Self::to_be_bytes;
    u32: 4, Self::from_be_bytes, Self::to_be_bytes;
    u64: 8, Self::from_be_bytes, Self::to_be_bytes;
    Ipv4Addr: 4, |octets: [u8; 4]| Self::from(octets), |address: Self| address.octets();
    Ipv6Addr: 16, |octets: [u8; 16]| Self::from(octets), |address: Self| address.octets();
    Mac: 6, Self, |mac: Self| mac.0;
}
