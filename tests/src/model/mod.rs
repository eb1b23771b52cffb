//! The model provider: a small cloud with an HTTP API of its own, where a cluster is a network, a cluster and a nodepool, which stand on
//! each other, take their time and cost money.
//!
//! It runs on a clock that the test moves on, goes wrong when and how the test wants it to, knows look-alikes that are not ours, and
//! writes down everything that was asked of it. [`engine`] drives it as engines drive real clouds: over HTTP, knowing nothing but the API.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`thing`], `things` | what is kept for customers, found by name and by label, also as it was before |
//! | [`call`], `reply`, `acts` | the API: its calls, what each does, its answers |
//! | [`cloud`] | who may do what, and what time brings |
//! | [`fault`], `hangs` | what goes wrong, at which call; how long to wait in vain |
//! | `server` | HTTP |
//! | `control` | what tests do with it and ask it |

pub mod call;
pub mod cloud;
pub mod engine;
pub mod fault;
pub mod thing;
pub mod time;

mod acts;
mod control;
mod hangs;
mod reply;
mod server;
mod things;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

pub use call::{Call, CallKind, Right};
pub use cloud::Settings;
pub use control::Event;
pub use engine::ModelEngine;
pub use fault::{Acts, Fault, Injection, LATE, Trouble};
pub use hangs::Patience;
pub use server::Logged;
pub use thing::{Account, Key, Kind, Status, Thing};
pub use time::Time;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::{
    cloud::Cloud,
    fault::Faults,
    hangs::Hangs,
    server::{Shared, State},
};

/// A running provider; it ends when this is dropped. Whoever is to outlive the product under test has to be started on a runtime that
/// outlives it.
pub struct Model {
    /// `http://127.0.0.1:<port>`
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Model {
    /// Starts one without customers.
    pub async fn start(time: Time, settings: Settings) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            cloud: Cloud::new(settings.clone()),
            faults: Faults::default(),
            log: Vec::new(),
            calls: 0,
            hook: None,
        };
        let shared = Arc::new(Shared {
            time,
            settings,
            state: Mutex::new(state),
            hangs: Arc::new(Hangs::default()),
            deaths: watch::Sender::new(0),
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Self { url, shared, task }
    }

    /// Patience that is told when it is in vain.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::told(Arc::clone(&self.shared.hangs))
    }

    /// An engine for this provider, known to it as `agent`.
    #[must_use]
    pub fn engine(&self, agent: &str) -> ModelEngine {
        ModelEngine::new(agent, self.patience())
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.task.abort();
    }
}
