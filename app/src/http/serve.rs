//! Connections: accepted up to a limit, closed when idle for too long, drained when the service stops.

use std::{io, sync::Arc, time::Duration};

use super::{
    deadlines::{ConnectionDeadlines, TimedStream, Times},
    drain,
};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use poem::{
    Addr, Endpoint, Response,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

/// Limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a connection may be idle, and how long the head of a request may take to arrive.
    pub times: Times,
    /// Maximum number of connections at once; others wait to be accepted.
    pub connections: usize,
    /// How long requests in flight may take at shutdown.
    pub grace: Duration,
}

/// Maximum number of bytes read for the head of a request; the connection is closed if there are more.
const MAX_HEAD: usize = 64 * 1024;

/// Serves `endpoint` until `stop` is cancelled, then lets requests in flight finish.
///
/// # Errors
/// The listener's address cannot be determined.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let endpoint = Arc::new(endpoint);
    let local = LocalAddr(Addr::from(listener.local_addr()?));
    let permits = Arc::new(Semaphore::new(limits.connections));
    let mut server = auto::Builder::new(TokioExecutor::new());
    // The library's limit for heads also counts while a connection is idle; `ConnectionDeadlines` has separate limits.
    server.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(MAX_HEAD);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(16 * 1024)
        .keep_alive_interval(limits.times.idle)
        .keep_alive_timeout(limits.times.head);
    let server = Arc::new(server);
    let graceful = GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            () = stop.cancelled() => break,
            permit = permits.clone().acquire_owned() => permit,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually out of file descriptors: a short pause gives connections time to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (endpoint, local) = (endpoint.clone(), local.clone());
        let remote = RemoteAddr(Addr::from(remote));
        let deadlines = ConnectionDeadlines::new(limits.times);
        let timed = TimedStream::new(stream, deadlines.clone());
        let of_requests = deadlines.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let in_flight = of_requests.in_flight(request.version());
            let mut request = poem::Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
            let body = drain::drained(request.take_body(), request.headers());
            request.set_body(body);
            let endpoint = endpoint.clone();
            // Boxed because the future is large and moved before it is polled.
            Box::pin(async move {
                let _in_flight = in_flight.ok_or(io::ErrorKind::TimedOut)?;
                Ok::<_, io::Error>(hyper::Response::from(endpoint.get_response(request).await))
            })
        });
        let server = server.clone();
        let connection = server.serve_connection(TokioIo::new(timed), service).into_owned();
        let connection = graceful.watch(connection);
        let mut connection = tokio::spawn(async move {
            // A broken connection is not our error.
            let _ = connection.await;
            drop(permit);
        });
        let stop = stop.clone();
        // A separate task, so that requests do not wake it.
        tokio::spawn(async move {
            tokio::select! {
                _ = &mut connection => {}
                () = deadlines.overdue(&stop) => {
                    tracing::debug!("an idle connection was closed");
                    connection.abort();
                }
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were aborted");
    }
    Ok(())
}
