//! Metrics for Prometheus. Names from 2018 that dashboards use are kept; new ones follow current conventions, with the prefix `kqueen_`.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kqueen_adapters::storage::StoreCounters;
use kqueen_domain::catalog::Catalog;
use poem::http::{Method, StatusCode};
use prometheus::{
    Counter, Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::worker::reconcile::ReconcilerMetrics;

/// The metrics that Prometheus scrapes.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    counters: Vec<(IntCounter, ReadCounter)>,
    gauges: Gauges,
    catalog: Arc<Catalog>,
    reconciler: Arc<ReconcilerMetrics>,
    store: Arc<StoreCounters>,
    /// Locked during a scrape: two concurrent scrapes would both add the same increase to a counter.
    scraping: Mutex<()>,
}

/// The metrics of one route, cached after the first lookup because every request needs them.
#[derive(Debug)]
pub struct RouteMetrics {
    /// The name of the route: its template, never the path of a request.
    pub endpoint: String,
    methods: [OfMethod; METHODS.len() + 1],
}

impl RouteMetrics {
    /// The metrics of the route named `endpoint`.
    #[must_use]
    pub fn of(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), methods: Default::default() }
    }
}

#[derive(Debug, Default)]
struct OfMethod {
    latency: OnceLock<Histogram>,
    /// Responses with status 200, which are the most frequent.
    ok: OnceLock<IntCounter>,
}

/// The methods with their own label; all others are counted as `other`.
const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PATCH, Method::DELETE, Method::PUT, Method::HEAD, Method::OPTIONS];

/// Reads one counter of the reconciler.
type ReadCounter = fn(&ReconcilerMetrics) -> &AtomicU64;

/// Gauges that are updated at each scrape.
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

/// Metrics of the store.
struct StoreMetrics {
    /// Current values.
    gauges: Vec<(Gauge, ReadValue)>,
    /// Totals since the start.
    totals: Vec<(Counter, ReadValue)>,
}

/// Reads one value of the store.
type ReadValue = fn(&StoreCounters) -> f64;

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// Two metrics have the same name.
    pub fn new(
        catalog: Arc<Catalog>,
        reconciler: Arc<ReconcilerMetrics>,
        store: Arc<StoreCounters>,
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
            waiting: IntGauge::new("kqueen_reconciler_queue_length", "Clusters that are due or being reconciled.")?,
            lateness: Gauge::new(
                "kqueen_reconciler_lateness_seconds",
                "The largest delay of the reconciles that started in the last iteration.",
            )?,
            store: StoreMetrics::new()?,
        };
        let definitions: [(&str, &str, ReadCounter); 3] = [
            ("kqueen_reconciler_turns_total", "Reconciles since the start.", |f| &f.reconciles),
            ("kqueen_reconciler_failures_total", "Reconciles whose outcome could not be stored.", |f| &f.failures),
            ("kqueen_reconciler_silences_total", "Reconciles in which a provider or cluster did not respond.", |f| {
                &f.unanswered
            }),
        ];
        let mut counters = Vec::new();
        for (name, help, read_counter) in definitions {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            counters.push((counter, read_counter));
        }
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        gauges.register(&registry)?;
        let scraping = Mutex::default();
        Ok(Self { registry, requests, latency, counters, gauges, catalog, reconciler, store, scraping })
    }

    /// Counts a request for a route.
    pub fn request(&self, route: &RouteMetrics, method: &Method, status: StatusCode, took: Duration) {
        let number = METHODS.iter().position(|known| known == method);
        let (endpoint, of_method) = (route.endpoint.as_str(), &route.methods[number.unwrap_or(METHODS.len())]);
        let method = number.map_or("other", |number| METHODS[number].as_str());
        let count = |status: &str| self.requests.with_label_values(&[method, endpoint, status]);
        match status {
            StatusCode::OK => of_method.ok.get_or_init(|| count("200")).inc(),
            status => count(status.as_str()).inc(),
        }
        let latency = of_method.latency.get_or_init(|| self.latency.with_label_values(&[method, endpoint]));
        latency.observe(took.as_secs_f64());
    }

    /// All metrics in the Prometheus text format.
    ///
    /// # Errors
    /// The metrics cannot be encoded.
    pub fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let _scraping = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        self.gauges.read(&self.catalog, &self.reconciler, &self.store);
        for (counter, read_counter) in &self.counters {
            let now = read_counter(&self.reconciler).load(Ordering::Relaxed);
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

    fn read(&self, catalog: &Catalog, reconciler: &ReconcilerMetrics, store: &StoreCounters) {
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
        let gauges: [(&str, &str, ReadValue); 2] = [
            ("kqueen_store_writes_in_hand", "Writes in flight.", |m| read(&m.in_hand)),
            ("kqueen_store_revision", "The newest revision the read model shows.", |m| read(&m.fed_revision)),
        ];
        let totals: [(&str, &str, ReadValue); 7] = [
            ("kqueen_store_writes_total", "Writes committed since the start.", |m| read(&m.commits)),
            (
                "kqueen_store_write_refusals_total",
                "Writes rejected since the start because a condition did not hold.",
                |m| read(&m.refusals),
            ),
            ("kqueen_store_write_failures_total", "Writes that failed since the start.", |m| read(&m.failures)),
            ("kqueen_store_write_seconds_total", "Total time of writes since the start.", |m| {
                read(&m.commit_micros) / 1e6
            }),
            (
                "kqueen_store_freshness_reads_total",
                "Reads of the store's newest revision since the start; none on sled.",
                |m| read(&m.barrier_reads),
            ),
            (
                "kqueen_store_secret_reads_total",
                "Secrets of clusters and provisioners read from the store since the start because they were not in memory or out of date.",
                |m| read(&m.secret_reads),
            ),
            ("kqueen_store_fills_total", "Times the read model was filled from the store, including the start.", |m| {
                read(&m.fills)
            }),
        ];
        let gauge = |(name, help, read_value)| Ok((Gauge::new::<&str, &str>(name, help)?, read_value));
        let total = |(name, help, read_value)| Ok((Counter::new::<&str, &str>(name, help)?, read_value));
        Ok(Self {
            gauges: gauges.into_iter().map(gauge).collect::<Result<_, prometheus::Error>>()?,
            totals: totals.into_iter().map(total).collect::<Result<_, prometheus::Error>>()?,
        })
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.gauges.iter().try_for_each(|(gauge, _)| registry.register(Box::new(gauge.clone())))?;
        self.totals.iter().try_for_each(|(total, _)| registry.register(Box::new(total.clone())))
    }

    fn read(&self, store: &StoreCounters) {
        for (gauge, read_value) in &self.gauges {
            gauge.set(read_value(store));
        }
        for (total, read_value) in &self.totals {
            total.inc_by((read_value(store) - total.get()).max(0.0));
        }
    }
}

/// A counter as a floating-point number; rounded beyond 2^53.
fn read(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
