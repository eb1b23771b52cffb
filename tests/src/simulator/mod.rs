//! Simulated clouds: they speak a provider's wire format, take their time, keep state, and go wrong as the provider does.
//!
//! A simulator runs in a test's own process, on a clock that the test sets, or as the program `simulator` for anyone who wants to try the
//! product without an account. Its official SDK and its published schema say whether it is like the provider.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`provider`] | what a simulated provider has to be: the trait that each implements |
//! | [`call`] | requests, the published methods they call, answers |
//! | [`clock`] | a time that tests set, or that runs faster |
//! | [`fault`] | what goes wrong, at which call |
//! | [`rate_limit`] | how many calls a provider takes |
//! | [`journal`], [`schema`] | what was said, compared with what the provider has published |
//! | `server`, `admin`, [`tls`] | HTTP and HTTPS; what people tell a running program |
//! | [`kubernetes`] | the Kubernetes API that a simulated cluster leads to |
//! | [`command`] | the program |
//! | [`gke`] | Google Kubernetes Engine |
//! | [`aks`] | Azure Kubernetes Service |

pub mod aks;
pub mod call;
pub mod clock;
pub mod command;
pub mod fault;
pub mod gke;
pub mod journal;
pub mod kubernetes;
pub mod provider;
pub mod rate_limit;
pub mod schema;
pub mod tls;

mod admin;
mod server;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use kqueen_domain::port::clock::Clock;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use self::server::{Shared, State};
pub use self::{
    call::{Body, Call, Reply, Request, Route},
    clock::SimulatedClock,
    fault::{Acts, Doom, Fault, Injection, RetryAfter, Trouble, Twist},
    journal::{Checked, Exchange, Violation},
    provider::{Moment, Provider},
    rate_limit::RateLimit,
    server::Options,
    tls::Tls,
};

/// A running simulator; it ends when this is dropped.
pub struct Simulator<P: Provider> {
    /// `http://127.0.0.1:<port>`, or `https://` with TLS.
    pub url: String,
    /// Who vouches for it if it speaks TLS, in PEM.
    pub authority: Option<String>,
    shared: Arc<Shared<P>>,
    task: JoinHandle<()>,
}

impl<P: Provider> Simulator<P> {
    /// Starts one on loopback.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(provider: P, clock: SimulatedClock, tls: Option<Tls>, options: Options) -> io::Result<Self> {
        // Whoever calls it needs it as well.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr()?);
        let authority = tls.as_ref().map(|tls| tls.authority.to_string());
        let shared = Arc::new(Shared {
            origin: url.clone(),
            clock,
            options,
            state: Mutex::new(State::new(provider)),
            hung: watch::Sender::new(0),
            deaths: watch::Sender::new(0),
        });
        let task = tokio::spawn(server::serve(listener, tls, Arc::clone(&shared)));
        Ok(Self { url, authority, shared, task })
    }

    /// Looks at the provider, or changes it, when everything that is due has happened.
    pub fn with<T>(&self, ask: impl FnOnce(&mut P, &Moment) -> T) -> T {
        let mut state = self.shared.state.lock().unwrap();
        state.pass(&self.shared.clock);
        let moment = Moment::of(&self.shared.clock, self.shared.clock.now());
        ask(&mut state.provider, &moment)
    }

    fn state<T>(&self, ask: impl FnOnce(&mut State<P>) -> T) -> T {
        ask(&mut self.shared.state.lock().unwrap())
    }

    /// What time it is at the provider.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// Lets time pass.
    pub fn pass(&self, time: TimeDelta) {
        self.shared.clock.advance(time);
        self.with(|_, _| ());
    }

    /// Has something go wrong.
    pub fn inject(&self, injection: Injection) {
        self.state(|state| state.faults.add(injection));
    }

    /// Nothing goes wrong any more, but for late calls that are on their way.
    pub fn clear_faults(&self) {
        self.state(|state| state.faults.clear());
    }

    /// Has `hook` done before each call takes effect; the call waits for it.
    pub fn before_each_call(&self, hook: impl Fn(Call) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.state(|state| state.hook = Some(Arc::new(hook)));
    }

    /// How many callers wait in vain so far.
    #[must_use]
    pub fn hung(&self) -> watch::Receiver<usize> {
        self.shared.hung.subscribe()
    }

    /// How many callers were to die so far.
    #[must_use]
    pub fn deaths(&self) -> watch::Receiver<usize> {
        self.shared.deaths.subscribe()
    }

    /// Every exchange there was, in the order in which they took effect.
    #[must_use]
    pub fn journal(&self) -> Vec<Exchange> {
        self.state(|state| state.journal.exchanges.clone())
    }

    /// Forgets the exchanges there were, and their counts.
    pub fn clear_journal(&self) {
        self.state(|state| state.journal.clear());
    }

    /// Compares every exchange with the published schema.
    #[must_use]
    pub fn check(&self) -> Checked {
        self.state(|state| state.journal.check(|exchange| state.provider.check(exchange)))
    }

    /// How often each published method was called.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state(|state| state.journal.counts().clone())
    }

    /// How many requests there were, written down or not.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state(|state| state.journal.number())
    }

    /// Grows with every change of what customers have.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.with(|provider, _| provider.changes())
    }
}

impl<P: Provider> Drop for Simulator<P> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
