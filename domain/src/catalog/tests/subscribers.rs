//! What subscribers receive, and when. The comparison with the model covers that every change is reported once and in order; these tests
//! cover the special cases.

use std::sync::{Mutex, MutexGuard, Weak};

use chrono::TimeDelta;

use super::{super::*, random};
use crate::{
    catalog::tests::random::{Random, Script},
    provisioner::{Check, Checked},
};

/// One call to a subscriber.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Changed(Vec<ChangeEvent>),
    Replaced,
}

/// Records its calls.
#[derive(Default)]
pub(super) struct Recorder(Mutex<Vec<Call>>);

impl Recorder {
    pub(super) fn of(catalog: &Catalog) -> Arc<Self> {
        let recorder = Arc::new(Self::default());
        catalog.subscribe(recorder.clone());
        recorder
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap()
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls())
    }

    /// The events of all calls since the last time. None of them may have been empty.
    pub(super) fn take_events(&self) -> Vec<ChangeEvent> {
        let events = |call| match call {
            Call::Changed(events) if !events.is_empty() => events,
            other => panic!("{other:?}"),
        };
        self.take().into_iter().flat_map(events).collect()
    }
}

impl Subscriber for Recorder {
    fn changed(&self, events: &[ChangeEvent]) {
        self.calls().push(Call::Changed(events.to_vec()));
    }

    fn replaced(&self) {
        self.calls().push(Call::Replaced);
    }
}

/// A catalog with users, provisioners and clusters in it.
fn filled(script: &mut Script, random: &mut Random) -> Catalog {
    let catalog = Catalog::new();
    catalog.apply((0..300).map(|_| script.next(random)).collect());
    catalog
}

#[test]
fn a_subscriber_receives_all_changes_since_it_subscribed() {
    let (mut script, mut random) = (Script::default(), Random::seeded(1));
    let catalog = filled(&mut script, &mut random);
    let first = Recorder::of(&catalog);
    script.model.take_events();
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    let second = Recorder::of(&catalog);
    let events = first.take_events();
    assert!(!events.is_empty());
    assert_eq!(events, script.model.take_events());
    assert_eq!(second.take_events(), []);
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    let events = first.take_events();
    assert_eq!(events, script.model.take_events());
    assert_eq!(second.take_events(), events);
}

#[test]
fn changes_applied_together_are_reported_in_one_call() {
    let (mut script, mut random) = (Script::default(), Random::seeded(2));
    let catalog = filled(&mut script, &mut random);
    let recorder = Recorder::of(&catalog);
    script.model.take_events();
    catalog.apply((0..50).map(|_| script.next(&mut random)).collect());
    assert_eq!(recorder.take(), [Call::Changed(script.model.take_events())]);
}

#[test]
fn changes_of_unknown_objects_are_not_reported() {
    let catalog = Catalog::new();
    let recorder = Recorder::of(&catalog);
    let at = random::Random::seeded(3).time();
    let changes = vec![
        Change::Put(Record::ObservedAt(vec![(random::clusters()[0], at)])),
        Change::Deleted(RecordId::Cluster(random::clusters()[0])),
        Change::Deleted(RecordId::ObservedStatus(random::clusters()[0])),
        Change::Deleted(RecordId::User(random::users()[0])),
        Change::Deleted(RecordId::Provisioner(random::provisioners()[0])),
        Change::Deleted(RecordId::Organization(random::organizations()[0])),
    ];
    catalog.apply(changes.into_iter().map(|change| (Revision(7), change)).collect());
    catalog.apply(Vec::new());
    assert_eq!(recorder.take(), []);
}

#[test]
fn a_replacement_is_reported_as_replaced() {
    let (mut script, mut random) = (Script::default(), Random::seeded(4));
    let catalog = filled(&mut script, &mut random);
    let recorder = Recorder::of(&catalog);
    catalog.replace(script.model.everything().into_iter().collect());
    assert_eq!(recorder.take(), [Call::Replaced]);
    // Later changes are reported as usual, also those of records that came with the replacement.
    script.model.take_events();
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    assert_eq!(recorder.take(), [Call::Changed(script.model.take_events())]);
}

/// Looks up the subject of an event during the call, as the reconciler's queue does.
struct Reader {
    catalog: Weak<Catalog>,
    read: Mutex<Vec<(ChangeEvent, Option<Revision>)>>,
}

impl Subscriber for Reader {
    fn changed(&self, events: &[ChangeEvent]) {
        let catalog = self.catalog.upgrade().unwrap();
        for event in events {
            let shown = match event.subject {
                Subject::Cluster(id) => catalog.cluster(id).map(|view| view.cluster.revision),
                Subject::User(id) => catalog.user(id).map(|entry| entry.revision),
                Subject::Provisioner(_) | Subject::Operation(..) => continue,
            };
            self.read.lock().unwrap().push((*event, shown));
        }
    }

    fn replaced(&self) {}
}

#[test]
fn a_change_is_visible_in_the_catalog_when_it_is_reported() {
    let (mut script, mut random) = (Script::default(), Random::seeded(5));
    let catalog = Arc::new(filled(&mut script, &mut random));
    let reader = Arc::new(Reader { catalog: Arc::downgrade(&catalog), read: Mutex::default() });
    catalog.subscribe(reader.clone());
    for _ in 0..100 {
        // One at a time, so that no later change is shown instead.
        let (revision, change) = script.next(&mut random);
        let record = matches!(change, Change::Put(Record::Cluster(_) | Record::User(_)));
        catalog.apply(vec![(revision, change)]);
        for (event, shown) in std::mem::take(&mut *reader.read.lock().unwrap()) {
            assert_eq!(event.deleted, shown.is_none(), "{event:?}");
            if record {
                assert_eq!(shown, Some(event.revision));
            }
        }
    }
}

#[test]
fn a_check_with_the_same_result_updates_its_time_and_is_not_reported() {
    let (mut script, mut random) = (Script::default(), Random::seeded(6));
    let catalog = filled(&mut script, &mut random);
    let recorder = Recorder::of(&catalog);
    let id = catalog.provisioner_ids()[0];
    let shown = || catalog.provisioner(id).unwrap().provisioner.record.clone();
    let (first, since) = (shown().check, shown().state_changed_at);
    let put_check = |check: Check, state_changed_at| {
        catalog.apply(vec![(
            Revision(7),
            Change::Put(Record::ProvisionerCheck(Checked { provisioner: id, check, state_changed_at })),
        )]);
        recorder.take().len()
    };
    let at = first.at + TimeDelta::seconds(10);
    assert_eq!(put_check(Check { at, ..first.clone() }, since), 0);
    assert_eq!(shown().check.at, at, "the new time is shown");
    // An older check is ignored.
    let other = Check { reason: "it is down".into(), ..first.clone() };
    assert_eq!(put_check(Check { at: first.at - TimeDelta::days(20_000), ..other.clone() }, since), 0);
    let at = at + TimeDelta::seconds(10);
    assert_eq!(put_check(Check { at, ..other.clone() }, since), 1);
    assert_eq!(put_check(Check { at: at + TimeDelta::seconds(10), ..other }, since), 0);
}
