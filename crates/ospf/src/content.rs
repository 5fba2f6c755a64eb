//! What LSAs say, kept apart from how old they are: so instances in one process can share it.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use bugle_wire::ospf::{Lsa, LsaBody, RouterLsa};
use hashbrown::HashTable;

/// The octets of an LSA but for its age, which is zero in them: in place if they are as few as an AS-external-LSA's.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Few { length: u8, octets: [u8; Self::FEW] },
    Many(Box<[u8]>),
}

impl Content {
    const FEW: usize = 36;

    pub(crate) fn of(lsa: Lsa<'_>) -> Self {
        let mut content = Self::from(lsa.bytes());
        if let Some(age) = content.octets_mut().first_chunk_mut() {
            *age = [0; 2];
        }
        content
    }

    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Self::Few { length, octets } => octets.get(..usize::from(*length)).unwrap_or(octets),
            Self::Many(octets) => octets,
        }
    }

    /// What it says if it is a router-LSA.
    pub(crate) fn router(&self) -> Option<RouterLsa<'_>> {
        let LsaBody::Router(lsa) = Lsa::parse(self.octets()).ok()?.body().ok()? else {
            return None;
        };
        Some(lsa)
    }

    fn octets_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Few { length, octets } => {
                let length = usize::from(*length).min(octets.len());
                octets.split_at_mut(length).0
            }
            Self::Many(octets) => octets,
        }
    }
}

impl From<&[u8]> for Content {
    fn from(whole: &[u8]) -> Self {
        let mut octets = [0; Self::FEW];
        match (octets.get_mut(..whole.len()), u8::try_from(whole.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(whole);
                Self::Few { length, octets }
            }
            _ => Self::Many(whole.into()),
        }
    }
}

/// Holds once what many instances in one process hold alike, as the simulator's thousand routers do their LSAs. It changes nothing
/// but the memory that they take. Clones are the same pool.
#[derive(Debug, Clone)]
pub struct LsaPool {
    parts: Arc<[Mutex<Part>]>,
}

/// By hash: threads seldom wait for each other.
const PARTS: u64 = 64;

#[derive(Debug, Default)]
struct Part {
    contents: HashTable<Arc<Content>>,
    /// With so many, those that nobody holds any more are thrown out.
    full: usize,
}

impl Default for LsaPool {
    fn default() -> Self {
        Self { parts: (0..PARTS).map(|_| Mutex::default()).collect() }
    }
}

impl LsaPool {
    /// The content, or one equal to it.
    pub(crate) fn share(&self, content: Content) -> Arc<Content> {
        let hash = hash(&content);
        let part = usize::try_from(hash % PARTS).ok().and_then(|place| self.parts.get(place));
        let Some(part) = part else { return Arc::new(content) };
        // Whoever panicked left it whole.
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |held: &Arc<Content>| held.octets() == content.octets();
        if let Some(held) = part.contents.find(hash, same) {
            return Arc::clone(held);
        }
        if part.contents.len() >= part.full {
            part.contents.retain(|held| Arc::strong_count(held) > 1);
            part.full = 2 * part.contents.len() + 16;
        }
        let new = Arc::new(content);
        part.contents.insert_unique(hash, Arc::clone(&new), |held| self::hash(held));
        new
    }
}

fn hash(content: &Content) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(content.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_of_any_length_come_out_as_they_went_in() {
        for length in 0..200_u8 {
            let whole: Vec<u8> = (0..length).collect();
            let mut content = Content::from(&whole[..]);
            assert_eq!(content.octets(), whole);
            assert_eq!(content.octets_mut(), whole);
        }
    }

    #[test]
    fn a_pool_holds_equal_contents_once_and_only_while_somebody_else_does() {
        let pool = LsaPool::default();
        let content = |number: u32| Content::from(&number.to_be_bytes()[..]);
        let held: Vec<_> = (0..1000).map(|number| pool.share(content(number))).collect();
        for (number, held) in (0..).zip(&held) {
            assert!(Arc::ptr_eq(held, &pool.share(content(number))));
        }
        for number in 1000..100_000 {
            pool.share(content(number));
        }
        let all = pool.parts.iter().map(|part| part.lock().unwrap().contents.len());
        assert!(all.sum::<usize>() < 5_000);
    }
}
