//! How soon all listeners receive a change.

use std::time::{Duration, Instant};

use futures::future::join_all;
use kqueen_tests::{
    bench::{options::Options, sample::histogram},
    fixture::{
        app::{App, Options as Settings},
        people::new_name,
        sse::Stream,
    },
};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    LISTENERS,
    provider_calls::at_quantile,
    results::{Figure, Part},
    scale::Scale,
};

/// Users who listen, each with as many streams as allowed.
const USERS: usize = 10;
const EACH: usize = 20;

pub(crate) async fn measure(scale: &Scale, options: &Options) -> Part {
    let mut settings = Settings::default().with("OBSERVE_INTERVAL", "24h");
    settings.settings.extend(options.settings.iter().cloned());
    let app = App::start_with(settings).await;
    let tenant = app.tenant().await;
    let cluster = app.cluster(&tenant.provisioner, &tenant.member).await;
    app.observed(&cluster, &tenant.member.token).await;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut listening = Vec::new();
    for _ in 0..USERS {
        let person = app.person(&tenant.id, "member").await;
        for mut stream in join_all((0..EACH).map(|_| Stream::open(&app, &person.token))).await {
            let sender = sender.clone();
            listening.push(tokio::spawn(async move {
                loop {
                    let event = stream.event().await;
                    let at = Instant::now();
                    let _ended =
                        sender.send((event.data["object"]["name"].as_str().unwrap_or_default().to_owned(), at));
                }
            }));
        }
    }
    eprintln!("{LISTENERS}: {} streams are open", listening.len());
    let mut delays = histogram();
    for _ in 0..scale.changes {
        let name = new_name("renamed");
        let path = format!("/clusters/{cluster}");
        app.patch(&path, &tenant.member.token, json!({"name": name})).await.ok();
        let acknowledged = Instant::now();
        let mut missing = listening.len();
        while missing > 0 {
            let (renamed, at) = receiver.recv().await.unwrap();
            if renamed == name {
                missing -= 1;
                let delay = at.saturating_duration_since(acknowledged).max(Duration::from_micros(1));
                delays.saturating_record(u64::try_from(delay.as_micros()).unwrap());
            }
        }
    }
    listening.iter().for_each(tokio::task::JoinHandle::abort);
    let figures = vec![
        Figure::new("from the acknowledged write, p50", at_quantile(&delays, 0.5), "ms"),
        Figure::new("from the acknowledged write, p99", at_quantile(&delays, 0.99), "ms"),
        Figure::new("from the acknowledged write, at most", at_quantile(&delays, 1.0), "ms").below(200.0),
    ];
    let how = format!(
        "{LISTENERS}: the real binary on sled, {} event streams of {USERS} users, {} changes one after the other; the figures \
         include reading and parsing all streams.",
        USERS * EACH,
        scale.changes
    );
    Part { name: LISTENERS, how, figures }
}
