//! Closed-loop clients: each sends its next request as soon as it has read the last response, over a keep-alive connection.
//!
//! Latencies are therefore those of a saturated service, not those at a fixed request rate. The client is hand-written because a full HTTP
//! library would use as much of the shared cores as the service it measures.
//!
//! Unlike real clients, these share the cores with what they measure. They therefore run as batch jobs, which do not preempt a server that
//! is writing a response when another response arrives.

use std::{
    io,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use memchr::memmem;
use nix::unistd::gettid;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    process::cpu_time,
    sample::{Sample, histogram},
};

/// How long requests are sent before the measurement begins, so that first-time costs are not measured.
const WARM_UP: Duration = Duration::from_millis(100);
/// The buffer for the head of a response; bodies are read through it.
const BUFFER: usize = 256 * 1024;
/// The placeholder for a number in a request.
pub const DIGITS: &str = "0000000000000000";

/// The requests that clients send.
#[derive(Debug, Clone)]
pub enum Requests {
    /// These requests in a cycle; each client begins with a different one.
    InTurn(Arc<Vec<Vec<u8>>>),
    /// This request with the next number in place of [`DIGITS`].
    Numbered(Vec<u8>),
}

impl Requests {
    /// The same request repeatedly.
    #[must_use]
    pub fn same(request: Vec<u8>) -> Self {
        Self::InTurn(Arc::new(vec![request]))
    }

    /// All requests in order; for numbered ones their template.
    #[must_use]
    pub fn all(&self) -> &[Vec<u8>] {
        match self {
            Self::InTurn(requests) => requests,
            Self::Numbered(request) => std::slice::from_ref(request),
        }
    }
}

/// The bytes of a request.
#[must_use]
pub fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: kqueen\r\n");
    if let Some(token) = token {
        text += &format!("authorization: Bearer {token}\r\n");
    }
    if let Some(body) = body {
        text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

/// A response, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Sends a request and returns the response.
///
/// # Errors
/// If the connection fails.
pub async fn ask(address: SocketAddr, request: &[u8]) -> io::Result<Answer> {
    let mut client = Client::connect(address).await?;
    client.keep = true;
    let status = client.exchange(request).await?;
    let head = String::from_utf8_lossy(&client.head).into_owned();
    Ok(Answer { status, head, body: client.body })
}

/// Runs `connections` clients for `span` and measures the responses of the process `pid`.
///
/// # Panics
/// If a response is not 200, the service closes a connection, or `chrt` of util-linux is missing or not permitted.
pub fn measure(address: SocketAddr, pid: u32, connections: usize, span: Duration, requests: &Requests) -> Sample {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = connections.min(cores);
    let connected = Barrier::new(threads + 1);
    // Tried here first: a worker that panics before the barrier would leave the others waiting.
    thread::spawn(yield_to_servers).join().unwrap();
    let (recorders, cpu) = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                let share = (number..connections).step_by(threads).collect::<Vec<_>>();
                let connected = &connected;
                scope.spawn(move || {
                    yield_to_servers();
                    ask_for(address, &share, span, requests, connected)
                })
            })
            .collect();
        connected.wait();
        let from = Instant::now() + WARM_UP;
        sleep_until(from);
        let before = cpu_time(pid);
        sleep_until(from + span);
        let cpu = cpu_time(pid).saturating_sub(before);
        let recorders: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
        (recorders, cpu)
    });
    Sample::of(recorders, span, cpu)
}

impl Sample {
    /// Merges the records of all clients.
    pub(super) fn of(recorders: Vec<Recorder>, span: Duration, cpu: Duration) -> Self {
        let mut latencies = histogram();
        recorders.iter().for_each(|recorder| latencies.add(&recorder.latencies).unwrap());
        Self { answers: latencies.len(), span, latencies, cpu }
    }
}

/// Makes this thread a batch job, which does not preempt running threads when it wakes up (`SCHED_BATCH`, sched(7)).
fn yield_to_servers() {
    let changed = Command::new("chrt").args(["--batch", "--pid", "0", &gettid().to_string()]).status();
    assert!(changed.as_ref().is_ok_and(|status| status.success()), "chrt --batch: {changed:?}");
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// Records the responses within a span of time.
pub(super) struct Recorder {
    from: Instant,
    until: Instant,
    latencies: Histogram<u64>,
}

impl Recorder {
    /// A recorder of a measurement that begins after the warm-up.
    pub(super) fn new(now: Instant, span: Duration) -> Self {
        let from = now + WARM_UP;
        Self { from, until: from + span, latencies: histogram() }
    }

    /// Records a response; returns `false` when the span is over. A response counts if it arrives within the span, whenever its request was
    /// sent; otherwise slow responses would not count at all.
    pub(super) fn record(&mut self, sent: Instant) -> bool {
        let now = Instant::now();
        if (self.from..=self.until).contains(&now) {
            let micros = u64::try_from((now - sent).as_micros()).unwrap_or(u64::MAX);
            self.latencies.saturating_record(micros.max(1));
        }
        now < self.until
    }
}

/// The clients of one thread.
fn ask_for(
    address: SocketAddr,
    numbers: &[usize],
    span: Duration,
    requests: &Requests,
    connected: &Barrier,
) -> Vec<Recorder> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in numbers {
            clients.push(Client::connect(address).await.unwrap());
        }
        connected.wait();
        let now = Instant::now();
        let tasks = clients.into_iter().zip(numbers).map(|(mut client, number)| {
            let (requests, first, mut recorder) = (requests.clone(), *number * 7919, Recorder::new(now, span));
            tokio::spawn(async move {
                match requests {
                    Requests::InTurn(requests) => {
                        for request in requests.iter().cycle().skip(first % requests.len()) {
                            if !client.ask(request, &mut recorder).await {
                                break;
                            }
                        }
                    }
                    Requests::Numbered(mut request) => {
                        let at = memmem::find(&request, DIGITS.as_bytes()).unwrap();
                        loop {
                            let number = format!("{:016}", next_number());
                            request[at..at + DIGITS.len()].copy_from_slice(number.as_bytes());
                            if !client.ask(&request, &mut recorder).await {
                                break;
                            }
                        }
                    }
                }
                recorder
            })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut recorders = Vec::new();
        for task in tasks {
            recorders.push(task.await.unwrap());
        }
        recorders
    })
}

fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// A client with a keep-alive connection.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether `head` and `body` of responses are kept.
    keep: bool,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER], keep: false, head: Vec::new(), body: Vec::new() })
    }

    async fn ask(&mut self, request: &[u8], recorder: &mut Recorder) -> bool {
        let sent = Instant::now();
        let status = self.exchange(request).await.unwrap();
        if status != 200 {
            // Sent again to keep the error's body; it fails in the same way.
            self.keep = true;
            let _again = self.exchange(request).await.unwrap();
            panic!("{status}: {}", String::from_utf8_lossy(&self.body));
        }
        recorder.record(sent)
    }

    /// Sends a request and reads the response to its end.
    async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let end_of_head = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let from = filled.saturating_sub(3);
            filled += read;
            if let Some(at) = memmem::find(&self.buffer[from..filled], b"\r\n\r\n") {
                break from + at + 4;
            }
        };
        let (status, length) = parse_head(&self.buffer[..end_of_head])?;
        if self.keep {
            self.head = self.buffer[..end_of_head].to_vec();
            self.body = self.buffer[end_of_head..filled].to_vec();
        }
        let mut missing = length.saturating_sub(filled - end_of_head);
        while missing > 0 {
            let room = missing.min(BUFFER);
            let read = self.stream.read(&mut self.buffer[..room]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.keep {
                self.body.extend_from_slice(&self.buffer[..read]);
            }
            missing -= read;
        }
        Ok(status)
    }
}

/// The status and the length of the body, which our servers always send.
fn parse_head(head: &[u8]) -> io::Result<(u16, usize)> {
    let head = std::str::from_utf8(head).map_err(io::Error::other)?;
    let status = head.get(9..12).and_then(|digits| digits.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
    let length = header(head, "content-length").and_then(|value| value.parse().ok());
    Ok((status, length.ok_or_else(|| io::Error::other(format!("no length in {head:?}")))?))
}

/// The value of a header.
#[must_use]
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_length_are_read_from_the_head() {
        let head = b"HTTP/1.1 404 Not Found\r\nx: y\r\nContent-Length: 17\r\n\r\n";
        assert_eq!(parse_head(head).unwrap(), (404, 17));
        assert!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn responses_outside_of_the_span_do_not_count() {
        let now = Instant::now();
        let mut early = Recorder::new(now, Duration::from_secs(60));
        assert!(early.record(now));
        let mut late = Recorder::new(now.checked_sub(WARM_UP).unwrap(), Duration::ZERO);
        assert!(!late.record(now));
        assert_eq!(early.latencies.len() + late.latencies.len(), 0);
    }
}
