//! The composition root: configuration -> adapters -> services -> server and workers. Concrete adapters are named only here.

mod http;
mod parts;
mod use_cases;
mod workers;

use std::{net::SocketAddr, sync::Arc};

use kqueen_adapters::storage::OpenError;
use kqueen_domain::{
    port::{BoxError, engine::Engine},
    service::{
        ServiceError,
        people::bootstrap::{FirstAdmin, NO_USER_YET},
    },
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use self::use_cases::{Ports, UseCases};
use self::{
    parts::{Parts, first_provisioners},
    workers::Workers,
};
use crate::{
    banner::banner,
    config::{Bootstrap, Config},
    http::{deadlines::Times, serve},
    metrics::Metrics,
    shutdown,
    worker::reconcile::ReconcilerMetrics,
};

/// Why a command failed, as a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A use case failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: std::io::Error,
    },
    /// An internal error.
    #[error("{0}")]
    Setup(BoxError),
}

fn first_admin(admin: Bootstrap) -> FirstAdmin {
    let Bootstrap { username, password, email, organization, namespace } = admin;
    FirstAdmin { username, password, email, organization, namespace }
}

/// Serves until a signal stops it. Prints the banner once it listens.
///
/// # Errors
/// The service cannot start, or ends for another reason than a signal.
pub async fn run(config: Config) -> Result<(), Error> {
    run_with(config, Vec::new()).await
}

/// Serves with `more` engines in addition to the built-in ones, for tests and benchmarks that simulate a failing provider.
///
/// # Errors
/// As [`run`].
pub async fn run_with(config: Config, more: Vec<Arc<dyn Engine>>) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let address = SocketAddr::new(config.server.host, config.server.port);
    // The port first: if the service is started twice by mistake, the second one fails before it touches the store.
    let listen = |cause| Error::Listen { address, cause };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let parts = Parts { more, ..Parts::open(&config).await? };
    if let Some(admin) = config.bootstrap.clone()
        && parts.bootstrapper().on_empty_store(first_admin(admin), first_provisioners(&parts.engines(&config))).await?
    {
        tracing::info!("the first superadmin was created");
    }
    // If the store cannot be read now, `/ready` reports it later.
    if parts.bootstrapper().awaited().await.unwrap_or(false) {
        tracing::warn!("{NO_USER_YET}");
    }
    let (ports, candidate) = parts.ports(&config);
    let use_cases = UseCases::new(&ports);
    let reconciler_metrics = Arc::new(ReconcilerMetrics::default());
    let metrics = Metrics::new(ports.catalog.clone(), reconciler_metrics.clone(), parts.stores.counters.clone());
    let metrics = Arc::new(metrics.map_err(|error| Error::Setup(Box::new(error)))?);
    let Workers { reconcile_loop, provisioner_monitor, maintenance, trigger } =
        Workers::new(&config, &ports, &use_cases, reconciler_metrics);
    let pipeline = http::pipeline(&config, &parts, &ports, use_cases, metrics, trigger, &stop)?;
    let mut workers = JoinSet::new();
    // Leadership is given up last, when every reconcile under way has ended.
    let resign = CancellationToken::new();
    let candidate = tokio::spawn(candidate.run(resign.clone()));
    workers.spawn(reconcile_loop.run(stop.clone()));
    workers.spawn(provisioner_monitor.run(stop.clone()));
    workers.spawn(maintenance.run(stop.clone()));
    let bound = listener.local_addr().map_err(listen)?;
    print(&banner(&config, bound));
    tracing::info!(address = %bound, "listening");
    let limits = serve::Limits {
        times: Times { head: config.http.header_timeout, idle: config.http.idle_timeout },
        connections: config.http.max_connections,
        grace: config.server.shutdown_grace,
    };
    let signal = tokio::spawn(shutdown::on_signal(stop.clone()));
    let served = serve::serve(listener, pipeline, limits, stop.clone()).await;
    stop.cancel();
    signal.abort();
    workers.join_all().await;
    resign.cancel();
    let _ended = candidate.await;
    parts.stores.close().await;
    tracing::info!("stopped");
    served.map_err(listen)
}

/// Creates a superadmin in the configured store, and the organization if its namespace is new.
///
/// # Errors
/// The name is taken, or the store is unavailable or in use.
pub async fn create_admin(config: Config, admin: Bootstrap) -> Result<(), Error> {
    let parts = Parts::open(&config).await?;
    let made = parts.bootstrapper().create(first_admin(admin)).await;
    parts.stores.close().await;
    made?;
    Ok(())
}

/// Encrypts all secrets in the configured store with the current key. Returns how many records were encrypted again.
///
/// # Errors
/// The store is unavailable or in use, or a record cannot be decrypted with any key.
pub async fn rotate_keys(config: Config) -> Result<usize, Error> {
    let parts = Parts::open(&config).await?;
    let rotated = parts.stores.rotate(|so_far| tracing::info!(resealed = so_far.resealed, "encrypting again")).await;
    parts.stores.close().await;
    let rotated = rotated.map_err(ServiceError::from)?;
    Ok(usize::try_from(rotated.resealed).unwrap_or(usize::MAX))
}

#[expect(clippy::print_stdout, reason = "the banner goes to standard output, apart from the log")]
fn print(text: &str) {
    println!("{text}");
}
