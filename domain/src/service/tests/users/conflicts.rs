//! Concurrent changes of the same user.

use super::*;

#[tokio::test]
async fn an_update_is_retried_on_the_newest_record() {
    let world = Arc::new(World::new());
    let bob = world.people.bob.clone();
    let written = Written::default();
    let mut read_barrier = MockReadBarrier::new();
    let (others, mut rounds) = (world.clone(), 0);
    read_barrier.expect_caught_up().returning(move || {
        rounds += 1;
        let bob = others.people.bob.clone();
        others.put_user(User { username: format!("bob{rounds}").as_str().try_into().unwrap(), ..bob });
        Ok(())
    });
    let patch = UserPatch { email: Some(None), ..UserPatch::default() };
    let users = world.users_with(conflicting(2, &written), read_barrier);
    let view = users.update(&caller(&bob), bob.id, patch, None).await.unwrap();
    let (stored, _, expected) = written.only();
    assert_eq!((stored.username.as_str(), &stored.email), ("bob2", &None));
    assert_eq!(expected, world.user(bob.id).revision);
    assert_eq!(view.user.record, stored);
}

#[tokio::test]
async fn an_update_fails_after_too_many_conflicts() {
    let world = World::new();
    let written = Written::default();
    let users = world.users(conflicting(usize::MAX, &written));
    let bob = &world.people.bob;
    let got = users.update(&caller(bob), bob.id, UserPatch { email: Some(None), ..UserPatch::default() }, None).await;
    assert_eq!((status(&got), written.len()), (409, 0));
    let got = users.set_password(&caller(bob), bob.id, password("new"), None).await;
    assert_eq!((status(&got), written.len()), (409, 0));
}

#[tokio::test]
async fn rights_are_checked_on_every_attempt() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let mut read_barrier = MockReadBarrier::new();
    let others = world.clone();
    read_barrier.expect_caught_up().returning(move || {
        others.put_user(User { role: Role::Superadmin, ..others.people.bob.clone() });
        Ok(())
    });
    let users = world.users_with(conflicting(1, &written), read_barrier);
    let patch = UserPatch { active: Some(false), ..UserPatch::default() };
    let got = users.update(&caller(&world.people.ada), world.people.bob.id, patch, None).await;
    assert_eq!((status(&got), written.len()), (403, 0));
}

#[tokio::test]
async fn a_stale_revision_is_refused() {
    let world = World::new();
    let written = Written::default();
    let mut store = accepting(&written);
    store.expect_delete().times(1).returning(|_, _, _| Ok(()));
    let users = world.users(store);
    let (ada, bob) = (caller(&world.people.ada), world.people.bob.id);
    let now = world.user(bob).revision;
    let stale = Some(Revision(now.0 - 1));
    assert_eq!(status(&users.update(&ada, bob, UserPatch::default(), stale).await), 412);
    assert_eq!(status(&users.set_password(&ada, bob, password("new"), stale).await), 412);
    assert_eq!(status(&users.delete(&ada, bob, stale).await), 412);
    assert_eq!(written.len(), 0);
    assert_eq!(status(&users.update(&ada, bob, UserPatch::default(), Some(now)).await), 200);
    assert_eq!(status(&users.set_password(&ada, bob, password("new"), Some(now)).await), 200);
    assert_eq!(status(&users.delete(&ada, bob, Some(now)).await), 200);
}

#[tokio::test]
async fn the_expected_revision_is_checked_on_every_attempt() {
    let world = Arc::new(World::new());
    let written = Written::default();
    let mut read_barrier = MockReadBarrier::new();
    let others = world.clone();
    read_barrier.expect_caught_up().returning(move || {
        others.put_user(others.people.bob.clone());
        Ok(())
    });
    let users = world.users_with(conflicting(1, &written), read_barrier);
    let bob = &world.people.bob;
    let expected = Some(world.user(bob.id).revision);
    let got =
        users.update(&caller(bob), bob.id, UserPatch { email: Some(None), ..UserPatch::default() }, expected).await;
    assert_eq!((status(&got), written.len()), (412, 0));
}

#[tokio::test]
async fn a_password_is_not_set_after_another_was_set_with_the_same_token() {
    let world = Arc::new(World::new());
    let bob = world.people.bob.clone();
    let (written, others, mut rounds) = (Written::default(), world.clone(), 0);
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(move || {
        rounds += 1;
        // The other password comes between the check of the session and the write.
        if rounds == 2 {
            let bob = others.people.bob.clone();
            others.put_user(User { token_generation: bob.token_generation + 1, ..bob });
        }
        Ok(())
    });
    let users = world.users_with(conflicting(1, &written), read_barrier);
    let got = users.set_password(&caller(&bob), bob.id, password("new"), None).await;
    assert_eq!((status(&got), written.len()), (401, 0));
}
