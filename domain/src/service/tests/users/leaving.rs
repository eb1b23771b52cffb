//! Deleting, moving and deactivating users, which is refused for owners of resources and for the last superadmin.

use super::*;

#[tokio::test]
async fn an_owner_cannot_be_deleted_and_the_error_names_the_resources() {
    let world = World::new();
    let users = world.users(MockUserStore::new());
    let got = users.delete(&caller(&world.people.ada), world.people.ann.id, None).await;
    assert!(got.as_ref().unwrap_err().to_string().contains("Cluster prod"), "{got:?}");
    assert_eq!(fields(got)[0].0, format!("Cluster:{}", world.cluster));
}

/// A read barrier after which the catalog shows that bob owns a cluster.
fn adding_a_cluster_of_bob(world: &Arc<World>) -> MockReadBarrier {
    let mut read_barrier = MockReadBarrier::new();
    let world = world.clone();
    read_barrier.expect_caught_up().returning(move || {
        world.put_cluster(cluster("fresh", world.provisioner, &world.people.bob));
        Ok(())
    });
    read_barrier
}

#[tokio::test]
async fn resources_added_on_another_replica_are_named_too() {
    let world = Arc::new(World::new());
    let mut store = MockUserStore::new();
    store.expect_delete().returning(|_, _, _| Err(StoreError::InUse));
    let users = world.users_with(store, adding_a_cluster_of_bob(&world));
    let got = users.delete(&caller(&world.people.ada), world.people.bob.id, None).await;
    assert_eq!(status(&got), 409);
    assert!(got.unwrap_err().to_string().contains("Cluster fresh"));
}

async fn patched(users: &Users, by: &User, target: &User, patch: UserPatch) -> Result<(), ServiceError> {
    users.update(&caller(by), target.id, patch, None).await.map(drop)
}

#[tokio::test]
async fn the_last_active_superadmin_cannot_be_removed() {
    let world = World::new();
    let written = Written::default();
    let users = world.users(accepting(&written));
    let p = &world.people;
    let demoted = || UserPatch { role: Some(Role::Admin), ..UserPatch::default() };
    let deactivated = || UserPatch { active: Some(false), ..UserPatch::default() };
    assert_eq!(status(&patched(&users, &p.root, &p.root, demoted()).await), 200, "there is another one");
    // The other one is inactive: it does not count, and losing it does not matter.
    world.put_user(User { active: false, ..p.boss.clone() });
    assert_eq!(status(&patched(&users, &p.root, &p.root, demoted()).await), 409);
    assert_eq!(status(&patched(&users, &p.root, &p.root, deactivated()).await), 409);
    assert_eq!(status(&patched(&users, &p.root, &p.boss, demoted()).await), 200);
    let renamed = UserPatch { username: Some("admin".try_into().unwrap()), ..UserPatch::default() };
    assert_eq!(status(&patched(&users, &p.root, &p.root, renamed).await), 200);
    world.put_user(user("third", Role::Superadmin, world.other));
    assert_eq!(status(&patched(&users, &p.root, &p.root, deactivated()).await), 200);
}

#[tokio::test]
async fn only_removing_a_superadmin_depends_on_another_superadmin() {
    let world = World::new();
    let dependencies: Log<Option<UserId>> = Log::default();
    let mut store = MockUserStore::new();
    let log = dependencies.clone();
    store.expect_update().returning(move |_, _, expected, beside| {
        log.push(beside.map(|beside| beside.value));
        Ok(Revision(expected.0 + 1))
    });
    let log = dependencies.clone();
    store.expect_delete().returning(move |_, _, beside| {
        log.push(beside.map(|beside| beside.value));
        Ok(())
    });
    let users = world.users(store);
    let p = &world.people;
    let demoted = UserPatch { role: Some(Role::Member), ..UserPatch::default() };
    let deactivated = UserPatch { active: Some(false), ..UserPatch::default() };
    let renamed = UserPatch { username: Some("other".try_into().unwrap()), ..UserPatch::default() };
    for (target, patch, beside) in [
        (&p.boss, &demoted, Some(p.root.id)),
        (&p.root, &deactivated, Some(p.boss.id)),
        (&p.boss, &renamed, None),
        (&p.ada, &demoted, None),
        (&p.bob, &deactivated, None),
    ] {
        patched(&users, &p.root, target, patch.clone()).await.unwrap();
        assert_eq!(dependencies.only(), beside, "{} {patch:?}", target.username);
    }
    users.delete(&caller(&p.root), p.boss.id, None).await.unwrap();
    assert_eq!(dependencies.only(), Some(p.root.id));
    users.delete(&caller(&p.root), p.bob.id, None).await.unwrap();
    assert_eq!(dependencies.only(), None);
}

#[tokio::test]
async fn store_errors_are_passed_on() {
    let world = World::new();
    let mut store = MockUserStore::new();
    store.expect_update().returning(|_, _, _, _| Err(StoreError::Unavailable("down".into())));
    store.expect_delete().returning(|_, _, _| Err(StoreError::Missing));
    let users = world.users_with(store, fresh());
    let (ada, bob) = (caller(&world.people.ada), world.people.bob.id);
    let renamed = UserPatch { username: Some("other".try_into().unwrap()), ..UserPatch::default() };
    assert_eq!(status(&users.update(&ada, bob, renamed, None).await), 503);
    assert_eq!(status(&users.delete(&ada, bob, None).await), 404, "it was deleted meanwhile");
}

#[tokio::test]
async fn an_owner_cannot_be_moved_and_the_error_names_the_resources() {
    let world = Arc::new(World::new());
    let mut store = MockUserStore::new();
    store.expect_update().returning(|_, _, _, _| Err(StoreError::InUse));
    let users = world.users_with(store, adding_a_cluster_of_bob(&world));
    let patch = UserPatch { organization: Some(world.other), ..UserPatch::default() };
    let got = users.update(&caller(&world.people.root), world.people.bob.id, patch, None).await;
    assert_eq!(status(&got), 409);
    assert!(got.unwrap_err().to_string().contains("Cluster fresh"));
}
