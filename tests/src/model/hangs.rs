//! The engine's timeouts. Where a fault makes the provider hang, it notifies the engine, which then gives up as if the timeout had
//! passed: no test sleeps for it, and a slow machine is not mistaken for a provider that hangs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::oneshot;

/// The calls that wait for a response, by the id that the caller gave them.
#[derive(Debug, Default)]
pub(crate) struct Hangs(Mutex<HashMap<String, oneshot::Sender<()>>>);

impl Hangs {
    /// Notifies the caller that a call will not be answered.
    pub(super) fn notify(&self, call: &str) {
        if let Some(caller) = self.0.lock().unwrap().remove(call) {
            let _has_given_up = caller.send(());
        }
    }

    fn register(self: &Arc<Self>, call: &str) -> PendingCall {
        let (sender, notified) = oneshot::channel();
        self.0.lock().unwrap().insert(call.to_owned(), sender);
        PendingCall { hangs: Arc::clone(self), call: call.to_owned(), notified }
    }
}

/// A call that waits for a response and may hang.
struct PendingCall {
    hangs: Arc<Hangs>,
    call: String,
    notified: oneshot::Receiver<()>,
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.hangs.0.lock().unwrap().remove(&self.call);
    }
}

/// The timeouts of an engine.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For one call to the provider.
    pub call: Duration,
    /// For a whole call of the engine.
    pub whole: Duration,
    /// For a check of credentials.
    pub check: Duration,
    hangs: Option<Arc<Hangs>>,
}

impl Default for Patience {
    /// The timeouts that the engine's contract requires.
    fn default() -> Self {
        Self {
            call: Duration::from_secs(10),
            whole: Duration::from_secs(25),
            check: Duration::from_secs(9),
            hangs: None,
        }
    }
}

impl Patience {
    /// Long timeouts that end early when the provider reports that a call hangs.
    pub(super) fn notified_by(hangs: Arc<Hangs>) -> Self {
        let long = Duration::from_secs(300);
        Self { call: long, whole: long, check: long, hangs: Some(hangs) }
    }

    /// Completes when the call has timed out or hangs. Must be created before the call is sent.
    pub(super) fn timed_out(&self, call: &str) -> impl Future<Output = ()> + Send + use<> {
        let pending = self.hangs.as_ref().map(|hangs| hangs.register(call));
        let limit = self.call;
        async move {
            let notified = async {
                match pending {
                    Some(mut pending) => drop((&mut pending.notified).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                () = notified => {}
            }
        }
    }
}
