//! Promises about timelines and about deleted clusters.

use chrono::TimeDelta;
use futures::future::join_all;
use kqueen_domain::{
    cluster::Cluster,
    id::ClusterId,
    port::store::{ClusterCommit, ClusterSecrets, RecordChange, StoreError, TimelinePage},
    timeline::{TimelineEvent, Tombstone},
};

use super::{
    Replica, TestStore,
    records::{a_tombstone, after, an_entry, an_operation, then},
};

async fn append(replica: &Replica, cluster: ClusterId, entries: Vec<TimelineEvent>) {
    let work = ClusterCommit { timeline: entries, ..ClusterCommit::default() };
    replica.clusters.commit(cluster, RecordChange::Keep(None), work).await.unwrap();
}

async fn page(replica: &Replica, cluster: ClusterId, from: Option<&str>, limit: usize) -> TimelinePage {
    replica.clusters.timeline(cluster, from.map(str::to_owned), limit).await.unwrap()
}

fn messages(entries: &[TimelineEvent]) -> Vec<&str> {
    entries.iter().map(|entry| entry.message.as_str()).collect()
}

async fn all_messages(replica: &Replica, cluster: ClusterId) -> Vec<String> {
    let page = page(replica, cluster, None, 1000).await;
    assert_eq!(page.next, None);
    messages(&page.entries).into_iter().map(str::to_owned).collect()
}

/// A cluster with `count` timeline entries, whose messages are their numbers.
async fn a_cluster_with_timeline(replica: &Replica, count: i64) -> Cluster {
    let (.., cluster) = replica.one_of_each().await;
    let entries: Vec<TimelineEvent> = (0..count).map(|i| an_entry(&cluster, i, &i.to_string())).collect();
    for part in entries.chunks(50) {
        append(replica, cluster.id, part.to_vec()).await;
    }
    cluster
}

pub async fn entries_are_newest_first(site: TestStore) {
    let replica = site.open().await;
    let (.., cluster) = replica.one_of_each().await;
    assert_eq!(page(&replica, cluster.id, None, 10).await, TimelinePage::default());
    let entry = |ms, message| an_entry(&cluster, ms, message);
    append(&replica, cluster.id, vec![entry(10, "second"), entry(10, "third"), entry(10, "fourth")]).await;
    append(&replica, cluster.id, vec![entry(20, "fifth")]).await;
    // Written last, but happened first.
    append(&replica, cluster.id, vec![entry(5, "first")]).await;
    // The clock was set back between the two.
    append(&replica, cluster.id, vec![entry(30, "sixth"), entry(1, "seventh")]).await;
    let expected = ["seventh", "sixth", "fifth", "fourth", "third", "second", "first"];
    assert_eq!(all_messages(&replica, cluster.id).await, expected);
    let newest = page(&replica, cluster.id, None, 2).await.entries;
    assert_eq!(newest, [entry(1, "seventh"), entry(30, "sixth")]);
    let replica = site.restart(replica).await;
    assert_eq!(all_messages(&replica, cluster.id).await, expected);
}

pub async fn pages_contain_every_entry_once(site: TestStore) {
    let replica = site.open().await;
    let cluster = a_cluster_with_timeline(&replica, 25).await;
    let (.., neighbour) = replica.one_of_each().await;
    append(&replica, neighbour.id, vec![an_entry(&neighbour, 3, "of another")]).await;
    for limit in [1, 7, 24, 25, 26, 5000] {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = page(&replica, cluster.id, from.as_deref(), limit).await;
            assert!(page.entries.len() == limit || page.next.is_none());
            all.extend(page.entries);
            from = page.next;
            if from.is_none() {
                break;
            }
            assert!(all.len() < 25, "{limit}: more entries than exist");
        }
        let expected: Vec<String> = (0..25).rev().map(|i: i64| i.to_string()).collect();
        assert_eq!(messages(&all), expected, "{limit}");
    }
    // An entry added in between does not shift later pages.
    let first = page(&replica, cluster.id, None, 10).await;
    append(&replica, cluster.id, vec![an_entry(&cluster, 100, "new")]).await;
    let second = page(&replica, cluster.id, first.next.as_deref(), 2).await;
    assert_eq!(messages(&second.entries), ["14", "13"]);
}

pub async fn an_unknown_page_position_is_rejected(site: TestStore) {
    let replica = site.open().await;
    let cluster = a_cluster_with_timeline(&replica, 3).await;
    let valid = page(&replica, cluster.id, None, 1).await.next.unwrap();
    let invalid =
        ["", "0", "/", "../", "ü", "' OR 1", &valid[1..], &format!("{valid}0"), &valid.to_uppercase(), "\0", "z-"];
    for from in invalid.into_iter().filter(|from| *from != valid) {
        let refused = replica.clusters.timeline(cluster.id, Some(from.to_owned()), 10).await;
        assert!(matches!(refused, Err(StoreError::Dangling { field: "from" })), "{from:?}: {refused:?}");
    }
    // A position in a valid format shows only entries of this timeline.
    for from in [valid.replace(|digit: char| digit != '-', "f"), valid.replace(|digit: char| digit != '-', "0")] {
        let entries = page(&replica, cluster.id, Some(&from), 10).await.entries;
        assert!(entries.iter().all(|entry| entry.cluster == cluster.id));
    }
}

pub async fn pruning_keeps_the_newest(site: TestStore) {
    let replica = site.open().await;
    let cluster = a_cluster_with_timeline(&replica, 230).await;
    let other = a_cluster_with_timeline(&replica, 5).await;
    let page_before = page(&replica, cluster.id, None, 20).await;
    replica.clusters.prune_timeline(cluster.id, 300).await.unwrap();
    assert_eq!(all_messages(&replica, cluster.id).await.len(), 230);
    replica.clusters.prune_timeline(cluster.id, 12).await.unwrap();
    let newest: Vec<String> = (218..230).rev().map(|i| i.to_string()).collect();
    assert_eq!(all_messages(&replica, cluster.id).await, newest);
    // The entry at a page's position may have been removed since.
    assert_eq!(page(&replica, cluster.id, page_before.next.as_deref(), 10).await, TimelinePage::default());
    replica.clusters.prune_timeline(cluster.id, 0).await.unwrap();
    assert!(all_messages(&replica, cluster.id).await.is_empty());
    replica.clusters.prune_timeline(ClusterId::random(), 0).await.unwrap();
    assert_eq!(all_messages(&replica, other.id).await.len(), 5);
}

pub async fn concurrent_writers_lose_nothing(site: TestStore) {
    let pair = site.pair().await;
    let (.., cluster) = pair.0.one_of_each().await;
    pair.1.read_barrier.caught_up().await.unwrap();
    let writes = (0..40).map(|i| {
        let replica = if i % 2 == 0 { &pair.0 } else { &pair.1 };
        append(replica, cluster.id, vec![an_entry(&cluster, 0, "one"), an_entry(&cluster, 0, "two")])
    });
    join_all(writes).await;
    let messages = all_messages(&pair.1, cluster.id).await;
    assert_eq!(messages.iter().filter(|message| *message == "one").count(), 40);
    assert_eq!(messages.iter().filter(|message| *message == "two").count(), 40);
}

/// Changes that the catalog does not contain do not make every replica read changes.
pub async fn timeline_entries_do_not_advance_the_clock(site: TestStore) {
    let replica = site.open().await;
    let Some(etcd) = site.etcd.clone() else { return };
    let kqueen_adapters::storage::Location::Etcd(settings) = site.location() else { panic!("the store is on etcd") };
    let cluster = a_cluster_with_timeline(&replica, 3).await;
    let clock = async || {
        let answer = etcd.client().await.get(format!("{}/meta/clock", settings.prefix), None).await.unwrap();
        answer.kvs()[0].mod_revision()
    };
    let before = clock().await;
    let ledger = super::records::a_ledger(cluster.id, &["a"]);
    let work = ClusterCommit {
        ledger: Some((ledger, None)),
        timeline: vec![an_entry(&cluster, 9, "x")],
        ..ClusterCommit::default()
    };
    replica.clusters.commit(cluster.id, RecordChange::Keep(None), work).await.unwrap();
    replica.clusters.prune_timeline(cluster.id, 1).await.unwrap();
    assert_eq!(clock().await, before);
    replica.record_observed_status(&super::records::an_observed_status(cluster.id)).await.unwrap();
    assert!(clock().await > before);
}

/// A deleted cluster with its timeline and operations.
async fn a_deleted_cluster(replica: &Replica, deleted_at: TimeDelta) -> Cluster {
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let entries: Vec<TimelineEvent> = (0..120).map(|i| an_entry(&cluster, i, &i.to_string())).collect();
    append(replica, cluster.id, entries[..60].to_vec()).await;
    append(replica, cluster.id, entries[60..].to_vec()).await;
    let work = ClusterCommit {
        operations: (0..20).map(|_| (an_operation(&cluster), None)).collect(),
        tombstone: Some(Tombstone { at: then() + deleted_at, ..a_tombstone(&cluster) }),
        ..ClusterCommit::default()
    };
    replica.clusters.commit(cluster.id, RecordChange::Remove(revision), work).await.unwrap();
    cluster
}

pub async fn old_tombstones_are_removed(site: TestStore) {
    let replica = site.open().await;
    let old = a_deleted_cluster(&replica, TimeDelta::days(-8)).await;
    let older = a_deleted_cluster(&replica, TimeDelta::days(-9)).await;
    let recent = a_deleted_cluster(&replica, TimeDelta::days(-6)).await;
    let existing = a_cluster_with_timeline(&replica, 4).await;
    let before = then() - TimeDelta::days(7);
    let replica = site.restart(replica).await;
    assert_eq!(replica.clusters.forget_tombstones(before).await.unwrap(), 2);
    assert_eq!(replica.clusters.forget_tombstones(before).await.unwrap(), 0);
    let check = async |replica: &Replica| {
        for gone in [&old, &older] {
            assert!(replica.catalog.tombstone(gone.id).is_none());
            assert!(replica.catalog.operations_of(gone.id).is_empty());
            assert!(all_messages(replica, gone.id).await.is_empty());
        }
        assert!(replica.catalog.tombstone(recent.id).is_some());
        assert_eq!(replica.catalog.operations_of(recent.id).len(), 20);
        assert_eq!(all_messages(replica, recent.id).await.len(), 120);
        assert_eq!(all_messages(replica, existing.id).await.len(), 4);
    };
    check(&replica).await;
    let replica = site.restart(replica).await;
    check(&replica).await;
    replica.close().await;
    drop(replica);
    let Some(raw) = site.raw().await else { return };
    for gone in [old.id.to_string(), older.id.to_string()] {
        let left: Vec<_> = raw.iter().map(|(key, _)| key).filter(|key| key.contains(&gone)).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

pub async fn a_recreated_cluster_keeps_its_timeline(site: TestStore) {
    let replica = site.open().await;
    let cluster = a_deleted_cluster(&replica, TimeDelta::days(-8)).await;
    replica.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
    assert_eq!(replica.clusters.forget_tombstones(after(0)).await.unwrap(), 0);
    assert_eq!(all_messages(&replica, cluster.id).await.len(), 120);
    assert_eq!(replica.catalog.operations_of(cluster.id).len(), 20);
}
