//! Who sees orphans, and who decides what about them.

use super::*;
use crate::{
    access::{Action, Rule},
    service::{ListRequest, ServiceError, tests::doubles::status},
    user::User,
};

#[tokio::test]
async fn who_may_what() {
    // Whether orphans may be listed at all, how many are seen then; what deleting and ignoring answer.
    let rows = [
        ("bob", None, 404),
        ("ann", None, 404),
        ("ada", Some(2), 200),
        ("boss", Some(2), 200),
        ("root", Some(0), 200),
        ("eve", Some(1), 404),
        ("mal", None, 404),
    ];
    for (who, listed, decides) in rows {
        let yard = Yard::new();
        let world = &yard.world;
        let user = everybody(world).into_iter().find(|user| user.username.as_str() == who).unwrap();
        yard.put(OrphanState::Listed);
        let theirs = Orphan {
            organization: world.other,
            provisioner: world.foreign_provisioner,
            ..yard.orphan(OrphanState::Listed)
        };
        world.put_orphan(theirs.clone());
        let orphan = yard.put(OrphanState::Listed);
        let (orphans, me) = (yard.orphans(), caller(user));
        let list = orphans.list(&me, &ListRequest::default());
        assert_eq!(list.ok().map(|views| views.len()), listed, "{who}");
        assert_eq!(status(&orphans.delete(&me, orphan.cluster).await), decides, "{who}");
        assert_eq!(status(&orphans.ignore(&me, orphan.cluster).await), decides, "{who}");
        assert_eq!(status(&orphans.delete(&me, ClusterId::random()).await), 404, "{who}");
        assert_eq!(yard.written.len(), if decides == 200 { 2 } else { 0 }, "{who}");
        let elsewhere = matches!(who, "root" | "boss" | "eve");
        let expected = if elsewhere { 200 } else { 404 };
        assert_eq!(status(&orphans.ignore(&me, theirs.cluster).await), expected, "{who} on another organization's");
    }
}

fn everybody(world: &World) -> [&User; 7] {
    let p = &world.people;
    [&p.bob, &p.ann, &p.ada, &p.boss, &p.root, &p.eve, &p.mal]
}

#[tokio::test]
async fn the_policy_of_the_organization_decides() {
    let rows = [
        (vec![(Action::OrphanGet, Rule::All)], "bob", 403, 403),
        (vec![(Action::OrphanGet, Rule::All), (Action::OrphanDelete, Rule::All)], "bob", 200, 403),
        (vec![(Action::OrphanGet, Rule::All), (Action::OrphanIgnore, Rule::All)], "bob", 403, 200),
        // What may not be seen is not there, whatever else is allowed.
        (vec![(Action::OrphanDelete, Rule::All), (Action::OrphanIgnore, Rule::All)], "bob", 404, 404),
        (vec![(Action::OrphanDelete, Rule::IsSuperadmin)], "ada", 403, 200),
        (vec![(Action::OrphanGet, Rule::IsSuperadmin)], "ada", 404, 404),
    ];
    for (rules, who, deletes, ignores) in rows {
        let yard = Yard::new();
        yard.world.policy(&rules);
        let user = everybody(&yard.world).into_iter().find(|user| user.username.as_str() == who).unwrap();
        let (orphans, me) = (yard.orphans(), caller(user));
        assert_eq!(status(&orphans.delete(&me, yard.put(OrphanState::Listed).cluster).await), deletes, "{rules:?}");
        assert_eq!(status(&orphans.ignore(&me, yard.put(OrphanState::Listed).cluster).await), ignores, "{rules:?}");
    }
}

#[tokio::test]
async fn lists_are_of_the_own_organization_unless_superadmins_look_further() {
    let yard = Yard::new();
    let world = &yard.world;
    let newer = Orphan { listed_at: world.now(), ..yard.orphan(OrphanState::Listed) };
    world.put_orphan(newer.clone());
    let older = yard.put(yard.ignored());
    let theirs = Orphan { organization: world.other, ..yard.orphan(OrphanState::Listed) };
    world.put_orphan(Orphan { listed_at: world.now() - TimeDelta::hours(2), ..theirs.clone() });
    let orphans = yard.orphans();
    let ids = |who, request: &ListRequest| -> Result<Vec<ClusterId>, ServiceError> {
        let views = orphans.list(&caller(who), request)?;
        Ok(views.iter().map(|view| view.orphan.record.cluster).collect())
    };
    let own = ListRequest::default();
    let all = ListRequest { all_namespaces: true, ..ListRequest::default() };
    let acme = ListRequest { namespace: Some("acme".into()), ..ListRequest::default() };
    let nowhere = ListRequest { namespace: Some("nowhere".into()), ..ListRequest::default() };
    let p = &world.people;
    // Oldest first.
    assert_eq!(ids(&p.ada, &own).unwrap(), [older.cluster, newer.cluster]);
    assert_eq!(ids(&p.root, &acme).unwrap(), [older.cluster, newer.cluster]);
    assert_eq!(ids(&p.root, &all).unwrap(), [theirs.cluster, older.cluster, newer.cluster]);
    for (who, request, expected) in
        [(&p.ada, &all, 403), (&p.ada, &acme, 403), (&p.bob, &own, 403), (&p.root, &nowhere, 422)]
    {
        assert_eq!(status(&ids(who, request)), expected, "{} {request:?}", who.username);
    }
}

#[tokio::test]
async fn what_is_decided_is_stored_with_who_decided() {
    let yard = Yard::new();
    let (ada, now) = (caller(&yard.world.people.ada), yard.world.now());
    let deleting = OrphanState::Deleting { by: ada.user, since: now, last_error: None };
    let ignored = OrphanState::Ignored { by: ada.user, since: now };
    let by_amy = || OrphanState::Ignored { by: yard.world.people.amy.id, since: now - TimeDelta::hours(1) };
    let stuck = || OrphanState::Deleting {
        by: yard.world.people.amy.id,
        since: now - TimeDelta::hours(1),
        last_error: Some(reason("the key was revoked")),
    };
    // How it stands, what is asked, what becomes of it; `None` where it is as asked for already.
    let rows = [
        (OrphanState::Listed, "delete", Some(&deleting)),
        (by_amy(), "delete", Some(&deleting)),
        (stuck(), "delete", None),
        (OrphanState::Listed, "ignore", Some(&ignored)),
        (stuck(), "ignore", Some(&ignored)),
        (by_amy(), "ignore", None),
    ];
    for (state, verb, becomes) in rows {
        let what = format!("{verb} {state:?}");
        let before = yard.put(state);
        let revision = yard.world.catalog.orphan(before.cluster).unwrap().orphan.revision;
        let orphans = yard.orphans();
        let view = match verb {
            "delete" => orphans.delete(&ada, before.cluster).await.unwrap(),
            _ => orphans.ignore(&ada, before.cluster).await.unwrap(),
        };
        let expected = becomes.map(|state| Orphan { state: state.clone(), ..before.clone() });
        assert_eq!(&view.orphan.record, expected.as_ref().unwrap_or(&before), "{what}");
        let written = expected.map(|orphan| Write::Put(Box::new(orphan), Some(revision), None));
        assert_eq!(yard.written.take(), written.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test]
async fn without_its_provisioner_an_orphan_can_only_be_ignored_and_leaves_the_list() {
    for state in [OrphanState::Listed, Yard::new().ignored(), Yard::new().deleting(None)] {
        let yard = Yard::new();
        let orphan = yard.put(state);
        yard.world.deleted(RecordId::Provisioner(yard.world.making));
        let (orphans, ada) = (yard.orphans(), caller(&yard.world.people.ada));
        let error = orphans.delete(&ada, orphan.cluster).await.unwrap_err();
        assert!(matches!(&error, ServiceError::Conflict { .. }), "{error:?}");
        assert!(error.to_string().contains("delete it at the provider, then ignore it"), "{error}");
        assert_eq!(yard.written.len(), 0);
        let ignored = orphans.ignore(&ada, orphan.cluster).await.unwrap();
        let expected = OrphanState::Ignored { by: ada.user, since: yard.world.now() };
        assert_eq!(ignored.orphan.record, Orphan { state: expected, ..orphan.clone() });
        assert_eq!(yard.written.only(), Write::Removed(orphan.cluster, None));
        assert_eq!(status(&orphans.ignore(&ada, orphan.cluster).await), 404);
    }
}

#[tokio::test]
async fn who_was_overtaken_decides_of_what_is_there_now() {
    let yard = Yard::new();
    let orphan = yard.put(OrphanState::Listed);
    yard.refusals.push(StoreError::Conflict);
    // A sweep has seen less of it meanwhile.
    let (world, newer) = (yard.world.clone(), Orphan { resources: rows(&["net"], yard.world.now()), ..orphan.clone() });
    yard.story.meanwhile("catch up", move || world.put_orphan(newer));
    let ada = caller(&yard.world.people.ada);
    yard.orphans().delete(&ada, orphan.cluster).await.unwrap();
    let Write::Put(stored, ..) = yard.written.only() else { panic!() };
    assert_eq!(stored.resources.len(), 1);

    // It has left the list.
    yard.refusals.push(StoreError::Conflict);
    let world = yard.world.clone();
    yard.story.meanwhile("catch up", move || world.deleted(RecordId::Orphan(orphan.cluster)));
    assert_eq!(status(&yard.orphans().ignore(&ada, orphan.cluster).await), 404);

    let orphan = yard.put(OrphanState::Listed);
    for _ in 0..50 {
        yard.refusals.push(StoreError::Conflict);
    }
    assert_eq!(status(&yard.orphans().ignore(&ada, orphan.cluster).await), 409);
}

#[tokio::test]
async fn what_the_store_says_is_passed_on() {
    for (error, expected) in [(StoreError::Missing, 404), (StoreError::Unavailable("down".into()), 503)] {
        let yard = Yard::new();
        let orphan = yard.put(OrphanState::Listed);
        yard.refusals.push(error);
        let ada = caller(&yard.world.people.ada);
        assert_eq!(status(&yard.orphans().delete(&ada, orphan.cluster).await), expected);
    }
}
