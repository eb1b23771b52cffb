//! Numbers of all and of healthy objects, for health answers.

use super::query::Visibility;
use crate::id::UserId;

/// Numbers of all and of healthy objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All objects.
    pub total: usize,
    /// Healthy objects.
    pub healthy: usize,
}

impl Tally {
    /// Counts the visible records, given as owner and whether healthy.
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

    /// Percentage of healthy objects, rounded down; 100 if there are none.
    #[must_use]
    pub const fn percentage(self) -> usize {
        match (self.healthy * 100).checked_div(self.total) {
            Some(percentage) => percentage,
            None => 100,
        }
    }
}
