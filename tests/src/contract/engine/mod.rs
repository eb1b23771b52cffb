//! The contract of engines, as functions over an engine and a [`Stage`], its provider controlled by a test.
//! [`engine_contract`](crate::engine_contract) lists all of them, so that no engine can omit one.

pub mod failures;
pub mod life;
pub mod others;

mod case;

use async_trait::async_trait;
pub use case::Case;
use chrono::TimeDelta;
use kqueen_domain::{
    ledger::{OwnershipTag, ResourceRef},
    operation::NetworkPolicy,
    port::engine::{Engine, ProviderCredentials},
    secret::SecretMap,
};
use serde_json::Value;

/// A provider that a test controls, without any of our resources, and the engine that drives it.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The engine.
    fn engine(&self) -> &dyn Engine;
    /// Credentials with every right.
    fn credentials(&self) -> ProviderCredentials;
    /// Credentials that the provider does not accept.
    fn rejected(&self) -> ProviderCredentials;
    /// Credentials for a provider that does not answer.
    fn unreachable(&self) -> ProviderCredentials;
    /// Parameters of a cluster with this number of nodes, secrets included.
    fn parameters(&self, nodes: u32) -> SecretMap;
    /// A network policy that the provider supports, enabled.
    fn policy(&self) -> NetworkPolicy;
    /// Creates a running foreign resource with that name and that ownership tag, if any.
    async fn plant(&self, name: &ResourceRef, tag: Option<OwnershipTag>);
    /// The full state of the resource of that name at the provider.
    async fn resource(&self, name: &ResourceRef) -> Option<Value>;
    /// Removes a resource without the engine.
    async fn end(&self, name: &ResourceRef);
    /// Removes the ownership tag of a resource.
    async fn untag(&self, name: &ResourceRef);
    /// Advances the provider's clock.
    async fn pass(&self, time: TimeDelta);
    /// A counter that grows with every change at the provider.
    async fn changes(&self) -> u64;
}

/// Generates a test of every promise, on stages that `$stage` creates: an `async fn() -> Option<impl Stage>`.
#[macro_export]
macro_rules! engine_contract {
    ($stage:path) => {
        $crate::engine_promises! { $stage,
            life: [
                the_declared_parameters_are_those_it_reads, good_credentials_are_accepted, names_are_those_of_the_cluster,
                a_cluster_is_deployed_and_destroyed, deploying_again_creates_nothing_more,
                deploying_continues_where_a_resource_is_missing, resizing_again_is_success,
                switching_network_policy_again_is_success, destroying_again_is_success, calls_for_an_absent_cluster_return_missing,
                an_orphan_is_destroyed_by_its_tag, reads_change_nothing, progress_is_reported_during_deployment,
            ]
            others: [
                foreign_resources_are_not_adopted, foreign_resources_are_not_deleted, foreign_resources_are_not_changed,
                a_resource_without_its_tag_is_reported_and_not_touched, clusters_do_not_affect_each_other,
                an_inventory_is_all_resources_of_the_installation,
            ]
            failures: [
                rejected_credentials_are_reported, an_unreachable_provider_is_reported, errors_contain_no_secrets,
            ]
        }
    };
}

/// See [`engine_contract`](crate::engine_contract).
#[macro_export]
macro_rules! engine_promises {
    ($stage:path, $($group:ident: [$($promise:ident),* $(,)?])*) => {
        $(mod $group {
            $(#[tokio::test]
            async fn $promise() {
                if let Some(stage) = $stage().await {
                    let engine = $crate::contract::engine::Stage::engine(&stage);
                    $crate::contract::engine::$group::$promise(engine, &stage).await;
                }
            })*
        })*
    };
}
