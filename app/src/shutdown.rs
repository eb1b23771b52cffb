//! Shutdown by signals.

use tokio_util::sync::CancellationToken;

/// Cancels `stop` on SIGTERM, SIGINT (Ctrl-C) or SIGQUIT.
pub async fn on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()].map(signal);
    let arrivals = signals.iter_mut().flatten().map(|signal| Box::pin(signal.recv()));
    let arrivals: Vec<_> = arrivals.collect();
    if arrivals.is_empty() {
        // Without signal handlers, a signal ends the process at once.
        std::future::pending::<()>().await;
    }
    futures::future::select_all(arrivals).await;
    tracing::info!("stopping after a signal");
    stop.cancel();
}
