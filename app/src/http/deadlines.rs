//! The pace of a connection: how long it may rest, and how long the head of a request may take to arrive. What drags is cut off, so
//! that those who say nothing, or say it a byte at a time, hold nothing for long.

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

/// How long those may take who are waited for once the service was told to stop.
const AT_THE_END: Duration = Duration::from_secs(1);

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between requests, and without taking anything of an answer.
    pub idle: Duration,
}

/// What is known of one connection.
pub struct ConnectionDeadlines {
    times: Times,
    state: Mutex<State>,
}

struct State {
    /// When something was last received or sent.
    active: Instant,
    /// When the head of a request began to arrive, while it is not complete.
    head: Option<Instant>,
    /// Requests that are worked on.
    in_hand: u32,
    /// It has dragged for too long: no more requests are taken.
    is_cut: bool,
    /// HTTP/2: what arrives while nothing is in hand need not be the head of a request, so that only rests are counted.
    multiplexed: bool,
}

impl ConnectionDeadlines {
    /// The pace of a new connection.
    #[must_use]
    pub fn new(times: Times) -> Arc<Self> {
        let state = State { active: Instant::now(), head: None, in_hand: 0, is_cut: false, multiplexed: false };
        Arc::new(Self { times, state: Mutex::new(state) })
    }

    /// Notes that a request is worked on until the answer is dropped. `None` if the connection is being cut off: what was begun would end
    /// without an answer.
    #[must_use]
    pub fn in_hand(self: &Arc<Self>, version: Version) -> Option<InHand> {
        let mut state = self.state();
        if state.is_cut {
            return None;
        }
        state.in_hand += 1;
        state.head = None;
        state.multiplexed |= version == Version::HTTP_2;
        Some(InHand(self.clone()))
    }

    /// Returns when the connection has dragged for too long, and takes no more requests; sooner once `stop` is cancelled.
    pub async fn overdue(&self, stop: &CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            let Times { head, idle } = self.times;
            let times =
                if stopping { Times { head: head.min(AT_THE_END), idle: idle.min(AT_THE_END) } } else { self.times };
            let now = Instant::now();
            let due = {
                let mut state = self.state();
                let due = state.due(times);
                if due.is_some_and(|due| due <= now) {
                    state.is_cut = true;
                    return;
                }
                due
            };
            // No limit that begins to count from now on ends before this.
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
        if state.in_hand == 0 && !state.multiplexed && state.head.is_none() {
            state.head = Some(state.active);
        }
    }

    fn sent(&self) {
        let mut state = self.state();
        state.active = Instant::now();
        // Whoever has sent more requests already still reads the last answer.
        if state.head.is_some() {
            state.head = Some(state.active);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When it will have dragged for too long; `None` while it is our turn.
    fn due(&self, times: Times) -> Option<Instant> {
        let limit = self.head.map_or(self.active + times.idle, |since| since + times.head);
        (self.in_hand == 0).then_some(limit)
    }
}

/// A request that is worked on.
pub struct InHand(Arc<ConnectionDeadlines>);

impl Drop for InHand {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_hand -= 1;
        state.active = Instant::now();
    }
}

/// A stream whose pace is noted. It takes no lists of pieces, so that hyper puts the head and the body of an answer together: sending one
/// piece costs the kernel less.
pub struct Paced<S> {
    stream: S,
    pace: Arc<ConnectionDeadlines>,
}

impl<S> Paced<S> {
    /// Notes the pace of `stream`.
    pub const fn new(stream: S, pace: Arc<ConnectionDeadlines>) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.received();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.pace.sent();
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
    async fn who_is_cut_off_begins_nothing() {
        let times = Times { head: Duration::from_secs(10), idle: Duration::from_secs(60) };
        let (pace, stop) = (ConnectionDeadlines::new(times), CancellationToken::new());
        let in_hand = pace.in_hand(Version::HTTP_11).unwrap();
        let overdue = pace.overdue(&stop);
        tokio::pin!(overdue);
        let an_hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(an_hour, &mut overdue).await.is_err(), "it is our turn");
        drop(in_hand);
        tokio::time::timeout(an_hour, overdue).await.unwrap();
        assert!(pace.in_hand(Version::HTTP_11).is_none());
    }
}
