//! Records to store.

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    cluster::{Cluster, Lifecycle, Look, Phase, Sighting},
    document::Document,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    name::{EmailAddress, Namespace, OrganizationName, ResourceName, Username},
    organization::Organization,
    port::store::Claim,
    provisioner::{Check, Provisioner, ProvisionerPhase},
    user::{AuthMethod, Role, User},
};

/// A moment every record can have been made at.
pub fn then() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_789).unwrap()
}

/// `ms` milliseconds after [`then`].
pub fn after(ms: i64) -> DateTime<Utc> {
    then() + TimeDelta::milliseconds(ms)
}

/// An organization whose namespace nobody else has.
pub fn an_organization() -> Organization {
    let id = OrganizationId::random();
    Organization {
        id,
        name: OrganizationName::try_from("Demo Organization").unwrap(),
        namespace: Namespace::try_from(id.to_string()).unwrap(),
        policy: Default::default(),
        created_at: then(),
    }
}

/// A user whose name and address nobody else has.
pub fn a_user(organization: OrganizationId) -> User {
    let id = UserId::random();
    User {
        id,
        username: Username::try_from(format!("ann {id}")).unwrap(),
        email: Some(EmailAddress::try_from(format!("Ann.{}@example.org", id.uuid().simple())).unwrap()),
        organization,
        role: Role::Admin,
        active: true,
        auth: AuthMethod::Local,
        metadata: Some(Document::from_stored(r#"{"timezone":"Europe/Prague"}"#).unwrap()),
        token_generation: 0,
        created_at: then(),
    }
}

/// A provisioner.
pub fn a_provisioner(owner: &User) -> Provisioner {
    Provisioner {
        id: ProvisionerId::random(),
        name: ResourceName::try_from("Manual").unwrap(),
        engine: "kqueen.engines.ManualEngine".into(),
        organization: owner.organization,
        owner: owner.id,
        parameters: Document::from_stored(r#"{"token":"*******"}"#).unwrap(),
        check: Check { phase: ProvisionerPhase::Ready, reason: "nothing to check".into(), at: then() },
        state_changed_at: then(),
        created_at: then(),
    }
}

/// A cluster of the provisioner's owner.
pub fn a_cluster(provisioner: &Provisioner) -> Cluster {
    Cluster {
        id: ClusterId::random(),
        name: ResourceName::try_from("prod").unwrap(),
        organization: provisioner.organization,
        provisioner: provisioner.id,
        owner: provisioner.owner,
        metadata: None,
        has_kubeconfig: false,
        lifecycle: Lifecycle::Deploying,
        changed_at: then(),
        created_at: then(),
    }
}

/// A look at a cluster that answered.
pub fn a_sighting(cluster: ClusterId) -> Sighting {
    Sighting {
        cluster,
        look: Look::Answered { version: "v1.37.2".into() },
        version: Some("v1.37.2".into()),
        phase: Phase::Ready,
        phase_changed_at: then(),
        at: then(),
    }
}

/// A claim.
pub fn a_claim(caller: UserId, key: &str) -> Claim {
    Claim { caller, key: key.into(), fingerprint: [7; 32], at: then() }
}
