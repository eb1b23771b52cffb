//! What listeners hear, and when. That every change is told once and in order is compared with the model for random changes; here are
//! the moments around it.

use std::sync::{Mutex, MutexGuard, Weak};

use chrono::TimeDelta;

use super::{super::*, random};
use crate::{
    catalog::tests::random::{Random, Script},
    provisioner::{Check, Checked},
};

/// One call of a listener.
#[derive(Debug, Clone, PartialEq)]
enum Call {
    Changed(Vec<ChangeEvent>),
    Replaced,
}

/// Keeps what it hears.
#[derive(Default)]
pub(super) struct Heard(Mutex<Vec<Call>>);

impl Heard {
    pub(super) fn of(catalog: &Catalog) -> Arc<Self> {
        let heard = Arc::new(Self::default());
        catalog.subscribe(heard.clone());
        heard
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

impl Subscriber for Heard {
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
fn every_listener_hears_the_same_from_when_it_listens() {
    let (mut script, mut random) = (Script::default(), Random::seeded(1));
    let catalog = filled(&mut script, &mut random);
    let first = Heard::of(&catalog);
    script.model.take_events();
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    let second = Heard::of(&catalog);
    let heard = first.take_events();
    assert!(!heard.is_empty());
    assert_eq!(heard, script.model.take_events());
    assert_eq!(second.take_events(), []);
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    let heard = first.take_events();
    assert_eq!(heard, script.model.take_events());
    assert_eq!(second.take_events(), heard);
}

#[test]
fn what_is_shown_at_once_is_told_at_once() {
    let (mut script, mut random) = (Script::default(), Random::seeded(2));
    let catalog = filled(&mut script, &mut random);
    let heard = Heard::of(&catalog);
    script.model.take_events();
    catalog.apply((0..50).map(|_| script.next(&mut random)).collect());
    assert_eq!(heard.take(), [Call::Changed(script.model.take_events())]);
}

#[test]
fn what_concerns_nobody_is_not_told() {
    let catalog = Catalog::new();
    let heard = Heard::of(&catalog);
    let at = random::Random::seeded(3).time();
    let nobody = vec![
        Change::Put(Record::ObservedAt(vec![(random::clusters()[0], at)])),
        Change::Deleted(RecordId::Cluster(random::clusters()[0])),
        Change::Deleted(RecordId::ObservedStatus(random::clusters()[0])),
        Change::Deleted(RecordId::User(random::users()[0])),
        Change::Deleted(RecordId::Provisioner(random::provisioners()[0])),
        Change::Deleted(RecordId::Organization(random::organizations()[0])),
    ];
    catalog.apply(nobody.into_iter().map(|change| (Revision(7), change)).collect());
    catalog.apply(Vec::new());
    assert_eq!(heard.take(), []);
}

#[test]
fn after_a_gap_it_is_told_that_changes_may_have_been_missed() {
    let (mut script, mut random) = (Script::default(), Random::seeded(4));
    let catalog = filled(&mut script, &mut random);
    let heard = Heard::of(&catalog);
    catalog.replace(script.model.everything().into_iter().collect());
    assert_eq!(heard.take(), [Call::Replaced]);
    // From then on, changes are told as before, also of what came with the whole.
    script.model.take_events();
    catalog.apply((0..20).map(|_| script.next(&mut random)).collect());
    assert_eq!(heard.take(), [Call::Changed(script.model.take_events())]);
}

/// Looks up what it hears of while it hears of it, as the reconciler's queue does.
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
fn the_catalog_shows_what_it_tells_of() {
    let (mut script, mut random) = (Script::default(), Random::seeded(5));
    let catalog = Arc::new(filled(&mut script, &mut random));
    let reader = Arc::new(Reader { catalog: Arc::downgrade(&catalog), read: Mutex::default() });
    catalog.subscribe(reader.clone());
    for _ in 0..100 {
        // One at a time, so that nothing that comes later is shown instead.
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
fn a_check_that_finds_the_same_moves_its_age_and_is_not_told() {
    let (mut script, mut random) = (Script::default(), Random::seeded(6));
    let catalog = filled(&mut script, &mut random);
    let heard = Heard::of(&catalog);
    let id = catalog.provisioner_ids()[0];
    let shown = || catalog.provisioner(id).unwrap().provisioner.record.clone();
    let (first, since) = (shown().check, shown().state_changed_at);
    let find = |check: Check, state_changed_at| {
        catalog.apply(vec![(
            Revision(7),
            Change::Put(Record::ProvisionerCheck(Checked { provisioner: id, check, state_changed_at })),
        )]);
        heard.take().len()
    };
    let at = first.at + TimeDelta::seconds(10);
    assert_eq!(find(Check { at, ..first.clone() }, since), 0);
    assert_eq!(shown().check.at, at, "it is shown all the same");
    // From before what is shown, it is not shown.
    let other = Check { reason: "it is down".into(), ..first.clone() };
    assert_eq!(find(Check { at: first.at - TimeDelta::days(20_000), ..other.clone() }, since), 0);
    let at = at + TimeDelta::seconds(10);
    assert_eq!(find(Check { at, ..other.clone() }, since), 1);
    assert_eq!(find(Check { at: at + TimeDelta::seconds(10), ..other }, since), 0);
}
