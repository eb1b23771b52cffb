//! What we make, or may have made, at a provider. A row is written before the call that makes the thing is sent, and stays until the
//! thing has been seen to be gone: whatever ends us in between, what may cost money is written down.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::ClusterId;

/// Says that a thing at a provider was made by this installation for one cluster. Engines write it on what they make, as a label or
/// tag, and touch nothing that does not carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The installation: two that share a provider's project do not take each other's things for their own.
    pub installation: Uuid,
    /// The cluster.
    pub cluster: ClusterId,
}

/// Which thing at a provider: its kind, its name, and where it is. Names are made from the cluster's id, so that asking twice for
/// a thing asks for the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ThingName {
    /// `cluster`, `stack`, `server`, …
    pub kind: String,
    /// Its deterministic name.
    pub name: String,
    /// Project, group, region; empty where the provider knows no places.
    pub place: String,
}

impl fmt::Display for ThingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, place } = self;
        if place.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {name} in {place}") }
    }
}

/// A thing that is at a provider and carries our mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thing {
    /// Which.
    pub name: ThingName,
    /// The provider's own id.
    pub provider_id: Option<String>,
}

/// What is known of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// We may have asked for it; nobody has seen it.
    Intended,
    /// It was seen.
    Present,
    /// We asked for its end, and it has not been seen to be gone.
    Deleting,
    /// It was seen to be gone.
    Gone,
}

impl RowState {
    /// The word programs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Present => "present",
            Self::Deleting => "deleting",
            Self::Gone => "gone",
        }
    }
}

/// One thing with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The thing.
    pub thing: Thing,
    /// What is known of it.
    pub state: RowState,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// After that long without an answer, a call that makes something will not take effect any more.
pub const UNCERTAIN: TimeDelta = TimeDelta::seconds(90);

/// The rows of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its rows, in the order in which the things are made.
    pub rows: Vec<Row>,
    /// When a call that makes something was sent that has not been answered. It may take effect later, so that nothing being there
    /// proves nothing for a while.
    pub unanswered_since: Option<DateTime<Utc>>,
}

impl Ledger {
    /// Nothing was made yet.
    #[must_use]
    pub const fn empty(cluster: ClusterId) -> Self {
        Self { cluster, rows: Vec::new(), unanswered_since: None }
    }

    /// `things` are about to be asked for.
    pub fn intend(&mut self, things: impl IntoIterator<Item = ThingName>, now: DateTime<Utc>) {
        for name in things {
            match self.rows.iter_mut().find(|row| row.thing.name == name) {
                Some(row) if row.state == RowState::Gone => {
                    row.thing.provider_id = None;
                    row.state = RowState::Intended;
                    row.since = now;
                }
                Some(_) => {}
                None => {
                    let thing = Thing { name, provider_id: None };
                    self.rows.push(Row { thing, state: RowState::Intended, since: now });
                }
            }
        }
        self.unanswered_since = Some(now);
    }

    /// The end of everything is about to be asked for.
    pub fn condemn(&mut self, now: DateTime<Utc>) {
        for row in &mut self.rows {
            if matches!(row.state, RowState::Intended | RowState::Present) {
                row.state = RowState::Deleting;
                row.since = now;
            }
        }
    }

    /// A call that makes something was answered: whatever it did, it has done.
    pub const fn answered(&mut self) {
        self.unanswered_since = None;
    }

    /// These things and no others were seen. What was not seen is gone, unless it is still to be made or may still appear.
    pub fn observed(&mut self, things: &[Thing], now: DateTime<Utc>) {
        let uncertain = self.is_uncertain(now);
        for row in &mut self.rows {
            if let Some(seen) = things.iter().find(|thing| thing.name == row.thing.name) {
                if seen.provider_id.is_some() {
                    row.thing.provider_id.clone_from(&seen.provider_id);
                }
                if matches!(row.state, RowState::Intended | RowState::Gone) {
                    row.state = RowState::Present;
                    row.since = now;
                }
            } else if matches!(row.state, RowState::Present | RowState::Deleting) && !uncertain {
                row.state = RowState::Gone;
                row.since = now;
            }
        }
        for thing in things {
            if !self.rows.iter().any(|row| row.thing.name == thing.name) {
                self.rows.push(Row { thing: thing.clone(), state: RowState::Present, since: now });
            }
        }
    }

    /// Whether a call may still take effect that was never answered.
    #[must_use]
    pub fn is_uncertain(&self, now: DateTime<Utc>) -> bool {
        self.unanswered_since.is_some_and(|since| now - since < UNCERTAIN)
    }

    /// What may be there.
    pub fn remaining(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.state != RowState::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn name(name: &str) -> ThingName {
        ThingName { kind: "server".into(), name: name.into(), place: "here".into() }
    }

    fn seen(text: &str) -> Thing {
        Thing { name: name(text), provider_id: Some(format!("id of {text}")) }
    }

    fn states(ledger: &Ledger) -> Vec<(&str, RowState)> {
        ledger.rows.iter().map(|row| (row.thing.name.name.as_str(), row.state)).collect()
    }

    #[test]
    fn a_thing_goes_from_intent_to_proof_of_its_end() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a"), name("b")], at(0));
        ledger.answered();
        ledger.observed(&[seen("a")], at(1));
        assert_eq!(states(&ledger), [("a", RowState::Present), ("b", RowState::Intended)]);
        assert_eq!(ledger.rows[0].thing.provider_id.as_deref(), Some("id of a"));
        ledger.condemn(at(2));
        ledger.observed(&[seen("a")], at(3));
        assert_eq!(states(&ledger), [("a", RowState::Deleting), ("b", RowState::Gone)]);
        ledger.observed(&[], at(4));
        assert_eq!(ledger.remaining().count(), 0);
        assert_eq!(ledger.rows[0].since, at(4));
    }

    #[test]
    fn what_may_still_appear_is_not_gone() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a")], at(0));
        ledger.condemn(at(1));
        ledger.observed(&[], at(2));
        assert_eq!(states(&ledger), [("a", RowState::Deleting)], "the call was not answered");
        ledger.observed(&[], at(0) + UNCERTAIN);
        assert_eq!(states(&ledger), [("a", RowState::Gone)]);
    }

    #[test]
    fn a_marked_thing_that_no_row_knows_gets_one() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[seen("left over")], at(1));
        assert_eq!(states(&ledger), [("left over", RowState::Present)]);
    }

    #[test]
    fn what_is_gone_may_be_made_again() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[seen("a")], at(1));
        ledger.observed(&[], at(2));
        ledger.intend([name("a")], at(3));
        assert_eq!(states(&ledger), [("a", RowState::Intended)]);
        assert_eq!(ledger.rows[0].thing.provider_id, None);
    }
}
