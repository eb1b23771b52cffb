//! The provider's HTTP server on loopback, with the injected faults between a call and its response.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, Utc};
use futures::{StreamExt, future::BoxFuture, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kqueen_domain::port::clock::Clock;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::{
    call::{Call, CallKind},
    cloud::{Cloud, Overrides, Settings},
    fault::{Effect, Fault, Faults, WrongResponse},
    hangs::Hangs,
    reply::Reply,
    resource::Key,
    time::Time,
};

/// A call and its result.
#[derive(Debug, Clone)]
pub struct Logged {
    pub at: DateTime<Utc>,
    pub kind: CallKind,
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The resource that it addressed.
    pub resource: Option<Key>,
    /// Whom the token belongs to.
    pub holder: Option<String>,
    /// The caller's user agent.
    pub agent: String,
    /// The injected fault.
    pub fault: Option<Fault>,
    /// The status of the correct response; `None` if the call has not taken effect.
    pub status: Option<u16>,
    /// It would have changed a resource that is not ours.
    pub touches_foreign: bool,
}

/// Runs before a call takes effect; the call waits for it.
pub(super) type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, ()> + Send + Sync>;

/// The state that calls change.
pub(super) struct State {
    pub(super) cloud: Cloud,
    pub(super) faults: Faults,
    pub(super) log: Vec<Logged>,
    pub(super) calls: usize,
    pub(super) hook: Option<Hook>,
}

/// What the server and [`Model`](super::Model) share.
pub(super) struct Shared {
    pub(super) time: Time,
    pub(super) settings: Settings,
    pub(super) state: Mutex<State>,
    pub(super) hangs: Arc<Hangs>,
    /// The number of callers that were to die.
    pub(super) deaths: watch::Sender<usize>,
}

impl State {
    /// Handles a call: returns its fault, and the response if it has taken effect.
    fn receive(&mut self, call: &Call, now: DateTime<Utc>) -> (Option<Fault>, Option<Reply>) {
        self.cloud.pass(now);
        let fault = self.faults.next(call.kind);
        let touches_foreign = self.touches_foreign(call);
        let holder = self.cloud.holder(call.token.as_deref()).map(str::to_owned);
        let overrides = Overrides { is_stale: fault == Some(Fault::Stale), will_fail: fault == Some(Fault::Doomed) };
        let reply = match fault.map_or(Effect::First, Fault::effect) {
            Effect::First => Some(self.cloud.act(call, now, overrides)),
            Effect::Never => None,
            Effect::Later(by) => {
                self.cloud.act_later(call, now + by);
                None
            }
        };
        self.calls += 1;
        if self.cloud.settings.keeps_log {
            self.log.push(Logged {
                at: now,
                kind: call.kind,
                method: call.method.clone(),
                path: call.path.clone(),
                resource: call.key(),
                holder,
                agent: call.agent.clone(),
                fault,
                status: reply.as_ref().map(|reply| reply.status),
                touches_foreign,
            });
        }
        (fault, reply)
    }

    /// Whether the call would change a foreign resource. Creating one under a name that is taken changes nothing.
    fn touches_foreign(&self, call: &Call) -> bool {
        let changes = !call.kind.is_read() && !matches!(call.kind, CallKind::Create(_));
        let resource = call.key().filter(|_| changes).and_then(|key| self.cloud.resources.get(&key).cloned());
        resource.is_some_and(|resource| resource.is_planted)
    }
}

/// Serves until it is dropped, which closes every connection.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(stream, Arc::clone(&shared)));
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let _undelayed = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&shared), request));
    // An injected disconnect ends the connection with an error.
    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Closes the connection.
#[derive(Debug)]
struct Disconnect;

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed")
    }
}

impl std::error::Error for Disconnect {}

type HttpResponse = Response<BoxBody<Bytes, Disconnect>>;

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<HttpResponse, Disconnect> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Disconnect)?.to_bytes();
    let call = match Call::read(&head, &body) {
        Ok(call) => call,
        Err(error) => return Ok(json_response(&error)),
    };
    if !shared.settings.latency.is_zero() {
        tokio::time::sleep(shared.settings.latency).await;
    }
    let hook = shared.state.lock().unwrap().hook.clone();
    if let Some(hook) = hook {
        hook(call.clone()).await;
    }
    let (fault, reply) = shared.state.lock().unwrap().receive(&call, shared.time.now());
    match (fault, reply) {
        (None | Some(Fault::Stale | Fault::Doomed), Some(reply)) => Ok(json_response(&reply)),
        (Some(Fault::Answers(trouble, _)), reply) => Ok(match trouble.response(&call, reply.as_ref()) {
            WrongResponse::Reply(reply) => json_response(&reply),
            WrongResponse::Page(status, page) => response(status, "text/html", None, whole(page)),
            WrongResponse::Half(half) => half_response(half),
        }),
        (Some(Fault::Hang(_)), _) => {
            shared.time.pass(shared.settings.hanging);
            shared.hangs.notify(&call.id);
            std::future::pending().await
        }
        (Some(Fault::CallerDies(_)), _) => {
            shared.deaths.send_modify(|deaths| *deaths += 1);
            std::future::pending().await
        }
        (Some(Fault::Cut(_)), _) | (_, None) => Err(Disconnect),
    }
}

fn json_response(reply: &Reply) -> HttpResponse {
    response(reply.status, "application/json", reply.retry_after, whole(reply.body.to_string()))
}

fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, Disconnect> {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

fn response(status: u16, kind: &str, retry_after: Option<i64>, body: BoxBody<Bytes, Disconnect>) -> HttpResponse {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.header(header::CONTENT_TYPE, kind).body(body).unwrap()
}

/// Sends part of a body whose announced length is greater, then closes the connection.
fn half_response(half: String) -> HttpResponse {
    let announced = half.len() + 1_000;
    let disconnect = stream::once(async {
        // Lets the part be sent first.
        tokio::task::yield_now().await;
        Err(Disconnect)
    });
    let parts = stream::once(async { Ok(Frame::data(Bytes::from(half))) }).chain(disconnect);
    let body = BoxBody::new(StreamBody::new(Box::pin(parts)));
    let mut response = response(200, "application/json", None, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
    response
}
