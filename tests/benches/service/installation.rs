//! An installation to measure: the release binary on a filled store.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use kqueen_adapters::storage::{EtcdSettings, Location};
use kqueen_tests::{
    bench::{
        ceiling::{self, bare::Fresh, written::Written},
        fill::{self, ADMIN, Filled, MEMBER, PASSWORD},
        load::{self, header},
        options::Store,
    },
    fixture::{
        app::{App, Options},
        etcd::{self, Etcd},
    },
};
use serde_json::{Value, json};

/// The prefix of all keys in etcd.
const PREFIX: &str = "/kqueen";

pub(crate) struct Installation {
    pub(crate) store: Store,
    pub(crate) size: usize,
    pub(crate) filled: Filled,
    /// From the start of the program to the first answer that it is ready.
    pub(crate) start: Duration,
    pub(crate) app: App,
    pub(crate) etcd: Option<Etcd>,
    pub(crate) tokens: Tokens,
    /// The API server of all clusters. It listens and never answers, so that observing clusters costs almost nothing while
    /// requests are measured.
    unresponsive: std::net::TcpListener,
}

pub(crate) struct Tokens {
    pub(crate) superadmin: String,
    pub(crate) admin: String,
    pub(crate) member: String,
}

impl Installation {
    /// Fills a store and starts the service on it. `None` where the store's server is not installed.
    pub(crate) async fn start(store: Store, size: usize, settings: &[(String, String)]) -> Option<Self> {
        let unresponsive = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = Options::default()
            // Observing clusters is measured by another benchmark.
            .with("OBSERVE_INTERVAL", "24h")
            .with("LOGIN_ATTEMPTS_PER_MINUTE", "1000000");
        let etcd = match store {
            Store::Sled => None,
            Store::Etcd => Some(Etcd::start(etcd::Options { durable: true, ..Default::default() }).await?),
        };
        if let Some(etcd) = &etcd {
            options = options.on_etcd(etcd, PREFIX);
        }
        options.settings.extend(settings.iter().cloned());
        let secret_key = options.settings["SECRET_KEY"].clone();
        // The first start creates the superadmin in the empty store.
        let mut app = App::start_with(options).await;
        app.kill();
        let location = match &etcd {
            None => Location::Sled { path: app.folder.join("store") },
            Some(etcd) => Location::Etcd(EtcdSettings { prefix: PREFIX.to_owned(), ..etcd.settings() }),
        };
        eprintln!("{}, {size} clusters: filling", store.name());
        let filled = fill::fill(location, &secret_key, size, &address_of(&unresponsive)).await;
        let since = Instant::now();
        app.restart().await;
        let start = since.elapsed();
        let tokens = Tokens {
            superadmin: app.admin().await,
            admin: app.log_in(ADMIN, PASSWORD).await,
            member: app.log_in(MEMBER, PASSWORD).await,
        };
        Some(Self { store, size, filled, start, app, etcd, tokens, unresponsive })
    }

    /// Where the service listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.app.origin.strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The id of the service's process.
    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.app.pid()).unwrap()
    }

    /// The read that every answer waits for on etcd.
    pub(crate) fn fresh(&self) -> Option<Fresh> {
        let etcd = self.etcd.as_ref()?;
        Some(Fresh { endpoint: etcd.endpoint.clone(), key: format!("{PREFIX}/meta/clock") })
    }

    /// A cluster to be created.
    pub(crate) fn new_cluster(&self) -> Value {
        json!({
            "name": format!("created-{}", load::DIGITS),
            "provisioner": format!("Provisioner:{}", self.filled.provisioner),
            "kubeconfig": fill::kubeconfig(&address_of(&self.unresponsive)),
        })
    }

    /// A provisioner to be created.
    pub(crate) fn new_provisioner() -> Value {
        json!({"name": format!("created-{}", load::DIGITS), "engine": "kqueen.engines.ManualEngine"})
    }

    /// The copy of the service's files for sled's ceiling.
    pub(crate) fn raw_sled(&self) -> PathBuf {
        self.app.folder.join("raw-sled")
    }

    /// What the creation of a provisioner and of a cluster writes. On sled the service is stopped to read it, and its files are copied
    /// for the ceiling.
    pub(crate) async fn written(&mut self) -> (Arc<Written>, Arc<Written>) {
        let provisioner = self.create("provisioners", &self.tokens.admin, &Self::new_provisioner()).await;
        let cluster = self.create("clusters", &self.tokens.member, &self.new_cluster()).await;
        let (provisioner, cluster) = if let Some(etcd) = &self.etcd {
            let mut client = etcd.client().await;
            let (revision, id) = provisioner;
            let provisioner = Written::on_etcd(&mut client, PREFIX, revision, &id).await;
            let (revision, id) = cluster;
            (provisioner, Written::on_etcd(&mut client, PREFIX, revision, &id).await)
        } else {
            self.app.kill();
            let store = self.app.folder.join("store");
            let files = sled::open(&store).unwrap();
            let written = [provisioner, cluster].map(|(revision, id)| Written::on_sled(&files, revision, &id));
            drop(files);
            ceiling::sled::copy(&store, &self.raw_sled());
            self.app.restart().await;
            written.into()
        };
        (Arc::new(provisioner), Arc::new(cluster))
    }

    /// The revision and the id of what was created.
    async fn create(&self, kind: &str, token: &str, body: &Value) -> (u64, String) {
        let request = load::request("POST", &format!("/api/v1/{kind}"), Some(token), Some(&body.to_string()));
        let answer = load::ask(self.address(), &request).await.unwrap();
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(answer.status, 200, "{text}");
        let revision = header(&answer.head, "etag").unwrap().trim_matches('"').parse().unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        (revision, body["id"].as_str().unwrap().to_owned())
    }
}

fn address_of(listener: &std::net::TcpListener) -> String {
    format!("https://{}", listener.local_addr().unwrap())
}
