//! The model provider: a small simulated cloud with an HTTP API. A cluster there is a network, a cluster and a nodepool, which depend on
//! each other, take time to create and cost money.
//!
//! It runs on a clock that the test advances, injects the faults that the test asks for, can contain foreign resources that look like
//! ours, and logs every call. [`engine`] drives it as engines drive real clouds: over HTTP, knowing only the API.
//!
//! | file | contents |
//! | --- | --- |
//! | [`resource`], `resources` | a customer's resource; the store of all resources, by name and by label, with their previous versions |
//! | [`call`], `reply`, `handlers` | the API: its calls, their handlers, their responses |
//! | [`cloud`] | access rights, and operations that complete over time |
//! | [`fault`], `hangs` | injected faults; the engine's timeouts |
//! | `server` | the HTTP server |
//! | `control` | how tests control and inspect it |

pub mod call;
pub mod cloud;
pub mod engine;
pub mod fault;
pub mod resource;
pub mod time;

mod control;
mod handlers;
mod hangs;
mod reply;
mod resources;
mod server;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

pub use call::{Call, CallKind, Right};
pub use cloud::Settings;
pub use control::Event;
pub use engine::ModelEngine;
pub use fault::{Effect, Fault, Injection, LATE, Trouble};
pub use hangs::Patience;
pub use resource::{Account, Key, Kind, Resource, Status};
pub use server::Logged;
pub use time::Time;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::{
    cloud::Cloud,
    fault::Faults,
    hangs::Hangs,
    server::{Shared, State},
};

/// A running provider, which stops when this is dropped. To outlive the product under test, it must be started on a runtime that outlives it.
pub struct Model {
    /// `http://127.0.0.1:<port>`
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Model {
    /// Starts a provider without customers.
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

    /// Timeouts of an engine that the provider notifies of calls it will not answer.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::notified_by(Arc::clone(&self.shared.hangs))
    }

    /// An engine for this provider, with the user agent `agent`.
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
