//! Connections: accepted up to a limit, bounded in time while they say nothing, drained when the service stops.

use std::{io, sync::Arc, time::Duration};

use super::{
    deadlines::{ConnectionDeadlines, Paced, Times},
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

/// How connections are bounded.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a connection may rest, and the head of a request take to arrive.
    pub times: Times,
    /// How many connections there are at once; others wait to be accepted.
    pub connections: usize,
    /// How long requests in hand may take after the service was told to stop.
    pub grace: Duration,
}

/// Most bytes that are read for the head of a request; the connection of who sends more is closed.
const MAX_HEAD: usize = 64 * 1024;

/// Serves `endpoint` until `stop`, then lets requests in hand finish.
///
/// # Errors
/// The listener's address cannot be told.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: Limits,
    stop: CancellationToken,
) -> io::Result<()> {
    let endpoint = Arc::new(endpoint);
    let local = LocalAddr(Addr::from(listener.local_addr()?));
    let turns = Arc::new(Semaphore::new(limits.connections));
    let mut server = auto::Builder::new(TokioExecutor::new());
    // The library's own limit for heads also counts while a connection rests; ours are told apart in `Pace`.
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
        let turn = tokio::select! {
            () = stop.cancelled() => break,
            turn = turns.clone().acquire_owned() => turn,
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: waiting a moment gives connections time to end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (endpoint, local) = (endpoint.clone(), local.clone());
        let remote = RemoteAddr(Addr::from(remote));
        let pace = ConnectionDeadlines::new(limits.times);
        let paced = Paced::new(stream, pace.clone());
        let noted = pace.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let in_hand = noted.in_hand(request.version());
            let mut request = poem::Request::from((request, local.clone(), remote.clone(), Scheme::HTTP));
            let body = drain::read_to_its_end(request.take_body(), request.headers());
            request.set_body(body);
            let endpoint = endpoint.clone();
            // It is large, and moved before it is polled.
            Box::pin(async move {
                let _in_hand = in_hand.ok_or(io::ErrorKind::TimedOut)?;
                Ok::<_, io::Error>(hyper::Response::from(endpoint.get_response(request).await))
            })
        });
        let server = server.clone();
        let connection = server.serve_connection(TokioIo::new(paced), service).into_owned();
        let connection = graceful.watch(connection);
        let mut connection = tokio::spawn(async move {
            // One that breaks is the peer's business.
            let _ = connection.await;
            drop(turn);
        });
        let stop = stop.clone();
        // A task of its own, so that requests do not wake it.
        tokio::spawn(async move {
            tokio::select! {
                _ = &mut connection => {}
                () = pace.overdue(&stop) => {
                    tracing::debug!("a connection that said nothing for too long was cut off");
                    connection.abort();
                }
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}
