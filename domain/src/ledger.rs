//! Records of the resources we created, or may have created, at a provider. A record is written before the call that creates the resource
//! and stays until its absence was observed: even after a crash in between, everything that may cost money is on record.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::ClusterId;

/// Marks a resource at a provider as created by this installation for one cluster. Engines set it on what they create, as a label or
/// tag, and touch no resource without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnershipTag {
    /// The installation: distinguishes installations that share a provider's project.
    pub installation: Uuid,
    /// The cluster.
    pub cluster: ClusterId,
}

/// Identifies a resource at a provider: kind, name and location. Names are derived from the cluster's id, so that a repeated request is
/// for the same resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceRef {
    /// `cluster`, `stack`, `server`, …
    pub kind: String,
    /// Its deterministic name.
    pub name: String,
    /// Project, group or region; empty if the provider has no locations.
    pub location: String,
}

impl fmt::Display for ResourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, location } = self;
        if location.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {name} in {location}") }
    }
}

/// A resource at a provider with our ownership tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderResource {
    /// Kind, name and location.
    pub name: ResourceRef,
    /// The id at the provider.
    pub provider_id: Option<String>,
}

/// What is known of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordState {
    /// It may have been requested, but was not observed.
    Intended,
    /// It was observed.
    Present,
    /// Its deletion was requested, and its absence was not observed.
    Deleting,
    /// Its absence was observed.
    Gone,
}

impl RecordState {
    /// The value in the API.
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

/// A resource, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceRecord {
    /// The resource.
    pub resource: ProviderResource,
    /// Its state.
    pub state: RecordState,
    /// When the state last changed.
    pub since: DateTime<Utc>,
}

/// How long a provider may take until it shows what it accepted. Until then, it may return an older state.
pub const SETTLE: TimeDelta = TimeDelta::seconds(30);

/// How long an unanswered call may take until its effect is visible. After that time it never will have one.
pub const UNCERTAIN: TimeDelta = TimeDelta::seconds(90);

/// The resource records of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// The cluster.
    pub cluster: ClusterId,
    /// The records, in order of creation.
    pub resources: Vec<ResourceRecord>,
    /// Until then, a call may still create resources, or they may not be visible yet: their absence proves nothing.
    pub uncertain_until: Option<DateTime<Utc>>,
}

impl Ledger {
    /// No resources yet.
    #[must_use]
    pub const fn empty(cluster: ClusterId) -> Self {
        Self { cluster, resources: Vec::new(), uncertain_until: None }
    }

    /// `resources` are about to be requested.
    pub fn intend(&mut self, resources: impl IntoIterator<Item = ResourceRef>, now: DateTime<Utc>) {
        for name in resources {
            match self.resources.iter_mut().find(|record| record.resource.name == name) {
                Some(record) if record.state == RecordState::Gone => {
                    record.resource.provider_id = None;
                    record.state = RecordState::Intended;
                    record.since = now;
                }
                Some(_) => {}
                None => {
                    let resource = ProviderResource { name, provider_id: None };
                    self.resources.push(ResourceRecord { resource, state: RecordState::Intended, since: now });
                }
            }
        }
        self.uncertain_until = self.uncertain_until.max(Some(now + UNCERTAIN));
    }

    /// The deletion of everything is about to be requested.
    pub fn condemn(&mut self, now: DateTime<Utc>) {
        for record in &mut self.resources {
            if matches!(record.state, RecordState::Intended | RecordState::Present) {
                record.state = RecordState::Deleting;
                record.since = now;
            }
        }
    }

    /// The last call was accepted, and its resources will become visible. `before` is `uncertain_until` before the call: the answer says
    /// nothing about earlier calls.
    pub fn accepted(&mut self, before: Option<DateTime<Utc>>, now: DateTime<Utc>) {
        self.uncertain_until = before.max(Some(now + SETTLE));
    }

    /// The last call was rejected and creates nothing. `before` as for [`Ledger::accepted`].
    pub const fn refused(&mut self, before: Option<DateTime<Utc>>) {
        self.uncertain_until = before;
    }

    /// Exactly these resources were observed. Others are gone, unless they are still to be created or may still appear.
    pub fn observed(&mut self, resources: &[ProviderResource], now: DateTime<Utc>) {
        let uncertain = self.is_uncertain(now);
        for record in &mut self.resources {
            if let Some(observed) = resources.iter().find(|resource| resource.name == record.resource.name) {
                if observed.provider_id.is_some() {
                    record.resource.provider_id.clone_from(&observed.provider_id);
                }
                if matches!(record.state, RecordState::Intended | RecordState::Gone) {
                    record.state = RecordState::Present;
                    record.since = now;
                }
            } else if matches!(record.state, RecordState::Present | RecordState::Deleting) && !uncertain {
                record.state = RecordState::Gone;
                record.since = now;
            }
        }
        for resource in resources {
            if !self.resources.iter().any(|record| record.resource.name == resource.name) {
                self.resources.push(ResourceRecord {
                    resource: resource.clone(),
                    state: RecordState::Present,
                    since: now,
                });
            }
        }
    }

    /// Whether there may be resources that are not visible yet.
    #[must_use]
    pub fn is_uncertain(&self, now: DateTime<Utc>) -> bool {
        self.uncertain_until.is_some_and(|until| now < until)
    }

    /// The resources that exist or may exist.
    pub fn remaining(&self) -> impl Iterator<Item = &ResourceRecord> {
        self.resources.iter().filter(|record| record.state != RecordState::Gone)
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

    fn resource(text: &str) -> ProviderResource {
        ProviderResource { name: name(text), provider_id: Some(format!("id of {text}")) }
    }

    fn states(ledger: &Ledger) -> Vec<(&str, RecordState)> {
        ledger.resources.iter().map(|record| (record.resource.name.name.as_str(), record.state)).collect()
    }

    #[test]
    fn a_record_goes_from_intended_to_gone() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a"), name("b")], at(0));
        ledger.observed(&[resource("a")], at(1));
        assert_eq!(states(&ledger), [("a", RecordState::Present), ("b", RecordState::Intended)]);
        assert_eq!(ledger.resources[0].resource.provider_id.as_deref(), Some("id of a"));
        ledger.condemn(at(200));
        ledger.observed(&[resource("a")], at(201));
        assert_eq!(states(&ledger), [("a", RecordState::Deleting), ("b", RecordState::Gone)]);
        ledger.observed(&[], at(202));
        assert_eq!(ledger.remaining().count(), 0);
        assert_eq!(ledger.resources[0].since, at(202));
    }

    #[test]
    fn a_resource_that_may_still_appear_is_not_gone() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.intend([name("a")], at(0));
        ledger.condemn(at(1));
        ledger.observed(&[], at(2));
        assert_eq!(states(&ledger), [("a", RecordState::Deleting)], "the call was not answered");
        ledger.observed(&[], at(0) + UNCERTAIN);
        assert_eq!(states(&ledger), [("a", RecordState::Gone)]);
    }

    #[test]
    fn an_answer_applies_only_to_the_last_call() {
        let mut ledger = Ledger::empty(ClusterId::random());
        let before = ledger.uncertain_until;
        ledger.intend([name("a")], at(0));
        ledger.refused(before);
        assert!(!ledger.is_uncertain(at(0)), "a rejected call creates nothing");
        ledger.intend([name("a")], at(10));
        ledger.accepted(before, at(20));
        assert!(ledger.is_uncertain(at(20)), "an accepted resource may not be visible yet");
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
    fn an_unrecorded_tagged_resource_gets_a_record() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[resource("left over")], at(1));
        assert_eq!(states(&ledger), [("left over", RecordState::Present)]);
    }

    #[test]
    fn a_deleted_resource_may_be_created_again() {
        let mut ledger = Ledger::empty(ClusterId::random());
        ledger.observed(&[resource("a")], at(1));
        ledger.observed(&[], at(2));
        ledger.intend([name("a")], at(3));
        assert_eq!(states(&ledger), [("a", RecordState::Intended)]);
        assert_eq!(ledger.resources[0].resource.provider_id, None);
    }
}
