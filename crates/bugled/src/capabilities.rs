//! What the process is permitted (capabilities(7)).

use std::fs;

use bugle_speaker::config::Config;

/// The numbers that `linux/capability.h` gives them.
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;

/// What this configuration needs, and the process has not got; none if the kernel does not tell.
pub(crate) fn missing(config: &Config) -> Vec<&'static str> {
    let Some(effective) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(read)
    else {
        return Vec::new();
    };
    let speaks = config.vrfs.values().any(|vrf| vrf.ospf.is_some());
    let routes = config.fib.enabled
        && config.vrfs.values().any(|vrf| vrf.ospf.is_some() || !vrf.hosts.ports.is_empty());
    let needed = [(NET_RAW, "NET_RAW", speaks), (NET_ADMIN, "NET_ADMIN", routes)];
    let lacking = needed.iter().filter(|(bit, _, needed)| *needed && effective >> bit & 1 == 0);
    lacking.map(|&(_, name, _)| name).collect()
}

/// The effective set, in `/proc/self/status` as hexadecimal digits.
fn read(status: &str) -> Option<u64> {
    let digits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(digits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read() {
        let status = "Name:\tbugled\nCapPrm:\t0000000000000000\nCapEff:\t0000000000003000\n";
        assert_eq!(read(status), Some(1 << NET_ADMIN | 1 << NET_RAW));
        assert_eq!(read("Name:\tbugled\n"), None);
    }
}
