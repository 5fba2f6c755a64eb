//! Reading fixed-size fields off the front of a slice.

use std::net::Ipv4Addr;

use crate::error::{DecodeError, DecodeErrorKind};

/// A cursor over bytes that knows how far it is from the start of the packet. Every read either succeeds or says what is
/// missing where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `bytes`, which lie `at` bytes into the packet.
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { rest: bytes, at }
    }

    /// The offset of the next byte in the packet.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (field, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated(N))?;
        self.rest = rest;
        self.at = self.at.saturating_add(N);
        Ok(field)
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (field, rest) =
            self.rest.split_at_checked(length).ok_or_else(|| self.truncated(length))?;
        self.rest = rest;
        self.at = self.at.saturating_add(length);
        Ok(field)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|&[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().copied().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().copied().map(u32::from_be_bytes)
    }

    /// A number of three octets.
    pub(crate) fn u24(&mut self) -> Result<u32, DecodeError> {
        self.array().map(|&[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    pub(crate) fn ipv4(&mut self) -> Result<Ipv4Addr, DecodeError> {
        self.array().copied().map(|octets: [u8; 4]| Ipv4Addr::from(octets))
    }

    /// Refuses what is left, if anything is.
    pub(crate) const fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            rest => Err(DecodeErrorKind::TrailingBytes(rest).at(self.at)),
        }
    }

    const fn truncated(&self, need: usize) -> DecodeError {
        DecodeErrorKind::Truncated { need, have: self.rest.len() }.at(self.at)
    }
}
