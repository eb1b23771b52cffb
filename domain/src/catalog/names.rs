//! The names of all rows in one contiguous text: a filter that searches every name reads it sequentially, instead of tens of thousands of
//! separate allocations.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use memchr::memmem::Finder;

/// Terminates each name. No name contains it: names have one line.
const END: u8 = b'\n';

/// For how many filters the matches are cached until a name changes: for clients that page through a list or poll it.
const CACHED: usize = 16;

/// A search and its matches.
type CachedSearch = (Box<[u8]>, Arc<SlotSet>);

/// Names in lower case, with the slots of their rows.
pub(super) struct Names {
    text: Vec<u8>,
    /// The start of each name, ascending, and the slot of its row.
    starts: Vec<(u32, u32)>,
    slots: usize,
    cache: Mutex<VecDeque<CachedSearch>>,
}

impl Names {
    /// The names of these rows. Every slot is less than `slots`.
    pub(super) fn of<'r>(rows: impl Iterator<Item = (u32, &'r str)>, slots: usize) -> Self {
        let (mut text, mut starts) = (Vec::new(), Vec::new());
        for (slot, name) in rows {
            starts.push((u32::try_from(text.len()).unwrap_or(u32::MAX), slot));
            text.extend_from_slice(name.as_bytes());
            text.push(END);
        }
        Self { text, starts, slots, cache: Mutex::default() }
    }

    /// The slots of names that contain the needle of `finder`.
    pub(super) fn matching(&self, finder: &Finder<'_>) -> Arc<SlotSet> {
        let cache = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cache().iter().find(|(needle, _)| **needle == *finder.needle()).map(|(_, slots)| slots.clone());
        cached.unwrap_or_else(|| {
            let slots = Arc::new(self.search(finder));
            let mut cache = cache();
            cache.truncate(CACHED - 1);
            cache.push_front((finder.needle().into(), slots.clone()));
            slots
        })
    }

    fn search(&self, finder: &Finder<'_>) -> SlotSet {
        let mut matches = SlotSet(vec![0; self.slots.div_ceil(64)]);
        if finder.needle().contains(&END) {
            return matches;
        }
        let mut starts = self.starts.iter().peekable();
        let mut from = 0;
        while let Some(offset) = self.text.get(from..).and_then(|rest| finder.find(rest)) {
            let at = from + offset;
            // The matching name is the last one that starts at or before the match. The search continues with the next name.
            let mut slot = None;
            while let Some((_, next)) = starts.next_if(|(begin, _)| *begin as usize <= at) {
                slot = Some(*next);
            }
            matches.set(slot.unwrap_or_default());
            from = starts.peek().map_or(self.text.len(), |(begin, _)| *begin as usize);
        }
        matches
    }
}

/// A set of slots.
pub(super) struct SlotSet(Vec<u64>);

impl SlotSet {
    fn set(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// The number of slots in the set.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the slot is in the set.
    pub(super) fn has(&self, slot: u32) -> bool {
        self.0.get(slot as usize / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::of([(3, "prod-1"), (0, "x"), (70, "prod-prod"), (5, "staging")].into_iter(), 71)
    }

    fn matching(needle: &str) -> Vec<u32> {
        let matches = names().matching(&Finder::new(needle));
        let slots: Vec<u32> = (0..80).filter(|slot| matches.has(*slot)).collect();
        assert_eq!(matches.len(), slots.len());
        slots
    }

    #[test]
    fn matches_are_cached_for_the_latest_filters() {
        let names = names();
        let first = names.matching(&Finder::new("prod"));
        assert!(Arc::ptr_eq(&first, &names.matching(&Finder::new("prod"))));
        for number in 1..CACHED {
            names.matching(&Finder::new(&number.to_string()));
        }
        assert!(Arc::ptr_eq(&first, &names.matching(&Finder::new("prod"))), "one of the latest {CACHED}");
        names.matching(&Finder::new("another"));
        let anew = names.matching(&Finder::new("prod"));
        assert!(!Arc::ptr_eq(&first, &anew));
        assert_eq!((anew.len(), names.cache.lock().unwrap().len()), (2, CACHED));
    }

    #[test]
    fn names_are_found_by_any_substring() {
        assert_eq!(matching("prod"), [3, 70]);
        assert_eq!(matching("x"), [0]);
        assert_eq!(matching("ging"), [5]);
        assert_eq!(matching("other"), [0; 0]);
    }

    #[test]
    fn no_match_spans_two_names() {
        assert_eq!(matching("1\nx"), [0; 0]);
        assert_eq!(matching("\n"), [0; 0]);
    }
}
