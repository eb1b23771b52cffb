//! Deadlines of a connection: how long it may be idle, and how long the head of a request may take to arrive. Connections that exceed
//! them are closed, so that idle and very slow clients do not keep resources.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use poem::http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// The limit for idle connections and incomplete heads once the service is stopping.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between requests, and while the client reads nothing of a response.
    pub idle: Duration,
}

/// The deadlines of one connection.
pub struct ConnectionDeadlines {
    times: Times,
    state: Mutex<State>,
}

struct State {
    /// When bytes were last received or sent.
    active: Instant,
    /// When an incomplete head of a request began to arrive.
    head: Option<Instant>,
    /// Requests in flight.
    in_flight: u32,
    /// A deadline was exceeded: no more requests are accepted.
    is_closed: bool,
    /// HTTP/2: what arrives without a request in flight need not be the head of one, so only the idle limit applies.
    multiplexed: bool,
}

impl ConnectionDeadlines {
    /// The deadlines of a new connection.
    #[must_use]
    pub fn new(times: Times) -> Arc<Self> {
        let state = State { active: Instant::now(), head: None, in_flight: 0, is_closed: false, multiplexed: false };
        Arc::new(Self { times, state: Mutex::new(state) })
    }

    /// Marks a request as in flight until the result is dropped. `None` if the connection is being closed: the request would get no response.
    #[must_use]
    pub fn in_flight(self: &Arc<Self>, version: Version) -> Option<InFlight> {
        let mut state = self.state();
        if state.is_closed {
            return None;
        }
        state.in_flight += 1;
        state.head = None;
        state.multiplexed |= version == Version::HTTP_2;
        Some(InFlight(self.clone()))
    }

    /// Returns when a deadline is exceeded; the connection accepts no more requests then. The limits are shorter once `stop` is cancelled.
    pub async fn overdue(&self, stop: &CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            let Times { head, idle } = self.times;
            let times = if stopping {
                Times { head: head.min(SHUTDOWN_LIMIT), idle: idle.min(SHUTDOWN_LIMIT) }
            } else {
                self.times
            };
            let now = Instant::now();
            let due = {
                let mut state = self.state();
                let due = state.due(times);
                if due.is_some_and(|due| due <= now) {
                    state.is_closed = true;
                    return;
                }
                due
            };
            // No deadline that starts from now on ends before this.
            let soonest = now + times.head.min(times.idle);
            tokio::select! {
                () = tokio::time::sleep_until(due.map_or(soonest, |due| due.min(soonest))) => {}
                () = stop.cancelled(), if !stopping => {}
            }
        }
    }

    fn received(&self) {
        let mut state = self.state();
        state.active = Instant::now();
        if state.in_flight == 0 && !state.multiplexed && state.head.is_none() {
            state.head = Some(state.active);
        }
    }

    fn sent(&self) {
        let mut state = self.state();
        state.active = Instant::now();
        // A client that has pipelined more requests is still reading the last response.
        if state.head.is_some() {
            state.head = Some(state.active);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When a deadline is exceeded; `None` while a request is in flight.
    fn due(&self, times: Times) -> Option<Instant> {
        let limit = self.head.map_or(self.active + times.idle, |since| since + times.head);
        (self.in_flight == 0).then_some(limit)
    }
}

/// A request in flight.
pub struct InFlight(Arc<ConnectionDeadlines>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_flight -= 1;
        state.active = Instant::now();
    }
}

/// A stream that reports its activity to the connection's deadlines. It does not support vectored writes, so that hyper sends the head
/// and the body of a response in one buffer, which is cheaper.
pub struct TimedStream<S> {
    stream: S,
    deadlines: Arc<ConnectionDeadlines>,
}

impl<S> TimedStream<S> {
    /// Reports the activity of `stream` to `deadlines`.
    pub const fn new(stream: S, deadlines: Arc<ConnectionDeadlines>) -> Self {
        Self { stream, deadlines }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.deadlines.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.deadlines.sent();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_closed_connection_accepts_no_requests() {
        let times = Times { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
        let (deadlines, stop) = (ConnectionDeadlines::new(times), CancellationToken::new());
        let in_flight = deadlines.in_flight(Version::HTTP_11).unwrap();
        let overdue = deadlines.overdue(&stop);
        tokio::pin!(overdue);
        let an_hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(an_hour, &mut overdue).await.is_err(), "a request is in flight");
        drop(in_flight);
        tokio::time::timeout(an_hour, overdue).await.unwrap();
        assert!(deadlines.in_flight(Version::HTTP_11).is_none());
    }
}
