//! The provider's network: HTTP on loopback, and everything that goes wrong between a call and its answer.

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
    cloud::{Cloud, Settings, Twist},
    fault::{Acts, Fault, Faults, Wrong},
    hangs::Hangs,
    reply::Reply,
    thing::Key,
    time::Time,
};

/// One call, and what became of it.
#[derive(Debug, Clone)]
pub struct Logged {
    pub at: DateTime<Utc>,
    pub kind: CallKind,
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The thing it was about.
    pub thing: Option<Key>,
    /// Who the token belongs to.
    pub holder: Option<String>,
    /// Who called, by its own account.
    pub agent: String,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
    /// The status of the true answer; `None` if the call has not taken effect.
    pub status: Option<u16>,
    /// It would have changed something that is not ours.
    pub touches_foreign: bool,
}

/// Done before a call takes effect; it waits for this.
pub(super) type Hook = Arc<dyn Fn(Call) -> BoxFuture<'static, ()> + Send + Sync>;

/// What calls change.
pub(super) struct State {
    pub(super) cloud: Cloud,
    pub(super) faults: Faults,
    pub(super) log: Vec<Logged>,
    pub(super) calls: usize,
    pub(super) hook: Option<Hook>,
}

/// What the server and those who control it share.
pub(super) struct Shared {
    pub(super) time: Time,
    pub(super) settings: Settings,
    pub(super) state: Mutex<State>,
    pub(super) hangs: Arc<Hangs>,
    /// How many callers were to die.
    pub(super) deaths: watch::Sender<usize>,
}

impl State {
    /// What becomes of a call at the provider: what goes wrong, and the answer if it has taken effect.
    fn receive(&mut self, call: &Call, now: DateTime<Utc>) -> (Option<Fault>, Option<Reply>) {
        self.cloud.pass(now);
        let fault = self.faults.next(call.kind);
        let touches_foreign = self.touches_foreign(call);
        let holder = self.cloud.holder(call.token.as_deref()).map(str::to_owned);
        let twist = Twist { is_stale: fault == Some(Fault::Stale), is_doomed: fault == Some(Fault::Doomed) };
        let reply = match fault.map_or(Acts::First, Fault::acts) {
            Acts::First => Some(self.cloud.act(call, now, twist)),
            Acts::Never => None,
            Acts::Later(by) => {
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
                thing: call.key(),
                holder,
                agent: call.agent.clone(),
                fault,
                status: reply.as_ref().map(|reply| reply.status),
                touches_foreign,
            });
        }
        (fault, reply)
    }

    /// Making something under a name that is taken touches nothing.
    fn touches_foreign(&self, call: &Call) -> bool {
        let changes = !call.kind.is_read() && !matches!(call.kind, CallKind::Create(_));
        let thing = call.key().filter(|_| changes).and_then(|key| self.cloud.things.get(&key).cloned());
        thing.is_some_and(|thing| thing.is_planted)
    }
}

/// Serves until it is dropped, and with it every connection.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(converse(stream, Arc::clone(&shared)));
    }
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let _undelayed = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
    // A connection that is cut ends with an error, and is meant to.
    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is cut.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

type Answer = Response<BoxBody<Bytes, Cut>>;

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let call = match Call::read(&head, &body) {
        Ok(call) => call,
        Err(refusal) => return Ok(sent(&refusal)),
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
        (None | Some(Fault::Stale | Fault::Doomed), Some(reply)) => Ok(sent(&reply)),
        (Some(Fault::Answers(trouble, _)), reply) => Ok(match trouble.wrong(&call, reply.as_ref()) {
            Wrong::Reply(reply) => sent(&reply),
            Wrong::Page(status, page) => response(status, "text/html", None, whole(page)),
            Wrong::Half(half) => halved(half),
        }),
        (Some(Fault::Hang(_)), _) => {
            shared.time.pass(shared.settings.hanging);
            shared.hangs.tell(&call.id);
            std::future::pending().await
        }
        (Some(Fault::CallerDies(_)), _) => {
            shared.deaths.send_modify(|deaths| *deaths += 1);
            std::future::pending().await
        }
        (Some(Fault::Cut(_)), _) | (_, None) => Err(Cut),
    }
}

fn sent(reply: &Reply) -> Answer {
    response(reply.status, "application/json", reply.retry_after, whole(reply.body.to_string()))
}

fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, Cut> {
    Full::new(body.into()).map_err(|never| match never {}).boxed()
}

fn response(status: u16, kind: &str, retry_after: Option<i64>, body: BoxBody<Bytes, Cut>) -> Answer {
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    if let Some(seconds) = retry_after {
        response = response.header(header::RETRY_AFTER, seconds);
    }
    response.header(header::CONTENT_TYPE, kind).body(body).unwrap()
}

/// Part of a body that is announced as longer; then the connection is cut.
fn halved(half: String) -> Answer {
    let announced = half.len() + 1_000;
    let cut = stream::once(async {
        // By then the part has been sent.
        tokio::task::yield_now().await;
        Err(Cut)
    });
    let parts = stream::once(async { Ok(Frame::data(Bytes::from(half))) }).chain(cut);
    let body = BoxBody::new(StreamBody::new(Box::pin(parts)));
    let mut answer = response(200, "application/json", None, body);
    answer.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
    answer
}
