//! Checks the health of a running server, for container probes: one small request, without a client library or async runtime.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Maximum number of bytes read of a response.
const MAX_RESPONSE: u64 = 16 * 1024;

/// The response of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// The address at which a server that listens on `host` is reached from this machine.
#[must_use]
pub fn reachable(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(host, port)
}

/// Sends `GET path` to `address`. The whole response must arrive within `timeout`.
///
/// # Errors
/// The server does not answer, not in time, or not with HTTP.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<Response> {
    let deadline = Instant::now() + timeout;
    let remaining = || {
        let remaining = deadline.saturating_duration_since(Instant::now());
        if remaining.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(remaining) }
    };
    let mut stream = TcpStream::connect_timeout(&address, remaining()?)?;
    stream.set_write_timeout(Some(remaining()?))?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let mut part = [0; 2048];
    loop {
        stream.set_read_timeout(Some(remaining()?))?;
        let read = match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        };
        response.extend_from_slice(&part[..read]);
        if response.len() as u64 > MAX_RESPONSE {
            break;
        }
    }
    parse(&String::from_utf8_lossy(&response)).ok_or_else(|| io::Error::other("the response is not HTTP"))
}

fn parse(response: &str) -> Option<Response> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Response { status, body: body.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_on_loopback() {
        assert_eq!(reachable([0, 0, 0, 0].into(), 5000).to_string(), "127.0.0.1:5000");
        assert_eq!(reachable(Ipv6Addr::UNSPECIFIED.into(), 5000).to_string(), "[::1]:5000");
        assert_eq!(reachable([192, 0, 2, 1].into(), 1).to_string(), "192.0.2.1:1");
    }

    #[test]
    fn the_status_is_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            write!(stream, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\naway").unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let response = get(address, "/ready", Duration::from_secs(5)).unwrap();
        assert_eq!(response, Response { status: 503, body: "away".into() });
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.1\r\n"));
    }

    #[test]
    fn no_answer_and_invalid_responses_are_errors() {
        let hanging = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let error = get(hanging.local_addr().unwrap(), "/", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n\r\n"), None);
    }
}
