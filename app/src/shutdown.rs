//! Stopping when asked to.

use tokio_util::sync::CancellationToken;

/// Asks to stop on SIGTERM, SIGINT (control-C) or SIGQUIT.
pub async fn on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit()].map(signal);
    let arrivals = signals.iter_mut().flatten().map(|signal| Box::pin(signal.recv()));
    let arrivals: Vec<_> = arrivals.collect();
    if arrivals.is_empty() {
        // Without signal handlers the process ends at once when it is told to; nothing is to be done here.
        std::future::pending::<()>().await;
    }
    futures::future::select_all(arrivals).await;
    tracing::info!("asked to stop");
    stop.cancel();
}
