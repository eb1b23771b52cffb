//! Inputs may contain secrets; their debug output shows none of them.

use std::fmt::Debug;

use serde_json::{Value, json};

use super::doubles::{kubeconfig, object};
use crate::{
    id::{ClusterId, ProvisionerId},
    ledger::OwnershipTag,
    name::ResourceName,
    port::{
        engine::{ClusterSpec, ProviderCredentials},
        store::{ClusterSecrets, SecretUpdate, UserSecrets},
    },
    secret::{Kubeconfig, Password, PasswordHash},
    service::{
        clusters::{ClusterPatch, NewCluster},
        people::bootstrap::FirstAdmin,
        people::users::{NewUser, UserPatch},
        provisioners::{NewProvisioner, ProvisionerPatch},
    },
    user::{AuthMethod, Role},
};

const SECRET: &str = "hunter2";

/// Secrets under names that mark them as secret and under names that do not: only a schema knows the latter.
fn values() -> Value {
    json!({"password": SECRET, "zone": {"hunter2": [SECRET, {"deep": SECRET}]}, "kubeconfig": kubeconfig(SECRET)})
}

fn name() -> ResourceName {
    ResourceName::try_from("production").unwrap()
}

#[test]
fn debug_of_what_arrives_shows_no_value() {
    let kubeconfig = || Some(kubeconfig(SECRET).into());
    let metadata = || Some(object(values()));
    let username = || "ann".to_owned().try_into().unwrap();
    let new_provisioner = NewProvisioner {
        name: name(),
        engine: "kqueen.engines.GceEngine".into(),
        owner: None,
        parameters: object(values()),
    };
    let new_cluster = NewCluster {
        name: name(),
        provisioner: ProvisionerId::random(),
        owner: None,
        metadata: metadata(),
        kubeconfig: kubeconfig(),
    };
    let new_user = NewUser {
        username: username(),
        password: Some(Password::new(SECRET.into())),
        email: None,
        organization: None,
        role: Role::Member,
        active: true,
        auth: AuthMethod::Local,
        metadata: metadata(),
    };
    let first_admin = FirstAdmin {
        username: username(),
        password: Password::new(SECRET.into()),
        email: None,
        organization: "Ours".to_owned().try_into().unwrap(),
        namespace: "ours".to_owned().try_into().unwrap(),
    };
    let spec = ClusterSpec {
        tag: OwnershipTag { installation: uuid::Uuid::nil(), cluster: ClusterId::random() },
        name: "production".into(),
        parameters: object(values()),
        known: Vec::new(),
    };
    let cluster_secrets = ClusterSecrets {
        kubeconfig: SecretUpdate::Set(Kubeconfig::new(SECRET.into())),
        metadata: SecretUpdate::Set(object(values()).to_document()),
    };
    let user_secrets = UserSecrets {
        password: SecretUpdate::Set(PasswordHash::new(SECRET.into())),
        metadata: SecretUpdate::Set(object(values()).to_document()),
    };
    let all: [&dyn Debug; 11] = [
        &new_provisioner,
        &ProvisionerPatch { parameters: Some(object(values())), ..ProvisionerPatch::default() },
        &new_cluster,
        &ClusterPatch { metadata: metadata(), kubeconfig: kubeconfig(), ..ClusterPatch::default() },
        &new_user,
        &UserPatch { metadata: metadata(), ..UserPatch::default() },
        &first_admin,
        &ProviderCredentials { provisioner: ProvisionerId::random(), parameters: object(values()) },
        &spec,
        &cluster_secrets,
        &user_secrets,
    ];
    for shown in all {
        let shown = format!("{shown:?} {shown:#?}");
        assert!(shown.contains("hidden"), "{shown}");
        for value in [SECRET, "zone", "deep", "203.0.113.10"] {
            assert!(!shown.contains(value), "{shown}");
        }
    }
}
