//! Example records.

use chrono::{DateTime, TimeDelta, Utc};
use kqueen_domain::{
    cluster::{Cluster, Lifecycle, Phase},
    document::Document,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    ledger::{Ledger, ProviderResource, RecordState, ResourceRecord, ResourceRef},
    name::{EmailAddress, Namespace, OrganizationName, ResourceName, Username},
    observation::{ObservedStatus, ProbeResult},
    operation::{Operation, OperationKind},
    organization::Organization,
    orphan::{Orphan, OrphanState},
    port::store::IdempotencyRecord,
    provisioner::{Check, Provisioner, ProvisionerPhase},
    reason::{Reason, ReasonCode, Responsible},
    timeline::{EventKind, TimelineEvent, Tombstone},
    user::{AuthMethod, Role, User},
};

/// The creation time of the records.
pub fn then() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 123_456_789).unwrap()
}

/// `ms` milliseconds after [`then`].
pub fn after(ms: i64) -> DateTime<Utc> {
    then() + TimeDelta::milliseconds(ms)
}

/// An organization with a unique namespace.
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

/// A user with a unique name and address.
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
        check: Check { phase: ProvisionerPhase::Ready, code: None, reason: "nothing to check".into(), at: then() },
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
        operation: None,
        changed_at: then(),
        created_at: then(),
    }
}

/// The observed status of a cluster that answered.
pub fn an_observed_status(cluster: ClusterId) -> ObservedStatus {
    ObservedStatus {
        cluster,
        probe: Some(ProbeResult::Reached { version: "v1.37.2".into() }),
        provider: None,
        version: Some("v1.37.2".into()),
        phase: Phase::Ready,
        phase_changed_at: then(),
        at: then(),
    }
}

/// An operation requested by the cluster's owner.
pub fn an_operation(cluster: &Cluster) -> Operation {
    Operation::requested(cluster.id, OperationKind::Deploy, cluster.owner, then(), after(3_600_000))
}

/// The record of a resource of that name.
pub fn a_resource_record(name: &str) -> ResourceRecord {
    let name = ResourceRef { kind: "server".into(), name: name.into(), location: "here".into() };
    ResourceRecord {
        resource: ProviderResource { name, provider_id: Some("17".into()) },
        state: RecordState::Present,
        since: then(),
    }
}

/// A ledger with resources of those names.
pub fn a_ledger(cluster: ClusterId, names: &[&str]) -> Ledger {
    let resources = names.iter().map(|name| a_resource_record(name)).collect();
    Ledger { resources, uncertain_until: Some(then()), ..Ledger::empty(cluster) }
}

/// An entry of a timeline, `ms` milliseconds after [`then`].
pub fn an_entry(cluster: &Cluster, ms: i64, message: &str) -> TimelineEvent {
    TimelineEvent {
        cluster: cluster.id,
        at: after(ms),
        kind: EventKind::Step,
        message: message.into(),
        operation: cluster.operation,
        by: Some(cluster.owner),
        reason: Some(Reason::new(ReasonCode::ProviderBusy, "the provider is busy", Responsible::Provider, "wait")),
    }
}

/// The tombstone of a deleted cluster.
pub fn a_tombstone(cluster: &Cluster) -> Tombstone {
    let Cluster { id, name, organization, owner, .. } = cluster.clone();
    Tombstone { cluster: id, name, organization, owner, at: then() }
}

/// The orphan of a deleted cluster.
pub fn an_orphan(cluster: &Cluster) -> Orphan {
    Orphan {
        cluster: cluster.id,
        name: Some(cluster.name.to_string()),
        organization: cluster.organization,
        provisioner: cluster.provisioner,
        resources: vec![a_resource_record("left over")],
        state: OrphanState::Listed,
        listed_at: then(),
        seen_at: None,
    }
}

/// An idempotency record.
pub fn an_idempotency_record(caller: UserId, key: &str) -> IdempotencyRecord {
    IdempotencyRecord { caller, key: key.into(), fingerprint: [7; 32], at: then() }
}
