//! The composition root: configuration -> adapters -> services -> server and workers. Concrete adapters are named here alone.

mod parts;

use std::{net::SocketAddr, sync::Arc};

use chrono::TimeDelta;
use kqueen_adapters::{
    inspector::{DemoInspector, KubeInspector, Limits as InspectorLimits},
    leader::{self, Candidate},
    storage::OpenError,
    token::JwtSigner,
};
use kqueen_domain::{
    kubeconfig::AddressRules,
    port::{BoxError, engine::Engine, inspector::ClusterInspector},
    service::{
        ServiceError,
        clusters::{Clusters, live::LiveViews, orphans::Orphans},
        people::{
            bootstrap::{FirstAdmin, NO_USER_YET},
            organizations::Organizations,
            sessions::Sessions,
            throttle::LoginThrottle,
            users::Users,
        },
        provisioners::{Provisioners, checks::Checks, providers::Providers},
        reconcile::{Reconciler, orphan_collector::OrphanCollector},
    },
};
use poem::{Route, endpoint::make_sync};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::parts::{Parts, first_provisioners};
use crate::{
    api::{
        self, Api,
        live::LiveReads,
        view_cache::ViewCache,
        views::{ProvisionerCaptions, Views},
    },
    banner::banner,
    config::{Bootstrap, Config},
    events::{Events, Sources},
    http::{AUTH, Pipeline, docs, pace::Times, routes::Routes, scrape::Scrape, serve},
    metrics::Metrics,
    shutdown,
    worker::{
        probe::ProvisionerMonitor,
        queue::Limits,
        reconcile::{ReconcilerFigures, Reconciling},
        upkeep::Maintenance,
        wake::Trigger,
    },
};

/// One in so many connections may be an event stream: others are to get through as well.
const STREAMS: usize = 4;
/// How many turns may wait for something that does not answer: each is a task and a connection.
const SLOW_TURNS: usize = 1024;

/// Why the program could not do its work: a sentence for the person who started it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Something could not be done with what is stored.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// Something that is our fault.
    #[error("{0}")]
    Setup(BoxError),
}

fn first_admin(admin: Bootstrap) -> FirstAdmin {
    let Bootstrap { username, password, email, organization, namespace } = admin;
    FirstAdmin { username, password, email, organization, namespace }
}

/// Serves until a signal asks to stop. Prints the banner once it listens.
///
/// # Errors
/// It cannot start, or ends otherwise than by a signal.
pub async fn run(config: Config) -> Result<(), Error> {
    run_with(config, Vec::new()).await
}

/// Serves with these engines besides those that are built in: tests and benchmarks have one whose provider they can break.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config: Config, more: Vec<Arc<dyn Engine>>) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let address = SocketAddr::new(config.server.host, config.server.port);
    // The port first: of two services started by mistake the second says so before it touches the store.
    let listen = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let parts = Parts { more, ..Parts::open(&config).await? };
    if let Some(admin) = config.bootstrap.clone()
        && parts.bootstrapper().on_empty_store(first_admin(admin), first_provisioners(&parts.engines(&config))).await?
    {
        tracing::info!("the first superadmin was made");
    }
    // If the store cannot say so right now, `/ready` will.
    if parts.bootstrapper().awaited().await.unwrap_or(false) {
        tracing::warn!("{NO_USER_YET}");
    }
    let service = Service::new(&config, &parts, &stop)?;
    let mut workers = JoinSet::new();
    // Leadership is given up last, when the turns in hand have ended.
    let resign = CancellationToken::new();
    let candidate = tokio::spawn(service.candidate.run(resign.clone()));
    workers.spawn(service.reconciling.run(stop.clone()));
    workers.spawn(service.probe.run(stop.clone()));
    workers.spawn(service.upkeep.run(stop.clone()));
    let bound = listener.local_addr().map_err(listen)?;
    say(&banner(&config, bound));
    tracing::info!(address = %bound, "listening");
    let limits = serve::Limits {
        times: Times { head: config.http.header_timeout, idle: config.http.idle_timeout },
        connections: config.http.max_connections,
        grace: config.server.shutdown_grace,
    };
    let signal = tokio::spawn(shutdown::on_signal(stop.clone()));
    let served = serve::serve(listener, service.pipeline, limits, stop.clone()).await;
    stop.cancel();
    signal.abort();
    workers.join_all().await;
    resign.cancel();
    let _ended = candidate.await;
    parts.stores.close().await;
    tracing::info!("stopped");
    served.map_err(listen)
}

/// What is put together out of the parts.
struct Service {
    pipeline: Pipeline,
    candidate: Candidate,
    reconciling: Reconciling,
    probe: ProvisionerMonitor,
    upkeep: Maintenance,
}

impl Service {
    fn new(config: &Config, parts: &Parts, stop: &CancellationToken) -> Result<Self, Error> {
        let setup = |error: BoxError| Error::Setup(error);
        let Parts { catalog, stores, clock, passwords, demo, .. } = parts;
        let key = stores.derive_key("session tokens").map_err(|error| setup(Box::new(error)))?;
        let timeout = TimeDelta::from_std(config.provisioners.timeout).unwrap_or(TimeDelta::MAX);
        let engines = parts.engines(config);
        let addresses = AddressRules::denying(config.clusters.address_deny.clone());
        let inspector: Arc<dyn ClusterInspector> = Arc::new(KubeInspector::new(
            addresses.clone(),
            InspectorLimits { probe: config.observe.timeout, ..InspectorLimits::default() },
        ));
        let inspector = match demo {
            Some(cloud) => Arc::new(DemoInspector::new(inspector, cloud.clone())),
            None => inspector,
        };
        let sessions = Arc::new(Sessions {
            catalog: catalog.clone(),
            users: stores.users.clone(),
            freshness: stores.freshness.clone(),
            passwords: passwords.clone(),
            tokens: Arc::new(JwtSigner::new(&key)),
            clock: clock.clone(),
            throttle: LoginThrottle::new(config.auth.login_attempts_per_minute),
            token_lifetime: TimeDelta::from_std(config.jwt.expiration).unwrap_or(TimeDelta::hours(1)),
        });
        let clusters = Arc::new(Clusters {
            catalog: catalog.clone(),
            store: stores.clusters.clone(),
            freshness: stores.freshness.clone(),
            engines: engines.clone(),
            addresses: addresses.clone(),
            timeout,
            clock: clock.clone(),
        });
        let (leadership, candidate) = stores.leadership(leader::TTL);
        let providers = Providers {
            catalog: catalog.clone(),
            clusters: stores.clusters.clone(),
            provisioners: stores.provisioners.clone(),
            engines: engines.clone(),
            installation: stores.installation(),
        };
        let reconciler = Arc::new(Reconciler {
            catalog: catalog.clone(),
            store: stores.clusters.clone(),
            freshness: stores.freshness.clone(),
            providers: providers.clone(),
            inspector: inspector.clone(),
            leadership: leadership.clone(),
            addresses,
            clock: clock.clone(),
        });
        let figures = Arc::new(ReconcilerFigures::default());
        let metrics = Metrics::new(catalog.clone(), figures.clone(), stores.meters.clone());
        let metrics = Arc::new(metrics.map_err(|error| setup(Box::new(error)))?);
        let limits = Limits { lane: config.observe.per_provisioner, quick: config.observe.parallel, slow: SLOW_TURNS };
        let wake = Trigger::new(clock.clone(), limits);
        catalog.subscribe(Arc::new(wake.clone()));
        let document: Arc<str> = api::document().into();
        let users = Arc::new(Users {
            catalog: catalog.clone(),
            store: stores.users.clone(),
            freshness: stores.freshness.clone(),
            passwords: passwords.clone(),
            clock: clock.clone(),
            auth_methods: config.auth.modules.clone(),
        });
        let provisioners = Arc::new(Provisioners {
            catalog: catalog.clone(),
            store: stores.provisioners.clone(),
            freshness: stores.freshness.clone(),
            engines: engines.clone(),
            clock: clock.clone(),
        });
        let views = Arc::new(Views {
            clusters: config.clusters.captions.clone(),
            provisioners: ProvisionerCaptions {
                ok: config.provisioners.ok.clone(),
                error: config.provisioners.error.clone(),
                unknown: config.provisioners.unknown.clone(),
            },
            engines,
            cache: ViewCache::default(),
        });
        let sources = Sources {
            catalog: catalog.clone(),
            sessions: sessions.clone(),
            clusters: clusters.clone(),
            provisioners: provisioners.clone(),
            users: users.clone(),
            views: views.clone(),
            stop: stop.clone(),
        };
        let events = Events::new(sources, (config.http.max_connections / STREAMS).max(1), config.http.idle_timeout);
        let api = Api {
            sessions: sessions.clone(),
            organizations: Arc::new(Organizations {
                catalog: catalog.clone(),
                store: stores.organizations.clone(),
                freshness: stores.freshness.clone(),
                clock: clock.clone(),
            }),
            users,
            provisioners,
            clusters: clusters.clone(),
            orphans: Arc::new(Orphans {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                freshness: stores.freshness.clone(),
                clock: clock.clone(),
            }),
            live: Arc::new(LiveReads::new(LiveViews { clusters, inspector }, config.observe.timeout)),
            freshness: stores.freshness.clone(),
            views,
            events: Arc::new(events),
            wake: wake.clone(),
            wake_on_list: config.clusters.state_on_list,
            auth: Arc::new(config.auth.clone()),
            document: document.clone(),
        };
        let parsed = serde_json::from_str(&document).map_err(|error| setup(Box::new(error)))?;
        let routes = Routes::new(&parsed, &["/", "/metrics", "/api/docs"]);
        let scrape = Scrape { metrics: metrics.clone(), whitelist: config.metrics.whitelist.clone() };
        let page = api::documentation_page(&document);
        let others = Route::new()
            .at("/api/docs", make_sync(move |_| docs::answer(page.clone())))
            .at("/metrics", scrape)
            .at("/", make_sync(|_| docs::redirect()));
        let pipeline = Pipeline {
            api: api::endpoint(api),
            others,
            routes,
            sessions,
            metrics,
            trusted_proxies: config.server.trusted_proxies.clone(),
            body_limit: config.http.body_limit,
            time_limit: config.http.request_timeout,
            realm: config.jwt.realm.clone(),
            auth_alias: Some(config.jwt.auth_url_rule.clone()).filter(|rule| rule != AUTH),
        };
        let reconciling =
            Reconciling { reconciler, catalog: catalog.clone(), wake, interval: config.observe.interval, figures };
        let probe = ProvisionerMonitor {
            catalog: catalog.clone(),
            checks: Arc::new(Checks {
                catalog: catalog.clone(),
                store: stores.provisioners.clone(),
                providers: providers.clone(),
                leadership: leadership.clone(),
                clock: clock.clone(),
            }),
            sweeps: Arc::new(OrphanCollector {
                catalog: catalog.clone(),
                store: stores.orphans.clone(),
                providers,
                leadership,
                clock: clock.clone(),
            }),
            check_every: config.provisioners.check_interval,
            sweep_every: config.provisioners.inventory_interval,
        };
        let upkeep = Maintenance { stores: stores.clone(), clock: clock.clone() };
        Ok(Self { pipeline, candidate, reconciling, probe, upkeep })
    }
}

/// Makes a superadmin in the configured store, and the organization if its namespace is new.
///
/// # Errors
/// The name is taken, or the store is away or in use.
pub async fn create_admin(config: Config, admin: Bootstrap) -> Result<(), Error> {
    let parts = Parts::open(&config).await?;
    let made = parts.bootstrapper().create(first_admin(admin)).await;
    parts.stores.close().await;
    made?;
    Ok(())
}

/// Seals all secrets of the configured store with the newest key; how many records were sealed anew.
///
/// # Errors
/// The store is away or in use, or something cannot be read with any key.
pub async fn rotate_keys(config: Config) -> Result<usize, Error> {
    let parts = Parts::open(&config).await?;
    let rotated = parts.stores.rotate(|so_far| tracing::info!(resealed = so_far.resealed, "sealing anew")).await;
    parts.stores.close().await;
    let rotated = rotated.map_err(ServiceError::from)?;
    Ok(usize::try_from(rotated.resealed).unwrap_or(usize::MAX))
}

#[expect(clippy::print_stdout, reason = "the banner is for the person who started the program, beside the log")]
fn say(text: &str) {
    println!("{text}");
}
