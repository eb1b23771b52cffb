//! The store.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::{settings::Settings, value};

/// The kinds of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A directory on this machine, for a single process.
    Sled,
    /// A cluster that several replicas can share.
    Etcd,
    /// Memory of the process, for tests and evaluation only.
    Memory,
}

/// Selects the store.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its kind.
    pub kind: StorageKind,
    /// The directory of sled.
    pub sled_path: PathBuf,
}

impl Storage {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        const KINDS: [(&str, StorageKind); 3] =
            [("sled", StorageKind::Sled), ("etcd", StorageKind::Etcd), ("memory", StorageKind::Memory)];
        let kind = settings.get("storage.kind", value::choice(&KINDS));
        let sled_path = settings.get("sled.path", value::text);
        Some(Self { kind: kind?, sled_path: sled_path?.into() })
    }
}

/// The connection to etcd.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// At least one address, without paths.
    pub endpoints: Vec<Url>,
    /// The prefix of all keys; starts with `/` and does not end with it.
    pub prefix: String,
    /// User name and password, if etcd requires authentication.
    pub credentials: Option<(String, SecretString)>,
    /// The CA certificates to trust, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The client certificate and its key, as PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Etcd {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let host = settings.get("etcd.host", value::text);
        let port = settings.get("etcd.port", value::number(1..=u16::MAX));
        let endpoints = settings.get("etcd.endpoints", value::list(value::optional_url(&["https", "http"])));
        let prefix = settings.get("etcd.prefix", value::text);
        let ca_file = settings.get("etcd.ca_file", value::optional_path);
        let cert_file = settings.get("etcd.cert_file", value::optional_path);
        let key_file = settings.get("etcd.key_file", value::optional_path);
        for (key, path) in [("etcd.ca_file", &ca_file), ("etcd.cert_file", &cert_file), ("etcd.key_file", &key_file)] {
            if let Some(Some(path)) = path
                && let Err(error) = std::fs::File::open(path)
            {
                let wrong = format!("{} cannot be read: {error}", path.display());
                settings.reject(key, wrong, "name a PEM file that KQueen may read");
            }
        }
        let credentials = credentials(settings);
        let identity = match (cert_file?, key_file?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                settings.reject("etcd.key_file", "is missing, but KQUEEN_ETCD_CERT_FILE is set", "set both or neither");
                None
            }
            (None, Some(_)) => {
                settings.reject("etcd.cert_file", "is missing, but KQUEEN_ETCD_KEY_FILE is set", "set both or neither");
                None
            }
        };
        let ca_file = ca_file?;
        let mut endpoints: Vec<Url> = endpoints?.into_iter().flatten().collect();
        if endpoints.is_empty() {
            let (scheme, host, port) = (if ca_file.is_some() { "https" } else { "http" }, host?, port?);
            let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
            match Url::parse(&format!("{scheme}://{host}:{port}")) {
                Ok(url) if url.path() == "/" && url.username().is_empty() && url.has_host() => endpoints.push(url),
                Ok(_) | Err(_) => settings.reject("etcd.host", "is not a host", "use a host name or an IP address"),
            }
        }
        let prefix = format!("/{}", prefix?.trim_matches('/'));
        Some(Self { endpoints, prefix, credentials, ca_file, identity })
    }
}

fn credentials(settings: &mut Settings) -> Option<(String, SecretString)> {
    let username = settings.get("etcd.username", value::optional_text);
    let password = settings.secret("etcd.password");
    match (username?, password?) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (Some(_), None) => {
            settings.reject("etcd.password", "is missing, but KQUEEN_ETCD_USERNAME is set", "set both or neither");
            None
        }
        (None, Some(_)) => {
            settings.reject("etcd.username", "is missing, but KQUEEN_ETCD_PASSWORD is set", "set both or neither");
            None
        }
    }
}
