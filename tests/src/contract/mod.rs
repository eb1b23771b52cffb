//! The contract of the storage ports, as functions over a [`TestStore`]. [`storage_contract`](crate::storage_contract) lists all of them, so
//! that no adapter can omit one. A bug found in one adapter becomes a promise of all.

pub mod checks;
pub mod clusters;
pub mod commits;
pub mod engine;
pub mod feed;
pub mod idempotency;
pub mod keys;
pub mod leader;
pub mod organizations;
pub mod orphans;
pub mod provisioners;
pub mod races;
pub mod records;
pub mod test_store;
pub mod timeline;
pub mod users;

pub use test_store::{Replica, TestStore};

/// Generates a test of every promise, on stores that `$site` creates.
#[macro_export]
macro_rules! storage_contract {
    ($site:path) => {
        $crate::promises! { $site,
            organizations: [
                stored_records_are_visible, a_stale_revision_is_a_conflict, a_missing_record_is_reported, namespaces_are_unique,
                a_namespace_never_changes, deleting_frees_the_namespace, in_use_cannot_be_deleted,
            ]
            users: [
                stored_records_are_visible, a_stale_revision_is_a_conflict, a_missing_record_is_reported, usernames_are_unique,
                addresses_are_unique_ignoring_case, renaming_frees_the_name, the_organization_must_exist,
                secrets_are_kept_set_and_removed, deleting_removes_the_secrets, owners_cannot_be_deleted, owners_cannot_move,
                a_write_may_depend_on_another_user,
            ]
            provisioners: [
                stored_records_are_visible, a_stale_revision_is_a_conflict, a_missing_record_is_reported, references_must_exist,
                secrets_are_kept_set_and_removed, ownership_can_be_transferred, in_use_cannot_be_deleted,
                engine_and_organization_never_change,
            ]
            clusters: [
                stored_records_are_visible, a_stale_revision_is_a_conflict, a_missing_record_is_reported, references_must_exist,
                kubeconfigs_are_kept_set_and_removed, ownership_can_be_transferred, provisioner_and_organization_never_change,
                deleting_releases_its_references, observed_statuses_do_not_change_the_revision,
                an_observed_status_needs_its_cluster, deleting_removes_the_observed_status, observation_times_only_grow,
                observation_times_of_deleted_clusters_are_skipped, observation_times_survive_a_restart,
                large_kubeconfigs_are_stored,
            ]
            commits: [
                all_records_of_a_commit_have_its_revision, nothing_of_a_failed_commit_is_written,
                a_removal_fails_if_the_ledger_has_changed, a_commit_needs_its_cluster, unchanged_records_keep_their_revision,
                a_deleted_cluster_leaves_only_its_history, old_operations_are_removed, the_largest_commit_fits,
                a_commit_with_too_many_entries_fails, one_of_concurrent_commits_wins,
            ]
            timeline: [
                entries_are_newest_first, pages_contain_every_entry_once, an_unknown_page_position_is_rejected,
                pruning_keeps_the_newest, concurrent_writers_lose_nothing, timeline_entries_do_not_advance_the_clock,
                old_tombstones_are_removed, a_recreated_cluster_keeps_its_timeline,
            ]
            orphans: [
                stored_records_are_visible, a_stale_revision_is_a_conflict, a_missing_record_is_reported,
                undecided_orphans_keep_their_provisioner_in_use, a_removed_orphan_releases_its_provisioner,
                an_orphan_can_move_to_another_provisioner, an_existing_cluster_cannot_be_an_orphan,
                a_deleted_cluster_passes_its_reference_to_its_orphan, deleting_a_cluster_replaces_its_orphan,
                nothing_dangles_when_a_provisioner_is_deleted,
            ]
            checks: [
                a_check_does_not_change_the_revision, a_check_needs_its_provisioner, deleting_a_provisioner_removes_its_check,
            ]
            leader: [
                a_single_replica_leads_with_a_valid_term, a_replica_that_is_not_leader_writes_nothing, an_installation_keeps_its_id,
                replicas_that_initialize_a_store_together_are_one_installation,
            ]
            idempotency: [
                a_repeated_request_gets_the_first_result, another_request_with_the_same_key_is_detected,
                keys_are_separate_for_each_caller, a_failed_creation_does_not_use_the_key, only_one_of_concurrent_requests_creates,
                an_idempotency_record_outlives_the_created_record, idempotency_records_expire,
                old_idempotency_records_are_removed, idempotency_records_survive_a_restart,
            ]
            races: [
                one_of_many_gets_the_username, one_of_many_gets_the_address, one_of_many_gets_the_namespace,
                one_of_many_updates_wins, nothing_dangles_when_an_organization_is_deleted, nothing_dangles_when_an_owner_is_deleted,
                nothing_dangles_when_a_provisioner_is_deleted, observation_times_of_two_writers_are_merged,
                two_users_cannot_remove_each_other,
            ]
            feed: [
                a_write_is_visible_when_it_returns, a_write_is_visible_on_the_other_replica_once_caught_up,
                a_restart_shows_everything, revisions_survive_a_restart, a_closed_store_rejects_writes,
                the_other_replica_reads_new_kubeconfigs, the_other_replica_reads_new_parameters, an_open_store_is_ready,
                secrets_are_read_once, replicas_report_the_same_changes,
            ]
            keys: [
                a_wrong_key_is_rejected_with_instructions, replicas_that_initialize_a_store_together_share_its_key,
                a_previous_key_still_reads, rotation_encrypts_everything_with_the_new_key,
                a_previous_key_that_is_still_needed_must_be_given, rotation_tolerates_concurrent_changes,
                derived_keys_are_the_same_on_all_replicas, secrets_are_stored_encrypted,
                a_secret_moved_to_another_key_cannot_be_decrypted, a_damaged_record_is_an_error,
            ]
        }
    };
}

/// See [`storage_contract`](crate::storage_contract).
#[macro_export]
macro_rules! promises {
    ($site:path, $($group:ident: [$($promise:ident),* $(,)?])*) => {
        $(mod $group {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                if let Some(site) = $site().await {
                    $crate::contract::$group::$promise(site).await;
                }
            })*
        })*
    };
}
