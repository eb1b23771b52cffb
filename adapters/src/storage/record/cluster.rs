//! The stored form of a cluster. Its kubeconfig is sealed and stored separately.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    cluster::{Cluster, Lifecycle},
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    Record, embedded, extracted, migrated_in,
    reason::{self, StoredReason},
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    id: ClusterId,
    name: ResourceName,
    organization: OrganizationId,
    provisioner: ProvisionerId,
    owner: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    has_kubeconfig: bool,
    state: StoredState,
    /// The reason, if the state is `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<StoredReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<OperationId>,
    changed_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredState {
    Deploying,
    Ready,
    Updating,
    Destroying,
    Failed,
}

impl From<&Cluster> for Form {
    fn from(cluster: &Cluster) -> Self {
        let (state, reason) = match &cluster.lifecycle {
            Lifecycle::Deploying => (StoredState::Deploying, None),
            Lifecycle::Ready => (StoredState::Ready, None),
            Lifecycle::Updating => (StoredState::Updating, None),
            Lifecycle::Destroying => (StoredState::Destroying, None),
            Lifecycle::Failed { reason } => (StoredState::Failed, Some(reason.clone().into())),
        };
        Self {
            id: cluster.id,
            name: cluster.name.clone(),
            organization: cluster.organization,
            provisioner: cluster.provisioner,
            owner: cluster.owner,
            metadata: cluster.metadata.as_ref().map(embedded),
            has_kubeconfig: cluster.has_kubeconfig,
            state,
            reason,
            operation: cluster.operation,
            changed_at: cluster.changed_at,
            created_at: cluster.created_at,
        }
    }
}

impl Record for Cluster {
    type Form = Form;
    const KIND: &'static str = "cluster";
    const FORMAT: u32 = 3;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            id: form.id,
            name: form.name,
            organization: form.organization,
            provisioner: form.provisioner,
            owner: form.owner,
            metadata: form.metadata.map(|raw| extracted(&raw).ok_or(())).transpose().ok()?,
            has_kubeconfig: form.has_kubeconfig,
            lifecycle: match form.state {
                StoredState::Deploying => Lifecycle::Deploying,
                StoredState::Ready => Lifecycle::Ready,
                StoredState::Updating => Lifecycle::Updating,
                StoredState::Destroying => Lifecycle::Destroying,
                StoredState::Failed => Lifecycle::Failed { reason: form.reason?.into() },
            },
            operation: form.operation,
            changed_at: form.changed_at,
            created_at: form.created_at,
        })
    }

    /// Format 1 had no operations, and only the cause of a failure as text; format 2 had reasons without codes.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        match from {
            1 => {
                let fields = form.as_object_mut()?;
                if fields.get("state")? == "failed" {
                    let cause = fields.remove("reason").unwrap_or_default();
                    let reason = json!({"cause": cause.as_str().unwrap_or_default(), "fixer": "admin"});
                    fields.insert("reason".to_owned(), reason);
                }
            }
            2 => migrated_in(&mut form, "reason", reason::migrated)?,
            _ => return None,
        }
        Some(form)
    }
}
