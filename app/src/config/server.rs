//! The listener, limits of connections, and the log.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::{settings::Settings, value};

/// A day, the maximum of all durations here.
const DAY: Duration = Duration::from_secs(86400);

/// The listener and trusted proxies.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 selects a free one.
    pub port: u16,
    /// Networks of the proxies whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// How long requests and reconciles in flight may take to finish at shutdown.
    pub shutdown_grace: Duration,
}

impl Server {
    pub(super) fn read(settings: &mut Settings, dev_mode: bool) -> Option<Self> {
        let host = settings.get("host", value::listen_address);
        if dev_mode && host.is_some_and(|host| !host.is_loopback()) {
            let wrong = "is not a loopback address, and with KQUEEN_DEV_MODE anyone who can reach it can log in";
            settings.reject("host", wrong, "listen on 127.0.0.1 or ::1, or set KQUEEN_DEV_MODE=false");
        }
        let port = settings.get("port", value::number(0..=u16::MAX));
        let trusted_proxies = settings.get("trusted_proxies", value::list(value::network));
        let shutdown_grace = settings.get("shutdown_grace", value::duration(Duration::ZERO..=DAY));
        Some(Self { host: host?, port: port?, trusted_proxies: trusted_proxies?, shutdown_grace: shutdown_grace? })
    }
}

/// Limits of clients.
#[derive(Debug, Clone)]
pub struct Http {
    /// Maximum size of a request body in bytes.
    pub body_limit: usize,
    /// How long a request's head may take to arrive.
    pub header_timeout: Duration,
    /// How long a connection stays open between two requests.
    pub idle_timeout: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// Maximum number of open connections.
    pub max_connections: usize,
}

impl Http {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let time = || value::duration(Duration::from_millis(10)..=DAY);
        let body_limit = settings.get("http.body_limit", value::size(1024..=1 << 30));
        let header_timeout = settings.get("http.header_timeout", time());
        let idle_timeout = settings.get("http.idle_timeout", time());
        let request_timeout = settings.get("http.request_timeout", time());
        let max_connections = settings.get("http.max_connections", value::number(1..=1_000_000_u32));
        Some(Self {
            body_limit: body_limit?,
            header_timeout: header_timeout?,
            idle_timeout: idle_timeout?,
            request_timeout: request_timeout?,
            max_connections: usize::try_from(max_connections?).unwrap_or(usize::MAX),
        })
    }
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// The minimum level.
    pub level: tracing::Level,
    /// The format.
    pub format: LogFormat,
}

impl Log {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        use tracing::Level;
        const LEVELS: [(&str, Level); 5] = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ];
        let debug = settings.get("debug", value::boolean)?;
        let level = settings.get("log.level", value::choice(&LEVELS));
        let format = settings.get("log.format", value::choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]));
        let level = if debug && !settings.is_set("log.level") { Level::DEBUG } else { level? };
        Some(Self { level, format: format? })
    }
}

/// Access to the metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Networks that need no token.
    pub whitelist: Vec<IpNet>,
}

impl Metrics {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        Some(Self { whitelist: settings.get("prometheus.whitelist", value::list(value::network))? })
    }
}
