//! The banner printed when the server is ready.

use std::{fmt::Write, net::SocketAddr};

use crate::config::{Config, StorageKind};

/// The banner of a server that listens on `address`.
#[must_use]
pub fn banner(config: &Config, address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { "localhost".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let url = format!("http://{host}:{}", address.port());
    let store = match config.storage.kind {
        StorageKind::Sled => format!("records are kept in {}", config.storage.sled_path.display()),
        StorageKind::Etcd => "records are kept in etcd".to_owned(),
        StorageKind::Memory => "records are kept in memory and are lost when KQueen stops".to_owned(),
    };
    let mut text = format!("KQueen is ready at {url}\n  API documentation: {url}/api/docs/\n  {store}\n");
    if config.demo_enabled {
        text.push_str("  the demo engine is enabled: its clusters are simulated\n");
    }
    if config.dev_mode {
        let first = config.bootstrap.as_ref().filter(|first| first.password.expose() == "default");
        let login = first.map(|first| format!(": log in as {} with the password \"default\"", first.username));
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  development mode (KQUEEN_DEV_MODE) is on{}", login.unwrap_or_default());
    }
    text
}
