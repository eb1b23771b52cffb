//! Connecting to an API server: resolve the name, check the addresses, connect to one that was checked.
//!
//! The check and the connection use the same DNS answer, so a name that resolves to another address the second time changes nothing.
//! The server's certificate is still checked against the name.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_util::rt::TokioIo;
use kqueen_domain::kubeconfig::AddressRules;
use tokio::{net::TcpStream, time::timeout};

use crate::outbound::Resolver;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("the name cannot be resolved")]
    NameNotFound,
    #[error("the address is not allowed")]
    Denied,
    #[error("the connection was refused")]
    Refused,
    #[error("there is no route to the address")]
    Unroutable,
    #[error("the connection timed out")]
    TimedOut,
    #[error("the connection failed")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                Self::Unroutable
            }
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Failed(error),
        }
    }
}

/// Makes connections to allowed addresses.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    rules: Arc<AddressRules>,
    resolver: Resolver,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(rules: AddressRules, timeout: Duration) -> Self {
        Self { rules: Arc::new(rules), resolver: Resolver::default(), timeout }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let within = self.timeout;
        timeout(within, self.connect_any(&uri)).await.unwrap_or(Err(ConnectError::TimedOut))
    }

    async fn connect_any(&self, uri: &Uri) -> Result<TokioIo<TcpStream>, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let found = self.resolver.look_up(host.to_owned()).await.map_err(|_| ConnectError::NameNotFound)?;
                found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect()
            }
        };
        let mut allowed: Vec<_> = addresses.into_iter().filter(|address| self.rules.allows(address.ip())).collect();
        allowed.dedup();
        if allowed.is_empty() {
            return Err(ConnectError::Denied);
        }
        let share = self.timeout / u32::try_from(allowed.len()).unwrap_or(u32::MAX);
        let mut failure = ConnectError::NameNotFound;
        for address in allowed {
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are written in one piece; waiting for more gains nothing.
                    stream.set_nodelay(true)?;
                    return Ok(TokioIo::new(stream));
                }
                Ok(Err(error)) => failure = error.into(),
                Err(_) => failure = ConnectError::TimedOut,
            }
        }
        Err(failure)
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn connect(rules: AddressRules, uri: String) -> Result<TokioIo<TcpStream>, ConnectError> {
        Connector::new(rules, Duration::from_secs(5)).connect(uri.parse().unwrap()).await
    }

    fn lenient() -> AddressRules {
        AddressRules::denying(Vec::new())
    }

    #[tokio::test]
    async fn a_name_is_checked_by_its_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"] {
            let uri = format!("https://{host}:{port}/version");
            assert!(matches!(connect(AddressRules::default(), uri).await, Err(ConnectError::Denied)), "{host}");
        }
        assert!(connect(lenient(), format!("http://localhost:{port}/")).await.is_ok());
        assert!(connect(lenient(), format!("http://127.0.0.1:{port}/")).await.is_ok());
    }

    #[tokio::test]
    async fn denied_addresses_of_a_name_are_skipped() {
        // `localhost` resolves to 127.0.0.1, and on many machines to ::1 as well.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = AddressRules::denying(vec!["::1/128".parse().unwrap()]);
        assert!(connect(rules, format!("http://localhost:{port}/")).await.is_ok());
    }

    #[tokio::test]
    async fn failures_are_distinguished() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let refused = connect(lenient(), format!("http://127.0.0.1:{port}/")).await;
        assert!(matches!(refused, Err(ConnectError::Refused)), "{refused:?}");
        let unknown = connect(lenient(), "http://no-such-host.invalid/".to_owned()).await;
        assert!(matches!(unknown, Err(ConnectError::NameNotFound)), "{unknown:?}");
    }
}
