//! Only etcd: a client that sends the product's transaction, with the same keys and sizes.

use std::{sync::Arc, time::Duration};

use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

use super::{tasks, written::Written};
use crate::bench::sample::Sample;

/// Measures `tasks` tasks that each write a copy of `written` and wait for the response.
pub async fn measure(client: &Client, written: &Arc<Written>, tasks: usize, span: Duration) -> Sample {
    let (client, written) = (client.kv_client(), written.clone());
    tasks::measure(tasks, span, move || {
        let (mut client, written) = (client.clone(), written.clone());
        async move { assert!(client.txn(transaction(&written)).await.unwrap().succeeded()) }
    })
    .await
}

/// The transaction, on the product's conditions: the record is new and the records it refers to exist.
fn transaction(written: &Written) -> Txn {
    let entries = written.anew();
    let record = entries.iter().find(|(key, _)| key.contains("shown/")).map(|(key, _)| key.as_str());
    let is_new = record.map(|key| Compare::create_revision(key, CompareOp::Equal, 0));
    let exist = written.requires.iter().map(|key| Compare::create_revision(key.as_str(), CompareOp::Greater, 0));
    let conditions: Vec<_> = is_new.into_iter().chain(exist).collect();
    let writes: Vec<_> = entries.into_iter().map(|(key, value)| TxnOp::put(key, value, None)).collect();
    Txn::new().when(conditions).and_then(writes)
}
