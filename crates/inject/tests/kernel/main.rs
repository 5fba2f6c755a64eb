//! The injector, snapshots and the monitor against the kernel. Each test has a network namespace of its own, for which it
//! must be root; without that it says so and tests nothing.

#[cfg(test)]
mod failover;
mod injector;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod namespace;
