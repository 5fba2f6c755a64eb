//! The one kernel setting that fast failover needs.

use std::{fs, io};

/// Where it is; the file belongs to the network namespace of the thread that opens it.
const COMPAT_MODE: &str = "/proc/sys/net/ipv4/nexthop_compat_mode";

/// Why the setting could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot set {COMPAT_MODE} to 0, so a failover takes time in proportion to the routes it moves: {0}"
)]
pub struct SysctlError(#[source] io::Error);

/// Makes replacing a nexthop object take microseconds however many routes use it, by `net.ipv4.nexthop_compat_mode=0` in the
/// network namespace of the calling thread. With 1, the kernel's default, it walks every route in order to notify listeners
/// that know nothing of nexthop objects: 0.5 us per route. Returns whether the setting was changed.
///
/// # Errors
///
/// If the setting cannot be read or written. Everything works nonetheless, but slower.
pub fn disable_nexthop_compat_mode() -> Result<bool, SysctlError> {
    let before = fs::read_to_string(COMPAT_MODE).map_err(SysctlError)?;
    if before.trim() == "0" {
        return Ok(false);
    }
    fs::write(COMPAT_MODE, "0\n").map_err(SysctlError)?;
    Ok(true)
}
