//! The key-value pairs of the old store, and how they are written into a new one.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{SecondsFormat, Utc};
use etcd_client::{Txn, TxnOp};
use kqueen_tests::fixture::etcd::Etcd;
use serde::Deserialize;
use serde_json::Value;

/// The key that its secrets are sealed with.
pub(crate) const SECRET_KEY: &str = "the secret key of a store that version 0.1 wrote";
/// The password of all users who have not changed it.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

const PAIRS: &str = include_str!("../../data/store_0_1/pairs.jsonl");
const DEMO: &str = include_str!("../../data/store_0_1/demo.json");

/// A key with its value.
pub(crate) struct Pair {
    pub(crate) revision: u64,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
}

#[derive(Deserialize)]
struct Line {
    revision: u64,
    key: String,
    text: Option<String>,
    base64: Option<String>,
}

/// Every pair, in the order in which they were written.
pub(crate) fn pairs() -> Vec<Pair> {
    PAIRS.lines().map(pair).collect()
}

fn pair(line: &str) -> Pair {
    let Line { revision, key, text, base64 } = serde_json::from_str(line).unwrap();
    let value = match (text, base64) {
        (Some(text), None) if key.starts_with("claim/") => with_current_time(&text),
        (Some(text), None) => text.into_bytes(),
        (None, Some(bytes)) => STANDARD.decode(bytes).unwrap(),
        _ => panic!("{key} must have one value"),
    };
    Pair { revision, key, value }
}

/// A claim is valid for a day, so the old one gets the current time.
fn with_current_time(claim: &str) -> Vec<u8> {
    let mut claim: Value = serde_json::from_str(claim).unwrap();
    claim["at"] = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into();
    claim.to_string().into_bytes()
}

/// Writes them into a new etcd at their old revisions, with another replica as the leader.
pub(crate) async fn put_on_etcd(etcd: &Etcd, prefix: &str) {
    let mut client = etcd.client().await;
    let mut now = u64::try_from(client.get("none", None).await.unwrap().header().unwrap().revision()).unwrap();
    for group in pairs().chunk_by(|one, other| one.revision == other.revision) {
        // Each write increments the revision by one.
        for _ in now + 1..group[0].revision {
            client.put("/padding", "", None).await.unwrap();
        }
        let puts: Vec<_> =
            group.iter().map(|pair| TxnOp::put(format!("{prefix}/{}", pair.key), pair.value.clone(), None)).collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
        now = group[0].revision;
    }
    client.put(format!("{prefix}/meta/leader"), "another replica", None).await.unwrap();
}

/// Writes them into new files of the embedded store, which keeps the revision in eight bytes before each value.
pub(crate) fn put_on_sled(path: &Path) {
    let db = sled::open(path).unwrap();
    let with_revision = |revision: u64, value: &[u8]| [&revision.to_be_bytes(), value].concat();
    let mut newest = 0;
    // The clock is for stores with several writers.
    for Pair { revision, key, value } in pairs().into_iter().filter(|pair| pair.key != "meta/clock") {
        db.insert(key, with_revision(revision, &value)).unwrap();
        newest = revision;
    }
    db.insert("meta/revision", with_revision(newest, &[])).unwrap();
    db.flush().unwrap();
}

/// Writes the demo engine's file where the engine expects it.
pub(crate) fn put_demo(folder: &Path) {
    std::fs::write(folder.join("store.demo.json"), DEMO).unwrap();
}
