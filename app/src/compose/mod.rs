//! The composition root: configuration -> adapters -> services -> server and workers. Concrete adapters are named here alone.

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
    let (ports, candidate) = parts.ports(&config);
    let use_cases = UseCases::new(&ports);
    let reconciler_metrics = Arc::new(ReconcilerMetrics::default());
    let metrics = Metrics::new(ports.catalog.clone(), reconciler_metrics.clone(), parts.stores.meters.clone());
    let metrics = Arc::new(metrics.map_err(|error| Error::Setup(Box::new(error)))?);
    let Workers { reconciling, provisioner_monitor, maintenance, trigger } =
        Workers::new(&config, &ports, &use_cases, reconciler_metrics);
    let pipeline = http::pipeline(&config, &parts, &ports, use_cases, metrics, trigger, &stop)?;
    let mut workers = JoinSet::new();
    // Leadership is given up last, when every reconcile under way has ended.
    let resign = CancellationToken::new();
    let candidate = tokio::spawn(candidate.run(resign.clone()));
    workers.spawn(reconciling.run(stop.clone()));
    workers.spawn(provisioner_monitor.run(stop.clone()));
    workers.spawn(maintenance.run(stop.clone()));
    let bound = listener.local_addr().map_err(listen)?;
    say(&banner(&config, bound));
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
