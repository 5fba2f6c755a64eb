//! Whether the kernel lets a member of a group stand by.

use std::sync::OnceLock;

use nix::errno::Errno;

use crate::encode::nhmsg;
use crate::error::NetlinkError;
use crate::netlink::{Message, answer, messages};
use crate::numbers::{AF_UNSPEC, NLM_F_REQUEST, NLMSG_ERROR, RTM_GETNEXTHOPBUCKET};
use crate::socket::NetlinkSocket;

/// Whether the kernel knows resilient groups, in which a member can be without packets as long as there is another: since
/// Linux 5.13. Without them a lost carrier takes a route along even if it has a backup on another link, and the route is put again.
///
/// # Errors
///
/// If there is no netlink socket to be had, or it does not work.
pub fn is_known() -> Result<bool, NetlinkError> {
    // The kernel does not change under us.
    static KNOWN: OnceLock<bool> = OnceLock::new();
    match KNOWN.get() {
        Some(known) => Ok(*known),
        None => ask().map(|known| *KNOWN.get_or_init(|| known)),
    }
}

/// Asks the kernel.
fn ask() -> Result<bool, NetlinkError> {
    let mut socket = NetlinkSocket::open(&[]).map_err(NetlinkError::Open)?;
    // Which bucket is wanted is left out: whoever knows of buckets says so, whoever does not knows no such request.
    let mut request = Vec::new();
    let fixed = nhmsg(AF_UNSPEC, 0, 0);
    Message::new(&mut request, RTM_GETNEXTHOPBUCKET, NLM_F_REQUEST, 1, &fixed).finish();
    socket.send(&request).map_err(NetlinkError::Send)?;
    let datagram = socket.receive().map_err(NetlinkError::Receive)?;
    let refusal = messages(datagram)
        .flatten()
        .filter(|message| message.kind == NLMSG_ERROR)
        .find_map(|message| answer(message).ok());
    Ok(refusal.is_some_and(|answer| answer.errno != Errno::EOPNOTSUPP as i32))
}
