//! The network of a simulator: HTTP or HTTPS on loopback, and everything that goes wrong between a call and its answer.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, future::BoxFuture, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kqueen_domain::port::clock::Clock;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};

use super::{
    admin,
    call::{Body, Call, Reply, Request},
    clock::SimulatedClock,
    fault::{Acts, Fault, Faults, RetryAfter, Trouble, Twist, late},
    journal::{Answered, Asked, Exchange, Journal},
    provider::{Moment, Provider},
    rate_limit::Buckets,
    tls::Tls,
};

/// Done before a call takes effect; it waits for this.
pub(super) type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, ()> + Send + Sync>;

/// How a simulator behaves, whatever it simulates.
#[derive(Debug, Clone)]
pub struct Options {
    /// A free one for 0.
    pub port: u16,
    /// How much time passes on a clock that stands still while a caller waits in vain.
    pub hanging: TimeDelta,
    /// How long every call takes, of real time.
    pub latency: Duration,
    /// Whether exchanges are written down. Where there are millions of them they need not be.
    pub keeps_journal: bool,
    /// Whether the published rate limits are enforced.
    pub enforces_limits: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            hanging: TimeDelta::seconds(60),
            latency: Duration::ZERO,
            keeps_journal: true,
            enforces_limits: true,
        }
    }
}

/// What calls change.
pub(super) struct State<P> {
    pub(super) provider: P,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    pub(super) hook: Option<Hook>,
    buckets: Buckets,
    due: Vec<(DateTime<Utc>, Call)>,
}

/// What the server and those who control it share.
pub(super) struct Shared<P> {
    pub(super) origin: String,
    pub(super) clock: SimulatedClock,
    pub(super) options: Options,
    pub(super) state: Mutex<State<P>>,
    /// How many callers wait in vain.
    pub(super) hung: watch::Sender<usize>,
    /// How many callers were to die.
    pub(super) deaths: watch::Sender<usize>,
}

impl<P: Provider> State<P> {
    pub(super) fn new(provider: P) -> Self {
        Self {
            provider,
            faults: Faults::default(),
            journal: Journal::default(),
            hook: None,
            buckets: Buckets::default(),
            due: Vec::new(),
        }
    }

    /// Everything happens that is due, late calls included.
    pub(super) fn pass(&mut self, clock: &SimulatedClock) {
        let now = clock.now();
        self.due.sort_by_key(|(at, _)| *at);
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            let (at, call) = self.due.remove(0);
            let moment = Moment::of(clock, at);
            self.provider.pass(&moment);
            drop(self.provider.act(&call, &moment, &Twist::default()));
        }
        self.provider.pass(&Moment::of(clock, now));
    }

    /// What becomes of a call: what goes wrong, the true answer if it has taken effect, and what is sent if anything is.
    fn receive(&mut self, call: &Call, shared: &Shared<P>) -> (Option<Fault>, Option<Reply>) {
        self.pass(&shared.clock);
        let moment = Moment::of(&shared.clock, shared.clock.now());
        let fault = self.faults.next(call);
        let limits = if shared.options.enforces_limits { self.provider.limits(call) } else { Vec::new() };
        let mut effect = None;
        match fault.as_ref().map_or(Acts::First, Fault::acts) {
            Acts::Never => {}
            Acts::Later(seconds) => self.due.push((moment.now + late(seconds), call.clone())),
            Acts::First => {
                effect = Some(match self.buckets.take(&limits, moment.now) {
                    Ok(()) => self.provider.act(call, &moment, &Twist::of(fault.as_ref())),
                    Err(wait) => {
                        let trouble = Trouble::TooManyRequests(RetryAfter::Seconds(wait));
                        self.provider.trouble(call, &moment, &trouble)
                    }
                });
            }
        }
        let (sent, is_genuine) = match &fault {
            None | Some(Fault::Stale | Fault::Doomed(_)) => (effect.clone(), true),
            Some(Fault::Answers(trouble, _)) => match trouble.reply(effect.as_ref()) {
                Some(reply) => (Some(reply), false),
                None => (Some(self.provider.trouble(call, &moment, trouble)), true),
            },
            Some(Fault::Cut(_) | Fault::Hang(_) | Fault::CallerDies(_)) => (None, false),
        };
        let number = self.journal.count(Some(&call.route));
        if shared.options.keeps_journal {
            self.journal.exchanges.push(Exchange {
                number,
                at: moment.now,
                kind: Some(call.kind().to_owned()),
                is_read: call.route.is_read,
                request: Asked::new(&call.request),
                answer: sent.as_ref().map(Answered::new),
                effect: effect.as_ref().map(|reply| reply.status),
                fault: fault.clone(),
                is_genuine,
            });
        }
        (fault, sent)
    }

    /// What is no call at all.
    fn refuse(&mut self, request: &Request, shared: &Shared<P>) -> Reply {
        let reply = self.provider.unknown(request);
        let number = self.journal.count(None);
        if shared.options.keeps_journal {
            self.journal.exchanges.push(Exchange {
                number,
                at: shared.clock.now(),
                kind: None,
                is_read: true,
                request: Asked::new(request),
                answer: Some(Answered::new(&reply)),
                effect: Some(reply.status),
                fault: None,
                is_genuine: true,
            });
        }
        reply
    }
}

/// Serves until it is dropped, and with it every connection.
pub(super) async fn serve<P: Provider>(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared<P>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let _undelayed = stream.set_nodelay(true);
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => converse(stream, shared).await,
                Some(tls) => {
                    if let Ok(stream) = tls.acceptor.accept(stream).await {
                        converse(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn converse<P: Provider>(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared<P>>) {
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // A connection that is cut ends with an error, and is meant to.
    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is cut.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

pub(super) type Answer = Response<BoxBody<Bytes, Cut>>;

async fn answer<P: Provider>(shared: Arc<Shared<P>>, request: hyper::Request<Incoming>) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let request = Request::new(&head, body, &shared.origin);
    if let Some(reply) = admin::answer(&shared, &request) {
        return Ok(sent(reply));
    }
    if !shared.options.latency.is_zero() {
        tokio::time::sleep(shared.options.latency).await;
    }
    let (route, hook) = {
        let state = shared.state.lock().unwrap();
        (state.provider.route(&request), state.hook.clone())
    };
    let Some(route) = route else {
        let reply = shared.state.lock().unwrap().refuse(&request, &shared);
        return Ok(sent(reply));
    };
    let call = Call { request, route };
    if let Some(hook) = hook {
        hook(call.clone()).await;
    }
    let (fault, reply) = shared.state.lock().unwrap().receive(&call, &shared);
    match (fault, reply) {
        (_, Some(reply)) => Ok(sent(reply)),
        (Some(Fault::Hang(_)), None) => {
            if shared.clock.stands_still() {
                shared.clock.advance(shared.options.hanging);
            }
            shared.hung.send_modify(|hung| *hung += 1);
            std::future::pending().await
        }
        (Some(Fault::CallerDies(_)), None) => {
            shared.deaths.send_modify(|deaths| *deaths += 1);
            std::future::pending().await
        }
        (_, None) => Err(Cut),
    }
}

fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, Cut> {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

/// An answer as HTTP.
pub(super) fn sent(reply: Reply) -> Answer {
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in &reply.headers {
        response = response.header(name.as_str(), value.as_str());
    }
    let media = |response: hyper::http::response::Builder, kind: &str| response.header(header::CONTENT_TYPE, kind);
    match reply.body {
        Body::Empty => response.body(whole(Bytes::new())),
        Body::Json(value) => media(response, "application/json; charset=UTF-8").body(whole(value.to_string())),
        Body::Text(text, kind) => media(response, kind).body(whole(text)),
        Body::Half(half) => {
            let announced = half.len() + 1_000;
            media(response, "application/json; charset=UTF-8").header(header::CONTENT_LENGTH, announced).body(cut(half))
        }
    }
    .unwrap()
}

/// Part of a body; then the connection is cut.
fn cut(half: String) -> BoxBody<Bytes, Cut> {
    let end = stream::once(async {
        // By then the part has been sent.
        tokio::task::yield_now().await;
        Err(Cut)
    });
    let parts = stream::once(async { Ok(Frame::data(Bytes::from(half))) }).chain(end);
    BoxBody::new(StreamBody::new(Box::pin(parts)))
}
