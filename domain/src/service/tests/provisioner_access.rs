//! Permissions on provisioners.

use super::{
    doubles::{ATTACHING, fields, object, status},
    world::{World, caller, provisioner},
};
use crate::{
    access::{Action, Rule, Target, allows},
    catalog::RecordId,
    id::{ProvisionerId, UserId},
    port::store::{Creation, MockProvisionerStore},
    revision::Revision,
    service::{
        ListRequest, ServiceError,
        provisioners::{NewProvisioner, ProvisionerPatch, Provisioners},
    },
    user::User,
};

/// A store that accepts every write.
fn accepting() -> MockProvisionerStore {
    let mut store = MockProvisionerStore::new();
    store.expect_create().returning(|_, _, _| Ok(Creation::New(Revision(1))));
    store.expect_update().returning(|_, _, expected| Ok(Revision(expected.0 + 1)));
    store.expect_delete().returning(|_, _| Ok(()));
    store
}

fn new_provisioner(owner: Option<UserId>) -> NewProvisioner {
    NewProvisioner {
        name: "new".try_into().unwrap(),
        engine: ATTACHING.into(),
        owner,
        parameters: object(serde_json::json!({})),
    }
}

fn renamed() -> ProvisionerPatch {
    ProvisionerPatch { name: Some("other".try_into().unwrap()), ..ProvisionerPatch::default() }
}

/// The status of get, update and delete.
async fn column(provisioners: &Provisioners, actor: &User, id: ProvisionerId) -> [u16; 3] {
    let me = caller(actor);
    [
        status(&provisioners.get(&me, id)),
        status(&provisioners.update(&me, id, renamed(), None).await),
        status(&provisioners.delete(&me, id, None).await),
    ]
}

#[tokio::test]
async fn permissions_follow_role_owner_and_policy() {
    let world = World::new();
    let p = &world.people;
    let provisioners = world.provisioners(accepting());
    let everything = [200, 200, 200];
    let default = [
        (&p.bob, [200, 403, 403]),
        (&p.ada, everything),
        (&p.amy, everything),
        (&p.boss, everything),
        (&p.root, everything),
        (&p.eve, [404; 3]),
        (&p.mal, [404; 3]),
    ];
    for (actor, expected) in default {
        assert_eq!(column(&provisioners, actor, world.making).await, expected, "{}", actor.username);
        assert_eq!(column(&provisioners, actor, ProvisionerId::random()).await, [404; 3], "{}", actor.username);
    }
    let of_bob = provisioner("bob's", ATTACHING, &p.bob);
    let id = of_bob.id;
    world.put_provisioner(of_bob);
    let overridden = [
        (vec![], &p.bob, [200, 403, 403]),
        (vec![(Action::ProvisionerUpdate, Rule::AdminOrOwner)], &p.bob, [200, 200, 403]),
        (vec![(Action::ProvisionerUpdate, Rule::AdminOrOwner)], &p.ann, [200, 403, 403]),
        (vec![(Action::ProvisionerDelete, Rule::IsOwner)], &p.bob, [200, 403, 200]),
        (vec![(Action::ProvisionerDelete, Rule::IsOwner)], &p.ada, [200, 200, 403]),
        (vec![(Action::ProvisionerGet, Rule::IsOwner)], &p.ada, [404; 3]),
        (vec![(Action::ProvisionerGet, Rule::IsOwner)], &p.root, everything),
    ];
    for (rules, actor, expected) in overridden {
        world.policy(&rules);
        assert_eq!(column(&provisioners, actor, id).await, expected, "{} under {rules:?}", actor.username);
    }
}

#[tokio::test]
async fn creating_follows_role_and_owner() {
    let world = World::new();
    let p = &world.people;
    let provisioners = world.provisioners(accepting());
    let rows = [
        (&p.bob, None, 403),
        (&p.bob, Some(p.ada.id), 403),
        (&p.bob, Some(p.mal.id), 422),
        (&p.ada, None, 200),
        (&p.ada, Some(p.ann.id), 200),
        (&p.ada, Some(p.eve.id), 422),
        (&p.ada, Some(UserId::random()), 422),
        (&p.root, None, 200),
        (&p.root, Some(p.eve.id), 200),
        (&p.root, Some(UserId::random()), 422),
    ];
    for (actor, owner, expected) in rows {
        let got = provisioners.create(&caller(actor), new_provisioner(owner), None).await;
        assert_eq!(status(&got), expected, "{} for {owner:?}", actor.username);
        if let Ok(view) = got {
            // It belongs to the organization of its owner.
            let home = world.user(owner.unwrap_or(actor.id)).record.organization;
            assert_eq!(view.provisioner.record.organization, home);
        }
    }
    let me = caller(&p.ada);
    let missing = provisioners.create(&me, new_provisioner(Some(UserId::random())), None).await;
    let foreign = provisioners.create(&me, new_provisioner(Some(p.eve.id)), None).await;
    assert_eq!(fields(missing), fields(foreign));
    world.policy(&[(Action::ProvisionerCreate, Rule::All)]);
    for (owner, expected) in [(None, 200), (Some(p.bob.id), 200), (Some(p.ann.id), 403), (Some(p.mal.id), 422)] {
        let got = provisioners.create(&caller(&p.bob), new_provisioner(owner), None).await;
        assert_eq!(status(&got), expected, "bob for {owner:?}");
    }
}

#[tokio::test]
async fn changing_the_owner_follows_the_role() {
    let world = World::new();
    let p = &world.people;
    let provisioners = world.provisioners(accepting());
    world.policy(&[(Action::ProvisionerUpdate, Rule::All)]);
    let rows = [
        // Sending back the current owner is no change.
        (&p.bob, p.ada.id, 200),
        (&p.bob, p.bob.id, 403),
        (&p.bob, p.ann.id, 403),
        (&p.amy, p.ann.id, 200),
        (&p.amy, p.mal.id, 422),
        (&p.root, p.root.id, 200),
        (&p.root, p.mal.id, 422),
    ];
    for (actor, owner, expected) in rows {
        let patch = ProvisionerPatch { owner: Some(owner), ..ProvisionerPatch::default() };
        let got = provisioners.update(&caller(actor), world.making, patch, None).await;
        assert_eq!(status(&got), expected, "{} gives it to {owner}", actor.username);
    }
}

#[test]
fn lists_show_only_visible_provisioners() {
    for list in Rule::ALL {
        for get in Rule::ALL {
            let world = World::new();
            let p = &world.people;
            world.put_provisioner(provisioner("bob's", ATTACHING, &p.bob));
            world.policy(&[(Action::ProvisionerList, list), (Action::ProvisionerGet, get)]);
            let provisioners = world.provisioners(MockProvisionerStore::new());
            let all = ListRequest { all_namespaces: true, ..ListRequest::default() };
            let everything = provisioners.list(&caller(&p.root), &all).unwrap();
            assert_eq!(everything.total, 4);
            for actor in [&p.bob, &p.ada, &p.boss] {
                let me = caller(actor);
                let policy = world.catalog.organization(world.acme).unwrap().record.policy.clone();
                let may = |owner| {
                    let target = Target { organization: world.acme, owner: Some(owner) };
                    allows(&me, Action::ProvisionerList, target, &policy)
                };
                let records = everything.items.iter().map(|view| &view.provisioner.record);
                let here = records.filter(|record| record.organization == world.acme);
                let visible = here.filter(|record| may(record.owner) && provisioners.get(&me, record.id).is_ok());
                let expected: Vec<ProvisionerId> = visible.map(|record| record.id).collect();
                let context = format!("{} with list {list:?}, get {get:?}", actor.username);
                match provisioners.list(&me, &ListRequest::default()) {
                    Ok(page) => {
                        let shown: Vec<_> = page.items.iter().map(|view| view.provisioner.record.id).collect();
                        assert_eq!((shown, page.total), (expected.clone(), expected.len()), "{context}");
                        let health = provisioners.health(&me, &ListRequest::default()).unwrap();
                        assert_eq!(health.total, expected.len(), "{context}");
                    }
                    Err(ServiceError::Forbidden(_)) => {
                        assert!(![p.ada.id, p.bob.id].into_iter().any(may), "{context}");
                        assert_eq!(status(&provisioners.health(&me, &ListRequest::default())), 403, "{context}");
                    }
                    Err(error) => panic!("{context}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn without_a_known_policy_access_is_denied() {
    let world = World::new();
    world.deleted(RecordId::Organization(world.acme));
    let provisioners = world.provisioners(accepting());
    let ada = caller(&world.people.ada);
    assert_eq!(column(&provisioners, &world.people.ada, world.making).await, [404; 3]);
    assert_eq!(status(&provisioners.create(&ada, new_provisioner(None), None).await), 403);
    assert_eq!(status(&provisioners.list(&ada, &ListRequest::default())), 403);
    assert_eq!(column(&provisioners, &world.people.root, world.making).await, [200; 3]);
}
