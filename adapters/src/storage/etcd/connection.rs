//! Calls to etcd: of several endpoints one is used until it fails, every call has a time limit, and credentials are renewed.
//!
//! Each endpoint has a separate connection. Balancing over all of them, as the client library offers, keeps sending every third call to
//! a dead endpoint.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etcd_client::{
    Certificate, Client, ConnectOptions, Error, Identity, KvClient, LeaseClient, TlsOptions, WatchClient,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct EtcdSettings {
    /// Addresses of members: `http://host:2379`, `https://host:2379` or `host:2379`.
    pub endpoints: Vec<String>,
    /// The prefix of every key.
    pub prefix: String,
    /// The username.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// The certificate authority of the servers; if it is set, addresses without a scheme are https.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, for servers that require one.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// Why the connection settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{setting} names {}, which cannot be read: {source}", .path.display())]
    File { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("KQUEEN_ETCD_CERT_FILE and KQUEEN_ETCD_KEY_FILE must be given together")]
    IncompleteIdentity,
    #[error("KQUEEN_ETCD_USERNAME and KQUEEN_ETCD_PASSWORD must be given together")]
    IncompleteCredentials,
    #[error("{0} is an https address: KQUEEN_ETCD_CA_FILE must name its certificate authority")]
    NoAuthority(String),
    #[error("{0} is an http address, but KQUEEN_ETCD_CA_FILE or KQUEEN_ETCD_CERT_FILE ask for https")]
    NotEncrypted(String),
    #[error("no etcd endpoint is given")]
    NoEndpoint,
}

/// A call that did not succeed. Its text names no key and no value.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CallError {
    #[error("etcd at {endpoint} did not respond within {} ms", .within.as_millis())]
    NoAnswer { endpoint: String, within: Duration },
    #[error("etcd at {endpoint} cannot be used: {reason}")]
    Failed { endpoint: String, reason: String },
}

/// Time limit of a call, over all endpoints it tries.
pub(crate) const LIMIT: Duration = Duration::from_millis(4500);
/// Time limit of a read at one endpoint when there are others.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// Time limit for connecting and authenticating.
const CONNECT: Duration = Duration::from_secs(2);
/// Interval and time limit of pings. etcd closes connections that are pinged more often than every five seconds.
const PING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(3));
/// The client rejects larger answers. A page of the largest records is half as large.
const MAX_ANSWER_BYTES: usize = 128 << 20;

/// A connection to one member.
pub(crate) struct Peer {
    pub(crate) endpoint: String,
    client: Client,
    kv: KvClient,
    watch: WatchClient,
}

impl Peer {
    pub(crate) fn watch(&self) -> WatchClient {
        self.watch.clone()
    }

    pub(crate) fn kv(&self) -> KvClient {
        self.kv.clone()
    }

    pub(crate) fn lease(&self) -> LeaseClient {
        self.client.lease_client()
    }

    /// Authenticates again; does nothing without credentials.
    pub(crate) async fn renew(&self) {
        if let Ok(Err(error)) = timeout(CONNECT, self.client.refresh_token()).await {
            tracing::warn!(endpoint = %self.endpoint, error = %reason(&error), "etcd does not accept the credentials");
        }
    }
}

#[derive(Default)]
struct Slot {
    peer: RwLock<Option<Arc<Peer>>>,
    connecting: tokio::sync::Mutex<()>,
}

pub(crate) struct Connection {
    endpoints: Vec<(String, Slot)>,
    options: ConnectOptions,
    current: AtomicUsize,
}

async fn file(setting: &'static str, path: &Path) -> Result<Vec<u8>, SettingsError> {
    let read = tokio::fs::read(path).await;
    read.map_err(|source| SettingsError::File { setting, path: path.to_owned(), source })
}

async fn tls(settings: &EtcdSettings) -> Result<Option<TlsOptions>, SettingsError> {
    let identity = match (&settings.cert_file, &settings.key_file) {
        (Some(cert), Some(key)) => {
            let cert = file("KQUEEN_ETCD_CERT_FILE", cert).await?;
            Some(Identity::from_pem(cert, file("KQUEEN_ETCD_KEY_FILE", key).await?))
        }
        (None, None) => None,
        _ => return Err(SettingsError::IncompleteIdentity),
    };
    let Some(authority) = &settings.ca_file else {
        let https = settings.endpoints.iter().find(|endpoint| identity.is_some() || endpoint.starts_with("https://"));
        return https.map_or(Ok(None), |endpoint| Err(SettingsError::NoAuthority(endpoint.clone())));
    };
    if let Some(endpoint) = settings.endpoints.iter().find(|endpoint| endpoint.starts_with("http://")) {
        return Err(SettingsError::NotEncrypted(endpoint.clone()));
    }
    let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(file("KQUEEN_ETCD_CA_FILE", authority).await?));
    Ok(Some(match identity {
        Some(identity) => tls.identity(identity),
        None => tls,
    }))
}

impl Connection {
    pub(crate) async fn new(settings: &EtcdSettings) -> Result<Self, SettingsError> {
        if settings.endpoints.is_empty() {
            return Err(SettingsError::NoEndpoint);
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(CONNECT)
            .with_keep_alive(PING.0, PING.1)
            .with_keep_alive_while_idle(false)
            .with_auto_token_refresh(true)
            .with_require_leader(true);
        match (&settings.username, &settings.password) {
            (Some(user), Some(password)) => options = options.with_user(user, password.expose_secret()),
            (None, None) => {}
            _ => return Err(SettingsError::IncompleteCredentials),
        }
        if let Some(tls) = tls(settings).await? {
            options = options.with_tls(tls);
        }
        let endpoints = settings.endpoints.iter().map(|endpoint| (endpoint.clone(), Slot::default())).collect();
        Ok(Self { endpoints, options, current: AtomicUsize::new(0) })
    }

    /// The connection in use, with its number.
    pub(crate) async fn peer(&self, limit: Instant) -> Result<(usize, Arc<Peer>), CallError> {
        let number = self.current.load(Ordering::Relaxed);
        let (endpoint, slot) = &self.endpoints[number % self.endpoints.len()];
        let existing = || slot.peer.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(peer) = existing() {
            return Ok((number, peer));
        }
        let connecting = async {
            let _lock = slot.connecting.lock().await;
            if let Some(peer) = existing() {
                return Ok(peer);
            }
            let client = Client::connect([endpoint], Some(self.options.clone())).await?;
            let kv = client.kv_client().max_decoding_message_size(MAX_ANSWER_BYTES);
            let watch = client.watch_client().max_decoding_message_size(MAX_ANSWER_BYTES);
            let peer = Arc::new(Peer { endpoint: endpoint.clone(), client, kv, watch });
            *slot.peer.write().unwrap_or_else(PoisonError::into_inner) = Some(peer.clone());
            Ok(peer)
        };
        let until = limit.min(Instant::now() + CONNECT);
        match timeout_at(until, connecting).await {
            Ok(Ok(peer)) => Ok((number, peer)),
            Ok(Err(error)) => {
                self.leave(number);
                Err(failed(endpoint, &error))
            }
            Err(_) => {
                self.leave(number);
                Err(CallError::NoAnswer { endpoint: endpoint.clone(), within: CONNECT })
            }
        }
    }

    /// Uses the next endpoint from now on, unless another call has already moved on from `number`.
    pub(crate) fn leave(&self, number: usize) {
        if self.endpoints.len() > 1 {
            let next = number.wrapping_add(1);
            let _moved = self.current.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Reads or writes, within [`LIMIT`]; see [`Connection::call_within`].
    pub(crate) async fn call<T, F>(&self, repeatable: bool, call: impl Fn(KvClient) -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        self.call_within(LIMIT, repeatable, |peer| call(peer.kv())).await
    }

    /// Calls etcd, and another endpoint if one fails, unless that could do the work twice: `repeatable` calls are always repeated, others
    /// only if the first call was certainly not sent.
    pub(crate) async fn call_within<T, F>(
        &self,
        within: Duration,
        repeatable: bool,
        call: impl Fn(&Peer) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let limit = Instant::now() + within;
        let mut last = None;
        // Two rounds: the endpoint in use may have been left just before it recovered.
        for _ in 0..self.endpoints.len() * 2 {
            if last.is_some() && Instant::now() >= limit {
                break;
            }
            let (number, peer) = match self.peer(limit).await {
                Ok(peer) => peer,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let attempt = if repeatable && self.endpoints.len() > 1 { ATTEMPT } else { within };
            let until = limit.min(Instant::now() + attempt);
            match timeout_at(until, call(&peer)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    if is_about_the_endpoint(&error) {
                        self.leave(number);
                    }
                    let outdated = are_credentials_outdated(&error);
                    if outdated {
                        peer.renew().await;
                    }
                    let again = outdated || repeatable && is_about_the_endpoint(&error) || was_not_sent(&error);
                    last = Some(failed(&peer.endpoint, &error));
                    if !again {
                        break;
                    }
                }
                Err(_) => {
                    self.leave(number);
                    last = Some(CallError::NoAnswer { endpoint: peer.endpoint.clone(), within: attempt });
                    if !repeatable {
                        break;
                    }
                }
            }
        }
        let none = || CallError::NoAnswer { endpoint: String::new(), within };
        Err(last.unwrap_or_else(none))
    }
}

fn failed(endpoint: &str, error: &Error) -> CallError {
    CallError::Failed { endpoint: endpoint.to_owned(), reason: reason(error) }
}

/// The message of an error, with the causes that the library hides in its sources.
pub(crate) fn reason(error: &Error) -> String {
    let mut text = match error {
        Error::GRpcStatus(status) => status.message().to_owned(),
        other => other.to_string(),
    };
    for cause in causes(error) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let first = match error {
        Error::GRpcStatus(status) => status.source(),
        Error::TransportError(error) => error.source(),
        _ => None,
    };
    std::iter::successors(first, |cause| {
        // Taken out of the reference first: the source lives as long as the error, not as this borrow.
        let cause: &(dyn std::error::Error + 'static) = *cause;
        cause.source()
    })
}

/// Whether another endpoint may succeed. Codes are numbers because the client does not export their type.
fn is_about_the_endpoint(error: &Error) -> bool {
    match error {
        // Cancelled, unknown, deadline exceeded, internal, unavailable.
        Error::GRpcStatus(status) => matches!(status.code() as i32, 1 | 2 | 4 | 13 | 14),
        Error::TransportError(_) | Error::IoError(_) => true,
        _ => false,
    }
}

/// Whether the call was rejected before it did anything, because users or roles have changed since we authenticated, or the token has
/// expired. The library itself detects only the latter, and not in later messages of a stream.
fn are_credentials_outdated(error: &Error) -> bool {
    let Error::GRpcStatus(status) = error else { return false };
    ["revision of auth store is old", "invalid auth token"].iter().any(|text| status.message().contains(text))
}

/// Whether the call was certainly not sent, because there was no connection to a server.
fn was_not_sent(error: &Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable))
}
