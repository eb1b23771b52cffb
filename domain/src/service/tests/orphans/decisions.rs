//! Permissions on orphans, and the decisions about them.

use super::*;
use crate::{
    access::{Action, Rule},
    service::{ListRequest, ServiceError, tests::doubles::status},
    user::User,
};

#[tokio::test]
async fn permissions_follow_the_role() {
    // The number of orphans listed, `None` if listing is forbidden; the status of deleting and ignoring.
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
        let fixture = Fixture::new();
        let world = &fixture.world;
        let user = users(world).into_iter().find(|user| user.username.as_str() == who).unwrap();
        fixture.put(OrphanState::Listed);
        let foreign = Orphan {
            organization: world.other,
            provisioner: world.foreign_provisioner,
            ..fixture.orphan(OrphanState::Listed)
        };
        world.put_orphan(foreign.clone());
        let orphan = fixture.put(OrphanState::Listed);
        let (orphans, me) = (fixture.orphans(), caller(user));
        let list = orphans.list(&me, &ListRequest::default());
        assert_eq!(list.ok().map(|views| views.len()), listed, "{who}");
        assert_eq!(status(&orphans.delete(&me, orphan.cluster).await), decides, "{who}");
        assert_eq!(status(&orphans.ignore(&me, orphan.cluster).await), decides, "{who}");
        assert_eq!(status(&orphans.delete(&me, ClusterId::random()).await), 404, "{who}");
        assert_eq!(fixture.written.len(), if decides == 200 { 2 } else { 0 }, "{who}");
        let elsewhere = matches!(who, "root" | "boss" | "eve");
        let expected = if elsewhere { 200 } else { 404 };
        assert_eq!(status(&orphans.ignore(&me, foreign.cluster).await), expected, "{who} on another organization's");
    }
}

fn users(world: &World) -> [&User; 7] {
    let p = &world.people;
    [&p.bob, &p.ann, &p.ada, &p.boss, &p.root, &p.eve, &p.mal]
}

#[tokio::test]
async fn the_organization_policy_decides() {
    let rows = [
        (vec![(Action::OrphanGet, Rule::All)], "bob", 403, 403),
        (vec![(Action::OrphanGet, Rule::All), (Action::OrphanDelete, Rule::All)], "bob", 200, 403),
        (vec![(Action::OrphanGet, Rule::All), (Action::OrphanIgnore, Rule::All)], "bob", 403, 200),
        // An invisible orphan is not found, whatever else is allowed.
        (vec![(Action::OrphanDelete, Rule::All), (Action::OrphanIgnore, Rule::All)], "bob", 404, 404),
        (vec![(Action::OrphanDelete, Rule::IsSuperadmin)], "ada", 403, 200),
        (vec![(Action::OrphanGet, Rule::IsSuperadmin)], "ada", 404, 404),
    ];
    for (rules, who, deletes, ignores) in rows {
        let fixture = Fixture::new();
        fixture.world.policy(&rules);
        let user = users(&fixture.world).into_iter().find(|user| user.username.as_str() == who).unwrap();
        let (orphans, me) = (fixture.orphans(), caller(user));
        assert_eq!(status(&orphans.delete(&me, fixture.put(OrphanState::Listed).cluster).await), deletes, "{rules:?}");
        assert_eq!(status(&orphans.ignore(&me, fixture.put(OrphanState::Listed).cluster).await), ignores, "{rules:?}");
    }
}

#[tokio::test]
async fn only_superadmins_list_other_organizations() {
    let fixture = Fixture::new();
    let world = &fixture.world;
    let newer = Orphan { listed_at: world.now(), ..fixture.orphan(OrphanState::Listed) };
    world.put_orphan(newer.clone());
    let older = fixture.put(fixture.ignored());
    let foreign = Orphan { organization: world.other, ..fixture.orphan(OrphanState::Listed) };
    world.put_orphan(Orphan { listed_at: world.now() - TimeDelta::hours(2), ..foreign.clone() });
    let orphans = fixture.orphans();
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
    assert_eq!(ids(&p.root, &all).unwrap(), [foreign.cluster, older.cluster, newer.cluster]);
    for (who, request, expected) in
        [(&p.ada, &all, 403), (&p.ada, &acme, 403), (&p.bob, &own, 403), (&p.root, &nowhere, 422)]
    {
        assert_eq!(status(&ids(who, request)), expected, "{} {request:?}", who.username);
    }
}

#[tokio::test]
async fn a_decision_is_stored_with_its_user() {
    let fixture = Fixture::new();
    let (ada, now) = (caller(&fixture.world.people.ada), fixture.world.now());
    let deleting = OrphanState::Deleting { by: ada.user, since: now, last_error: None };
    let ignored = OrphanState::Ignored { by: ada.user, since: now };
    let by_amy = || OrphanState::Ignored { by: fixture.world.people.amy.id, since: now - TimeDelta::hours(1) };
    let stuck = || OrphanState::Deleting {
        by: fixture.world.people.amy.id,
        since: now - TimeDelta::hours(1),
        last_error: Some(reason("the key was revoked")),
    };
    // The state, the request, the new state; `None` if the request changes nothing.
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
        let before = fixture.put(state);
        let revision = fixture.world.catalog.orphan(before.cluster).unwrap().orphan.revision;
        let orphans = fixture.orphans();
        let view = match verb {
            "delete" => orphans.delete(&ada, before.cluster).await.unwrap(),
            _ => orphans.ignore(&ada, before.cluster).await.unwrap(),
        };
        let expected = becomes.map(|state| Orphan { state: state.clone(), ..before.clone() });
        assert_eq!(&view.orphan.record, expected.as_ref().unwrap_or(&before), "{what}");
        let written = expected.map(|orphan| Write::Put(Box::new(orphan), Some(revision), None));
        assert_eq!(fixture.written.take(), written.into_iter().collect::<Vec<_>>(), "{what}");
    }
}

#[tokio::test]
async fn without_its_provisioner_an_orphan_can_only_be_ignored_which_removes_it() {
    for state in [OrphanState::Listed, Fixture::new().ignored(), Fixture::new().deleting(None)] {
        let fixture = Fixture::new();
        let orphan = fixture.put(state);
        fixture.world.deleted(RecordId::Provisioner(fixture.world.making));
        let (orphans, ada) = (fixture.orphans(), caller(&fixture.world.people.ada));
        let error = orphans.delete(&ada, orphan.cluster).await.unwrap_err();
        assert!(matches!(&error, ServiceError::Conflict { .. }), "{error:?}");
        assert!(error.to_string().contains("delete it at the provider, then ignore it"), "{error}");
        assert_eq!(fixture.written.len(), 0);
        let ignored = orphans.ignore(&ada, orphan.cluster).await.unwrap();
        let expected = OrphanState::Ignored { by: ada.user, since: fixture.world.now() };
        assert_eq!(ignored.orphan.record, Orphan { state: expected, ..orphan.clone() });
        assert_eq!(fixture.written.only(), Write::Removed(orphan.cluster, None));
        assert_eq!(status(&orphans.ignore(&ada, orphan.cluster).await), 404);
    }
}

#[tokio::test]
async fn a_decision_is_retried_on_the_newest_orphan() {
    let fixture = Fixture::new();
    let orphan = fixture.put(OrphanState::Listed);
    fixture.refusals.push(StoreError::Conflict);
    // A sweep found fewer resources meanwhile.
    let (world, newer) = (
        fixture.world.clone(),
        Orphan { resources: resource_records(&["net"], fixture.world.now()), ..orphan.clone() },
    );
    fixture.events.during("catch up", move || world.put_orphan(newer));
    let ada = caller(&fixture.world.people.ada);
    fixture.orphans().delete(&ada, orphan.cluster).await.unwrap();
    let Write::Put(stored, ..) = fixture.written.only() else { panic!() };
    assert_eq!(stored.resources.len(), 1);

    // It was removed from the list.
    fixture.refusals.push(StoreError::Conflict);
    let world = fixture.world.clone();
    fixture.events.during("catch up", move || world.deleted(RecordId::Orphan(orphan.cluster)));
    assert_eq!(status(&fixture.orphans().ignore(&ada, orphan.cluster).await), 404);

    let orphan = fixture.put(OrphanState::Listed);
    for _ in 0..50 {
        fixture.refusals.push(StoreError::Conflict);
    }
    assert_eq!(status(&fixture.orphans().ignore(&ada, orphan.cluster).await), 409);
}

#[tokio::test]
async fn store_errors_are_passed_on() {
    for (error, expected) in [(StoreError::Missing, 404), (StoreError::Unavailable("down".into()), 503)] {
        let fixture = Fixture::new();
        let orphan = fixture.put(OrphanState::Listed);
        fixture.refusals.push(error);
        let ada = caller(&fixture.world.people.ada);
        assert_eq!(status(&fixture.orphans().delete(&ada, orphan.cluster).await), expected);
    }
}
