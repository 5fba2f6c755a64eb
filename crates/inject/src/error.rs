//! What can go wrong: with one change, or with a netlink socket as a whole.

use std::io;

/// Why one change was not made.
#[derive(Debug, thiserror::Error)]
pub enum FibError {
    /// The kernel refused it.
    #[error("the kernel refused it: {error}{}", explanation(text))]
    Refused {
        /// The kernel's error code.
        error: io::Error,
        /// The kernel's explanation; may be empty.
        text: String,
    },
    /// The object's id belongs to another daemon; the kernel was not asked.
    #[error("nexthop object {0} is outside bugle's range and may belong to another daemon")]
    Foreign(u32),
    /// The group has more members than a message can name; the kernel was not asked.
    #[error("a group of {0} nexthops is too large")]
    GroupTooLarge(usize),
    /// The kernel did not answer although asked repeatedly, so the change may or may not have been made.
    #[error("the kernel did not answer; read the forwarding table to learn what it holds")]
    Unanswered,
}

/// Why a netlink socket cannot be used, or a table not be read.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// No socket.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),
    /// Nothing can be sent; nothing was lost, and it may work later.
    #[error("cannot send to the kernel over netlink: {0}")]
    Send(#[source] io::Error),
    /// Nothing can be received.
    #[error("cannot receive from the kernel over netlink: {0}")]
    Receive(#[source] io::Error),
    /// The kernel will not list a table.
    #[error("the kernel will not list its {what}: {error}{}", explanation(text))]
    Refused {
        /// What was to be listed.
        what: &'static str,
        /// The kernel's error code.
        error: io::Error,
        /// The kernel's explanation; may be empty.
        text: String,
    },
    /// The table changed in the middle of every attempt to list it; try again later.
    #[error("the kernel's {what} change too fast to be listed; try again")]
    Unsteady {
        /// What was to be listed.
        what: &'static str,
    },
    /// The kernel sent what this program does not understand.
    #[error("the kernel's list of {what} is malformed: {detail}")]
    Malformed {
        /// What was to be listed.
        what: &'static str,
        /// How.
        detail: &'static str,
    },
}

fn explanation(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}
