//! What Prometheus is told. Names of 2018 that dashboards use stay; new ones follow today's naming with the prefix `kqueen_`.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kqueen_adapters::storage::Meters;
use kqueen_domain::catalog::Catalog;
use poem::http::{Method, StatusCode};
use prometheus::{
    Counter, Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::worker::reconcile::ReconcilerMetrics;

/// What Prometheus is told.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    turns: Vec<(IntCounter, Counted)>,
    gauges: Gauges,
    catalog: Arc<Catalog>,
    reconciler: Arc<ReconcilerMetrics>,
    store: Arc<Meters>,
    /// Held while figures are read and written down: of two who ask at once each would add what has come together since.
    scraping: Mutex<()>,
}

/// The figures of one route, kept from when they were first looked up: every request needs them.
#[derive(Debug)]
pub struct RouteMetrics {
    /// What the route is called: its template, never a path as it was sent.
    pub endpoint: String,
    methods: [OfMethod; METHODS.len() + 1],
}

impl RouteMetrics {
    /// Those of the route with that name.
    #[must_use]
    pub fn of(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), methods: Default::default() }
    }
}

#[derive(Debug, Default)]
struct OfMethod {
    latency: OnceLock<Histogram>,
    /// Answers with 200, which most are.
    well: OnceLock<IntCounter>,
}

/// The methods that are told apart.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT, Method::HEAD, Method::OPTIONS];

/// Reads one counter of the reconciler.
type Counted = fn(&ReconcilerMetrics) -> &AtomicU64;

/// Figures that are read when they are asked for.
struct Gauges {
    users_by_namespace: IntGaugeVec,
    users_by_role: IntGaugeVec,
    users_active: IntGauge,
    organizations: IntGauge,
    clusters: IntGaugeVec,
    provisioners: IntGaugeVec,
    orphans: IntGauge,
    leads: IntGauge,
    waiting: IntGauge,
    lateness: Gauge,
    store: StoreMetrics,
}

/// Figures of the store.
struct StoreMetrics {
    /// Each as it stands.
    gauges: Vec<(Gauge, Figure)>,
    /// What has come together since the start.
    totals: Vec<(Counter, Figure)>,
}

/// Reads one figure of the store.
type Figure = fn(&Meters) -> f64;

impl Metrics {
    /// Metrics over these parts.
    ///
    /// # Errors
    /// Two metrics have one name.
    pub fn new(
        catalog: Arc<Catalog>,
        reconciler: Arc<ReconcilerMetrics>,
        store: Arc<Meters>,
    ) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("request_count", "HTTP requests answered, by route and status."),
            &["method", "endpoint", "http_status"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new("kqueen_http_request_duration_seconds", "Time to answer HTTP requests, by route.")
                .buckets(vec![
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                ]),
            &["method", "endpoint"],
        )?;
        let vec = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(Opts::new(name, help), labels);
        let gauges = Gauges {
            users_by_namespace: vec(
                "users_by_namespace",
                "Users, by namespace of their organization.",
                &["namespace"],
            )?,
            users_by_role: vec("users_by_role", "Users, by role.", &["role"])?,
            users_active: IntGauge::new("users_active", "Users who may log in.")?,
            organizations: IntGauge::new("organization_count", "Organizations.")?,
            clusters: vec("kqueen_clusters", "Clusters, by phase and engine.", &["phase", "engine"])?,
            provisioners: vec("kqueen_provisioners", "Provisioners, by phase and engine.", &["phase", "engine"])?,
            orphans: IntGauge::new("kqueen_orphans", "Orphans on the list, those included that may stay.")?,
            leads: IntGauge::new("kqueen_reconciler_leads", "Whether this replica reconciles: 1 or 0.")?,
            waiting: IntGauge::new("kqueen_reconciler_queue_length", "Clusters that are due or have their turn.")?,
            lateness: Gauge::new(
                "kqueen_reconciler_lateness_seconds",
                "How late the latest turn began of those that began in the last round.",
            )?,
            store: StoreMetrics::new()?,
        };
        let counters: [(&str, &str, Counted); 3] = [
            ("kqueen_reconciler_turns_total", "Turns that clusters had since the start.", |f| &f.turns),
            ("kqueen_reconciler_failures_total", "Turns whose outcome could not be stored.", |f| &f.failures),
            ("kqueen_reconciler_silences_total", "Turns in which a provider or cluster did not answer.", |f| {
                &f.silences
            }),
        ];
        let mut turns = Vec::new();
        for (name, help, counted) in counters {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            turns.push((counter, counted));
        }
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        gauges.register(&registry)?;
        let scraping = Mutex::default();
        Ok(Self { registry, requests, latency, turns, gauges, catalog, reconciler, store, scraping })
    }

    /// Counts a request for a route.
    pub fn request(&self, route: &RouteMetrics, method: &Method, status: StatusCode, took: Duration) {
        let number = METHODS.iter().position(|known| known == method);
        let (endpoint, of_method) = (route.endpoint.as_str(), &route.methods[number.unwrap_or(METHODS.len())]);
        let method = number.map_or("other", |number| METHODS[number].as_str());
        let count = |status: &str| self.requests.with_label_values(&[method, endpoint, status]);
        match status {
            StatusCode::OK => of_method.well.get_or_init(|| count("200")).inc(),
            status => count(status.as_str()).inc(),
        }
        let latency = of_method.latency.get_or_init(|| self.latency.with_label_values(&[method, endpoint]));
        latency.observe(took.as_secs_f64());
    }

    /// Everything, in Prometheus' text format.
    ///
    /// # Errors
    /// The library's.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let _scraping = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.read(&self.catalog, &self.reconciler, &self.store);
        for (counter, counted) in &self.turns {
            let now = counted(&self.reconciler).load(Ordering::Relaxed);
            counter.inc_by(now.saturating_sub(counter.get()));
        }
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

impl Gauges {
    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.users_by_namespace.clone()))?;
        registry.register(Box::new(self.users_by_role.clone()))?;
        registry.register(Box::new(self.users_active.clone()))?;
        registry.register(Box::new(self.organizations.clone()))?;
        registry.register(Box::new(self.clusters.clone()))?;
        registry.register(Box::new(self.provisioners.clone()))?;
        registry.register(Box::new(self.orphans.clone()))?;
        registry.register(Box::new(self.leads.clone()))?;
        registry.register(Box::new(self.waiting.clone()))?;
        registry.register(Box::new(self.lateness.clone()))?;
        self.store.register(registry)
    }

    fn read(&self, catalog: &Catalog, reconciler: &ReconcilerMetrics, store: &Meters) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let users = catalog.user_counts();
        self.users_by_namespace.reset();
        for (namespace, number) in &users.by_namespace {
            self.users_by_namespace.with_label_values(&[namespace.as_str()]).set(count(*number));
        }
        for (role, number) in &users.by_role {
            self.users_by_role.with_label_values(&[role.as_str()]).set(count(*number));
        }
        self.users_active.set(count(users.active));
        self.organizations.set(count(catalog.organization_count()));
        self.clusters.reset();
        for ((phase, engine), number) in catalog.cluster_counts() {
            self.clusters.with_label_values(&[phase.as_str(), &engine]).set(count(number));
        }
        self.provisioners.reset();
        for ((phase, engine), number) in catalog.provisioner_counts() {
            self.provisioners.with_label_values(&[phase.as_str(), &engine]).set(count(number));
        }
        self.orphans.set(count(catalog.orphan_count()));
        self.leads.set(reconciler.leads.load(Ordering::Relaxed));
        self.waiting.set(reconciler.waiting.load(Ordering::Relaxed));
        let late = u64::try_from(reconciler.lateness_ms.load(Ordering::Relaxed)).unwrap_or(0);
        self.lateness.set(Duration::from_millis(late).as_secs_f64());
        self.store.read(store);
    }
}

impl StoreMetrics {
    fn new() -> Result<Self, prometheus::Error> {
        let gauges: [(&str, &str, Figure); 2] = [
            ("kqueen_store_writes_in_hand", "Writes that were sent and not yet answered.", |m| read(&m.in_hand)),
            ("kqueen_store_revision", "The newest revision the read model shows.", |m| read(&m.fed_revision)),
        ];
        let totals: [(&str, &str, Figure); 7] = [
            ("kqueen_store_writes_total", "Writes committed since the start.", |m| read(&m.commits)),
            ("kqueen_store_write_refusals_total", "Writes refused since the start: a condition did not hold.", |m| {
                read(&m.refusals)
            }),
            ("kqueen_store_write_failures_total", "Writes that failed since the start.", |m| read(&m.failures)),
            ("kqueen_store_write_seconds_total", "Time that writes took since the start, in all.", |m| {
                read(&m.commit_micros) / 1e6
            }),
            (
                "kqueen_store_freshness_reads_total",
                "Reads of the store since the start to know its newest revision; none on sled.",
                |m| read(&m.freshness_reads),
            ),
            (
                "kqueen_store_secret_reads_total",
                "Secrets of clusters and provisioners read from the store since the start: not, or no longer good, in memory.",
                |m| read(&m.secret_reads),
            ),
            ("kqueen_store_fills_total", "Times the read model was filled from the store, the start included.", |m| {
                read(&m.fills)
            }),
        ];
        let gauge = |(name, help, figure)| Ok((Gauge::new::<&str, &str>(name, help)?, figure));
        let total = |(name, help, figure)| Ok((Counter::new::<&str, &str>(name, help)?, figure));
        Ok(Self {
            gauges: gauges.into_iter().map(gauge).collect::<Result<_, prometheus::Error>>()?,
            totals: totals.into_iter().map(total).collect::<Result<_, prometheus::Error>>()?,
        })
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.gauges.iter().try_for_each(|(gauge, _)| registry.register(Box::new(gauge.clone())))?;
        self.totals.iter().try_for_each(|(total, _)| registry.register(Box::new(total.clone())))
    }

    fn read(&self, store: &Meters) {
        for (gauge, figure) in &self.gauges {
            gauge.set(figure(store));
        }
        for (total, figure) in &self.totals {
            total.inc_by((figure(store) - total.get()).max(0.0));
        }
    }
}

/// A counter as Prometheus takes it; beyond 2^53 it is rounded.
fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
