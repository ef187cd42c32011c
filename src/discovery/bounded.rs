//! A map that holds no more than so many entries and bytes: what came first goes first.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// An entry's own bytes are not all it takes: two tree nodes and their share of empty room.
const OVERHEAD: usize = 128;

/// Bounded by entries and by bytes.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    by_age: BTreeMap<u64, K>,
    next: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    age: u64,
    bytes: usize,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    pub fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: BTreeMap::new(), by_age: BTreeMap::new(), next: 0, bytes: 0, max_entries, max_bytes }
    }

    /// Puts an entry in as the newest, `bytes` large; whatever has no room besides it goes.
    pub fn insert(&mut self, key: K, value: V, bytes: usize) {
        self.remove(&key);
        let (bytes, age) = (bytes.saturating_add(OVERHEAD), self.next);
        self.next += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.by_age.insert(age, key.clone());
        self.entries.insert(key, Entry { value, age, bytes });
        while self.entries.len() > self.max_entries || self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.forget(&oldest);
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub fn remove(&mut self, key: &K) {
        if let Some(age) = self.forget(key) {
            self.by_age.remove(&age);
        }
    }

    pub fn range(&self, range: impl RangeBounds<K>) -> impl Iterator<Item = (&K, &V)> {
        self.entries.range(range).map(|(key, entry)| (key, &entry.value))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What all entries take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn forget(&mut self, key: &K) -> Option<u64> {
        let entry = self.entries.remove(key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_more_than_its_bounds_whatever_is_put_in(entries in prop::collection::vec((0u8..40, 0usize..2_000), 0..200)) {
            let mut map = Bounded::new(10, 5_000);
            for (key, bytes) in entries {
                map.insert(key, (), bytes);
                prop_assert!(map.len() <= 10 && map.bytes() <= 5_000);
                prop_assert_eq!(map.len(), map.by_age.len());
                prop_assert_eq!(map.bytes(), map.entries.values().map(|entry| entry.bytes).sum::<usize>());
                // The newest is there, unless it alone is too large.
                prop_assert_eq!(map.get(&key).is_some(), bytes + OVERHEAD <= 5_000);
            }
        }
    }

    #[test]
    fn what_came_first_goes_first_and_what_is_renewed_is_new() {
        let mut map = Bounded::new(2, 5_000);
        map.insert('a', 1, 10);
        map.insert('b', 2, 10);
        map.insert('a', 3, 10);
        map.insert('c', 4, 10);
        assert_eq!((map.get(&'a'), map.get(&'b'), map.get(&'c')), (Some(&3), None, Some(&4)));
        map.remove(&'a');
        assert_eq!(map.range(..).map(|(key, _)| *key).collect::<Vec<_>>(), ['c']);
    }
}
