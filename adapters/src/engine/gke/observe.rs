//! What a cluster as Google shows it means for us.

use kqueen_domain::{
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::{ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    parameter::NOBODY,
    reason::{Reason, ReasonCode, Responsible},
};

use super::{
    client::Parent,
    failures::{of_condition, of_operation},
    parameters::{self, DATAPLANE_V2},
    wire::{Cluster, ClusterStatus, NodePool, Operation, Progress},
};

/// The kind of what is made.
pub(super) const KIND: &str = "cluster";

/// Whether a cluster carries our tag.
pub(super) fn carries(cluster: &Cluster, tag: &OwnershipTag) -> bool {
    let has = |label: &str, value: String| cluster.resource_labels.get(label) == Some(&value);
    has(parameters::INSTALLATION, tag.installation.to_string()) && has(parameters::CLUSTER, tag.cluster.to_string())
}

/// How a cluster is called in ledgers and inventories.
pub(super) fn resource(project: &str, cluster: &Cluster) -> ProviderResource {
    let name = reference(Parent { project, location: &cluster.location }, &cluster.name);
    ProviderResource { name, provider_id: (!cluster.id.is_empty()).then(|| cluster.id.clone()) }
}

/// The reference of a cluster in a project and location.
pub(super) fn reference(parent: Parent<'_>, name: &str) -> ResourceRef {
    let location = format!("{}/{}", parent.project, parent.location);
    ResourceRef { kind: KIND.to_owned(), name: name.to_owned(), location }
}

/// The parent a reference names; `None` for one that this engine has not made.
pub(super) fn parent(reference: &ResourceRef) -> Option<Parent<'_>> {
    let (project, location) = reference.location.split_once('/')?;
    (reference.kind == KIND).then_some(Parent { project, location })
}

/// What is seen of a cluster. `operations` are those of its location, where it is being worked on.
pub(super) fn observed(project: &str, cluster: &Cluster, operations: &[Operation]) -> ObservedCluster {
    let running = operations.iter().find(|operation| concerns(operation, cluster) && operation.status != "DONE");
    let message = match running {
        Some(operation) => format!("Google: {}", plain(&operation.operation_type)),
        None => words(cluster),
    };
    let state = state(cluster, operations);
    let progress = match (&state, running) {
        (ProvisioningState::Working | ProvisioningState::Removing, Some(operation)) => percent(&operation.progress),
        _ => None,
    };
    ObservedCluster {
        state,
        progress,
        node_count: node_count(cluster),
        network_policy: Some(policy(cluster)),
        message,
        resources: vec![resource(project, cluster)],
    }
}

fn state(cluster: &Cluster, operations: &[Operation]) -> ProvisioningState {
    match &cluster.status {
        ClusterStatus::Provisioning | ClusterStatus::Reconciling => ProvisioningState::Working,
        ClusterStatus::Running => {
            let is_moving =
                |pool: &NodePool| matches!(pool.status.as_str(), "PROVISIONING" | "RECONCILING" | "STOPPING");
            let has_failed = |pool: &&NodePool| pool.status == "ERROR";
            if cluster.node_pools.iter().any(is_moving) {
                ProvisioningState::Working
            } else if let Some(pool) = cluster.node_pools.iter().find(has_failed) {
                ProvisioningState::Broken(of_condition(&format!("the node pool {}", pool.name), &pool.conditions))
            } else {
                ProvisioningState::Running
            }
        }
        ClusterStatus::Stopping => ProvisioningState::Removing,
        ClusterStatus::Error | ClusterStatus::Degraded => ProvisioningState::Broken(broken(cluster, operations)),
        // Something is happening that this version has no word for: it is waited for, until the deadline.
        ClusterStatus::Unspecified | ClusterStatus::Other(_) => ProvisioningState::Working,
    }
}

/// Why a cluster is in ERROR or DEGRADED: its conditions say it, else the operation that has failed does.
fn broken(cluster: &Cluster, operations: &[Operation]) -> Reason {
    let what = "the cluster";
    let of_cluster = operations.iter().filter(|operation| concerns(operation, cluster) && operation.error.is_some());
    let newest = of_cluster.max_by(|one, other| one.start_time.cmp(&other.start_time));
    let failed = newest.and_then(|operation| operation.error.as_ref()).map(|error| of_operation(what, error));
    let by_conditions = || of_condition(what, &cluster.conditions);
    if cluster.conditions.is_empty() { failed.unwrap_or_else(by_conditions) } else { by_conditions() }
}

/// Whether the cluster has never run: the newest operation that was to create it has failed. Only then may it be deleted to be created
/// again. Operations that created a cluster of the same name before are still listed.
pub(super) fn creation_failed(cluster: &Cluster, operations: &[Operation]) -> bool {
    let creations = operations
        .iter()
        .filter(|operation| operation.operation_type == "CREATE_CLUSTER" && concerns(operation, cluster));
    // Times in RFC 3339, all in UTC, sort as text.
    let newest = creations.max_by(|one, other| one.start_time.cmp(&other.start_time));
    cluster.status == ClusterStatus::Error
        && newest.is_some_and(|operation| {
            operation.status == "DONE" && (operation.error.is_some() || !operation.status_message.is_empty())
        })
}

/// Why a cluster that has lost its labels is not touched.
pub(super) fn lost_its_tag(cluster: &Cluster) -> Reason {
    Reason::new(
        ReasonCode::OwnershipLost,
        format!("the cluster {} at Google no longer has the labels that KQueen set", cluster.name),
        Responsible::Admin,
        "restore its labels kqueen-installation and kqueen-cluster, or delete it at Google and forget it in KQueen",
    )
}

/// Whether an operation is about a cluster: its target is the cluster or something in it.
pub(super) fn concerns(operation: &Operation, cluster: &Cluster) -> bool {
    let target = operation.target_link.split("/clusters/").nth(1).unwrap_or_default();
    target.split('/').next() == Some(cluster.name.as_str()) && operation.location == cluster.location
}

/// Nodes in each zone, as they are asked for; `None` where the number is not ours to tell: pools that scale by themselves, or zones that
/// differ.
pub(super) fn node_count(cluster: &Cluster) -> Option<u32> {
    if cluster.node_pools.iter().any(|pool| pool.autoscaling.enabled) {
        return None;
    }
    let zones = u32::try_from(cluster.locations.len().max(1)).ok()?;
    let all = cluster.current_node_count?;
    (all % zones == 0).then_some(all / zones)
}

fn policy(cluster: &Cluster) -> NetworkPolicy {
    if cluster.network_config.datapath_provider == "ADVANCED_DATAPATH" {
        NetworkPolicy { provider: DATAPLANE_V2.to_owned(), enabled: true }
    } else if cluster.network_policy.enabled {
        NetworkPolicy { provider: cluster.network_policy.provider.clone(), enabled: true }
    } else {
        NetworkPolicy { provider: NOBODY.to_owned(), enabled: false }
    }
}

fn words(cluster: &Cluster) -> String {
    let conditions: Vec<_> = cluster.conditions.iter().map(|condition| condition.message.as_str()).collect();
    match &cluster.status {
        ClusterStatus::Other(word) => format!("Google: {}", plain(word)),
        _ => conditions.join(" "),
    }
}

/// `CREATE_CLUSTER` as words.
fn plain(word: &str) -> String {
    word.to_lowercase().replace('_', " ")
}

/// How far an operation is: the sum of its pairs of metrics `X` and `X_TOTAL`, never 100 before it has ended.
fn percent(progress: &Progress) -> Option<u8> {
    let (mut done, mut total) = (0.0, 0.0);
    sum(progress, &mut done, &mut total);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 99")]
    (total > 0.0).then(|| (done / total * 100.0).clamp(0.0, 99.0) as u8)
}

fn sum(progress: &Progress, done: &mut f64, total: &mut f64) {
    let number = |name: &str| {
        let metric = progress.metrics.iter().find(|metric| metric.name == name)?;
        metric.int_value.as_ref().and_then(|text| text.parse().ok()).or(metric.double_value)
    };
    for metric in &progress.metrics {
        if let Some(name) = metric.name.strip_suffix("_TOTAL")
            && let (Some(part), Some(whole)) = (number(name), number(&metric.name))
        {
            *done += f64::min(part, whole);
            *total += whole;
        }
    }
    for stage in &progress.stages {
        sum(stage, done, total);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cluster(more: Value) -> Cluster {
        let mut all = json!({
            "id": "abc", "name": "kq-1", "location": "europe-west1", "status": "RUNNING",
            "locations": ["europe-west1-b", "europe-west1-c", "europe-west1-d"], "currentNodeCount": 6,
            "nodePools": [{"name": "default-pool", "status": "RUNNING"}],
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    fn operation(more: Value) -> Operation {
        let mut all = json!({
            "name": "operation-1", "operationType": "CREATE_CLUSTER", "status": "RUNNING", "location": "europe-west1",
            "targetLink": "https://container.googleapis.com/v1/projects/1/locations/europe-west1/clusters/kq-1",
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn every_status_has_its_state() {
        let state = |more| observed("p", &cluster(more), &[]).state;
        assert_eq!(state(json!({})), ProvisioningState::Running);
        assert_eq!(state(json!({"status": "PROVISIONING"})), ProvisioningState::Working);
        assert_eq!(state(json!({"status": "RECONCILING"})), ProvisioningState::Working);
        assert_eq!(state(json!({"status": "STOPPING"})), ProvisioningState::Removing);
        assert_eq!(state(json!({"status": "A_NEW_WORD"})), ProvisioningState::Working);
        for status in ["ERROR", "DEGRADED"] {
            let conditions = json!([{"code": "GCE_STOCKOUT", "message": "no room"}]);
            let ProvisioningState::Broken(reason) = state(json!({"status": status, "conditions": conditions})) else {
                panic!("{status}")
            };
            assert_eq!(reason.code, ReasonCode::CapacityUnavailable);
        }
    }

    #[test]
    fn a_running_cluster_is_as_good_as_its_pools() {
        let state = |pool: &str| {
            observed("p", &cluster(json!({"nodePools": [{"name": "default-pool", "status": pool}]})), &[]).state
        };
        assert_eq!(state("RECONCILING"), ProvisioningState::Working);
        assert_eq!(state("RUNNING_WITH_ERROR"), ProvisioningState::Running);
        assert!(matches!(state("ERROR"), ProvisioningState::Broken(_)));
    }

    #[test]
    fn a_regional_cluster_has_its_nodes_in_each_zone() {
        assert_eq!(observed("p", &cluster(json!({})), &[]).node_count, Some(2));
        assert_eq!(observed("p", &cluster(json!({"currentNodeCount": 7})), &[]).node_count, None);
        assert_eq!(observed("p", &cluster(json!({"currentNodeCount": null})), &[]).node_count, None);
        let pools = json!([{"name": "default-pool", "status": "RUNNING", "autoscaling": {"enabled": true}}]);
        assert_eq!(observed("p", &cluster(json!({"nodePools": pools})), &[]).node_count, None, "it scales by itself");
    }

    #[test]
    fn progress_is_the_sum_of_its_pairs_and_not_100_before_the_end() {
        let progress = |done: &str| {
            let metrics = json!([
                {"name": "CLUSTER_CONFIGURING", "intValue": "2"}, {"name": "CLUSTER_CONFIGURING_TOTAL", "intValue": "2"},
            ]);
            let stage = json!({"metrics": [
                {"name": "CLUSTER_DEPLOYING", "intValue": done}, {"name": "CLUSTER_DEPLOYING_TOTAL", "intValue": "6"},
            ]});
            let running = operation(json!({"progress": {"metrics": metrics, "stages": [stage]}}));
            observed("p", &cluster(json!({"status": "PROVISIONING"})), &[running]).progress
        };
        assert_eq!([progress("0"), progress("3"), progress("6")], [Some(25), Some(62), Some(99)]);
    }

    #[test]
    fn only_operations_of_the_cluster_count() {
        let others = [
            operation(json!({"targetLink": "https://x/v1/projects/1/locations/europe-west1/clusters/kq-12"})),
            operation(json!({"location": "europe-west2"})),
        ];
        let seen = observed("p", &cluster(json!({"status": "PROVISIONING"})), &others);
        assert_eq!((seen.progress, seen.message.as_str()), (None, ""));
        let pool = "https://x/v1/projects/1/locations/europe-west1/clusters/kq-1/nodePools/default-pool";
        let own = operation(json!({"targetLink": pool, "operationType": "SET_NODE_POOL_SIZE"}));
        let seen = observed("p", &cluster(json!({"status": "RECONCILING"})), &[own]);
        assert_eq!(seen.message, "Google: set node pool size");
    }

    #[test]
    fn only_what_never_ran_counts_as_not_created() {
        let failed = json!({"status": "DONE", "error": {"code": 8, "message": "Quota 'CPUS' exceeded."}});
        let broken = cluster(json!({"status": "ERROR"}));
        assert!(creation_failed(&broken, &[operation(failed.clone())]));
        assert!(!creation_failed(&broken, &[]), "it may have run for months");
        let started = |time: &str, more: &Value| {
            let mut more = more.clone();
            more["startTime"] = time.into();
            operation(more)
        };
        let (first, later) = ("2026-11-28T10:00:00Z", "2026-11-28T10:09:00Z");
        let created = json!({"status": "DONE"});
        assert!(!creation_failed(&broken, &[started(first, &failed), started(later, &created)]), "the second ran");
        assert!(creation_failed(&broken, &[started(later, &failed), started(first, &created)]));
        assert!(!creation_failed(&cluster(json!({})), &[operation(failed.clone())]));
        let ProvisioningState::Broken(reason) = observed("p", &broken, &[operation(failed)]).state else { panic!() };
        assert_eq!(reason.code, ReasonCode::QuotaExceeded);
    }

    #[test]
    fn policy_is_dataplane_v2_calico_or_nobodys() {
        let policy = |more| observed("p", &cluster(more), &[]).network_policy.unwrap();
        let built_in = policy(json!({"networkConfig": {"datapathProvider": "ADVANCED_DATAPATH"}}));
        assert_eq!((built_in.provider.as_str(), built_in.enabled), ("DATAPLANE_V2", true));
        let calico = policy(json!({"networkPolicy": {"provider": "CALICO", "enabled": true}}));
        assert_eq!((calico.provider.as_str(), calico.enabled), ("CALICO", true));
        assert!(!policy(json!({"networkPolicy": {"provider": "CALICO"}})).enabled);
    }
}
