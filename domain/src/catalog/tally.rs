//! How many there are and how many of them are well, for health answers.

use super::query::Visibility;
use crate::id::UserId;

/// How many there are and how many of them are well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub total: usize,
    /// Those in good state.
    pub healthy: usize,
}

impl Tally {
    /// Counts, of records by their owners and whether they are healthy, those the caller may see.
    pub(super) fn of(records: impl Iterator<Item = (Option<UserId>, bool)>, visibility: Visibility) -> Self {
        let mut tally = Self::default();
        for (owner, healthy) in records {
            let visible = match visibility {
                Visibility::All => true,
                Visibility::OwnedBy(user) => owner == Some(user),
                Visibility::Nothing => false,
            };
            tally.total += usize::from(visible);
            tally.healthy += usize::from(visible && healthy);
        }
        tally
    }

    /// Share of those that are well, rounded down; 100 where there is none.
    #[must_use]
    pub const fn percentage(self) -> usize {
        match (self.healthy * 100).checked_div(self.total) {
            Some(percentage) => percentage,
            None => 100,
        }
    }
}
