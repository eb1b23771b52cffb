//! The client address of a request.

use std::net::IpAddr;

use ipnet::IpNet;
use kqueen_domain::service::people::throttle::Origin;
use poem::{Addr, Request, http::HeaderMap};

use super::forwarded::{self, Forwarding};

/// The client of a request, by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Where the request comes from: the connection's address, or the one that trusted proxies report.
    pub origin: Origin,
    /// An untrusted peer claims that the request was forwarded: nothing is granted by address then.
    is_doubtful: bool,
}

impl Peer {
    /// The peer of a request. Forwarding headers count only if they come from `trusted` proxies.
    #[must_use]
    pub fn of(request: &Request, trusted: &[IpNet]) -> Self {
        let connection = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip().to_canonical(),
            Addr::Unix(_) | Addr::Custom(..) => IpAddr::from([0, 0, 0, 0]),
        };
        Self::behind(connection, request.headers(), trusted)
    }

    fn behind(connection: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
        if !is_trusted(connection) {
            return Self { origin: Origin::Address(connection), is_doubtful: forwarded::is_claimed(headers) };
        }
        let origin = match forwarded::client(headers, is_trusted) {
            Forwarding::Absent => Origin::Address(connection),
            Forwarding::Client(address) => Origin::Address(address),
            Forwarding::Unknown => Origin::Behind(connection),
        };
        Self { origin, is_doubtful: false }
    }

    /// Whether the request certainly comes from one of these networks.
    #[must_use]
    pub fn is_in(&self, networks: &[IpNet]) -> bool {
        match self.origin {
            Origin::Address(address) => !self.is_doubtful && networks.iter().any(|network| network.contains(&address)),
            Origin::Behind(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let local: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let (at, behind) = (
            |address: &str| Origin::Address(address.parse().unwrap()),
            |address: &str| Origin::Behind(address.parse().unwrap()),
        );
        let table: [(&str, &[&str], Origin, bool); 9] = [
            ("127.0.0.1", &[], at("127.0.0.1"), true),
            ("192.0.2.1", &[], at("192.0.2.1"), false),
            ("192.0.2.1", &["127.0.0.1"], at("192.0.2.1"), false),
            ("127.0.0.1", &["127.0.0.1"], at("127.0.0.1"), false),
            ("10.0.0.1", &[], at("10.0.0.1"), true),
            ("10.0.0.1", &["127.0.0.1"], at("127.0.0.1"), true),
            ("10.0.0.1", &["203.0.113.9"], at("203.0.113.9"), false),
            ("10.0.0.1", &["127.0.0.1, 203.0.113.9, 10.0.0.2"], at("203.0.113.9"), false),
            ("10.0.0.1", &["127.0.0.1, nonsense"], behind("10.0.0.1"), false),
        ];
        for (connection, forwarded, origin, is_local) in table {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let peer = Peer::behind(connection.parse().unwrap(), &headers, &proxies);
            assert_eq!((peer.origin, peer.is_in(&local)), (origin, is_local), "{connection} {forwarded:?}");
        }
    }
}
