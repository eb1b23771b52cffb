//! Where records are kept.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::{settings::Settings, value};

/// The kinds of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// A folder on this machine, for one process.
    Sled,
    /// Shared by several replicas.
    Etcd,
    /// This process's memory: tests and try-outs only.
    Memory,
}

/// Which store to use.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Its kind.
    pub kind: StorageKind,
    /// Where sled keeps its folder.
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

/// How to reach etcd.
#[derive(Debug, Clone)]
pub struct Etcd {
    /// At least one address; the paths are empty.
    pub endpoints: Vec<Url>,
    /// What all our keys start with; `/` first and none at the end.
    pub prefix: String,
    /// User and password, where etcd asks for them.
    pub credentials: Option<(String, SecretString)>,
    /// Whom to trust, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, as PEM files.
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
                settings.refuse(key, wrong, "name a PEM file that KQueen may read");
            }
        }
        let credentials = credentials(settings);
        let identity = match (cert_file?, key_file?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                settings.refuse("etcd.key_file", "is missing, but KQUEEN_ETCD_CERT_FILE is set", "set both or neither");
                None
            }
            (None, Some(_)) => {
                settings.refuse("etcd.cert_file", "is missing, but KQUEEN_ETCD_KEY_FILE is set", "set both or neither");
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
                Ok(_) | Err(_) => settings.refuse("etcd.host", "is not a host", "use a host name or an IP address"),
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
            settings.refuse("etcd.password", "is missing, but KQUEEN_ETCD_USERNAME is set", "set both or neither");
            None
        }
        (None, Some(_)) => {
            settings.refuse("etcd.username", "is missing, but KQUEEN_ETCD_PASSWORD is set", "set both or neither");
            None
        }
    }
}
