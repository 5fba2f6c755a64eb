//! What a host's state machine sees of the world.

use std::collections::{BTreeMap, VecDeque};

use bugle_types::{IfIndex, Mac, Time};

use crate::HostsConfig;
use crate::io::{Event, Output};

/// An interface.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) ifindex: IfIndex,
    pub(crate) up: bool,
    pub(crate) mac: Option<Mac>,
}

/// Where and when a host is settled.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) config: &'a HostsConfig,
    pub(crate) ports: &'a BTreeMap<String, Port>,
    pub(crate) out: &'a mut VecDeque<Output>,
}

impl Context<'_> {
    pub(crate) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }
}
