//! The routes of one VRF: all that are offered, the best of each prefix installed.

use bugle_types::{Prefix, TableId};

use crate::fib::RouteKey;
use crate::object::{Epoch, Path, Rank, SetId};
use crate::route::{Protocol, SelectedRoute};
use crate::routes::Routes;
use crate::shadow::Shadow;

/// The routes of one VRF.
///
/// Between calls at most one offer of a prefix is in the kernel: the first, which is the best; and its spare.
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
    /// What the second route beside it leads to, for the kernel to fall back to, and since when it is there. It can be one of
    /// former days, until there is time to replace it.
    spare: Option<(SetId, Epoch)>,
}

/// An offer's routes in the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    protocol: Protocol,
    first: Option<(SetId, Epoch)>,
    second: Option<(SetId, Epoch)>,
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
                    let mut new = Offer::new(metric, shadow.acquire(&path));
                    new.spare = offer.spare.take();
                    Some(std::mem::replace(offer, new))
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
        for mut held in replaced.into_iter().chain(other) {
            if best == Some(held.protocol) {
                held.forget_first(shadow);
            }
            held.delete(table, prefix, shadow);
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
            let first = offer.epoch(shadow);
            let new = Offer::new(offer.metric, shadow.acquire(&path));
            *offer = Offer { spare: offer.spare, ..new };
            if let (Some(epoch), Some(table)) = (first, self.id) {
                let mut held = Held { protocol, first: Some((old, epoch)), second: None };
                if offer.install(table, prefix, protocol, shadow) {
                    held.forget_first(shadow);
                }
                held.delete(table, prefix, shadow);
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

    /// Brings spares in line with their routes from a prefix on, and takes off `look` as many as were looked at. Returns where
    /// to go on, if that is not the end.
    pub(crate) fn settle_spares(
        &mut self,
        shadow: &mut Shadow,
        from: Option<Prefix>,
        look: &mut usize,
    ) -> Option<Prefix> {
        let table = self.id.filter(|_| self.read)?;
        for (prefix, protocol, offer) in self.routes.starting_mut(from) {
            let Some(left) = look.checked_sub(1) else { return Some(prefix) };
            *look = left;
            let is_there = offer.epoch(shadow).is_some();
            if is_there && !offer.settle_spare(table, prefix, protocol, shadow) {
                return Some(prefix);
            }
        }
        None
    }

    /// Nothing counts as installed any more: a snapshot will tell.
    pub(crate) fn forget_installed(&mut self) {
        for (_, _, offer) in self.routes.iter_mut() {
            (offer.installed, offer.spare) = (None, None);
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
        Self { metric, set, installed: None, spare: None }
    }

    /// Sees to it that the kernel has the route, and the spare beside it. Returns whether it has the route.
    fn install(
        &mut self,
        table: TableId,
        prefix: Prefix,
        protocol: Protocol,
        shadow: &mut Shadow,
    ) -> bool {
        if self.epoch(shadow).is_none() {
            let put = shadow.put_route(key(table, prefix, protocol.kernel_metric()), self.set);
            self.installed = put.map(|(_, epoch)| epoch);
            if let Some((set, _)) = put
                && set != self.set
            {
                shadow.hold(set);
                shadow.release(self.set);
                self.set = set;
            }
        }
        if self.installed.is_some() {
            self.settle_spare(table, prefix, protocol, shadow);
        } else {
            let second = self.take_spare(shadow);
            Held { protocol, first: None, second }.delete(table, prefix, shadow);
        }
        self.installed.is_some()
    }

    /// Sees to it that the spare beside the route is the one that it should have. Returns false if that is put off.
    fn settle_spare(
        &mut self,
        table: TableId,
        prefix: Prefix,
        protocol: Protocol,
        shadow: &mut Shadow,
    ) -> bool {
        let wanted = shadow.spare(self.set);
        self.spare = self.take_spare(shadow);
        if self.spare.map(|(set, _)| set) == wanted {
            return true;
        }
        let key = key(table, prefix, protocol.spare_metric());
        if !shadow.may_change_spare(key, wanted) {
            return false;
        }
        let new = wanted.and_then(|set| Some((set, shadow.put_spare(key, set)?)));
        match (std::mem::replace(&mut self.spare, new), new) {
            (Some((set, epoch)), Some(_)) => shadow.forget_route(set, epoch, Rank::Second),
            (Some((set, epoch)), None) => shadow.del_route(key, set, epoch, Rank::Second),
            (None, _) => {}
        }
        true
    }

    /// Takes note that the routes will not be in the kernel; returns them if they still are.
    fn take(&mut self, protocol: Protocol, shadow: &Shadow) -> Option<Held> {
        let first = self.epoch(shadow).map(|epoch| (self.set, epoch));
        let second = self.take_spare(shadow);
        self.installed = None;
        (first.is_some() || second.is_some()).then_some(Held { protocol, first, second })
    }

    /// Since when the route has been in the kernel without a break.
    fn epoch(&self, shadow: &Shadow) -> Option<Epoch> {
        self.installed.filter(|epoch| shadow.is_current(self.set, *epoch))
    }

    /// Takes the spare out, if the kernel still has it.
    fn take_spare(&mut self, shadow: &Shadow) -> Option<(SetId, Epoch)> {
        self.spare.take().filter(|(set, epoch)| shadow.is_current(*set, *epoch))
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
    /// What was put in its place has replaced the first route.
    fn forget_first(&mut self, shadow: &mut Shadow) {
        if let Some((set, epoch)) = self.first.take() {
            shadow.forget_route(set, epoch, Rank::First);
        }
    }

    /// The spare goes first: packets do not take it for the time between.
    fn delete(self, table: TableId, prefix: Prefix, shadow: &mut Shadow) {
        if let Some((set, epoch)) = self.second {
            let key = key(table, prefix, self.protocol.spare_metric());
            shadow.del_route(key, set, epoch, Rank::Second);
        }
        if let Some((set, epoch)) = self.first {
            let key = key(table, prefix, self.protocol.kernel_metric());
            shadow.del_route(key, set, epoch, Rank::First);
        }
    }
}

const fn key(table: TableId, prefix: Prefix, metric: u32) -> RouteKey {
    RouteKey { table, prefix, metric }
}
