//! What the process is permitted (capabilities(7)).

use std::fs;

use bugle_speaker::config::{Config, Vrf};

/// The numbers that `linux/capability.h` gives them.
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;

/// What this configuration needs, and the process has not got; none if the kernel does not tell.
pub(crate) fn missing(config: &Config) -> Vec<&'static str> {
    let Some(effective) = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(read)
    else {
        return Vec::new();
    };
    let lacking = needed(config).into_iter().filter(|(bit, ..)| effective >> bit & 1 == 0);
    lacking.map(|(_, name)| name).collect()
}

/// A protocol needs its raw or packet sockets; routes and neighbour entries need the right to change them.
fn needed(config: &Config) -> Vec<(u32, &'static str)> {
    let speaks = |vrf: &Vrf| vrf.ospf.is_some() || vrf.isis.is_some();
    let routes = |vrf: &Vrf| speaks(vrf) || !vrf.hosts.ports.is_empty();
    let mut needed = Vec::new();
    if config.vrfs.values().any(speaks) {
        needed.push((NET_RAW, "NET_RAW"));
    }
    if config.fib.enabled && config.vrfs.values().any(routes) {
        needed.push((NET_ADMIN, "NET_ADMIN"));
    }
    needed
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
    fn either_protocol_needs_its_sockets_and_the_kernels_table() {
        let names = |text: &str| -> Vec<&str> {
            let config = Config::parse(text).expect("the text is a configuration");
            needed(&config).into_iter().map(|(_, name)| name).collect()
        };
        let isis = "[vrf.default.isis]\nnet = \"49.0001.0000.0000.0001.00\"\n";
        assert_eq!(names(isis), ["NET_RAW", "NET_ADMIN"]);
        assert_eq!(names("[vrf.default.ospf]\n"), ["NET_RAW", "NET_ADMIN"]);
        assert_eq!(names(&format!("[fib]\nenabled = false\n{isis}")), ["NET_RAW"]);
        assert_eq!(names("[vrf.default.hosts]\nports = [\"tap*\"]\n"), ["NET_ADMIN"]);
        assert_eq!(names(""), [""; 0]);
    }

    #[test]
    fn the_effective_set_is_read() {
        let status = "Name:\tbugled\nCapPrm:\t0000000000000000\nCapEff:\t0000000000003000\n";
        assert_eq!(read(status), Some(1 << NET_ADMIN | 1 << NET_RAW));
        assert_eq!(read("Name:\tbugled\n"), None);
    }
}
