//! A broken stream resumes where it was, on the same replica and on another.

use kqueen_tests::fixture::{
    app::{App, Options},
    etcd::{Etcd, Options as EtcdOptions},
    gate::Gate,
    sse::{Event, SseItem, Stream},
};

use crate::{change, quiet_clusters, replicas};

/// The events of clusters, up to the cluster with that id. Checks of provisioners cause events as well, which are left out.
async fn until(stream: &mut Stream, last: &str) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = stream.event().await;
        assert_ne!(event.name, "reset", "unexpected reset");
        let is_last = event.data["object"]["id"] == last;
        if event.name == "cluster" {
            events.push(event);
        }
        if is_last {
            return events;
        }
    }
}

fn subject(event: &Event) -> &str {
    event.data["object"]["id"].as_str().unwrap()
}

/// The id and the subject of each event. The objects may differ, because their observation times change.
fn positions(events: &[Event]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (&*event.id, subject(event))).collect()
}

fn subjects(events: &[Event]) -> Vec<&str> {
    events.iter().map(subject).collect()
}

#[tokio::test]
async fn a_stream_resumes_where_it_was() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &tenant.member.token;
    let clusters = quiet_clusters(&app, &tenant, 5).await;
    let mut stream = Stream::open(&app, token).await;
    let start = stream.last_id.clone().unwrap();
    for cluster in &clusters {
        change(&app, &tenant, cluster).await;
    }
    let all = until(&mut stream, &clusters[4]).await;
    assert_eq!(subjects(&all), clusters);
    for (n, event) in all.iter().enumerate().take(4) {
        let mut again = Stream::after(&app, token, &event.id).await;
        assert_eq!(positions(&until(&mut again, &clusters[4]).await), positions(&all[n + 1..]));
    }
    let mut again = Stream::after(&app, token, &start).await;
    assert_eq!(positions(&until(&mut again, &clusters[4]).await), positions(&all));
    // For clients that cannot send the header; where both are sent, the header is newer.
    let mut again = Stream::at(&app, &format!("/events?last_event_id={}", all[2].id), token, None).await;
    assert_eq!(positions(&until(&mut again, &clusters[4]).await), positions(&all[3..]));
    let mut again = Stream::at(&app, &format!("/events?last_event_id={}", all[0].id), token, Some(&all[3].id)).await;
    assert_eq!(positions(&until(&mut again, &clusters[4]).await), positions(&all[4..]));
}

#[tokio::test]
async fn a_stream_resumes_before_the_first_event() {
    let mut app = App::start().await;
    let tenant = app.tenant().await;
    let clusters = quiet_clusters(&app, &tenant, 1).await;
    // Nothing has changed since the program was started.
    app.restart().await;
    let token = &tenant.member.token;
    let start = Stream::open(&app, token).await.last_id.unwrap();
    change(&app, &tenant, &clusters[0]).await;
    let mut again = Stream::after(&app, token, &start).await;
    assert_eq!(subjects(&until(&mut again, &clusters[0]).await), clusters);
}

#[tokio::test]
async fn a_stream_resumes_on_another_replica() {
    let Some((_etcd, one, other)) = replicas(Options::default()).await else { return };
    let tenant = one.tenant().await;
    let token = &tenant.member.token;
    let clusters = quiet_clusters(&one, &tenant, 10).await;
    let (clusters, more) = clusters.split_at(8);
    let (mut here, mut there) = (Stream::open(&one, token).await, Stream::open(&other, token).await);
    for (n, cluster) in clusters.iter().enumerate() {
        change(if n % 2 == 0 { &one } else { &other }, &tenant, cluster).await;
    }
    let (here, there) = (until(&mut here, &clusters[7]).await, until(&mut there, &clusters[7]).await);
    assert_eq!(subjects(&here), clusters);
    assert_eq!(positions(&here), positions(&there), "with the same ids");
    for at in [&one, &other] {
        for (n, event) in here.iter().enumerate().take(7) {
            let mut again = Stream::after(at, token, &event.id).await;
            assert_eq!(positions(&until(&mut again, &clusters[7]).await), positions(&here[n + 1..]));
        }
    }
    for (at, from) in [(&one, &other), (&other, &one)] {
        // An event that one replica has just sent is known to the other.
        let mut stream = Stream::open(from, token).await;
        change(from, &tenant, &more[0]).await;
        let id = stream.event_of("cluster", &more[0]).await.id;
        drop(stream);
        change(from, &tenant, &more[1]).await;
        let mut again = Stream::after(at, token, &id).await;
        assert_eq!(subjects(&until(&mut again, &more[1]).await), more[1..]);
    }
}

#[tokio::test]
async fn an_unknown_event_id_gets_a_reset() {
    let mut app = App::start().await;
    let tenant = app.tenant().await;
    let token = &tenant.member.token;
    let clusters = quiet_clusters(&app, &tenant, 1).await;
    let mut stream = Stream::open(&app, token).await;
    change(&app, &tenant, &clusters[0]).await;
    let known = stream.event_of("cluster", &clusters[0]).await.id;
    for unknown in ["1.0", "999999999.0", "0.0", "nonsense", "-1", &format!("{known}1")] {
        let mut stream = Stream::after(&app, token, unknown).await;
        let reset = stream.event().await;
        assert_eq!(reset.name, "reset", "{unknown}");
        assert!(reset.data["description"].as_str().unwrap().contains("again"), "{reset:?}");
        change(&app, &tenant, &clusters[0]).await;
        until(&mut stream, &clusters[0]).await;
        // The stream can be resumed from the id of the reset.
        let mut again = Stream::after(&app, token, &reset.id).await;
        until(&mut again, &clusters[0]).await;
    }
    // A restarted program does not know earlier events, and sends a reset.
    app.restart().await;
    let mut stream = Stream::after(&app, token, &known).await;
    assert_eq!(stream.event().await.name, "reset");
}

#[tokio::test]
async fn no_event_is_lost_while_a_stream_is_down() {
    let app = App::start().await;
    let tenant = app.tenant().await;
    let token = &tenant.member.token;
    let clusters = quiet_clusters(&app, &tenant, 60).await;
    let mut last = Stream::open(&app, token).await.last_id.unwrap();
    let mut received = Vec::new();
    for (round, three) in clusters.chunks(3).enumerate() {
        // Disconnected at another point each time: before, between and after the events.
        let mut stream = Stream::after(&app, token, &last).await;
        for cluster in three {
            change(&app, &tenant, cluster).await;
        }
        let wanted = (received.len() + round % 4).min(round * 3 + 3);
        while received.len() < wanted {
            match stream.next().await.unwrap() {
                SseItem::Event(event) if event.name == "cluster" => received.push(subject(&event).to_owned()),
                SseItem::Event(event) => assert_eq!(event.name, "provisioner"),
                SseItem::Position(_) | SseItem::Retry(_) | SseItem::Comment => {}
            }
        }
        last = stream.last_id.clone().unwrap();
    }
    let mut stream = Stream::after(&app, token, &last).await;
    if received.len() < clusters.len() {
        received.extend(subjects(&until(&mut stream, &clusters[59]).await).into_iter().map(str::to_owned));
    }
    assert_eq!(received, clusters, "each once, in order");
}

#[tokio::test]
async fn after_a_gap_in_the_watch_every_stream_gets_a_reset() {
    let Some(etcd) = Etcd::start(EtcdOptions::default()).await else { return };
    let gate = Gate::to(etcd.address()).await;
    let options = Options::default().on_etcd(&etcd, "/events");
    let other = App::start_with(options.clone()).await;
    let one = App::start_with(options.with("ETCD_ENDPOINTS", format!("http://{}", gate.address))).await;
    let tenant = other.tenant().await;
    let token = &tenant.member.token;
    let clusters = quiet_clusters(&other, &tenant, 3).await;
    let mut stream = Stream::open(&one, token).await;
    let start = stream.last_id.clone().unwrap();
    gate.cut();
    for cluster in &clusters {
        change(&other, &tenant, cluster).await;
    }
    // The changes that `one` has missed are compacted.
    let mut client = etcd.client().await;
    let newest = client.get("/", None).await.unwrap().header().unwrap().revision();
    client.compact(newest, None).await.unwrap();
    gate.mend();
    while stream.event().await.name != "reset" {}
    change(&other, &tenant, &clusters[0]).await;
    until(&mut stream, &clusters[0]).await;
    let mut late = Stream::after(&one, token, &start).await;
    assert_eq!(late.event().await.name, "reset");
}
