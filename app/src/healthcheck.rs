//! Asks a running server how it is, as container probes do: one small request, no client library, no runtime.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// The part of an answer that is read: its head and the few words of its body.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// What the server said.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body.
    pub body: String,
}

/// Where a server that listens on `host` is reached from this machine.
#[must_use]
pub fn reachable(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(host, port)
}

/// `GET path` of the server at `address`; the whole answer has to arrive within `patience`.
///
/// # Errors
/// Nothing answers, or not in time, or not with HTTP.
pub fn ask(address: SocketAddr, path: &str, patience: Duration) -> io::Result<Answer> {
    let deadline = Instant::now() + patience;
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 2048];
    loop {
        stream.set_read_timeout(Some(left()?))?;
        let read = match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        };
        answer.extend_from_slice(&part[..read]);
        if answer.len() as u64 > LONGEST_ANSWER {
            break;
        }
    }
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn a_server_everywhere_is_asked_on_loopback() {
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
        let answer = ask(address, "/ready", Duration::from_secs(5)).unwrap();
        assert_eq!(answer, Answer { status: 503, body: "away".into() });
        assert!(server.join().unwrap().starts_with("GET /ready HTTP/1.1\r\n"));
    }

    #[test]
    fn a_server_that_is_silent_or_talks_nonsense_is_an_error() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let error = ask(silent.local_addr().unwrap(), "/", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n\r\n"), None);
    }
}
