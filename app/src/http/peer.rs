//! Whose request it is, by address.

use std::net::IpAddr;

use ipnet::IpNet;
use poem::{
    Addr, Request,
    http::{HeaderMap, HeaderName, header},
};

/// The headers proxies add, besides `Forwarded`. As names, which need no parsing at each request.
static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The client's address: the connection's, or what a trusted proxy says.
    pub address: IpAddr,
    /// Somebody we do not trust says that the request was forwarded; what is granted by address does not count then.
    pub doubtful: bool,
}

impl Peer {
    /// The peer of a request. Only what `trusted` proxies say of forwarding is believed: from right to left in `X-Forwarded-For`, the
    /// first address that is not theirs.
    #[must_use]
    pub fn of(request: &Request, trusted: &[IpNet]) -> Self {
        let connection = match &request.remote_addr().0 {
            Addr::SocketAddr(address) => address.ip().to_canonical(),
            Addr::Unix(_) | Addr::Custom(..) => IpAddr::from([0, 0, 0, 0]),
        };
        Self::behind(connection, request.headers(), trusted)
    }

    fn behind(connection: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let forwarded = [&FORWARDED_FOR, &REAL_IP, &header::FORWARDED].iter().any(|name| headers.contains_key(*name));
        if !is_trusted(&connection) {
            return Self { address: connection, doubtful: forwarded };
        }
        let hops = headers.get_all(&FORWARDED_FOR).into_iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
        for hop in hops.iter().rev() {
            let Ok(address) = hop.parse::<IpAddr>() else { return Self { address: connection, doubtful: true } };
            let address = address.to_canonical();
            if !is_trusted(&address) {
                return Self { address, doubtful: false };
            }
        }
        Self { address: connection, doubtful: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let table: [(&str, &[&str], &str, bool); 7] = [
            ("192.0.2.1", &[], "192.0.2.1", false),
            ("192.0.2.1", &["127.0.0.1"], "192.0.2.1", true),
            ("10.0.0.1", &[], "10.0.0.1", false),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9", false),
            ("10.0.0.1", &["127.0.0.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9", false),
            ("10.0.0.1", &["127.0.0.1", "203.0.113.9"], "203.0.113.9", false),
            ("10.0.0.1", &["nonsense"], "10.0.0.1", true),
        ];
        for (connection, forwarded, address, doubtful) in table {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            let peer = Peer::behind(connection.parse().unwrap(), &headers, &proxies);
            assert_eq!(peer, Peer { address: address.parse().unwrap(), doubtful }, "{connection} {forwarded:?}");
        }
    }
}
