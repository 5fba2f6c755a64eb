//! Router capabilities that are for the whole domain go from one level to the other (RFC 7981 sections 2 and 3).

use std::collections::BTreeMap;
use std::sync::Arc;

use bugle_types::SystemId;
use bugle_wire::isis::{CapabilityFlags, IPV6_TE_ROUTER_ID, Level, RouterCapability};

use crate::fragment::{Fragments, Item, ItemKey, Pool};
use crate::instance::Isis;

/// What a router says of itself, for the whole domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capability {
    /// It has been leaked down a level.
    down: bool,
    /// The value of the TLV without that.
    value: Arc<[u8]>,
}

/// The place of the flags in the value.
const FLAGS: usize = 4;

impl Capability {
    /// A capability that may be passed on: one for the domain, of a router that has a name.
    pub(crate) fn of(capability: &RouterCapability<'_>) -> Option<Self> {
        let RouterCapability { router, flags, sub_tlvs } = *capability;
        let named =
            !router.is_unspecified() || sub_tlvs.iter().any(|sub| sub.code == IPV6_TE_ROUTER_ID);
        if !flags.contains(CapabilityFlags::DOMAIN) || !named {
            return None;
        }
        let mut value = router.octets().to_vec();
        value.push(flags.without(CapabilityFlags::DOWN).0);
        value.extend_from_slice(sub_tlvs.bytes());
        Some(Self { down: flags.contains(CapabilityFlags::DOWN), value: value.into() })
    }

    /// The value of the TLV in a level.
    fn value_in(&self, level: Level) -> Arc<[u8]> {
        let mut value = self.value.to_vec();
        if let Some(flags) = value.get_mut(FLAGS).filter(|_| level == Level::L1) {
            *flags |= CapabilityFlags::DOWN.0;
        }
        value.into()
    }
}

impl Isis {
    /// Says in each level what the other one's routers say for the domain, if that may have changed.
    pub(crate) fn bring_capabilities(&mut self) {
        let changed = Level::ALL
            .map(|level| std::mem::take(&mut self.levels[level].routing.capabilities_changed));
        if !changed.contains(&true) {
            return;
        }
        for level in self.config.levels.levels() {
            let items =
                if self.is_border() { self.brought_capabilities(level) } else { BTreeMap::new() };
            let limit = self.lsp_limit(level);
            let nodes = &mut self.levels[level].origins.nodes;
            let node = nodes.entry(0).or_insert_with(|| Fragments::new(limit));
            node.replace(Pool::Capabilities, &items);
        }
    }

    /// What a level is told of the other one.
    fn brought_capabilities(&self, level: Level) -> BTreeMap<ItemKey, Item> {
        let from = match level {
            Level::L1 => Level::L2,
            Level::L2 => Level::L1,
        };
        let known: Vec<(SystemId, &Capability)> =
            self.levels[level].routing.capabilities(self.own_node().system).collect();
        let mut items = BTreeMap::new();
        for (system, capability) in self.levels[from].routing.capabilities(self.own_node().system) {
            // What was leaked down never goes up; and what is of the level is not said there again.
            let is_known = known.iter().any(|&(by, held)| {
                let original = !held.down && (level == Level::L1 || by == system);
                original && held.value == capability.value
            });
            if capability.down || is_known {
                continue;
            }
            // Section 3: an update is in the fragment of what it replaces.
            let key = (0..=u8::MAX)
                .map(|number| ItemKey::Capability(system, number))
                .find(|key| !items.contains_key(key));
            if let Some(key) = key {
                items.insert(key, Item::Capability(capability.value_in(level)));
            }
        }
        items
    }
}
