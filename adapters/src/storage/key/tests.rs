use kqueen_domain::timeline::{EventKind, TimelineEvent};

use super::*;
use crate::storage::timeline::positions;

fn event_at(seconds: i64) -> TimelineEvent {
    TimelineEvent {
        cluster: ClusterId::random(),
        at: chrono::DateTime::from_timestamp(seconds, 0).unwrap(),
        kind: EventKind::State,
        message: String::new(),
        operation: None,
        by: None,
        reason: None,
    }
}

#[test]
fn what_is_shown_is_read_back_from_its_key() {
    let id = Uuid::new_v4();
    for shown in [
        Shown::Organization(id.into()),
        Shown::User(id.into()),
        Shown::Provisioner(id.into()),
        Shown::Cluster(id.into()),
        Shown::ObservedStatus(id.into()),
        Shown::Ages(Shard::of(id.into())),
        Shown::Check(id.into()),
        Shown::Operation(id.into()),
        Shown::Orphan(id.into()),
        Shown::Tombstone(id.into()),
    ] {
        let key = Key::from(shown);
        assert!(key.is_shown() && key.starts_with(&all_shown()));
        assert_eq!(Shown::of(&key), Some(shown));
    }
}

#[test]
fn a_later_release_may_show_more() {
    for text in
        ["shown/quota/1", "shown/cluster/not-a-uuid", "shown/operation/1", "shown/ages/64", "sealed/kubeconfig/x"]
    {
        assert_eq!(Shown::of(&Key(text.into())), None, "{text}");
    }
}

#[test]
fn no_key_of_one_kind_lies_below_another() {
    let id = Uuid::new_v4();
    let keys: Vec<Key> = vec![
        organization(id.into()),
        user(id.into()),
        provisioner(id.into()),
        cluster(id.into()),
        observed(id.into()),
        Shown::Ages(Shard::of(id.into())).into(),
        provisioner_check(id.into()),
        operation(id.into()),
        orphan(id.into()),
        tombstone(id.into()),
        ledger(id.into()),
        timeline_event(id.into(), &positions(&[event_at(1)])[0]),
        timeline_event(id.into(), &positions(&[event_at(2)])[0]),
        unique("username", "a/b"),
        unique("email", "a/b"),
        unique("namespace", "a"),
        uses(Used::Organization(id.into()), By::User(id.into())),
        uses(Used::Organization(id.into()), By::Cluster(id.into())),
        uses(Used::User(id.into()), By::Cluster(id.into())),
        uses(Used::Provisioner(id.into()), By::Cluster(id.into())),
        uses(Used::Provisioner(id.into()), By::Orphan(id.into())),
        Secret::Password(id.into()).into(),
        Secret::UserMetadata(id.into()).into(),
        Secret::ProvisionerParameters(id.into()).into(),
        Secret::Kubeconfig(id.into()).into(),
        Secret::ClusterMetadata(id.into()).into(),
        idempotency("cluster", id.into(), "k"),
        idempotency("provisioner", id.into(), "k"),
        derivation(),
        check("k"),
        clock(),
        leader(),
        installation(),
        newest_revision(),
    ];
    for (i, one) in keys.iter().enumerate() {
        for (j, other) in keys.iter().enumerate() {
            assert!(i == j || !one.starts_with(other), "{one:?} lies below {other:?}");
        }
    }
    let in_use = keys.iter().filter(|key| key.starts_with(&uses_of(Used::Provisioner(id.into()))));
    assert_eq!(in_use.count(), 2);
    let timeline_events = keys.iter().filter(|key| key.starts_with(&timeline(id.into())));
    assert_eq!(timeline_events.count(), 2);
    let below_user = keys.iter().filter(|key| key.starts_with(&uses_of(Used::User(id.into()))));
    assert_eq!(below_user.count(), 1);
}

#[test]
fn keys_of_other_callers_and_kinds_are_separate() {
    let (ann, bob) = (UserId::random(), UserId::random());
    assert_ne!(idempotency("cluster", ann, "k"), idempotency("cluster", bob, "k"));
    assert_ne!(idempotency("cluster", ann, "k"), idempotency("provisioner", ann, "k"));
    assert_ne!(idempotency("cluster", ann, "k"), idempotency("cluster", ann, "l"));
    assert_eq!(idempotency("cluster", ann, "k"), idempotency("cluster", ann, "k"));
}

#[test]
fn debug_shows_no_names_of_people() {
    assert_eq!(format!("{:?}", unique("email", "ann@example.org")), "unique/email/…");
}
