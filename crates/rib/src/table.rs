//! The routes of one VRF: all that are offered, the best of each prefix installed.

use bugle_types::{Prefix, TableId};

use crate::fib::RouteKey;
use crate::object::{Epoch, Path, SetId};
use crate::route::{Protocol, SelectedRoute};
use crate::routes::Routes;
use crate::shadow::Shadow;

/// The routes of one VRF.
///
/// Between calls at most one offer of a prefix is in the kernel: the first, which is the best.
#[derive(Debug, Default)]
pub(crate) struct Table {
    id: Option<TableId>,
    /// The kernel's table has been read, so what is found there can be told from what is missing.
    read: bool,
    /// A prefix's routes stand side by side, the best first.
    routes: Routes<Offer>,
    /// Prefixes.
    selected: usize,
}

/// What a protocol offers for a prefix.
#[derive(Clone, Copy, Debug)]
struct Offer {
    metric: u32,
    set: SetId,
    installed: Option<Epoch>,
}

/// An offer's route in the kernel.
#[derive(Clone, Copy, Debug)]
struct Held {
    protocol: Protocol,
    set: SetId,
    epoch: Epoch,
}

impl Table {
    /// The kernel's table; `None` while there is none.
    pub(crate) const fn id(&self) -> Option<TableId> {
        self.id
    }

    /// Moves all routes to another table of the kernel, which is still to be read.
    pub(crate) fn set_id(&mut self, id: Option<TableId>, shadow: &mut Shadow) {
        if self.id == id {
            return;
        }
        for (prefix, protocol, offer) in self.routes.iter_mut() {
            if let (Some(held), Some(table)) = (offer.take(protocol, shadow), self.id) {
                held.delete(table, prefix, shadow);
            }
        }
        self.id = id;
        self.read = false;
    }

    /// A snapshot holds this table.
    pub(crate) fn set_read(&mut self) {
        self.read = self.id.is_some();
    }

    /// Offers a route, or withdraws it.
    pub(crate) fn change(
        &mut self,
        shadow: &mut Shadow,
        prefix: Prefix,
        protocol: Protocol,
        route: Option<(u32, Path)>,
    ) {
        let is_offered = route.is_some();
        let old = match route {
            Some((metric, path)) => match self.routes.get_mut(prefix, protocol) {
                // The same nexthops: the kernel has nothing to learn.
                Some(offer) if shadow.path(offer.set) == Some(&path) => {
                    offer.metric = metric;
                    return;
                }
                Some(offer) => {
                    Some(std::mem::replace(offer, Offer::new(metric, shadow.acquire(&path))))
                }
                None => {
                    let offer = Offer::new(metric, shadow.acquire(&path));
                    self.routes.insert(prefix, protocol, offer)
                }
            },
            None => self.routes.remove(prefix, protocol),
        };
        let held = old.and_then(|mut old| old.take(protocol, shadow));
        let others = self.settle(shadow, prefix, held) - usize::from(is_offered);
        if others == 0 {
            self.selected += usize::from(is_offered);
            self.selected -= usize::from(old.is_some());
        }
        if let Some(old) = old {
            shadow.release(old.set);
        }
    }

    /// Installs the best route of `prefix`, and then takes out the one that was there before: another's, or `replaced`.
    /// Returns how many routes the prefix has.
    fn settle(&mut self, shadow: &mut Shadow, prefix: Prefix, replaced: Option<Held>) -> usize {
        let Some(table) = self.id.filter(|_| self.read) else {
            return self.routes.of(prefix).count();
        };
        let mut count = 0;
        let mut routes = self.routes.of_mut(prefix).inspect(|_| count += 1);
        let best = routes.next().and_then(|(protocol, offer)| {
            offer.install(table, prefix, protocol, shadow).then_some(protocol)
        });
        let other = routes
            .fold(None, |held, (protocol, offer)| held.or_else(|| offer.take(protocol, shadow)));
        for held in replaced.into_iter().chain(other) {
            if best == Some(held.protocol) {
                shadow.forget_route(held.set, held.epoch);
            } else {
                held.delete(table, prefix, shadow);
            }
        }
        count
    }

    /// The object of an offer that is in the kernel.
    pub(crate) fn installed_on(
        &self,
        prefix: Prefix,
        protocol: Protocol,
        shadow: &Shadow,
    ) -> Option<SetId> {
        let offer = self.routes.get(prefix, protocol)?;
        offer.epoch(shadow).map(|_| offer.set)
    }

    /// Whether the route of this key is in the kernel, and is one of these.
    pub(crate) fn holds(&self, key: RouteKey, shadow: &Shadow) -> bool {
        self.id == Some(key.table)
            && Protocol::ALL
                .into_iter()
                .filter(|protocol| protocol.kernel_metric() == key.metric)
                .any(|protocol| self.installed_on(key.prefix, protocol, shadow).is_some())
    }

    /// Leads offers to other objects of the same paths: those that do not go with their object when it turns. They are asked
    /// for in order.
    pub(crate) fn leave(
        &mut self,
        shadow: &mut Shadow,
        mut stays: impl FnMut(SetId, Protocol, Prefix) -> bool,
    ) {
        for (prefix, protocol, offer) in self.routes.iter_mut() {
            if !stays(offer.set, protocol, prefix) {
                continue;
            }
            let Some(path) = shadow.path(offer.set).cloned() else { continue };
            let old = offer.set;
            let held = offer.take(protocol, shadow);
            *offer = Offer::new(offer.metric, shadow.acquire(&path));
            if let (Some(held), Some(table)) = (held, self.id) {
                if offer.install(table, prefix, protocol, shadow) {
                    shadow.forget_route(held.set, held.epoch);
                } else {
                    held.delete(table, prefix, shadow);
                }
            }
            shadow.release(old);
        }
    }

    /// Installs every best route that is not installed.
    pub(crate) fn settle_all(&mut self, shadow: &mut Shadow) {
        let Some(table) = self.id.filter(|_| self.read) else { return };
        let mut last = None;
        for (prefix, protocol, offer) in self.routes.iter_mut() {
            if last.replace(prefix) != Some(prefix) {
                offer.install(table, prefix, protocol, shadow);
            }
        }
    }

    /// Nothing counts as installed any more: a snapshot will tell.
    pub(crate) fn forget_installed(&mut self) {
        for (_, _, offer) in self.routes.iter_mut() {
            offer.installed = None;
        }
    }

    /// Deletes every route from the kernel.
    pub(crate) fn uninstall(&mut self, shadow: &mut Shadow) {
        let Some(table) = self.id else { return };
        for (prefix, protocol, offer) in self.routes.iter_mut() {
            if let Some(held) = offer.take(protocol, shadow) {
                held.delete(table, prefix, shadow);
            }
        }
    }

    /// Whether no snapshot is waited for before routes are installed.
    pub(crate) const fn is_read(&self) -> bool {
        self.read || self.id.is_none()
    }

    /// How many prefixes have a route.
    pub(crate) const fn selected(&self) -> usize {
        self.selected
    }

    /// The best route of each prefix, in the order of prefixes.
    pub(crate) fn iter<'a>(
        &'a self,
        shadow: &'a Shadow,
    ) -> impl Iterator<Item = SelectedRoute<'a>> + use<'a> {
        let mut last = None;
        self.routes
            .iter()
            .filter(move |(prefix, ..)| last.replace(*prefix) != Some(*prefix))
            .map(|(prefix, protocol, offer)| offer.view(prefix, protocol, shadow))
    }

    /// All routes offered for a prefix, the best first.
    pub(crate) fn offers<'a>(
        &'a self,
        prefix: Prefix,
        shadow: &'a Shadow,
    ) -> impl Iterator<Item = SelectedRoute<'a>> + use<'a> {
        self.routes.of(prefix).map(move |(protocol, offer)| offer.view(prefix, protocol, shadow))
    }

    /// The prefixes for which a protocol offers a route.
    pub(crate) fn offered_by(&self, protocol: Protocol) -> impl Iterator<Item = Prefix> + use<'_> {
        self.routes.iter().filter(move |(_, by, _)| *by == protocol).map(|(prefix, ..)| prefix)
    }
}

impl Offer {
    const fn new(metric: u32, set: SetId) -> Self {
        Self { metric, set, installed: None }
    }

    /// Sees to it that the kernel has the route. Returns whether it has.
    fn install(
        &mut self,
        table: TableId,
        prefix: Prefix,
        protocol: Protocol,
        shadow: &mut Shadow,
    ) -> bool {
        if self.epoch(shadow).is_none() {
            let put = shadow.put_route(key(table, prefix, protocol), self.set);
            self.installed = put.map(|(_, epoch)| epoch);
            if let Some((set, _)) = put
                && set != self.set
            {
                shadow.hold(set);
                shadow.release(self.set);
                self.set = set;
            }
        }
        self.installed.is_some()
    }

    /// Takes note that the route will not be in the kernel; returns it if it still is.
    fn take(&mut self, protocol: Protocol, shadow: &Shadow) -> Option<Held> {
        let epoch = self.epoch(shadow);
        self.installed = None;
        epoch.map(|epoch| Held { protocol, set: self.set, epoch })
    }

    /// Since when the route has been in the kernel without a break.
    fn epoch(&self, shadow: &Shadow) -> Option<Epoch> {
        self.installed.filter(|epoch| shadow.is_current(self.set, *epoch))
    }

    fn view<'a>(
        &self,
        prefix: Prefix,
        protocol: Protocol,
        shadow: &'a Shadow,
    ) -> SelectedRoute<'a> {
        let path = shadow.path(self.set);
        SelectedRoute {
            prefix,
            protocol,
            metric: self.metric,
            nexthops: path.map_or(&[], |path| &path.hops),
            backup: path.and_then(|path| path.backup),
            installed: self.epoch(shadow).is_some(),
        }
    }
}

impl Held {
    fn delete(self, table: TableId, prefix: Prefix, shadow: &mut Shadow) {
        shadow.del_route(key(table, prefix, self.protocol), self.set, self.epoch);
    }
}

const fn key(table: TableId, prefix: Prefix, protocol: Protocol) -> RouteKey {
    RouteKey { table, prefix, metric: protocol.kernel_metric() }
}
