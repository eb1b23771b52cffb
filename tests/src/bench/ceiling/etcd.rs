//! etcd alone: a client that sends the transaction the product sends, with the same keys and sizes.

use std::{sync::Arc, time::Duration};

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

use super::{tasks, written::Written};
use crate::bench::sample::Sample;

/// Measures `tasks` tasks that each send `written` once more and wait for the answer.
pub async fn measure(client: &Client, written: &Arc<Written>, tasks: usize, span: Duration) -> Sample {
    let (client, written) = (client.kv_client(), written.clone());
    tasks::measure(tasks, span, move || {
        let (mut client, written) = (client.clone(), written.clone());
        async move { assert!(client.txn(transaction(&written)).await.unwrap().succeeded()) }
    })
    .await
}

/// That the record is new and what it refers to is there, as the product asks.
fn transaction(written: &Written) -> Txn {
    let entries = written.anew();
    let record = entries.iter().find(|(key, _)| key.contains("shown/")).map(|(key, _)| key.as_str());
    let is_new = record.map(|key| Compare::create_revision(key, CompareOp::Equal, 0));
    let are_there = written.requires.iter().map(|key| Compare::create_revision(key.as_str(), CompareOp::Greater, 0));
    let conditions: Vec<_> = is_new.into_iter().chain(are_there).collect();
    let writes: Vec<_> = entries.into_iter().map(|(key, value)| TxnOp::put(key, value, None)).collect();
    Txn::new().when(conditions).and_then(writes)
}
