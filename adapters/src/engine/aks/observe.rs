//! What the JSON of a cluster means.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    parameter::NOBODY,
    reason::{Reason, ReasonCode, Responsible},
};

use super::{
    client::Parent,
    failures::{ProvisioningError, of_provisioning},
    parameters,
    wire::{Cluster, PoolProfile, State, Status},
};

/// The kind of the resources.
const KIND: &str = "cluster";
/// How long the creation of a cluster usually takes. Azure does not report progress.
const CREATION_SECONDS: i64 = 360;

/// Whether a cluster has the ownership tag.
pub(super) fn carries(cluster: &Cluster, tag: &OwnershipTag) -> bool {
    let has = |name: &str, value: String| cluster.tags.get(name) == Some(&value);
    has(parameters::INSTALLATION, tag.installation.to_string()) && has(parameters::CLUSTER, tag.cluster.to_string())
}

/// The reference of a cluster in ledgers and inventories.
pub(super) fn resource(parent: Parent<'_>, cluster: &Cluster) -> ProviderResource {
    ProviderResource { name: reference(parent, &cluster.name), provider_id: provider_id(cluster) }
}

/// The id of this cluster. Its path is not one: a cluster that is created after another one was deleted can have the same path.
fn provider_id(cluster: &Cluster) -> Option<String> {
    let uid = &cluster.properties.resource_uid;
    let id = if uid.is_empty() { cluster.id.to_lowercase() } else { uid.clone() };
    (!id.is_empty()).then_some(id)
}

/// Whether a cluster is the one with this id.
pub(super) fn is(cluster: &Cluster, id: &str) -> bool {
    provider_id(cluster).is_some_and(|its| its == id) || !id.is_empty() && cluster.id.eq_ignore_ascii_case(id)
}

/// The reference of a cluster in a subscription and resource group.
pub(super) fn reference(parent: Parent<'_>, name: &str) -> ResourceRef {
    let location = format!("{}/{}", parent.subscription, parent.group);
    ResourceRef { kind: KIND.to_owned(), name: name.to_owned(), location }
}

/// The parent that a reference names; `None` for a reference of another engine.
pub(super) fn parent(reference: &ResourceRef) -> Option<Parent<'_>> {
    let (subscription, group) = reference.location.split_once('/')?;
    (reference.kind == KIND).then_some(Parent { subscription, group })
}

/// What is observed of a cluster.
pub(super) fn observed(parent: Parent<'_>, cluster: &Cluster, now: DateTime<Utc>) -> ObservedCluster {
    let state = state(cluster);
    let progress = match (&state, &cluster.properties.provisioning_state) {
        (ProvisioningState::Working, State::Creating) => progress(cluster, now),
        _ => None,
    };
    ObservedCluster {
        message: message(cluster, &state),
        state,
        progress,
        node_count: node_count(cluster),
        network_policy: Some(policy(cluster)),
        resources: vec![resource(parent, cluster)],
    }
}

/// The state of a cluster with its pools.
pub(super) fn state(cluster: &Cluster) -> ProvisioningState {
    let properties = &cluster.properties;
    match &properties.provisioning_state {
        State::Succeeded => state_of_pools(&properties.agent_pool_profiles),
        State::Deleting => ProvisioningState::Removing,
        State::Failed | State::Canceled => {
            let pools = properties.agent_pool_profiles.iter().map(|pool| &pool.status);
            let mut statuses = std::iter::once(&properties.status).chain(pools);
            let error = statuses.find(|status| status.provisioning_error.is_some());
            ProvisioningState::Broken(broken(&properties.provisioning_state, error.unwrap_or(&properties.status)))
        }
        // Also what this version does not know: it ends at some time, or the deadline ends the operation.
        State::Creating | State::Other(_) => ProvisioningState::Working,
    }
}

/// A cluster whose pools are being changed, or have failed, is `Succeeded` all the same.
fn state_of_pools(pools: &[PoolProfile]) -> ProvisioningState {
    let has_failed = |pool: &&PoolProfile| matches!(pool.provisioning_state, State::Failed | State::Canceled);
    if pools.iter().any(is_moving) {
        ProvisioningState::Working
    } else if let Some(pool) = pools.iter().find(has_failed) {
        ProvisioningState::Broken(broken(&pool.provisioning_state, &pool.status))
    } else {
        ProvisioningState::Running
    }
}

fn is_moving(pool: &PoolProfile) -> bool {
    match &pool.provisioning_state {
        State::Creating | State::Deleting => true,
        State::Other(word) => !word.is_empty(),
        State::Succeeded | State::Failed | State::Canceled => false,
    }
}

fn broken(state: &State, status: &Status) -> Reason {
    match (&status.provisioning_error, state) {
        (Some(error), _) => of_provisioning(error),
        (None, State::Canceled) => Reason::new(
            ReasonCode::ProvisioningFailed,
            "the last operation on the cluster was cancelled at Azure",
            Responsible::Admin,
            "retry, or destroy the cluster",
        ),
        (None, _) => of_provisioning(&ProvisioningError::default()),
    }
}

/// Why a cluster that has lost its tags is not touched.
pub(super) fn lost_its_tag(cluster: &Cluster) -> Reason {
    Reason::new(
        ReasonCode::OwnershipLost,
        format!("the cluster {} at Azure no longer has the tags that KQueen set", cluster.name),
        Responsible::Admin,
        "restore its tags kqueen-installation and kqueen-cluster, or delete it at Azure and forget it in KQueen",
    )
}

/// The agent pool that is resized: the one that was created with the cluster. Others were added at Azure.
pub(super) fn pool(cluster: &Cluster) -> Option<&PoolProfile> {
    let pools = &cluster.properties.agent_pool_profiles;
    pools.iter().find(|pool| pool.name == parameters::POOL).or_else(|| pools.first())
}

/// The number of nodes of that pool; `None` if Azure scales it.
fn node_count(cluster: &Cluster) -> Option<u32> {
    pool(cluster).filter(|pool| !pool.enable_auto_scaling).and_then(|pool| pool.count)
}

pub(super) fn policy(cluster: &Cluster) -> NetworkPolicy {
    let policy = cluster.properties.network_profile.network_policy.to_lowercase();
    if matches!(policy.as_str(), "" | "none") {
        NetworkPolicy { provider: NOBODY.to_owned(), enabled: false }
    } else {
        NetworkPolicy { provider: policy, enabled: true }
    }
}

/// The time since the creation began, compared with what it usually takes.
fn progress(cluster: &Cluster, now: DateTime<Utc>) -> Option<u8> {
    let elapsed = (now - cluster.system_data.created_at?).num_seconds();
    u8::try_from((elapsed * 100 / CREATION_SECONDS).clamp(0, 99)).ok()
}

/// What Azure is doing, and the resource group that appears with the cluster, which people would otherwise wonder about.
fn message(cluster: &Cluster, state: &ProvisioningState) -> String {
    let properties = &cluster.properties;
    let moving = properties.agent_pool_profiles.iter().find(|pool| is_moving(pool));
    let what = match (&properties.provisioning_state, moving) {
        (State::Succeeded, Some(pool)) => format!("Azure: {} agent pool {}", word(&pool.provisioning_state), pool.name),
        (State::Succeeded, None) if properties.power_state.code == "Stopped" => {
            "the cluster is stopped at Azure and has to be started there".to_owned()
        }
        (State::Succeeded | State::Failed | State::Canceled, _) => return String::new(),
        (state, _) => format!("Azure: {}", word(state)),
    };
    let group = &properties.node_resource_group;
    match state {
        _ if group.is_empty() => what,
        ProvisioningState::Removing => format!("{what}, with the resource group {group} of its nodes"),
        ProvisioningState::Working if properties.provisioning_state == State::Creating => {
            format!("{what}; Azure manages the resource group {group} with its nodes and deletes it with the cluster")
        }
        _ => what,
    }
}

/// `RotatingClusterCertificates` as words.
fn word(state: &State) -> String {
    let name = match state {
        State::Creating => "Creating",
        State::Succeeded => "Succeeded",
        State::Deleting => "Deleting",
        State::Failed => "Failed",
        State::Canceled => "Canceled",
        State::Other(word) if word.is_empty() => "no state reported",
        State::Other(word) => word,
    };
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;

    const PARENT: Parent<'static> = Parent { subscription: "s", group: "rg" };
    const CREATED: &str = "2026-11-28T10:00:00.000Z";

    fn cluster(properties: Value) -> Cluster {
        let mut all = json!({
            "provisioningState": "Succeeded", "powerState": {"code": "Running"}, "resourceUID": "uid",
            "nodeResourceGroup": "MC_kq-1", "networkProfile": {"networkPolicy": "none"},
            "agentPoolProfiles": [{"name": "agentpool", "provisioningState": "Succeeded", "count": 2}],
        });
        for (key, value) in properties.as_object().unwrap() {
            all[key] = value.clone();
        }
        let id = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/kq-1";
        let json = json!({"id": id, "name": "kq-1", "systemData": {"createdAt": CREATED}, "properties": all});
        serde_json::from_value(json).unwrap()
    }

    fn seen(properties: Value) -> ObservedCluster {
        observed(PARENT, &cluster(properties), CREATED.parse().unwrap())
    }

    fn reason(properties: Value) -> Reason {
        match seen(properties).state {
            ProvisioningState::Broken(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_state_of_a_cluster_has_its_meaning() {
        let state = |word: &str| seen(json!({"provisioningState": word})).state;
        assert_eq!(state("Succeeded"), ProvisioningState::Running);
        assert_eq!(state("Deleting"), ProvisioningState::Removing);
        for word in ["Creating", "Updating", "Upgrading", "Stopping", "ReconcilingClusterCertificates", "NewWord", ""] {
            assert_eq!(state(word), ProvisioningState::Working, "{word}");
        }
        for word in ["Failed", "Canceled"] {
            assert!(matches!(state(word), ProvisioningState::Broken(_)), "{word}");
        }
    }

    #[test]
    fn unknown_states_are_shown_in_words() {
        let message = |word: &str| seen(json!({"provisioningState": word})).message;
        assert_eq!(message("RotatingClusterCertificates"), "Azure: rotating cluster certificates");
        assert_eq!(message("Succeeded"), "");
        assert!(message("Creating").contains("MC_kq-1"), "{}", message("Creating"));
        assert!(message("Deleting").contains("MC_kq-1"), "{}", message("Deleting"));
    }

    #[test]
    fn a_cluster_is_as_good_as_its_pools() {
        let pools = |word: &str| {
            json!({"agentPoolProfiles": [
                {"name": "agentpool", "provisioningState": word, "count": 2}, {"name": "more", "provisioningState": "Succeeded"},
            ]})
        };
        assert_eq!(seen(pools("Scaling")).state, ProvisioningState::Working);
        assert_eq!(seen(pools("Scaling")).message, "Azure: scaling agent pool agentpool");
        assert_eq!(seen(pools("Succeeded")).state, ProvisioningState::Running);
        assert_eq!(seen(json!({"agentPoolProfiles": null})).state, ProvisioningState::Running);
        assert_eq!(reason(pools("Failed")).code, ReasonCode::ProvisioningFailed);
    }

    #[test]
    fn the_first_error_that_is_reported_is_the_reason() {
        let error =
            json!({"provisioningError": {"code": "QuotaExceeded", "message": "exceeding approved cores quota"}});
        let pool = json!({"name": "agentpool", "provisioningState": "Failed", "status": error});
        assert_eq!(
            reason(json!({"provisioningState": "Failed", "status": error})).code,
            ReasonCode::QuotaExceeded,
            "of the cluster"
        );
        for state in ["Failed", "Succeeded"] {
            let reason = reason(json!({"provisioningState": state, "agentPoolProfiles": [pool]}));
            assert_eq!(reason.code, ReasonCode::QuotaExceeded, "of the pool: {state}");
        }
        assert!(reason(json!({"provisioningState": "Canceled"})).cause.contains("cancelled"));
    }

    #[test]
    fn progress_is_time_and_not_100_before_the_end() {
        let creating = cluster(json!({"provisioningState": "Creating"}));
        let after = |seconds| {
            let now = CREATED.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds);
            observed(PARENT, &creating, now).progress
        };
        assert_eq!([after(-5), after(0), after(180), after(9_999)], [Some(0), Some(0), Some(50), Some(99)]);
        assert_eq!(seen(json!({"provisioningState": "Updating"})).progress, None);
    }

    #[test]
    fn nodes_are_those_of_the_pool_that_is_resized() {
        assert_eq!(seen(json!({})).node_count, Some(2));
        let pools = |automatic: bool| {
            json!({"agentPoolProfiles": [
                {"name": "gpu", "provisioningState": "Succeeded", "count": 1},
                {"name": "agentpool", "provisioningState": "Succeeded", "count": 3, "enableAutoScaling": automatic},
            ]})
        };
        assert_eq!((seen(pools(false)).node_count, seen(pools(true)).node_count), (Some(3), None));
    }

    #[test]
    fn a_stopped_cluster_runs_no_more_and_says_so() {
        let seen = seen(json!({"powerState": {"code": "Stopped"}}));
        assert_eq!(seen.state, ProvisioningState::Running);
        assert!(seen.message.contains("stopped"), "{}", seen.message);
    }

    #[test]
    fn the_id_is_that_of_the_cluster_and_not_of_its_path() {
        let one = cluster(json!({}));
        assert_eq!(resource(PARENT, &one).provider_id.as_deref(), Some("uid"));
        assert!(is(&one, "uid") && !is(&one, "other") && !is(&one, ""));
        // Azure writes the path differently in different responses.
        let without = cluster(json!({"resourceUID": null}));
        let upper = one.id.replace("resourcegroups", "resourceGroups");
        assert!(is(&without, &upper) && is(&one, &resource(PARENT, &without).provider_id.unwrap()));
    }

    #[test]
    fn policies_are_in_the_words_of_the_form() {
        let policy = |word: Value| seen(json!({"networkProfile": {"networkPolicy": word}})).network_policy.unwrap();
        for word in ["cilium", "calico", "azure"] {
            assert_eq!(policy(word.into()), NetworkPolicy { provider: word.to_owned(), enabled: true });
        }
        assert!(!policy("none".into()).enabled && !policy(Value::Null).enabled);
    }
}
