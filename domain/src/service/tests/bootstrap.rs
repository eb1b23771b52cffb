//! The first superadmin is created once, however many replicas start.

use std::sync::Arc;

use serde_json::json;

use super::{
    doubles::{Log, fresh, hashed, object, passwords, status},
    world::World,
};
use crate::{
    catalog::{Catalog, Change, Record},
    observation::EngineError,
    organization::Organization,
    parameter::{DefaultValue, Field, FieldKind, ParameterSchema},
    port::{
        clock::Clock,
        engine::{Capabilities, EngineDescriptor, MockEngine},
        store::{
            Creation, MockOrganizationStore, MockProvisionerStore, MockReadBarrier, MockUserStore, SecretUpdate,
            StoreError, UserSecrets,
        },
    },
    provisioner::{Provisioner, ProvisionerPhase},
    reason::ReasonCode,
    revision::{Revision, Versioned},
    secret::{Password, SecretDocument},
    service::people::bootstrap::{Bootstrap, FirstAdmin, FirstProvisioner},
    user::{Role, User},
};

fn admin() -> FirstAdmin {
    FirstAdmin {
        username: "admin".try_into().unwrap(),
        password: Password::new("secret".into()),
        email: None,
        organization: "Demo".try_into().unwrap(),
        namespace: "acme".try_into().unwrap(),
    }
}

type Created = Log<(User, UserSecrets)>;

fn users(created: &Created) -> MockUserStore {
    let (mut store, created) = (MockUserStore::new(), created.clone());
    store.expect_create().returning(move |user, secrets| {
        created.push((user.clone(), secrets));
        Ok(Revision(1))
    });
    store
}

fn organizations(created: &Log<Organization>) -> MockOrganizationStore {
    let (mut store, created) = (MockOrganizationStore::new(), created.clone());
    store.expect_create().returning(move |organization| {
        created.push(organization.clone());
        Ok(Revision(1))
    });
    store
}

fn bootstrap(
    world: &World,
    catalog: Arc<Catalog>,
    organizations: MockOrganizationStore,
    users: MockUserStore,
    read_barrier: MockReadBarrier,
) -> Bootstrap {
    Bootstrap {
        catalog,
        organizations: Arc::new(organizations),
        users: Arc::new(users),
        provisioners: Arc::new(MockProvisionerStore::new()),
        read_barrier: Arc::new(read_barrier),
        passwords: Arc::new(passwords()),
        clock: world.clock.clone(),
    }
}

#[tokio::test]
async fn an_empty_store_gets_an_organization_and_its_superadmin() {
    let world = World::new();
    let (homes, people) = (Log::default(), Created::default());
    let bootstrap = bootstrap(&world, Arc::default(), organizations(&homes), users(&people), fresh());
    assert!(bootstrap.on_empty_store(admin(), Vec::new()).await.unwrap());
    let (home, (user, secrets)) = (homes.only(), people.only());
    assert_eq!((home.name.as_str(), home.namespace.as_str()), ("Demo", "acme"));
    assert_eq!((user.organization, user.role, user.active), (home.id, Role::Superadmin, true));
    assert_eq!(user.created_at, world.clock.now());
    let SecretUpdate::Set(hash) = secrets.password else { panic!("no password") };
    assert_eq!(hash.expose(), hashed("secret").expose());
}

/// A provisioner of an engine whose check returns `found`.
fn provisioner(found: Result<(), EngineError>) -> FirstProvisioner {
    let mut engine = MockEngine::new();
    let provisioner = ParameterSchema::new(vec![
        Field::required("key", "Key", FieldKind::Password),
        Field::new("region", "Region", FieldKind::Text).default(DefaultValue::text("here")),
    ]);
    let (name, verbose_name) = ("kqueen.engines.TestEngine", "Test");
    let (cluster, capabilities) = (ParameterSchema::default(), Capabilities::default());
    engine.expect_descriptor().return_const(EngineDescriptor {
        name,
        verbose_name,
        provisioner,
        cluster,
        capabilities,
    });
    engine.expect_check().returning(move |_| found.clone());
    let parameters = object(json!({"key": "s3cret"}));
    FirstProvisioner { name: "first".try_into().unwrap(), engine: Arc::new(engine), parameters }
}

#[tokio::test]
async fn the_first_provisioners_are_created_with_the_superadmin() {
    let found = [
        (Ok(()), ProvisionerPhase::Ready),
        (Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "down")), ProvisionerPhase::NotReachable),
    ];
    for (found, phase) in found {
        let world = World::new();
        let (homes, people) = (Log::default(), Created::default());
        let made: Log<(Provisioner, SecretUpdate<SecretDocument>)> = Log::default();
        let mut bootstrap = bootstrap(&world, Arc::default(), organizations(&homes), users(&people), fresh());
        let (mut store, log) = (MockProvisionerStore::new(), made.clone());
        store.expect_create().returning(move |provisioner, secrets, _| {
            log.push((provisioner.clone(), secrets));
            Ok(Creation::New(Revision(1)))
        });
        bootstrap.provisioners = Arc::new(store);
        assert!(bootstrap.on_empty_store(admin(), vec![provisioner(found)]).await.unwrap());
        let (owner, (provisioner, secrets)) = (people.only().0, made.only());
        assert_eq!((provisioner.owner, provisioner.organization), (owner.id, homes.only().id));
        assert_eq!((provisioner.name.as_str(), &*provisioner.engine), ("first", "kqueen.engines.TestEngine"));
        assert_eq!(provisioner.check.phase, phase);
        let shown = provisioner.parameters.to_map();
        assert_eq!((&shown["region"], shown["key"] == "s3cret"), (&json!("here"), false));
        let SecretUpdate::Set(sealed) = secrets else { panic!("the secret is not kept") };
        assert!(sealed.expose().contains("s3cret"));
    }
}

#[tokio::test]
async fn a_store_with_users_is_not_changed() {
    let world = World::new();
    let (organizations, users) = (MockOrganizationStore::new(), MockUserStore::new());
    let bootstrap = bootstrap(&world, world.catalog.clone(), organizations, users, fresh());
    assert!(!bootstrap.on_empty_store(admin(), vec![provisioner(Ok(()))]).await.unwrap());
}

#[tokio::test]
async fn an_existing_organization_is_used() {
    let world = World::new();
    let people = Created::default();
    let bootstrap = bootstrap(&world, world.catalog.clone(), MockOrganizationStore::new(), users(&people), fresh());
    bootstrap.create(admin()).await.unwrap();
    assert_eq!(people.only().0.organization, world.acme);
}

#[tokio::test]
async fn only_one_of_two_replicas_creates_the_admin() {
    // The other replica created the organization between our read and our write.
    let world = World::new();
    let catalog: Arc<Catalog> = Arc::default();
    let created = world.catalog.organization(world.acme).unwrap().record.clone();
    let (mut read_barrier, shown, mut rounds) = (MockReadBarrier::new(), catalog.clone(), 0);
    read_barrier.expect_caught_up().returning(move || {
        rounds += 1;
        if rounds > 2 {
            let organization = Versioned { value: created.clone(), revision: Revision(1) };
            shown.apply(vec![(organization.revision, Change::Put(Record::Organization(organization)))]);
        }
        Ok(())
    });
    let mut organizations = MockOrganizationStore::new();
    organizations.expect_create().returning(|_| Err(StoreError::Taken { field: "namespace" }));
    let mut users = MockUserStore::new();
    let home = world.acme;
    users
        .expect_create()
        .withf(move |user, _| user.organization == home)
        .times(1)
        .returning(|_, _| Err(StoreError::Taken { field: "username" }));
    let bootstrap = bootstrap(&world, catalog, organizations, users, read_barrier);
    assert!(!bootstrap.on_empty_store(admin(), Vec::new()).await.unwrap());
}

#[tokio::test]
async fn creating_an_admin_with_a_taken_name_is_a_conflict() {
    let world = World::new();
    let mut users = MockUserStore::new();
    users.expect_create().returning(|_, _| Err(StoreError::Taken { field: "username" }));
    let bootstrap = bootstrap(&world, world.catalog.clone(), MockOrganizationStore::new(), users, fresh());
    assert_eq!(status(&bootstrap.create(admin()).await), 409);
}

#[tokio::test]
async fn an_unavailable_store_creates_no_admin() {
    let world = World::new();
    let mut read_barrier = MockReadBarrier::new();
    read_barrier.expect_caught_up().returning(|| Err(StoreError::Unavailable("down".into())));
    let (organizations, users) = (MockOrganizationStore::new(), MockUserStore::new());
    let bootstrap = bootstrap(&world, Arc::default(), organizations, users, read_barrier);
    assert_eq!(status(&bootstrap.on_empty_store(admin(), Vec::new()).await), 503);
}

#[tokio::test]
async fn an_admin_without_a_password_is_refused() {
    let world = World::new();
    let (organizations, users) = (MockOrganizationStore::new(), MockUserStore::new());
    let bootstrap = bootstrap(&world, Arc::default(), organizations, users, fresh());
    let empty = FirstAdmin { password: Password::new(String::new()), ..admin() };
    assert_eq!(status(&bootstrap.create(empty).await), 422);
}
