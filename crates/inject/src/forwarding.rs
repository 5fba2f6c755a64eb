//! Whether the kernel forwards packets.

use std::{fs, io};

/// Whether packets that arrive on an interface are forwarded; `all`: on every interface that does not say otherwise. With IPv6 that is a matter
/// of the whole machine.
///
/// # Errors
/// If there is no such interface, or the setting cannot be read.
pub fn is_on(interface: &str, ipv6: bool) -> io::Result<bool> {
    let (version, interface) = if ipv6 { ("ipv6", "all") } else { ("ipv4", interface) };
    let setting = format!("/proc/sys/net/{version}/conf/{interface}/forwarding");
    Ok(fs::read_to_string(setting)?.trim() != "0")
}
