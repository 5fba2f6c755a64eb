//! The kernel's setting that decides what it costs to re-point a nexthop object.

use std::{fs, io};

/// `net.ipv4.nexthop_compat_mode` of the namespace, for both families.
const SETTING: &str = "/proc/sys/net/ipv4/nexthop_compat_mode";

/// Whether the kernel tells of every route on a nexthop object when the object changes, for programs that do not know such
/// objects. That is its default, and costs half a microsecond for each route; without it a change costs some microseconds in all.
///
/// # Errors
/// If the kernel has no such setting (before Linux 5.8), or none for this process.
pub fn tells_routes() -> io::Result<bool> {
    Ok(fs::read_to_string(SETTING)?.trim() != "0")
}

/// Keeps the kernel from telling of every route, until it is dropped.
#[derive(Debug)]
pub struct Untold(());

impl Untold {
    /// Turns the setting off, if it is not off already: then there is nothing to keep.
    ///
    /// # Errors
    /// If the setting cannot be read or written.
    pub fn begin() -> io::Result<Option<Self>> {
        if !tells_routes()? {
            return Ok(None);
        }
        fs::write(SETTING, "0\n")?;
        Ok(Some(Self(())))
    }
}

impl Drop for Untold {
    fn drop(&mut self) {
        // It was written before; if it cannot be now, the namespace is on its way out.
        let _ = fs::write(SETTING, "1\n");
    }
}
