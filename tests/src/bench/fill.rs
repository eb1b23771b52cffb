//! Fills a store through the product's stores, in this process, while the service is stopped. It then contains what the service would have
//! written, but is filled a hundred times faster.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use kqueen_adapters::{
    password::Argon2id,
    storage::{Location, Settings, Stores, open},
};
use kqueen_domain::{
    catalog::Catalog,
    cluster::{Cluster, Lifecycle, Phase},
    document::Document,
    id::{ClusterId, OrganizationId, ProvisionerId, UserId},
    kubeconfig::{self, AddressRules},
    name::{EmailAddress, Namespace, OrganizationName, ResourceName, Username},
    observation::{ObservedStatus, ProbeResult},
    organization::Organization,
    port::{
        password::PasswordHasher,
        store::{ClusterCommit, ClusterSecrets, RecordChange, SecretUpdate, StoreError, UserSecrets},
    },
    provisioner::{Check, Provisioner, ProvisionerPhase},
    reason::ReasonCode,
    secret::{Password, PasswordHash},
    user::{AuthMethod, Role, User},
};
use serde_json::{Value, json};

/// The number of organizations that the clusters belong to.
pub const ORGANIZATIONS: usize = 50;
/// Users in each organization.
const USERS: usize = 10;
/// Provisioners in each organization.
const PROVISIONERS: usize = 5;
/// Concurrent writes.
const CONCURRENT_WRITES: usize = 128;
/// The size of a kubeconfig in bytes.
const KUBECONFIG: usize = 5000;
/// The password of every user.
pub const PASSWORD: &str = "a password of somebody";
/// The users whose requests are measured: the first two of the first organization.
pub const ADMIN: &str = "person-0-0";
pub const MEMBER: &str = "person-0-1";

/// The contents of the store.
#[derive(Debug)]
pub struct Filled {
    /// All clusters, in the order of their creation.
    pub clusters: Vec<ClusterId>,
    /// A provisioner of the first organization.
    pub provisioner: ProvisionerId,
    /// How long filling took.
    pub took: Duration,
}

struct Tenant {
    organization: OrganizationId,
    users: Vec<UserId>,
    provisioners: Vec<ProvisionerId>,
}

/// Fills the store at `location` with `size` clusters whose kubeconfigs point to `server`.
pub async fn fill(location: Location, secret_key: &str, size: usize, server: &str) -> Filled {
    let since = Instant::now();
    let settings = Settings {
        location,
        secret_key: secret_key.into(),
        previous_keys: Vec::new(),
        kubeconfig_cache_bytes: Settings::KUBECONFIG_CACHE_BYTES,
    };
    let stores = open(settings, Arc::new(Catalog::new())).await.unwrap();
    let hash = Argon2id::new(1).unwrap().hash(Password::new(PASSWORD.into())).await.unwrap();
    let now = Utc::now();
    let tenants = stream::iter(0..ORGANIZATIONS).map(|number| tenant(&stores, number, &hash, now));
    let tenants: Vec<Tenant> = tenants.buffered(CONCURRENT_WRITES).try_collect().await.unwrap();
    let kubeconfig = kubeconfig::parse(&kubeconfig(server).into(), &AddressRules::denying(Vec::new())).unwrap();
    let clusters: Vec<Cluster> = (0..size).map(|number| cluster(&tenants, number, size, now)).collect();
    let writes = stream::iter(clusters.iter().enumerate()).map(|(number, cluster)| {
        let secrets =
            ClusterSecrets { kubeconfig: SecretUpdate::Set(kubeconfig.clone()), metadata: SecretUpdate::Keep };
        let stores = &stores;
        async move {
            stores.clusters.create(cluster, secrets, ClusterCommit::default(), None).await?;
            let work = ClusterCommit { observed: Some(observed(cluster.id, number, now)), ..ClusterCommit::default() };
            stores.clusters.commit(cluster.id, RecordChange::Keep(None), work).await.map(drop)
        }
    });
    writes.buffer_unordered(CONCURRENT_WRITES).try_collect::<()>().await.unwrap();
    stores.close().await;
    Filled {
        clusters: clusters.iter().map(|cluster| cluster.id).collect(),
        provisioner: tenants[0].provisioners[0],
        took: since.elapsed(),
    }
}

/// Creates an organization with its users and provisioners.
async fn tenant(stores: &Stores, number: usize, hash: &PasswordHash, now: DateTime<Utc>) -> Result<Tenant, StoreError> {
    let created_at = now - TimeDelta::days(400) + TimeDelta::minutes(i64::try_from(number).unwrap());
    let organization = Organization {
        id: OrganizationId::random(),
        name: OrganizationName::try_from(format!("Organization {number}")).unwrap(),
        namespace: Namespace::try_from(format!("organization-{number}")).unwrap(),
        policy: Default::default(),
        created_at,
    };
    stores.organizations.create(&organization).await?;
    let organization = organization.id;
    let mut users = Vec::new();
    for person in 0..USERS {
        let user = User {
            id: UserId::random(),
            username: Username::try_from(format!("person-{number}-{person}")).unwrap(),
            email: Some(EmailAddress::try_from(format!("person-{number}-{person}@example.test")).unwrap()),
            organization,
            role: if person == 0 { Role::Admin } else { Role::Member },
            active: true,
            auth: AuthMethod::Local,
            metadata: None,
            token_generation: 0,
            created_at,
        };
        let secrets = UserSecrets { password: SecretUpdate::Set(hash.clone()), metadata: SecretUpdate::Keep };
        stores.users.create(&user, secrets).await?;
        users.push(user.id);
    }
    let mut provisioners = Vec::new();
    for region in ["eu-west", "eu-central", "us-east", "us-west", "asia-south"].iter().take(PROVISIONERS) {
        let provisioner = Provisioner {
            id: ProvisionerId::random(),
            name: ResourceName::try_from(format!("{region} of organization {number}")).unwrap(),
            engine: "kqueen.engines.ManualEngine".into(),
            organization,
            owner: users[0],
            parameters: Document::default(),
            check: Check {
                phase: ProvisionerPhase::Ready,
                code: None,
                reason: "there is nothing to check".into(),
                at: created_at,
            },
            state_changed_at: created_at,
            created_at,
        };
        stores.provisioners.create(&provisioner, SecretUpdate::Keep, None).await?;
        provisioners.push(provisioner.id);
    }
    Ok(Tenant { organization, users, provisioners })
}

/// Cluster `number` of `size`. The clusters are distributed evenly over the organizations and created one second apart.
fn cluster(tenants: &[Tenant], number: usize, size: usize, now: DateTime<Utc>) -> Cluster {
    let Tenant { organization, users, provisioners } = &tenants[number % tenants.len()];
    let index = number / tenants.len();
    let purpose = ["production", "staging", "testing", "training"][index % 4];
    let created_at = now - TimeDelta::seconds(i64::try_from(size - number).unwrap());
    Cluster {
        operation: None,
        id: ClusterId::random(),
        // The order of the names differs from that of creation.
        name: ResourceName::try_from(format!("{purpose}-{:05}", number.wrapping_mul(7919) % 100_000)).unwrap(),
        organization: *organization,
        provisioner: provisioners[index % provisioners.len()],
        owner: users[index % users.len()],
        metadata: Some(Document::from_stored(r#"{"team":"platform","region":"eu-west-1","node_count":12}"#).unwrap()),
        has_kubeconfig: true,
        lifecycle: Lifecycle::Ready,
        changed_at: created_at,
        created_at,
    }
}

/// Most clusters are ready; one in ten did not answer, one in twenty rejected the kubeconfig.
fn observed(cluster: ClusterId, number: usize, now: DateTime<Utc>) -> ObservedStatus {
    let version = "v1.37.2".to_owned();
    let probe = match number % 20 {
        3 | 13 => ProbeResult::NoAnswer {
            code: ReasonCode::ClusterUnreachable,
            reason: "nothing answers at its address: connection refused".into(),
        },
        7 => ProbeResult::Refused {
            code: ReasonCode::KubeconfigRejected,
            reason: "its API server does not accept the token of the kubeconfig".into(),
        },
        _ => ProbeResult::Reached { version: version.clone() },
    };
    let phase = probe.phase();
    let version = (phase != Phase::Failed).then_some(version);
    ObservedStatus { cluster, probe: Some(probe), provider: None, version, phase, phase_changed_at: now, at: now }
}

/// A kubeconfig of 5 kB with an authority and a token, as those of service accounts have.
#[must_use]
pub fn kubeconfig(server: &str) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let with_token = |token: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {
                "server": server, "certificate-authority-data": STANDARD.encode(authority.pem()),
            }}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "kqueen"}}],
            "users": [{"name": "kqueen", "user": {"token": token}}],
        })
    };
    let rest = KUBECONFIG - with_token("").to_string().len();
    with_token(&"eyJhbGciOiJSUzI1NiIs".chars().cycle().take(rest).collect::<String>())
}
