//! One order of a list: sorted slot numbers. A page is a slice of it; a change moves at most one number, found by binary search.

use std::cmp::Ordering;

/// Slot numbers in order.
#[derive(Debug, Default)]
pub(super) struct Order(Vec<u32>);

impl Order {
    /// The slots in order.
    pub(super) fn slots(&self) -> &[u32] {
        &self.0
    }

    /// Adds a slot. `compare` compares an element with it.
    pub(super) fn insert(&mut self, slot: u32, compare: impl FnMut(&u32) -> Ordering) {
        let at = self.0.binary_search_by(compare).unwrap_or_else(|at| at);
        self.0.insert(at, slot);
    }

    /// Removes the slot for which `compare` returns equal.
    pub(super) fn remove(&mut self, compare: impl FnMut(&u32) -> Ordering) {
        if let Ok(at) = self.0.binary_search_by(compare) {
            self.0.remove(at);
        }
    }

    /// Adds a slot at the end; [`Order::sort_by`] must follow.
    pub(super) fn push(&mut self, slot: u32) {
        self.0.push(slot);
    }

    /// Sorts all slots, after many changes.
    pub(super) fn sort_by(&mut self, mut compare: impl FnMut(u32, u32) -> Ordering) {
        self.0.sort_unstable_by(|a, b| compare(*a, *b));
        self.0.shrink_to_fit();
    }
}
