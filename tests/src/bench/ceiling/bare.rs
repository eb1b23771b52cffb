//! A bare poem handler in a separate process, like the service. It answers the same requests with the same responses, head and body, from
//! memory; of very many requests, with those to the first ones.
//!
//! The process is this executable, started again with a special argument.

use std::{
    fs, io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use etcd_client::{Client, GetOptions};
use poem::{
    Response, Route, Server,
    endpoint::make,
    http::{HeaderMap, HeaderName, HeaderValue, uri::Scheme},
    listener::{Acceptor, TcpAcceptor},
    web::{LocalAddr, RemoteAddr},
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use crate::{
    bench::load::Answer,
    fixture::process::{Process, free_port},
};

/// The argument that makes this executable the handler.
const ARGUMENT: &str = "serve-bare-handler";
/// The file with the responses, in the given folder.
const FILE: &str = "answers.json";

/// The service's responses to the requests of one case, which the handler returns.
#[derive(Debug, Serialize, Deserialize)]
pub struct Kept {
    path: String,
    fresh: bool,
    answers: Vec<KeptAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Kept {
    /// Responses returned at `path`, or each at its own path below if there are several; if `fresh`, after a read of the key.
    #[must_use]
    pub fn new(path: String, fresh: bool, answers: Vec<Answer>) -> Self {
        Self { path, fresh, answers: answers.into_iter().map(KeptAnswer::from).collect() }
    }

    /// The path of the response to the request with this number.
    #[must_use]
    pub fn path_of(&self, request: usize) -> String {
        match self.answers.len() {
            1 => self.path.clone(),
            count => format!("{}/{}", self.path, request % count),
        }
    }

    /// The route of all responses.
    fn template(&self) -> String {
        if self.answers.len() == 1 { self.path.clone() } else { format!("{}/:number", self.path) }
    }
}

impl From<Answer> for KeptAnswer {
    fn from(answer: Answer) -> Self {
        let lines = answer.head.split("\r\n").filter_map(|line| line.split_once(": "));
        let headers = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        // The server adds these itself.
        let headers = headers.filter(|(name, _)| !matches!(name.as_str(), "content-length" | "date"));
        Self { headers: headers.collect(), body: answer.body }
    }
}

impl KeptAnswer {
    fn headers(&self) -> HeaderMap {
        let header = |(name, value): &(String, String)| -> (HeaderName, HeaderValue) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        self.headers.iter().map(header).collect()
    }
}

/// A key of etcd that is read before responding, once for all waiting requests.
#[derive(Debug, Clone)]
pub struct Fresh {
    pub endpoint: String,
    pub key: String,
}

/// The running handler.
pub struct Bare {
    pub address: SocketAddr,
    process: Process,
}

impl Bare {
    /// Starts the handler.
    pub fn start<'k>(folder: &Path, kept: impl Iterator<Item = &'k Kept>, fresh: Option<&Fresh>) -> Self {
        fs::write(folder.join(FILE), serde_json::to_vec(&kept.collect::<Vec<_>>()).unwrap()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut arguments = vec![ARGUMENT.to_owned(), address.to_string(), folder.to_str().unwrap().to_owned()];
        arguments.extend(fresh.into_iter().flat_map(|fresh| [fresh.endpoint.clone(), fresh.key.clone()]));
        let mut process = Process::start("bare", &std::env::current_exe().unwrap(), &arguments, folder);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(address).is_err() {
            process.assert_running();
            assert!(Instant::now() < deadline, "the bare handler does not start: {}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, process }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

/// Runs the handler and exits, if the arguments say so.
pub fn serve_if_asked() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [ARGUMENT, address, folder] => serve(address, folder, None),
        [ARGUMENT, address, folder, endpoint, key] => {
            serve(address, folder, Some(Fresh { endpoint: endpoint.to_owned(), key: key.to_owned() }));
        }
        _ => {}
    }
}

#[tokio::main]
async fn serve(address: &str, folder: &str, fresh: Option<Fresh>) {
    let answers = fs::read(Path::new(folder).join(FILE)).unwrap();
    let answers: Vec<Kept> = serde_json::from_slice(&answers).unwrap();
    let reads = match fresh {
        Some(fresh) => Some(SharedReads::start(fresh).await),
        None => None,
    };
    let routes = answers.into_iter().fold(Route::new(), |routes, kept| {
        let reads = reads.clone().filter(|_| kept.fresh);
        let template = kept.template();
        let answers = kept.answers.into_iter().map(|answer| (answer.headers(), Bytes::from(answer.body)));
        let answers: Arc<[(HeaderMap, Bytes)]> = answers.collect();
        let handler = make(move |request| {
            let number = request.raw_path_param("number").map_or(0, |number| number.parse().unwrap());
            let ((headers, body), reads) = (answers[number].clone(), reads.clone());
            async move {
                if let Some(reads) = reads {
                    reads.read().await;
                }
                let mut response = Response::builder().body(body);
                *response.headers_mut() = headers;
                Ok::<_, poem::Error>(response)
            }
        });
        routes.at(template, handler)
    });
    let listener = TcpListener::bind(address).await.unwrap();
    let acceptor = WithoutDelay(TcpAcceptor::from_tokio(listener).unwrap());
    Server::new_with_acceptor(acceptor).run(routes).await.unwrap();
    std::process::exit(0);
}

/// Linearizable reads, one at a time, each shared by all requests that came before it was sent.
#[derive(Clone)]
struct SharedReads(Arc<mpsc::UnboundedSender<oneshot::Sender<()>>>);

impl SharedReads {
    async fn start(Fresh { endpoint, key }: Fresh) -> Self {
        let (queue, mut waiting) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        let mut client = Client::connect([endpoint], None).await.unwrap().kv_client();
        tokio::spawn(async move {
            while let Some(first) = waiting.recv().await {
                let mut group = vec![first];
                while let Ok(next) = waiting.try_recv() {
                    group.push(next);
                }
                client.get(key.as_str(), Some(GetOptions::new().with_keys_only())).await.unwrap();
                for waiter in group {
                    let _gone = waiter.send(());
                }
            }
        });
        Self(Arc::new(queue))
    }

    async fn read(&self) {
        let (sender, done) = oneshot::channel();
        self.0.send(sender).unwrap();
        done.await.unwrap();
    }
}

/// Sets TCP_NODELAY, which the framework does not.
struct WithoutDelay(TcpAcceptor);

impl Acceptor for WithoutDelay {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, LocalAddr, RemoteAddr, Scheme)> {
        let accepted = self.0.accept().await?;
        accepted.0.set_nodelay(true)?;
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8]) -> Answer {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\ndate: today\r\n\r\n".to_owned();
        Answer { status: 200, head, body: body.to_vec() }
    }

    #[test]
    fn a_response_is_kept_with_its_headers() {
        let kept = Kept::new("/x".to_owned(), false, vec![answer(b"ok")]);
        let headers = kept.answers[0].headers();
        assert_eq!(
            (headers.len(), &headers["content-type"], &*kept.answers[0].body),
            (1, &HeaderValue::from_static("text/plain"), &b"ok"[..])
        );
    }

    #[test]
    fn each_of_several_requests_has_its_own_response() {
        let one = Kept::new("/x".to_owned(), false, vec![answer(b"ok")]);
        assert_eq!((one.path_of(0), one.path_of(5), one.template()), ("/x".into(), "/x".into(), "/x".into()));
        let two = Kept::new("/x".to_owned(), false, vec![answer(b"a"), answer(b"b")]);
        assert_eq!(
            (two.path_of(1), two.path_of(2), two.template()),
            ("/x/1".into(), "/x/0".into(), "/x/:number".into())
        );
    }
}
