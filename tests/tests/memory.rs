//! What a server on the embedded store holds in memory depends on how many clusters there are, not on what was read of them.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code: a failure is a panic")]

use std::time::Duration;

use futures::{StreamExt, stream};
use kqueen_adapters::storage::Place;
use kqueen_tests::{
    bench::{fill::fill, process::memory},
    fixture::{
        app::{App, Options},
        process::eventually,
    },
};

const SECRET_KEY: &str = "Vb2Nm9Kj5Hg3Fd7Sa1PoIq8Zr4Lw0Xc6";
/// With a kubeconfig of 5 kB each: 100 MB in all.
const CLUSTERS: usize = 20_000;
/// What reading all of them may add: the cache of sealed kubeconfigs (16 MB), the pages the store keeps (some 40 MB), what is in hand.
const MOST_MB: f64 = 75.0;
const AT_ONCE: usize = 16;

#[tokio::test]
async fn what_was_read_is_not_kept() {
    // Every cluster was looked at a moment ago, so that nobody else reads kubeconfigs.
    let mut app =
        App::start_with(Options::default().with("SECRET_KEY", SECRET_KEY).with("OBSERVE_INTERVAL", "1d")).await;
    app.kill();
    let filled =
        fill(Place::Sled { path: app.folder.join("store") }, SECRET_KEY, CLUSTERS, "https://127.0.0.1:1").await;
    app.restart().await;
    let admin = app.admin().await;
    let held = || memory(u32::try_from(app.pid()).unwrap()).resident_mb;
    let before = held();
    let read = async |id: String| {
        let answer = app.get(&format!("/clusters/{id}/kubeconfig"), &admin).await.ok();
        assert!(answer.to_string().len() > 4000, "{answer}");
    };
    let ids = filled.clusters.iter().map(ToString::to_string);
    stream::iter(ids).map(read).buffer_unordered(AT_ONCE).collect::<()>().await;
    let what = format!("{before:.0} MB before reading, {:.0} after, {MOST_MB} more are fine", held());
    // Memory is given back a moment after it was used.
    eventually(&what, Duration::from_secs(10), async || held() < before + MOST_MB).await;
}
