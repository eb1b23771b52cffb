//! How long the engine waits for an answer. Where the provider hangs on purpose, it says so to the engine, which then gives up as if
//! the whole time had passed: no test sleeps for it, and no busy machine is taken for a provider that hangs.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::oneshot;

/// Calls whose answers are waited for, by what their callers call them.
#[derive(Debug, Default)]
pub(crate) struct Hangs(Mutex<HashMap<String, oneshot::Sender<()>>>);

impl Hangs {
    /// A call is not going to be answered.
    pub(super) fn tell(&self, call: &str) {
        if let Some(caller) = self.0.lock().unwrap().remove(call) {
            let _has_given_up = caller.send(());
        }
    }

    fn expect(self: &Arc<Self>, call: &str) -> Expected {
        let (sender, told) = oneshot::channel();
        self.0.lock().unwrap().insert(call.to_owned(), sender);
        Expected { hangs: Arc::clone(self), call: call.to_owned(), told }
    }
}

/// A call that may turn out to hang.
struct Expected {
    hangs: Arc<Hangs>,
    call: String,
    told: oneshot::Receiver<()>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.hangs.0.lock().unwrap().remove(&self.call);
    }
}

/// How long an engine waits.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For one call of the provider.
    pub call: Duration,
    /// For everything that one call of the engine takes.
    pub whole: Duration,
    /// For a check of credentials.
    pub check: Duration,
    hangs: Option<Arc<Hangs>>,
}

impl Default for Patience {
    /// What the engine's contract asks for.
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
    /// As long as it takes, but told when it is in vain.
    pub(super) fn told(hangs: Arc<Hangs>) -> Self {
        let long = Duration::from_secs(300);
        Self { call: long, whole: long, check: long, hangs: Some(hangs) }
    }

    /// Ends when it is no use to wait for that call any longer. To be made before the call is sent.
    pub(super) fn runs_out(&self, call: &str) -> impl Future<Output = ()> + Send + use<> {
        let expected = self.hangs.as_ref().map(|hangs| hangs.expect(call));
        let limit = self.call;
        async move {
            let told = async {
                match expected {
                    Some(mut expected) => drop((&mut expected.told).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = tokio::time::sleep(limit) => {}
                () = told => {}
            }
        }
    }
}
