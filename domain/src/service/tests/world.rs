//! Two tenants with their users, provisioners and clusters, and the services with their ports.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::doubles::{ATTACHING, MAKING, engine, fresh, noon, passwords};
use crate::{
    access::{Action, Caller, Rule},
    catalog::{Catalog, Change, Record, RecordId, Stored},
    cluster::{Cluster, Lifecycle},
    document::Document,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    kubeconfig::AddressRules,
    observation::ObservedStatus,
    operation::Operation,
    organization::Organization,
    orphan::Orphan,
    port::{
        clock::{Clock, SetClock},
        engine::EngineRegistry,
        store::{MockClusterStore, MockOrganizationStore, MockProvisionerStore, MockReadBarrier, MockUserStore},
    },
    provisioner::{Check, Provisioner, ProvisionerPhase},
    revision::{Revision, Versioned},
    service::{
        clusters::Clusters,
        people::{organizations::Organizations, users::Users},
        provisioners::Provisioners,
    },
    timeline::Tombstone,
    user::{AuthMethod, Role, User},
};

/// The users in the tables of the tests.
pub(super) struct People {
    /// Superadmin of an organization without resources.
    pub(super) root: User,
    /// Superadmin of acme.
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
    /// Of acme, with an engine that attaches clusters; owned by ada.
    pub(super) provisioner: ProvisionerId,
    /// Of acme, with an engine that makes clusters; owned by ada.
    pub(super) making: ProvisionerId,
    pub(super) foreign_provisioner: ProvisionerId,
    /// Of acme, attached; owned by ann.
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
        check: Check { phase: ProvisionerPhase::Ready, code: None, reason: "fine".into(), at: noon() },
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
        operation: None,
        changed_at: noon(),
        created_at: noon(),
    }
}

pub(super) fn caller(user: &User) -> Caller {
    Caller::of(user)
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
        let attached_cluster = cluster("prod", attaching.id, &people.ann);
        let foreign_cluster = cluster("theirs", foreign_provisioner.id, &people.mal);
        let world = Self {
            catalog: Arc::new(Catalog::new()),
            clock: Arc::new(SetClock::at(noon() + TimeDelta::hours(1))),
            acme: acme.id,
            other: other.id,
            provisioner: attaching.id,
            making: making.id,
            foreign_provisioner: foreign_provisioner.id,
            cluster: attached_cluster.id,
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
        world.put_cluster(attached_cluster);
        world.put_cluster(foreign_cluster);
        world
    }

    /// The revision of the next write.
    pub(super) fn next_revision(&self) -> Revision {
        Revision(self.revisions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Adds a record to the catalog, as if it had been stored.
    fn show<T>(&self, value: T, record: impl FnOnce(Versioned<T>) -> Record) {
        let revision = self.next_revision();
        self.catalog.apply(vec![(revision, Change::Put(record(Versioned { value, revision })))]);
    }

    /// Removes a record from the catalog, as if it had been deleted.
    pub(super) fn deleted(&self, id: RecordId) {
        self.catalog.apply(vec![(self.next_revision(), Change::Deleted(id))]);
    }

    pub(super) fn put_organization(&self, organization: Organization) {
        self.show(organization, Record::Organization);
    }

    pub(super) fn put_user(&self, user: User) {
        self.show(user, Record::User);
    }

    pub(super) fn put_provisioner(&self, provisioner: Provisioner) {
        self.show(provisioner, Record::Provisioner);
    }

    pub(super) fn put_cluster(&self, cluster: Cluster) {
        self.show(cluster, Record::Cluster);
    }

    pub(super) fn put_observed(&self, observed: ObservedStatus) {
        self.show(observed, |observed| Record::ObservedStatus(observed.value));
    }

    pub(super) fn put_operation(&self, operation: Operation) {
        self.show(operation, Record::Operation);
    }

    pub(super) fn put_orphan(&self, orphan: Orphan) {
        self.show(orphan, Record::Orphan);
    }

    pub(super) fn put_tombstone(&self, tombstone: Tombstone) {
        self.show(tombstone, |tombstone| Record::Tombstone(tombstone.value));
    }

    /// Overrides rules of acme.
    pub(super) fn policy(&self, rules: &[(Action, Rule)]) {
        let acme = self.catalog.organization(self.acme).unwrap().record.clone();
        self.put_organization(Organization { policy: rules.iter().copied().collect(), ..acme });
    }

    pub(super) fn user(&self, id: UserId) -> Arc<Stored<User>> {
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

    pub(super) fn users_with(&self, store: MockUserStore, read_barrier: MockReadBarrier) -> Users {
        Users {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            read_barrier: Arc::new(read_barrier),
            passwords: Arc::new(passwords()),
            clock: self.clock.clone(),
            auth_methods: vec![AuthMethod::Local, AuthMethod::Ldap],
        }
    }

    pub(super) fn organizations(&self, store: MockOrganizationStore, read_barrier: MockReadBarrier) -> Organizations {
        Organizations {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            read_barrier: Arc::new(read_barrier),
            clock: self.clock.clone(),
        }
    }

    pub(super) fn provisioners(&self, store: MockProvisionerStore) -> Provisioners {
        self.provisioners_with(store, fresh(), self.engines())
    }

    pub(super) fn provisioners_with(
        &self,
        store: MockProvisionerStore,
        read_barrier: MockReadBarrier,
        engines: EngineRegistry,
    ) -> Provisioners {
        Provisioners {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            read_barrier: Arc::new(read_barrier),
            engines,
            clock: self.clock.clone(),
        }
    }

    pub(super) fn clusters(&self, store: MockClusterStore) -> Clusters {
        self.clusters_with(store, fresh())
    }

    pub(super) fn clusters_with(&self, store: MockClusterStore, read_barrier: MockReadBarrier) -> Clusters {
        Clusters {
            catalog: self.catalog.clone(),
            store: Arc::new(store),
            read_barrier: Arc::new(read_barrier),
            engines: self.engines(),
            addresses: AddressRules::default(),
            timeout: TimeDelta::hours(1),
            clock: self.clock.clone(),
        }
    }
}
