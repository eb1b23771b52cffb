//! A login does not reveal which users exist, and revoked tokens are refused at once.

use std::{net::IpAddr, sync::Arc};

use chrono::TimeDelta;

use super::{
    doubles::{Log, fresh, hashed, status},
    world::World,
};
use crate::{
    access::Caller,
    catalog::{Change, Record, RecordId},
    port::{
        password::{MockPasswordHasher, PasswordError},
        store::{MockReadBarrier, MockUserStore, ReadBarrier, StoreError},
        token::{Claims, MockTokenSigner, TokenError},
    },
    revision::{Revision, Versioned},
    secret::{Password, PasswordHash},
    service::people::{
        sessions::Sessions,
        throttle::{LoginThrottle, Origin},
    },
    user::{AuthMethod, Role, User},
};

const HOME: Origin = Origin::Address(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

/// Every password is "secret", if a hash is stored.
fn store_of(with_hash: bool) -> MockUserStore {
    let mut store = MockUserStore::new();
    store.expect_password_hash().returning(move |_| Ok(with_hash.then(|| hashed("secret"))));
    store
}

/// A hasher that logs the hashes it compares with.
fn watched(verified: &Log<String>) -> MockPasswordHasher {
    let mut passwords = MockPasswordHasher::new();
    let verified = verified.clone();
    passwords.expect_verify().returning(move |password, hash| {
        verified.push(hash.expose().to_owned());
        Ok(hashed(password.expose()).expose() == hash.expose())
    });
    passwords.expect_decoy().returning(|| PasswordHash::new("decoy".into()));
    passwords
}

/// A signer whose tokens show their claims.
fn signer(claims: Claims) -> MockTokenSigner {
    let mut tokens = MockTokenSigner::new();
    tokens.expect_sign().returning(|claims| Ok(format!("{claims:?}")));
    tokens.expect_verify().returning(move |token, now| match token {
        "ours" if now < claims.expires_at => Ok(claims),
        "ours" => Err(TokenError::Expired),
        _ => Err(TokenError::Invalid),
    });
    tokens
}

fn claims_of(world: &World, user: &User) -> Claims {
    Claims {
        identity: user.id,
        generation: user.token_generation,
        issued_at: world.now(),
        expires_at: world.now() + TimeDelta::hours(1),
    }
}

/// A change of a user before a login.
type UserChange<'f> = &'f dyn Fn(&User) -> User;
/// A change that ends a token of a user.
type TokenEnd<'f> = &'f dyn Fn(&World, User);

struct Fixture {
    world: World,
    sessions: Sessions,
    verified: Log<String>,
}

fn with(world: World, store: MockUserStore, read_barrier: impl ReadBarrier + 'static) -> Fixture {
    let verified = Log::default();
    let sessions = Sessions {
        catalog: world.catalog.clone(),
        users: Arc::new(store),
        read_barrier: Arc::new(read_barrier),
        passwords: Arc::new(watched(&verified)),
        tokens: Arc::new(signer(claims_of(&world, &world.people.bob))),
        clock: world.clock.clone(),
        throttle: LoginThrottle::new(3),
        token_lifetime: TimeDelta::hours(1),
    };
    Fixture { world, sessions, verified }
}

fn fixture() -> Fixture {
    with(World::new(), store_of(true), fresh())
}

fn password(text: &str) -> Password {
    Password::new(text.into())
}

#[tokio::test]
async fn the_right_password_gives_a_token_with_the_token_generation() {
    let Fixture { world, sessions, .. } = fixture();
    let token = sessions.log_in("bob", password("secret"), HOME).await.unwrap();
    assert_eq!(token, format!("{:?}", claims_of(&world, &world.people.bob)));
}

#[tokio::test]
async fn every_failed_login_verifies_once_and_has_the_same_message() {
    let real = hashed("secret").expose().to_owned();
    // The case; the name; whether a hash is stored; the change of bob before; the hash the password is compared with.
    let rows: [(&str, &str, bool, UserChange<'_>, &str); 5] = [
        ("an unknown name", "nobody", true, &User::clone, "decoy"),
        ("a wrong password", "bob", true, &User::clone, &real),
        ("an inactive user", "bob", true, &|bob| User { active: false, ..bob.clone() }, &real),
        ("a directory's user", "bob", true, &|bob| User { auth: AuthMethod::Ldap, ..bob.clone() }, "decoy"),
        ("a user without a password", "bob", false, &User::clone, "decoy"),
    ];
    let mut messages = Vec::new();
    for (what, name, with_hash, bob, compared) in rows {
        let Fixture { world, sessions, verified } = with(World::new(), store_of(with_hash), fresh());
        world.put_user(bob(&world.people.bob));
        // The password is wrong only in the case about it.
        let given = if what == "a wrong password" { "guess" } else { "secret" };
        let got = sessions.log_in(name, password(given), HOME).await;
        assert_eq!(status(&got), 401, "{what}");
        assert_eq!(verified.only(), compared, "{what}");
        messages.push(got.unwrap_err().to_string());
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

#[tokio::test]
async fn a_matching_decoy_does_not_log_in() {
    let Fixture { sessions, .. } = fixture();
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_decoy().returning(|| PasswordHash::new("decoy".into()));
    passwords.expect_verify().returning(|_, _| Ok(true));
    let sessions = Sessions { passwords: Arc::new(passwords), ..sessions };
    assert_eq!(status(&sessions.log_in("nobody", password("secret"), HOME).await), 401);
}

#[tokio::test]
async fn too_many_attempts_are_refused_before_hashing() {
    let Fixture { world, sessions, verified } = fixture();
    for _ in 0..3 {
        assert_eq!(status(&sessions.log_in("bob", password("guess"), HOME).await), 401);
    }
    assert_eq!(verified.take().len(), 3);
    let refused = sessions.log_in("bob", password("secret"), HOME).await;
    assert_eq!((status(&refused), verified.len()), (429, 0));
    // Other users are not affected, and the limit expires.
    assert_eq!(status(&sessions.log_in("ann", password("secret"), HOME).await), 200);
    world.clock.advance(TimeDelta::seconds(20));
    assert_eq!(status(&sessions.log_in("bob", password("secret"), HOME).await), 200);
}

#[tokio::test]
async fn successful_logins_are_not_throttled() {
    let Fixture { sessions, .. } = fixture();
    for _ in 0..20 {
        assert_eq!(status(&sessions.log_in("bob", password("secret"), HOME).await), 200);
    }
}

#[tokio::test]
async fn a_new_user_can_log_in_on_every_replica() {
    // The catalog learns of the user only when it catches up.
    let world = World::new();
    let late = User { username: "late".try_into().unwrap(), ..world.people.bob.clone() };
    let catalog = world.catalog.clone();
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(move || {
        let value = late.clone();
        let revision = Revision(99);
        catalog.apply(vec![(revision, Change::Put(Record::User(Versioned { value, revision })))]);
        Ok(())
    });
    let Fixture { sessions, .. } = with(world, store_of(true), read_barrier);
    assert_eq!(status(&sessions.log_in("late", password("secret"), HOME).await), 200);
}

#[tokio::test]
async fn a_token_identifies_the_caller_with_the_current_role() {
    let Fixture { world, sessions, .. } = fixture();
    let bob = world.people.bob.clone();
    let expected = Caller { user: bob.id, organization: world.acme, role: Role::Member, token_generation: 3 };
    assert_eq!(sessions.recognise("ours").await.unwrap(), expected);
    world.put_user(User { role: Role::Admin, organization: world.other, ..bob });
    let expected = Caller { organization: world.other, role: Role::Admin, ..expected };
    assert_eq!(sessions.recognise("ours").await.unwrap(), expected);
}

#[tokio::test]
async fn a_token_is_refused_after_its_user_changed_or_it_expired() {
    let ends: [(&str, TokenEnd<'_>); 4] = [
        ("deactivated", &|world, bob| world.put_user(User { active: false, ..bob })),
        ("deleted", &|world, bob| world.deleted(RecordId::User(bob.id))),
        ("another password", &|world, bob| world.put_user(User { token_generation: 4, ..bob })),
        ("expired", &|world, _| world.clock.advance(TimeDelta::hours(1))),
    ];
    for (what, end) in ends {
        let Fixture { world, sessions, .. } = fixture();
        assert_eq!(status(&sessions.recognise("ours").await), 200);
        end(&world, world.people.bob.clone());
        assert_eq!(status(&sessions.recognise("ours").await), 401, "{what}");
    }
    let Fixture { sessions, .. } = fixture();
    assert_eq!(status(&sessions.recognise("forged").await), 401);
}

#[tokio::test]
async fn a_user_deleted_on_another_replica_is_refused() {
    let world = World::new();
    let bob = world.people.bob.clone();
    let catalog = world.catalog.clone();
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(move || {
        catalog.apply(vec![(Revision(99), Change::Deleted(RecordId::User(bob.id)))]);
        Ok(())
    });
    let Fixture { sessions, .. } = with(world, store_of(true), read_barrier);
    assert_eq!(status(&sessions.recognise("ours").await), 401);
}

#[tokio::test]
async fn without_a_read_barrier_nobody_is_admitted() {
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(|| Err(StoreError::Unavailable("down".into())));
    let Fixture { sessions, verified, .. } = with(World::new(), store_of(true), read_barrier);
    assert_eq!(status(&sessions.recognise("ours").await), 503);
    assert_eq!(status(&sessions.log_in("bob", password("secret"), HOME).await), 503);
    assert_eq!(verified.len(), 0);
}

#[tokio::test]
async fn a_failing_hasher_is_an_internal_error() {
    let Fixture { sessions, .. } = fixture();
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_decoy().returning(|| PasswordHash::new("decoy".into()));
    passwords.expect_verify().returning(|_, _| Err(PasswordError("out of memory".into())));
    let sessions = Sessions { passwords: Arc::new(passwords), ..sessions };
    let got = sessions.log_in("bob", password("secret"), HOME).await;
    assert_eq!(status(&got), 500);
    assert!(!got.unwrap_err().to_string().contains("memory"), "the cause is only logged");
}

#[tokio::test]
async fn a_session_ends_when_its_user_changes_or_it_expires() {
    let ends: [(&str, TokenEnd<'_>); 6] = [
        ("deactivated", &|world, bob| world.put_user(User { active: false, ..bob })),
        ("deleted", &|world, bob| world.catalog.apply(vec![(Revision(99), Change::Deleted(RecordId::User(bob.id)))])),
        ("another password", &|world, bob| world.put_user(User { token_generation: 4, ..bob })),
        ("another role", &|world, bob| world.put_user(User { role: Role::Admin, ..bob })),
        ("another organization", &|world, bob| world.put_user(User { organization: world.other, ..bob })),
        ("expired", &|world, _| world.clock.advance(TimeDelta::hours(1))),
    ];
    for (what, end) in ends {
        let Fixture { world, sessions, .. } = fixture();
        let session = sessions.open("ours").await.unwrap();
        assert_eq!(session.expires_at(), world.now() + TimeDelta::hours(1));
        world.put_user(User { email: None, ..world.people.bob.clone() });
        assert!(sessions.goes_on(&session), "before: {what}");
        end(&world, world.people.bob.clone());
        assert!(!sessions.goes_on(&session), "{what}");
    }
}
