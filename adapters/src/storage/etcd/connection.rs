//! Calls to etcd: several endpoints of which one is used until it fails, a time limit for every call, credentials that are renewed.
//!
//! Each endpoint has a connection of its own. Balancing over all of them, as the client library offers, keeps sending every third
//! call to an endpoint that is dead.

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
    /// What every key starts with.
    pub prefix: String,
    /// Who we are.
    pub username: Option<String>,
    /// How we prove it.
    pub password: Option<SecretString>,
    /// The authority that vouches for the servers; with it, addresses without a scheme are https.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// Why a connection cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{setting} names {}, which cannot be read: {source}", .path.display())]
    File { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("KQUEEN_ETCD_CERT_FILE and KQUEEN_ETCD_KEY_FILE must be given together")]
    HalfAnIdentity,
    #[error("KQUEEN_ETCD_USERNAME and KQUEEN_ETCD_PASSWORD must be given together")]
    HalfACredential,
    #[error("{0} is an https address: KQUEEN_ETCD_CA_FILE must name the authority that vouches for it")]
    NoAuthority(String),
    #[error("{0} is an http address, but KQUEEN_ETCD_CA_FILE or KQUEEN_ETCD_CERT_FILE ask for https")]
    NotEncrypted(String),
    #[error("no etcd endpoint is given")]
    NoEndpoint,
}

/// A call that did not succeed. Its text names no key and no value.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum CallError {
    #[error("etcd at {endpoint} did not answer within {} ms", .within.as_millis())]
    Silent { endpoint: String, within: Duration },
    #[error("etcd at {endpoint} cannot be used: {reason}")]
    Failed { endpoint: String, reason: String },
}

/// The longest a call may take, all endpoints it tries together.
pub(crate) const LIMIT: Duration = Duration::from_millis(4500);
/// The longest a read waits for one endpoint when there are others.
const ATTEMPT: Duration = Duration::from_millis(1500);
/// The longest it may take to open a connection and to prove who we are.
const CONNECT: Duration = Duration::from_secs(2);
/// etcd ends connections that are pinged more often than every five seconds.
const PING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(3));
/// The client refuses larger answers: a page of the largest records is half as much.
const LARGEST_ANSWER: usize = 128 << 20;

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

    /// Proves anew who we are; nothing to do without credentials.
    pub(crate) async fn renew(&self) {
        if let Ok(Err(error)) = timeout(CONNECT, self.client.refresh_token()).await {
            tracing::warn!(endpoint = %self.endpoint, error = %reason(&error), "etcd does not accept our credentials");
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
        _ => return Err(SettingsError::HalfAnIdentity),
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
            _ => return Err(SettingsError::HalfACredential),
        }
        if let Some(tls) = tls(settings).await? {
            options = options.with_tls(tls);
        }
        let endpoints = settings.endpoints.iter().map(|endpoint| (endpoint.clone(), Slot::default())).collect();
        Ok(Self { endpoints, options, current: AtomicUsize::new(0) })
    }

    /// The connection in use, by its number.
    pub(crate) async fn peer(&self, limit: Instant) -> Result<(usize, Arc<Peer>), CallError> {
        let number = self.current.load(Ordering::Relaxed);
        let (endpoint, slot) = &self.endpoints[number % self.endpoints.len()];
        let existing = || slot.peer.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(peer) = existing() {
            return Ok((number, peer));
        }
        let connecting = async {
            let _turn = slot.connecting.lock().await;
            if let Some(peer) = existing() {
                return Ok(peer);
            }
            let client = Client::connect([endpoint], Some(self.options.clone())).await?;
            let kv = client.kv_client().max_decoding_message_size(LARGEST_ANSWER);
            let watch = client.watch_client().max_decoding_message_size(LARGEST_ANSWER);
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
                Err(CallError::Silent { endpoint: endpoint.clone(), within: CONNECT })
            }
        }
    }

    /// Uses the next endpoint from now on, unless somebody has moved on from `number` already.
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

    /// Calls etcd, at another endpoint if one fails, as long as that cannot do the work twice: `repeatable` calls always, others only
    /// if the first was certainly not sent.
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
        // Twice round: the endpoint in use may have been left just before it came back.
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
                    last = Some(CallError::Silent { endpoint: peer.endpoint.clone(), within: attempt });
                    if !repeatable {
                        break;
                    }
                }
            }
        }
        let none = || CallError::Silent { endpoint: String::new(), within };
        Err(last.unwrap_or_else(none))
    }
}

fn failed(endpoint: &str, error: &Error) -> CallError {
    CallError::Failed { endpoint: endpoint.to_owned(), reason: reason(error) }
}

/// What went wrong, with the causes the library hides in its sources.
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

/// Whether another endpoint may do better. Codes as numbers: the client does not export their type.
fn is_about_the_endpoint(error: &Error) -> bool {
    match error {
        // Cancelled, unknown, deadline exceeded, internal, unavailable.
        Error::GRpcStatus(status) => matches!(status.code() as i32, 1 | 2 | 4 | 13 | 14),
        Error::TransportError(_) | Error::IoError(_) => true,
        _ => false,
    }
}

/// Whether the call was refused before it did anything, since users or roles were changed after we had proven who we are, or the proof
/// has run out. The library itself notices only the latter, and not in what comes later in a stream.
fn are_credentials_outdated(error: &Error) -> bool {
    let Error::GRpcStatus(status) = error else { return false };
    ["revision of auth store is old", "invalid auth token"].iter().any(|text| status.message().contains(text))
}

/// Whether the call certainly did not leave this machine: nobody was there to take it.
fn was_not_sent(error: &Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|error| matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable))
}
