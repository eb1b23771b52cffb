//! What engines promise, each promise once, as functions over an engine and a [`Stage`]: its provider in the hands of a test.
//! [`engine_contract`](crate::engine_contract) holds the list, so that no engine can leave one out.

pub mod life;
pub mod others;
pub mod trouble;

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

/// A provider that a test controls, with nothing of ours at it, and the engine that drives it.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The engine.
    fn engine(&self) -> &dyn Engine;
    /// Credentials that may do everything.
    fn credentials(&self) -> ProviderCredentials;
    /// Credentials that the provider does not accept.
    fn refused(&self) -> ProviderCredentials;
    /// Credentials for a provider that does not answer.
    fn silent(&self) -> ProviderCredentials;
    /// Parameters of a cluster with so many nodes, secrets included.
    fn parameters(&self, nodes: u32) -> SecretMap;
    /// A network policy the provider knows, switched on.
    fn policy(&self) -> NetworkPolicy;
    /// Puts something there that somebody else has made, under that name and with that ownership tag, if any; it runs.
    async fn plant(&self, name: &ResourceRef, tag: Option<OwnershipTag>);
    /// Everything the provider knows of what has that name.
    async fn look(&self, name: &ResourceRef) -> Option<Value>;
    /// Ends something without the engine.
    async fn end(&self, name: &ResourceRef);
    /// Takes the ownership tag off something.
    async fn untag(&self, name: &ResourceRef);
    /// Lets time pass at the provider.
    async fn pass(&self, time: TimeDelta);
    /// Grows with every change at the provider.
    async fn changes(&self) -> u64;
}

/// Makes a test of every promise, over stages that `$stage` makes: an `async fn() -> Option<impl Stage>`.
#[macro_export]
macro_rules! engine_contract {
    ($stage:path) => {
        $crate::engine_promises! { $stage,
            life: [
                its_forms_are_what_it_reads, good_credentials_are_accepted, names_are_those_of_the_cluster,
                a_cluster_comes_and_goes, deploying_again_makes_nothing_more, deploying_carries_on_where_something_is_missing,
                resizing_again_is_success, switching_network_policy_again_is_success, destroying_again_is_success,
                what_is_not_there_is_missing, an_orphan_is_taken_down_by_its_tag, asking_changes_nothing,
                progress_is_told_while_it_is_made,
            ]
            others: [
                what_others_made_is_not_adopted, what_others_made_is_not_taken_down, what_others_made_is_not_changed,
                what_has_lost_its_tag_is_reported_and_left_alone, clusters_leave_each_other_alone,
                an_inventory_is_everything_of_ours_and_nothing_else,
            ]
            trouble: [
                credentials_that_are_refused_are_told, silence_is_told, no_secret_is_told,
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
