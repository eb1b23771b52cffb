//! Builds the request side: sessions, the API with its views and event streams, and the HTTP pipeline around them.

use std::sync::Arc;

use chrono::TimeDelta;
use kqueen_adapters::token::JwtSigner;
use kqueen_domain::service::people::{
    organizations::Organizations, sessions::Sessions, throttle::LoginThrottle, users::Users,
};
use poem::{Route, endpoint::make_sync};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    parts::Parts,
    use_cases::{Ports, UseCases},
};
use crate::{
    api::{
        self, Api,
        live::LiveReads,
        view_cache::ViewCache,
        views::{ProvisionerCaptions, Views},
    },
    config::Config,
    events::{Events, Sources},
    http::{AUTH, Pipeline, docs, routes::Routes, scrape::Scrape},
    metrics::Metrics,
    worker::trigger::Trigger,
};

/// One in this many connections may be an event stream, so that other requests still get through.
const STREAMS: usize = 4;

/// Builds the HTTP pipeline.
///
/// # Errors
/// The key of session tokens cannot be derived, or the API document cannot be parsed: an internal error.
pub(super) fn pipeline(
    config: &Config,
    parts: &Parts,
    ports: &Ports,
    use_cases: UseCases,
    metrics: Arc<Metrics>,
    trigger: Trigger,
    stop: &CancellationToken,
) -> Result<Pipeline, Error> {
    let people = People::new(config, parts, ports)?;
    let sessions = people.sessions.clone();
    let document: Arc<str> = api::document().into();
    let parsed = serde_json::from_str(&document).map_err(|error| Error::Setup(Box::new(error)))?;
    let scrape = Scrape { metrics: metrics.clone(), whitelist: config.metrics.whitelist.clone() };
    let page = api::documentation_page(&document);
    let others = Route::new()
        .at("/api/docs", make_sync(move |_| docs::answer(page.clone())))
        .at("/metrics", scrape)
        .at("/", make_sync(|_| docs::redirect()));
    let api = handlers(config, ports, use_cases, people, trigger, document, stop);
    Ok(Pipeline {
        api: api::endpoint(api),
        others,
        routes: Routes::new(&parsed, &["/", "/metrics", "/api/docs"]),
        sessions,
        metrics,
        trusted_proxies: config.server.trusted_proxies.clone(),
        body_limit: config.http.body_limit,
        time_limit: config.http.request_timeout,
        realm: config.jwt.realm.clone(),
        auth_alias: Some(config.jwt.auth_url_rule.clone()).filter(|rule| rule != AUTH),
    })
}

/// The use cases of sessions, users and organizations.
struct People {
    sessions: Arc<Sessions>,
    users: Arc<Users>,
    organizations: Arc<Organizations>,
}

impl People {
    fn new(config: &Config, parts: &Parts, ports: &Ports) -> Result<Self, Error> {
        let Ports { catalog, stores, clock, .. } = ports;
        let key = stores.derive_key("session tokens").map_err(|error| Error::Setup(Box::new(error)))?;
        Ok(Self {
            sessions: Arc::new(Sessions {
                catalog: catalog.clone(),
                users: stores.users.clone(),
                read_barrier: stores.read_barrier.clone(),
                passwords: parts.passwords.clone(),
                tokens: Arc::new(JwtSigner::new(&key)),
                clock: clock.clone(),
                throttle: LoginThrottle::new(config.auth.login_attempts_per_minute),
                token_lifetime: TimeDelta::from_std(config.jwt.expiration).unwrap_or(TimeDelta::hours(1)),
            }),
            users: Arc::new(Users {
                catalog: catalog.clone(),
                store: stores.users.clone(),
                read_barrier: stores.read_barrier.clone(),
                passwords: parts.passwords.clone(),
                clock: clock.clone(),
                auth_methods: config.auth.modules.clone(),
            }),
            organizations: Arc::new(Organizations {
                catalog: catalog.clone(),
                store: stores.organizations.clone(),
                read_barrier: stores.read_barrier.clone(),
                clock: clock.clone(),
            }),
        })
    }
}

/// Everything the API handlers use.
fn handlers(
    config: &Config,
    ports: &Ports,
    use_cases: UseCases,
    people: People,
    trigger: Trigger,
    document: Arc<str>,
    stop: &CancellationToken,
) -> Api {
    let Ports { catalog, stores, engines, .. } = ports;
    let UseCases { clusters, live, orphans, provisioners, .. } = use_cases;
    let People { sessions, users, organizations } = people;
    let views = Arc::new(Views {
        clusters: config.clusters.captions.clone(),
        provisioners: ProvisionerCaptions {
            ok: config.provisioners.ok.clone(),
            error: config.provisioners.error.clone(),
            unknown: config.provisioners.unknown.clone(),
        },
        engines: engines.clone(),
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
    let streams = (config.http.max_connections / STREAMS).max(1);
    Api {
        sessions,
        organizations,
        users,
        provisioners,
        clusters,
        orphans,
        live: Arc::new(LiveReads::new(live, config.observe.timeout)),
        read_barrier: stores.read_barrier.clone(),
        views,
        events: Arc::new(Events::new(sources, streams, config.http.idle_timeout)),
        trigger,
        trigger_on_list: config.clusters.state_on_list,
        auth: Arc::new(config.auth.clone()),
        document,
    }
}
