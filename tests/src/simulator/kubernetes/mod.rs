//! The Kubernetes API that a simulated cluster leads to: over TLS, for tokens that the simulated cloud has minted, with as many nodes
//! as the cluster has. Objects can be made in it, listed and deleted; nothing runs.

mod node;
mod object;
mod server;

use std::{
    io,
    net::{Ipv4Addr, TcpListener as StdListener},
    sync::{Arc, Mutex},
};

pub use node::Node;
use object::Objects;
use tokio::{net::TcpListener, task::JoinHandle};

use super::tls::Tls;

/// Whether a token may be used with a cluster.
pub type Authorise = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Where simulated clusters lead to.
#[derive(Clone, Default)]
pub enum Kubernetes {
    /// Each to an API server of its own, which is simulated too.
    #[default]
    Simulated,
    /// All to this one.
    Given(Given),
    /// To an address where nothing answers: for tests with very many clusters.
    Nowhere,
}

/// An API server that exists.
#[derive(Clone, Debug)]
pub struct Given {
    /// `https://127.0.0.1:6443`
    pub url: String,
    /// Who vouches for it, in PEM.
    pub authority: String,
    /// A token that it accepts. The simulated cloud hands it out as its own.
    pub token: Option<String>,
}

/// What a cluster answers with.
struct Content {
    version: String,
    nodes: Vec<Node>,
    objects: Objects,
    is_silent: bool,
}

/// A running API server; it ends when this is dropped.
pub struct ClusterApi {
    /// `127.0.0.1:<port>`
    pub address: String,
    /// Who vouches for it, in PEM.
    pub authority: Arc<str>,
    content: Arc<Mutex<Content>>,
    task: JoinHandle<()>,
}

impl ClusterApi {
    /// Starts one on a free port. Clusters may share their TLS.
    ///
    /// # Errors
    /// There is no free port, or too many files are open.
    pub fn start(tls: Tls, version: &str, authorise: Authorise) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?.to_string();
        let content = Arc::new(Mutex::new(Content {
            version: version.to_owned(),
            nodes: Vec::new(),
            objects: Objects::of_a_new_cluster(),
            is_silent: false,
        }));
        let authority = Arc::clone(&tls.authority);
        let task = tokio::spawn(server::serve(listener, tls, authorise, Arc::clone(&content)));
        Ok(Self { address, authority, content, task })
    }

    /// `https://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// From now on it has these nodes.
    pub fn set_nodes(&self, nodes: Vec<Node>) {
        self.content.lock().unwrap().nodes = nodes;
    }

    /// How many nodes it has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.content.lock().unwrap().nodes.len()
    }

    /// From now on it is of this version: `1.34.1`.
    pub fn set_version(&self, version: &str) {
        version.clone_into(&mut self.content.lock().unwrap().version);
    }

    /// From now on it takes requests and answers none, or answers again.
    pub fn be_silent(&self, silent: bool) {
        self.content.lock().unwrap().is_silent = silent;
    }

    /// The names of what was made in it at that path, as in `/api/v1/namespaces/kube-system/secrets`.
    #[must_use]
    pub fn names(&self, path: &str) -> Vec<String> {
        self.content.lock().unwrap().objects.names(path)
    }
}

impl Drop for ClusterApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}
