//! How soon operations continue: when the leading replica dies or freezes, when etcd was unavailable, and when etcd loses its leader.

use std::time::{Duration, Instant};

use kqueen_tests::{
    bench::{options::Options, sample::median},
    fixture::{
        app::App,
        etcd::{self, Etcd},
        people::new_name,
        process::{eventually, until_stopped},
    },
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::StatusCode;

use crate::{
    FAIL_OVER,
    provider::{Customer, Provider, all_run, options as with_model_engine},
    results::{Figure, Part},
    scale::Scale,
};

const PREFIX: &str = "/kqueen";
/// Clusters that are observed every second, so that the leader always has something to do.
const CLUSTERS: usize = 20;
const INTERVAL: Duration = Duration::from_secs(1);
/// How long etcd is unavailable. By then no replica leads.
const OUTAGE: Duration = Duration::from_secs(8);
/// The longest wait for a condition.
const PATIENCE: Duration = Duration::from_secs(60);
/// Operations must continue within this time, in seconds.
const MOST: f64 = 10.0;
/// The names of the replicas.
const AGENTS: [&str; 2] = ["one", "other"];

/// Two replicas on an etcd of one or three members.
struct Installation {
    provider: Provider,
    customer: Customer,
    apps: [App; 2],
    members: Vec<Etcd>,
}

impl Installation {
    async fn start(members: usize, options: &Options) -> Option<Self> {
        let members = Etcd::cluster(members, etcd::Options { durable: true, ..Default::default() }).await?;
        let provider = Provider::start().await;
        let start =
            |agent| App::start_with(with_model_engine(agent, INTERVAL, &options.settings).on_members(&members, PREFIX));
        let apps = [start(AGENTS[0]).await, start(AGENTS[1]).await];
        let customer = provider.customer(&apps[0], 1).await;
        customer.create(&apps[0], CLUSTERS).await;
        all_run(&apps[0], CLUSTERS).await;
        Some(Self { provider, customer, apps, members })
    }

    /// The index of the leader, which is the replica that calls the provider.
    async fn leader(&self) -> usize {
        self.provider.observations.next(|_| true).await.unwrap();
        usize::from(self.provider.observations.agent() != AGENTS[0])
    }

    /// Applies `lose` to the leader. Returns its index, and the time until the other replica calls the provider.
    async fn until_replaced(&mut self, lose: impl Fn(&mut App)) -> (usize, f64) {
        let leader = self.leader().await;
        let (since, follower) = (Instant::now(), AGENTS[1 - leader]);
        let called = self.provider.observations.next(move |call| call.agent == follower);
        lose(&mut self.apps[leader]);
        let took = called.await.unwrap() - since;
        (leader, took.as_secs_f64())
    }

    /// The times until a write is acknowledged, and until the provider gets the first creation that follows from it.
    async fn until_written(&self, since: Instant) -> [f64; 2] {
        let (app, token) = (&self.apps[0], &self.customer.tenant.member.token);
        let cluster = loop {
            let answer = app.post("/clusters", token, self.customer.new_cluster(0, &new_name("after"))).await;
            match answer.status {
                StatusCode::OK => break answer.id(),
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(5)).await,
                status => panic!("{status}: {}", answer.body),
            }
        };
        let written = since.elapsed();
        eventually("a resource is created", PATIENCE, async || self.provider.observations.made_for(&cluster).is_some())
            .await;
        let made = self.provider.observations.made_for(&cluster).unwrap() - since;
        [written, made].map(|took| took.as_secs_f64())
    }
}

pub(crate) async fn measure(scale: &Scale, options: &Options) -> Option<Part> {
    let mut killed = Vec::new();
    let mut frozen = Vec::new();
    let mut returned = [Vec::new(), Vec::new()];
    let mut replaced = [Vec::new(), Vec::new()];
    let mut installation = Installation::start(1, options).await?;
    for _ in 0..scale.losses {
        eprintln!("{FAIL_OVER}: the leader is killed");
        let (leader, took) = installation.until_replaced(App::kill).await;
        killed.push(took);
        installation.apps[leader].restart().await;
        eprintln!("{FAIL_OVER}: the leader is frozen");
        let (leader, took) = installation.until_replaced(freeze).await;
        frozen.push(took);
        kill(Pid::from_raw(installation.apps[leader].pid()), Signal::SIGCONT).unwrap();
        eprintln!("{FAIL_OVER}: etcd is unavailable");
        installation.members[0].kill();
        tokio::time::sleep(OUTAGE).await;
        installation.members[0].restart().await;
        let [written, made] = installation.until_written(Instant::now()).await;
        returned[0].push(written);
        returned[1].push(made);
    }
    drop(installation);
    let installation = Installation::start(3, options).await?;
    for _ in 0..scale.losses {
        eprintln!("{FAIL_OVER}: etcd loses its leader");
        let leader = etcd::leader(&installation.members).await;
        let since = Instant::now();
        installation.members[leader].kill();
        let [written, made] = installation.until_written(since).await;
        replaced[0].push(written);
        replaced[1].push(made);
        installation.members[leader].restart().await;
    }
    let mut figures = Vec::new();
    let mut add = |what: &str, times: Vec<f64>| {
        figures.push(Figure::new(format!("{what}, median"), median(times.iter().copied()), "s"));
        let longest = times.into_iter().fold(0.0, f64::max);
        figures.push(Figure::new(format!("{what}, at most"), longest, "s").below(MOST));
    };
    add("kill -9 of the leader, until the other calls the provider", killed);
    add("SIGSTOP of the leader, until the other calls the provider", frozen);
    let [written, made] = returned;
    add("etcd is back, until a write is acknowledged", written);
    add("etcd is back, until a resource is created at the provider", made);
    let [written, made] = replaced;
    add("etcd's leader of three is lost, until a write is acknowledged", written);
    add("etcd's leader of three is lost, until a resource is created at the provider", made);
    let how = format!(
        "{FAIL_OVER}: two replicas as processes on etcd, {CLUSTERS} clusters observed every second; each loss {} times. \
         When etcd comes back, it has been unavailable for {} s.",
        scale.losses,
        OUTAGE.as_secs()
    );
    Some(Part { name: FAIL_OVER, how, figures })
}

/// Freezes the process.
fn freeze(app: &mut App) {
    kill(Pid::from_raw(app.pid()), Signal::SIGSTOP).unwrap();
    until_stopped(u32::try_from(app.pid()).unwrap());
}
