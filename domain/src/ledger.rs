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
pub struct OwnershipTag {
    /// The installation: two that share a provider's project do not take each other's things for their own.
    pub installation: Uuid,
    /// The cluster.
    pub cluster: ClusterId,
}

/// Which thing at a provider: its kind, its name, and where it is. Names are made from the cluster's id, so that asking twice for
/// a thing asks for the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceRef {
    /// `cluster`, `stack`, `server`, …
    pub kind: String,
    /// Its deterministic name.
    pub name: String,
    /// Project, group, region; empty where the provider knows no places.
    pub location: String,
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, location: place } = self;
        if place.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {name} in {place}") }
    }
}

/// A thing that is at a provider and carries our ownership tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderResource {
    /// Which.
    pub name: ResourceRef,
    /// The provider's own id.
    pub provider_id: Option<String>,
}

/// What is known of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    /// We may have asked for it; nobody has seen it.
    Intended,
    /// It was seen.
    Present,
    /// We asked for its end, and it has not been seen to be gone.
    Deleting,
    /// It was seen to be gone.
    Gone,
}

impl RecordState {
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
pub struct ResourceRecord {
    /// The thing.
    pub resource: ProviderResource,
    /// What is known of it.
    pub state: RecordState,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// What a provider accepted shows there after that long at the latest. Until then, what it says may be from before.
pub const SETTLE: TimeDelta = TimeDelta::seconds(30);

/// After that long without an answer, a call that makes something has taken effect and shows, or never will.
pub const UNCERTAIN: TimeDelta = TimeDelta::seconds(90);

/// The rows of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its rows, in the order in which the things are made.
    pub resources: Vec<ResourceRecord>,
    /// Until then, a call that was sent may still make something, or what it made may not show: that nothing is there proves nothing.
    pub uncertain_until: Option<DateTime<Utc>>,
}

impl Ledger {
    /// Nothing was made yet.
    #[must_use]
    pub const fn empty(cluster: ClusterId) -> Self {
        Self { cluster, resources: Vec::new(), uncertain_until: None }
    }

    /// `things` are about to be asked for.
    pub fn intend(&mut self, things: impl IntoIterator<Item = ResourceRef>, now: DateTime<Utc>) {
        for name in things {
            match self.resources.iter_mut().find(|row| row.resource.name == name) {
                Some(row) if row.state == RecordState::Gone => {
                    row.resource.provider_id = None;
                    row.state = RecordState::Intended;
                    row.since = now;
                }
                Some(_) => {}
                None => {
                    let thing = ProviderResource { name, provider_id: None };
                    self.resources.push(ResourceRecord { resource: thing, state: RecordState::Intended, since: now });
                }
            }
        }
        self.uncertain_until = self.uncertain_until.max(Some(now + UNCERTAIN));
    }

    /// The end of everything is about to be asked for.
    pub fn condemn(&mut self, now: DateTime<Utc>) {
        for row in &mut self.resources {
            if matches!(row.state, RecordState::Intended | RecordState::Present) {
                row.state = RecordState::Deleting;
                row.since = now;
            }
        }
    }

    /// The call that was intended last was accepted, and what it makes will show. `before` is what was uncertain before it was sent:
    /// its answer says nothing about calls that were sent earlier.
    pub fn accepted(&mut self, before: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.uncertain_until = before.max(Some(now + SETTLE));
    }

    /// The call that was intended last was refused, and makes nothing. `before` as for [`Ledger::accepted`].
    pub const fn refused(&mut self, before: Option<DateTime<Utc>>) {
        self.uncertain_until = before;
    }

    /// These things and no others were seen. What was not seen is gone, unless it is still to be made or may still appear.
    pub fn observed(&mut self, things: &[ProviderResource], now: DateTime<Utc>) {
        let uncertain = self.is_uncertain(now);
        for row in &mut self.resources {
            if let Some(seen) = things.iter().find(|thing| thing.name == row.resource.name) {
                if seen.provider_id.is_some() {
                    row.resource.provider_id.clone_from(&seen.provider_id);
                }
                if matches!(row.state, RecordState::Intended | RecordState::Gone) {
                    row.state = RecordState::Present;
                    row.since = now;
                }
            } else if matches!(row.state, RecordState::Present | RecordState::Deleting) && !uncertain {
                row.state = RecordState::Gone;
                row.since = now;
            }
        }
        for thing in things {
            if !self.resources.iter().any(|row| row.resource.name == thing.name) {
                self.resources.push(ResourceRecord {
                    resource: thing.clone(),
                    state: RecordState::Present,
                    since: now,
                });
            }
        }
    }

    /// Whether something may be there that does not show.
    #[must_use]
    pub fn is_uncertain(&self, now: DateTime<Utc>) -> bool {
        self.uncertain_until.is_some_and(|until| now < until)
    }

    /// What may be there.
    pub fn remaining(&self) -> impl Iterator<Item = &ResourceRecord> {
        self.resources.iter().filter(|row| row.state != RecordState::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn name(name: &str) -> ResourceRef {
        ResourceRef { kind: "server".into(), name: name.into(), location: "here".into() }
    }

    fn seen(text: &str) -> ProviderResource {
        ProviderResource { name: name(text), provider_id: Some(format!("id of {text}")) }
    }

    fn states(ledger: &Ledger) -> Vec<(&str, RecordState)> {
        ledger.resources.iter().map(|row| (row.resource.name.name.as_str(), row.state)).collect()
    }

    #[test]
    fn a_thing_goes_from_intent_to_proof_of_its_end() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a"), name("b")], at(0));
        ledger.observed(&[seen("a")], at(1));
        assert_eq!(states(&ledger), [("a", RecordState::Present), ("b", RecordState::Intended)]);
        assert_eq!(ledger.resources[0].resource.provider_id.as_deref(), Some("id of a"));
        ledger.condemn(at(200));
        ledger.observed(&[seen("a")], at(201));
        assert_eq!(states(&ledger), [("a", RecordState::Deleting), ("b", RecordState::Gone)]);
        ledger.observed(&[], at(202));
        assert_eq!(ledger.remaining().count(), 0);
        assert_eq!(ledger.resources[0].since, at(202));
    }

    #[test]
    fn what_may_still_appear_is_not_gone() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a")], at(0));
        ledger.condemn(at(1));
        ledger.observed(&[], at(2));
        assert_eq!(states(&ledger), [("a", RecordState::Deleting)], "the call was not answered");
        ledger.observed(&[], at(0) + UNCERTAIN);
        assert_eq!(states(&ledger), [("a", RecordState::Gone)]);
    }

    #[test]
    fn an_answer_is_about_the_call_that_was_sent_last() {
        let mut ledger = Ledger::empty(ClusterId::random());
        let before = ledger.uncertain_until;
        ledger.intend([name("a")], at(0));
        ledger.refused(before);
        assert!(!ledger.is_uncertain(at(0)), "what was refused makes nothing");
        ledger.intend([name("a")], at(10));
        ledger.accepted(before, at(20));
        assert!(ledger.is_uncertain(at(20)), "what was accepted may not show yet");
        assert!(!ledger.is_uncertain(at(20) + SETTLE));
        // The first is not answered, the second is: the first may still take effect.
        ledger.intend([name("a")], at(100));
        for refused in [true, false] {
            let before = ledger.uncertain_until;
            ledger.intend([name("a")], at(110));
            if refused {
                ledger.refused(before)
            } else {
                ledger.accepted(before, at(111))
            }
            let until = at(100) + UNCERTAIN;
            assert_eq!(ledger.uncertain_until, Some(until));
            assert!(ledger.is_uncertain(until - TimeDelta::seconds(1)) && !ledger.is_uncertain(until));
        }
    }

    #[test]
    fn a_tagged_resource_that_no_record_knows_gets_one() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[seen("left over")], at(1));
        assert_eq!(states(&ledger), [("left over", RecordState::Present)]);
    }

    #[test]
    fn what_is_gone_may_be_made_again() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[seen("a")], at(1));
        ledger.observed(&[], at(2));
        ledger.intend([name("a")], at(3));
        assert_eq!(states(&ledger), [("a", RecordState::Intended)]);
        assert_eq!(ledger.resources[0].resource.provider_id, None);
    }
}
