//! The memory of a server on the embedded store depends on the number of clusters, not on what was read of them.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code: a failure is a panic")]

use std::{future::ready, time::Duration};

use futures::{StreamExt, stream};
use kqueen_adapters::storage::Location;
use kqueen_tests::{
    bench::{
        fill::fill,
        process::{memory, memory_while_it_runs},
    },
    fixture::{
        app::{App, Options},
        binary,
        process::eventually,
    },
};

const NEW_KEY: &str = "Zr4Lw0Xc6Vb2Nm9Kj5Hg3Fd7Sa1PoIq8";
const SECRET_KEY: &str = "Vb2Nm9Kj5Hg3Fd7Sa1PoIq8Zr4Lw0Xc6";
/// With a kubeconfig of 5 kB each: 100 MB in all.
const CLUSTERS: usize = 20_000;
/// What reading all of them may add: the cache of sealed kubeconfigs (12 MB), the store's page cache (about 40 MB), requests in progress.
const MOST_MB: f64 = 71.0;
/// What key rotation takes at most, including the read model of all clusters. It takes 175 MB if it keeps what it reads.
const ROTATION_MB: f64 = 140.0;
const AT_ONCE: usize = 16;

#[tokio::test]
async fn neither_the_server_nor_key_rotation_keeps_what_was_read_in_memory() {
    // All clusters count as just observed, so that nothing else reads kubeconfigs.
    let mut app =
        App::start_with(Options::default().with("SECRET_KEY", SECRET_KEY).with("OBSERVE_INTERVAL", "1d")).await;
    app.kill();
    let filled =
        fill(Location::Sled { path: app.folder.join("store") }, SECRET_KEY, CLUSTERS, "https://127.0.0.1:1").await;
    app.restart().await;
    let admin = app.admin().await;
    let resident = || memory(u32::try_from(app.pid()).unwrap()).resident_mb;
    let before = resident();
    let read = async |id: String| {
        let answer = app.get(&format!("/clusters/{id}/kubeconfig"), &admin).await.ok();
        assert!(answer.to_string().len() > 4000, "{answer}");
    };
    let ids = filled.clusters.iter().map(ToString::to_string);
    stream::iter(ids).map(read).buffer_unordered(AT_ONCE).collect::<()>().await;
    let what = format!("{before:.0} MB before reading, {:.0} after, at most {MOST_MB} more are allowed", resident());
    // Memory is returned with a delay.
    eventually(&what, Duration::from_secs(10), async || resident() < before + MOST_MB).await;

    app.terminate();
    assert!(app.ended().await.success());
    let mut rotation = binary::command();
    rotation.arg("rotate-keys").current_dir(&app.folder).env("KQUEEN_SLED_PATH", app.folder.join("store"));
    rotation.env("KQUEEN_SECRET_KEY", NEW_KEY).env("KQUEEN_SECRET_KEY_PREVIOUS", SECRET_KEY);
    let mut rotation = rotation.spawn().unwrap();
    let mut peak: f64 = 0.0;
    let ended = || {
        peak = memory_while_it_runs(rotation.id()).map_or(peak, |memory| memory.peak_mb);
        ready(rotation.try_wait().unwrap().is_some())
    };
    eventually("all keys are rotated", Duration::from_secs(120), ended).await;
    let output = rotation.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(peak > 10.0 && peak < ROTATION_MB, "key rotation took at most {peak:.0} MB");
}
