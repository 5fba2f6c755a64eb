//! What is watched in the database, and what whoever watches it has been told.

use std::collections::BTreeMap;

/// Keys that are watched, each with the last that was told of it.
#[derive(Debug, Clone)]
pub struct Watches<K, T>(BTreeMap<K, Told<T>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told<T> {
    Nothing,
    This(T),
}

impl<K, T> Default for Watches<K, T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy + Ord, T: Copy + Eq> Watches<K, T> {
    /// Starts watching a key, unless it is watched already.
    pub fn begin(&mut self, key: K) {
        self.0.entry(key).or_insert(Told::Nothing);
    }

    /// Ends it.
    pub fn end(&mut self, key: K) {
        self.0.remove(&key);
    }

    /// Whether a key is watched.
    #[must_use]
    pub fn contains(&self, key: K) -> bool {
        self.0.contains_key(&key)
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that are watched, in order.
    pub fn keys(&self) -> impl Iterator<Item = K> {
        self.0.keys().copied()
    }

    /// Whether there is somebody to be told this, who has been told nothing or something else. From then on they have been.
    pub fn is_news(&mut self, key: K, news: T) -> bool {
        let told = self.0.get_mut(&key);
        told.is_some_and(|told| std::mem::replace(told, Told::This(news)) != Told::This(news))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_told_once_until_it_changes() {
        let mut watches = Watches::default();
        assert!(!watches.is_news(1, None), "nobody watches");
        watches.begin(1);
        assert!(watches.is_news(1, None), "that there is nothing is news, too");
        watches.begin(1);
        assert!(!watches.is_news(1, None), "it was watched already");
        assert!(watches.is_news(1, Some("here")));
        watches.end(1);
        assert!(!watches.is_news(1, None) && watches.is_empty());
        watches.begin(1);
        assert!(watches.is_news(1, Some("here")));
    }
}
