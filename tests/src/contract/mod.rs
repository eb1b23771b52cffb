//! What the storage ports promise, each promise once, as functions over a [`TestStore`]. [`storage_contract`](crate::storage_contract) holds
//! the list, so that no adapter can leave one out. A fault found in one adapter becomes a promise of all.

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

/// Makes a test of every promise, over sites that `$site` makes.
#[macro_export]
macro_rules! storage_contract {
    ($site:path) => {
        $crate::promises! { $site,
            organizations: [
                what_is_stored_is_shown, stale_revision_is_refused, missing_is_told, namespaces_are_unique,
                a_namespace_never_changes, deleting_frees_the_namespace, in_use_cannot_be_deleted,
            ]
            users: [
                what_is_stored_is_shown, stale_revision_is_refused, missing_is_told, usernames_are_unique,
                addresses_are_unique_without_regard_to_capitals, renaming_frees_the_name, an_organization_is_needed,
                secrets_are_kept_set_and_removed, deleting_takes_the_secrets, owners_cannot_be_deleted,
                owners_cannot_move, a_write_may_depend_on_another_user,
            ]
            provisioners: [
                what_is_stored_is_shown, stale_revision_is_refused, missing_is_told, references_must_exist,
                secrets_are_kept_set_and_removed, a_new_owner_takes_over, in_use_cannot_be_deleted,
                engine_and_organization_never_change,
            ]
            clusters: [
                what_is_stored_is_shown, stale_revision_is_refused, missing_is_told, references_must_exist,
                kubeconfigs_are_kept_set_and_removed, a_new_owner_takes_over, provisioner_and_organization_never_change,
                deleting_frees_what_it_used, observed_statuses_leave_the_revision_alone, an_observed_status_needs_its_cluster,
                deleting_takes_the_observed_status, ages_only_grow, ages_of_clusters_that_are_gone_are_skipped,
                ages_survive_a_restart, large_kubeconfigs_are_stored,
            ]
            commits: [
                everything_of_one_commit_has_its_revision, nothing_of_a_refused_commit_is_written,
                a_removal_notices_what_was_made_meanwhile, a_commit_needs_its_cluster, what_is_kept_keeps_its_revision, what_leaves_leaves_its_story_and_no_more,
                old_operations_are_forgotten, the_largest_commit_fits, as_many_as_one_commit_takes,
                of_commits_at_the_same_time_one_wins,
            ]
            timeline: [
                the_newest_comes_first, pages_meet_without_a_gap, a_place_that_is_none_of_ours_is_refused,
                pruning_keeps_the_newest, writers_at_the_same_moment_lose_nothing,
                a_story_alone_does_not_move_the_clock, those_who_left_long_ago_are_forgotten,
                a_cluster_that_is_there_again_keeps_its_story,
            ]
            orphans: [
                what_is_stored_is_shown, stale_revision_is_refused, missing_is_told,
                undecided_orphans_hold_their_provisioner, an_orphan_that_leaves_lets_go,
                another_provisioner_takes_over_the_hold, what_belongs_to_a_cluster_is_no_orphan,
                a_cluster_that_leaves_hands_its_hold_over, a_cluster_that_leaves_replaces_its_orphan,
                nothing_dangles_when_a_provisioner_is_deleted,
            ]
            checks: [
                a_check_leaves_the_revision_alone, a_check_needs_its_provisioner, a_check_goes_with_its_provisioner,
            ]
            leader: [
                an_only_replica_leads_and_its_term_is_good, who_does_not_lead_writes_nothing,
                an_installation_keeps_its_id, two_that_set_up_one_store_are_one_installation,
            ]
            idempotency: [
                a_repeated_request_gets_the_first_answer, another_request_is_told_apart, keys_of_others_are_other_keys,
                a_refused_creation_claims_nothing, at_the_same_time_only_one_creates, a_claim_outlives_what_it_made,
                claims_run_out, old_claims_are_forgotten, claims_survive_a_restart,
            ]
            races: [
                one_of_many_gets_the_username, one_of_many_gets_the_address, one_of_many_gets_the_namespace,
                one_of_many_updates_wins, nothing_dangles_when_an_organization_is_deleted,
                nothing_dangles_when_an_owner_is_deleted, nothing_dangles_when_a_provisioner_is_deleted,
                ages_of_two_writers_both_count, of_two_who_take_each_other_out_one_stays,
            ]
            feed: [
                a_write_is_shown_when_it_returns, the_other_replica_shows_it_once_caught_up,
                a_restart_shows_everything, revisions_survive_a_restart, a_closed_store_refuses,
                the_other_replica_reads_new_kubeconfigs, the_other_replica_reads_new_parameters, an_open_store_is_ready,
                secrets_are_read_once, replicas_hear_the_same,
            ]
            keys: [
                a_wrong_key_is_refused_with_what_to_do, two_that_set_up_one_store_agree, an_earlier_key_reads, rotation_seals_everything_anew,
                an_earlier_key_must_not_be_left_out, rotation_and_changes_get_along, derived_keys_are_the_same_everywhere,
                no_secret_is_stored_in_the_open, a_secret_moved_to_another_key_does_not_open,
                damage_is_told_and_nothing_is_guessed,
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
