//! Two tenants with their people, provisioners and clusters, and the ports around them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::{
    access::{Action, Caller, Rule},
    catalog::{Catalog, Change, Entry},
    cluster::{Cluster, Lifecycle, Sighting},
    document::Document,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    kubeconfig::AddressRules,
    organization::Organization,
    parameter::{Field, FieldKind, ParameterSchema},
    port::{
        clock::{Clock, SetClock},
        engine::{Abilities, EngineDescriptor, EngineError, EngineRegistry, MockEngine},
        password::MockPasswordHasher,
        store::{
            MockClusterStore, MockFreshness, MockOrganizationStore, MockProvisionerStore, MockUserStore, Revision,
            Versioned,
        },
    },
    provisioner::{Check, Provisioner, ProvisionerPhase},
    secret::PasswordHash,
    service::{
        ServiceError, clusters::Clusters, organizations::Organizations, provisioners::Provisioners, users::Users,
    },
    user::{AuthMethod, Role, User},
};

/// An engine that attaches clusters made elsewhere; nothing is asked but the kubeconfig.
pub(super) const ATTACHING: &str = "kqueen.engines.ManualEngine";
/// An engine that makes clusters and knows secrets.
pub(super) const MAKING: &str = "kqueen.engines.TestEngine";

/// Status codes are what the tables of these tests speak; the API maps errors to the same.
pub(super) fn status<T>(result: &Result<T, ServiceError>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(ServiceError::Unauthenticated(_)) => 401,
        Err(ServiceError::Forbidden(_)) => 403,
        Err(ServiceError::NotFound(_)) => 404,
        Err(ServiceError::Conflict { .. }) => 409,
        Err(ServiceError::ChangedMeanwhile(_)) => 412,
        Err(ServiceError::Invalid(_)) => 422,
        Err(ServiceError::Throttled { .. }) => 429,
        Err(ServiceError::Internal(_)) => 500,
        Err(ServiceError::Unsupported(_)) => 501,
        Err(ServiceError::Upstream(_)) => 502,
        Err(ServiceError::Unavailable(_)) => 503,
        Err(ServiceError::UpstreamTimeout(_)) => 504,
    }
}

/// The fields an error names, with what is said of each.
pub(super) fn fields<T>(result: Result<T, ServiceError>) -> Vec<(String, String)> {
    match result.err() {
        Some(ServiceError::Invalid(invalid)) => invalid.0.into_iter().map(|e| (e.field, e.message)).collect(),
        Some(ServiceError::Conflict { details, .. }) => details.into_iter().map(|e| (e.field, e.message)).collect(),
        other => panic!("no fields: {other:?}"),
    }
}

/// What a port was given, kept for the end of the test.
pub(super) struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Log<T> {
    pub(super) fn push(&self, entry: T) {
        self.0.lock().unwrap().push(entry);
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The only entry.
    #[track_caller]
    pub(super) fn only(&self) -> T {
        let mut entries = self.take();
        assert_eq!(entries.len(), 1, "as many calls as one");
        entries.remove(0)
    }
}

pub(super) fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// A kubeconfig as a person sends it.
pub(super) fn kubeconfig(token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://203.0.113.10:6443"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": token}}],
    })
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("not an object") };
    map
}

/// An engine that answers `check` as it is told.
pub(super) fn engine(name: &'static str, check: Result<(), EngineError>) -> MockEngine {
    const KUBECONFIG: Field = Field::required("kubeconfig", "Kubeconfig", FieldKind::YamlFile);
    const CLUSTER: [Field; 3] = [
        Field::optional("node_count", "Node Count", FieldKind::Integer).min(1),
        Field::optional("admin_password", "Password", FieldKind::Password).secret(),
        Field::optional("size", "Size", FieldKind::Text),
    ];
    const PROVISIONER: [Field; 2] = [
        Field::required("url", "Address", FieldKind::Text),
        Field::optional("password", "Password", FieldKind::Password).secret(),
    ];
    let attaches = name == ATTACHING;
    let descriptor = EngineDescriptor {
        name,
        verbose_name: "Engine of the Tests",
        provisioner: if attaches { ParameterSchema::default() } else { ParameterSchema::new(&PROVISIONER) },
        cluster: if attaches { ParameterSchema::new(&[KUBECONFIG]) } else { ParameterSchema::new(&CLUSTER) },
        abilities: Abilities { deploy: !attaches, ..Abilities::default() },
    };
    let mut engine = MockEngine::new();
    engine.expect_descriptor().return_const(descriptor);
    engine.expect_check().returning(move |_| check.clone());
    engine
}

/// Always caught up.
pub(super) fn fresh() -> MockFreshness {
    let mut freshness = MockFreshness::new();
    freshness.expect_caught_up().returning(|| Ok(()));
    freshness
}

/// Hashes by writing the password backwards. Nothing written forwards is the hash of a password.
pub(super) fn passwords() -> MockPasswordHasher {
    let mut passwords = MockPasswordHasher::new();
    passwords.expect_hash().returning(|password| Ok(hashed(password.expose())));
    passwords.expect_verify().returning(|password, hash| Ok(hashed(password.expose()).expose() == hash.expose()));
    passwords.expect_decoy().returning(|| PasswordHash::new("decoy".into()));
    passwords
}

pub(super) fn hashed(password: &str) -> PasswordHash {
    PasswordHash::new(format!("hash:{}", password.chars().rev().collect::<String>()))
}

/// The people, by the part they play in the tables of the tests.
pub(super) struct People {
    /// Superadmin, at home in an organization that has nothing.
    pub(super) root: User,
    /// Superadmin, at home in acme.
    pub(super) boss: User,
    /// Admins of acme.
    pub(super) ada: User,
    pub(super) amy: User,
    /// Member of acme; owns acme's cluster.
    pub(super) ann: User,
    /// Member of acme; owns nothing.
    pub(super) bob: User,
    /// Admin of the other organization.
    pub(super) eve: User,
    /// Member of the other organization; owns its cluster.
    pub(super) mal: User,
}

pub(super) struct World {
    pub(super) catalog: Arc<Catalog>,
    pub(super) clock: Arc<SetClock>,
    pub(super) people: People,
    pub(super) acme: OrganizationId,
    pub(super) other: OrganizationId,
    /// Acme's, of an engine that attaches; owned by ada.
    pub(super) provisioner: ProvisionerId,
    /// Acme's, of an engine that makes clusters; owned by ada.
    pub(super) making: ProvisionerId,
    pub(super) foreign_provisioner: ProvisionerId,
    /// Acme's, attached; owned by ann.
    pub(super) cluster: ClusterId,
    pub(super) foreign_cluster: ClusterId,
    revisions: AtomicU64,
}

fn organization(namespace: &str) -> Organization {
    Organization {
        id: OrganizationId::random(),
        name: namespace.try_into().unwrap(),
        namespace: namespace.try_into().unwrap(),
        policy: [].into_iter().collect(),
        created_at: noon(),
    }
}

pub(super) fn user(name: &str, role: Role, organization: OrganizationId) -> User {
    User {
        id: UserId::random(),
        username: name.try_into().unwrap(),
        email: Some(format!("{name}@example.org").try_into().unwrap()),
        organization,
        role,
        active: true,
        auth: AuthMethod::Local,
        metadata: None,
        token_generation: 3,
        created_at: noon(),
    }
}

pub(super) fn provisioner(name: &str, engine: &str, owner: &User) -> Provisioner {
    Provisioner {
        id: ProvisionerId::random(),
        name: name.try_into().unwrap(),
        engine: engine.into(),
        organization: owner.organization,
        owner: owner.id,
        parameters: Document::default(),
        check: Check { phase: ProvisionerPhase::Ready, reason: "fine".into(), at: noon() },
        state_changed_at: noon(),
        created_at: noon(),
    }
}

pub(super) fn cluster(name: &str, provisioner: ProvisionerId, owner: &User) -> Cluster {
    Cluster {
        id: ClusterId::random(),
        name: name.try_into().unwrap(),
        organization: owner.organization,
        provisioner,
        owner: owner.id,
        metadata: None,
        has_kubeconfig: true,
        lifecycle: Lifecycle::Ready,
        changed_at: noon(),
        created_at: noon(),
    }
}

pub(super) fn caller(user: &User) -> Caller {
    Caller { user: user.id, organization: user.organization, role: user.role }
}

impl World {
    pub(super) fn new() -> Self {
        let (ops, acme, other) = (organization("ops"), organization("acme"), organization("other"));
        let people = People {
            root: user("root", Role::Superadmin, ops.id),
            boss: user("boss", Role::Superadmin, acme.id),
            ada: user("ada", Role::Admin, acme.id),
            amy: user("amy", Role::Admin, acme.id),
            ann: user("ann", Role::Member, acme.id),
            bob: user("bob", Role::Member, acme.id),
            eve: user("eve", Role::Admin, other.id),
            mal: user("mal", Role::Member, other.id),
        };
        let attaching = provisioner("manual", ATTACHING, &people.ada);
        let making = provisioner("making", MAKING, &people.ada);
        let foreign_provisioner = provisioner("foreign", ATTACHING, &people.eve);
        let its_cluster = cluster("prod", attaching.id, &people.ann);
        let foreign_cluster = cluster("theirs", foreign_provisioner.id, &people.mal);
        let world = Self {
            catalog: Arc::new(Catalog::new()),
            clock: Arc::new(SetClock::at(noon() + TimeDelta::hours(1))),
            acme: acme.id,
            other: other.id,
            provisioner: attaching.id,
            making: making.id,
            foreign_provisioner: foreign_provisioner.id,
            cluster: its_cluster.id,
            foreign_cluster: foreign_cluster.id,
            people,
            revisions: AtomicU64::new(10),
        };
        for organization in [ops, acme, other] {
            world.put_organization(organization);
        }
        let People { root, boss, ada, amy, ann, bob, eve, mal } = &world.people;
        for user in [root, boss, ada, amy, ann, bob, eve, mal] {
            world.put_user(user.clone());
        }
        for provisioner in [attaching, making, foreign_provisioner] {
            world.put_provisioner(provisioner);
        }
        world.put_cluster(its_cluster);
        world.put_cluster(foreign_cluster);
        world
    }

    fn versioned<T>(&self, value: T) -> Versioned<T> {
        Versioned { value, revision: Revision(self.revisions.fetch_add(1, Ordering::Relaxed) + 1) }
    }

    pub(super) fn put_organization(&self, organization: Organization) {
        self.catalog.apply(vec![Change::Organization(self.versioned(organization))]);
    }

    pub(super) fn put_user(&self, user: User) {
        self.catalog.apply(vec![Change::User(self.versioned(user))]);
    }

    pub(super) fn put_provisioner(&self, provisioner: Provisioner) {
        self.catalog.apply(vec![Change::Provisioner(self.versioned(provisioner))]);
    }

    pub(super) fn put_cluster(&self, cluster: Cluster) {
        self.catalog.apply(vec![Change::Cluster(self.versioned(cluster))]);
    }

    pub(super) fn put_sighting(&self, sighting: Sighting) {
        self.catalog.apply(vec![Change::Sighting(sighting)]);
    }

    /// Overrides rules of acme.
    pub(super) fn policy(&self, rules: &[(Action, Rule)]) {
        let acme = self.catalog.organization(self.acme).unwrap().record.clone();
        self.put_organization(Organization { policy: rules.iter().copied().collect(), ..acme });
    }

    pub(super) fn user(&self, id: UserId) -> Arc<Entry<User>> {
        self.catalog.user(id).unwrap()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(super) fn engines(&self) -> EngineRegistry {
        EngineRegistry::default().with(Arc::new(engine(ATTACHING, Ok(())))).with(Arc::new(engine(MAKING, Ok(()))))
    }

    pub(super) fn users(&self, store: MockUserStore) -> Users {
        self.users_with(store, fresh())
    }

    pub(super) fn users_with(&self, store: MockUserStore, freshness: MockFreshness) -> Users {
        Users {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            freshness: Arc::new(freshness),
            passwords: Arc::new(passwords()),
            clock: self.clock.clone(),
            auth_methods: vec![AuthMethod::Local, AuthMethod::Ldap],
        }
    }

    pub(super) fn organizations(&self, store: MockOrganizationStore, freshness: MockFreshness) -> Organizations {
        Organizations {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            freshness: Arc::new(freshness),
            clock: self.clock.clone(),
        }
    }

    pub(super) fn provisioners(&self, store: MockProvisionerStore) -> Provisioners {
        self.provisioners_with(store, fresh(), self.engines())
    }

    pub(super) fn provisioners_with(
        &self,
        store: MockProvisionerStore,
        freshness: MockFreshness,
        engines: EngineRegistry,
    ) -> Provisioners {
        Provisioners {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            freshness: Arc::new(freshness),
            engines,
            clock: self.clock.clone(),
        }
    }

    pub(super) fn clusters(&self, store: MockClusterStore) -> Clusters {
        self.clusters_with(store, fresh())
    }

    pub(super) fn clusters_with(&self, store: MockClusterStore, freshness: MockFreshness) -> Clusters {
        Clusters {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            freshness: Arc::new(freshness),
            engines: self.engines(),
            addresses: AddressRules::default(),
            clock: self.clock.clone(),
        }
    }
}
