//! Takes the fuzzer's octets for the choices that a random scenario is made of, and plays it.

#[path = "../misery/mod.rs"]
mod misery;

use std::path::Path;

use bugle_sim::{Scenario, play};
use misery::{PROTOCOLS, Shape, Step, What};

/// What an octet can choose among, but for how many there are.
const FAULTS: [&str; 3] = ["down", "silent", "one-way"];

/// Panics, with a scenario that `bugle sim` plays, if the network does not come to rest as it should.
pub(crate) fn check(data: &[u8]) {
    let text = Choices(data).scenario();
    let read = |_: &Path| Err(String::new());
    let scenario = Scenario::parse(&text, &read);
    assert!(scenario.is_ok(), "{:?}\n{text}", scenario.err());
    let Ok(scenario) = scenario else { return };
    let report = play(&scenario, &mut |_| ());
    assert!(
        report.findings.is_empty() && report.refused.is_empty(),
        "play this with `bugle sim`:\n{text}\n{}",
        report.table(),
    );
}

/// What is left of the octets; zeros when they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn octet(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.octet()) % bound
    }

    fn ms(&mut self) -> u64 {
        1 + u64::from(self.octet()) * 31
    }

    fn scenario(&mut self) -> String {
        let routers = 2 + self.below(6);
        // A tree keeps it in one piece.
        let tree: Vec<_> = (1..routers).map(|child| (self.below(child), child, 10, 10)).collect();
        let mut links = tree;
        for _ in 0..self.below(routers) {
            let (a, b) = (self.below(routers), self.below(routers));
            let costs = (1 + u16::from(self.octet() % 19), 1 + u16::from(self.octet() % 19));
            links.extend((a != b).then_some((a, b, costs.0, costs.1)));
        }
        let on_lan = self.octet();
        let lan = (0..routers).filter(|router| on_lan >> router & 1 == 1).collect();
        let stub = Some(self.below(2 * routers)).filter(|&router| router < routers);
        let quality = format!(
            "loss {}% duplicate {}% reorder {}% jitter {}us",
            self.below(8),
            self.below(3),
            self.below(5),
            self.below(200)
        );
        let seed = u64::from(self.octet());
        let protocol = PROTOCOLS[self.below(PROTOCOLS.len())];
        let mut steps = Vec::new();
        while !self.0.is_empty() && steps.len() < 16 {
            let after_ms = u64::from(self.octet()) * 15;
            steps.push(Step { after_ms, what: self.what() });
        }
        let shape = Shape { routers, links, lan, stub };
        misery::scenario(seed, protocol, &shape, &quality, &steps)
    }

    fn what(&mut self) -> What {
        let (kind, first) = (self.below(8), self.below(64));
        match kind {
            0 | 1 => What::Move { host: first, to: self.below(64) },
            2 => What::Remove { host: first },
            3 => What::Add { host: first, on: self.below(64) },
            4 => What::Link { link: first, fault: FAULTS[self.below(3)], ms: self.ms() },
            5 => What::Port { member: first, fault: FAULTS[self.below(3)], ms: self.ms() },
            6 => What::Crash { router: first, ms: self.ms() },
            _ if self.octet() < 128 => What::Stop { router: first, ms: self.ms() },
            _ => What::Restart { router: first },
        }
    }
}
