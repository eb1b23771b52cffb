//! A configurable provider behind a mock engine.

use serde_json::Value;

use super::{
    doubles::{Log, MAKING, Setting, descriptor, kubeconfig},
    kept::EventLog,
};
use crate::{
    ledger::{ProviderResource, ResourceRef},
    observation::{EngineError, InventoryItem, Observation, ObservedCluster, ProvisioningState},
    operation::NetworkPolicy,
    port::engine::{Capabilities, ClusterSpec, EngineDescriptor, MockEngine, ProviderCredentials},
    reason::ReasonCode,
};

/// An engine of [`MAKING`] that can do everything.
pub(super) fn able() -> EngineDescriptor {
    let capabilities = Capabilities {
        deploy: true,
        resize: true,
        set_network_policy: true,
        progress: true,
        inventory: true,
        issues_tokens: false,
    };
    EngineDescriptor { capabilities, ..descriptor(MAKING) }
}

pub(super) fn name(name: &str) -> ResourceRef {
    ResourceRef { kind: "server".into(), name: name.into(), location: "west".into() }
}

pub(super) fn resource(text: &str) -> ProviderResource {
    ProviderResource { name: name(text), provider_id: Some(format!("id of {text}")) }
}

pub(super) fn policy(enabled: bool) -> NetworkPolicy {
    NetworkPolicy { provider: "CALICO".into(), enabled }
}

/// A cluster of three nodes with the resources `net` and `pool`.
pub(super) fn observed_cluster(state: ProvisioningState) -> ObservedCluster {
    ObservedCluster {
        state,
        progress: None,
        node_count: Some(3),
        network_policy: Some(policy(false)),
        message: String::new(),
        resources: vec![resource("net"), resource("pool")],
    }
}

/// The configured answers, and a log of the calls.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) descriptor: Setting<EngineDescriptor>,
    pub(super) observation: Setting<Result<Observation, EngineError>>,
    /// The answer to each call that changes something.
    pub(super) answer: Setting<Result<(), EngineError>>,
    pub(super) kubeconfig: Setting<Result<Value, EngineError>>,
    pub(super) inventory: Setting<Result<Vec<InventoryItem>, EngineError>>,
    pub(super) check: Setting<Result<(), EngineError>>,
    /// The arguments of the calls.
    pub(super) calls: Log<(ProviderCredentials, ClusterSpec)>,
    events: EventLog,
}

impl Provider {
    pub(super) fn new(events: &EventLog) -> Self {
        Self {
            descriptor: Setting::new(able()),
            observation: Setting::new(Ok(Observation::Absent)),
            answer: Setting::new(Ok(())),
            kubeconfig: Setting::new(Ok(kubeconfig("of-the-provider"))),
            inventory: Setting::new(Ok(Vec::new())),
            check: Setting::new(Ok(())),
            calls: Log::default(),
            events: events.clone(),
        }
    }

    pub(super) fn shows(&self, state: ProvisioningState) {
        self.observation.set(Ok(Observation::Present(observed_cluster(state))));
    }

    pub(super) fn shows_nothing(&self) {
        self.observation.set(Ok(Observation::Absent));
    }

    pub(super) fn does_not_answer(&self) {
        self.observation.set(Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")));
    }

    /// Logs a call with its arguments.
    fn note(&self, call: &'static str, credentials: &ProviderCredentials, spec: &ClusterSpec) {
        self.calls.push((credentials.clone(), spec.clone()));
        self.events.note(call);
    }

    pub(super) fn engine(&self) -> MockEngine {
        let mut engine = MockEngine::new();
        engine.expect_descriptor().return_const(self.descriptor.get());
        engine.expect_makes().returning(|_, _| vec![name("net"), name("pool")]);
        let this = self.clone();
        engine.expect_check().returning(move |_| {
            this.events.note("check");
            this.check.get()
        });
        let this = self.clone();
        engine.expect_observe().returning(move |credentials, spec| {
            let observation = this.observation.get();
            this.note("observe", credentials, spec);
            observation
        });
        let this = self.clone();
        engine.expect_deploy().returning(move |credentials, spec| {
            this.note("deploy", credentials, spec);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_resize().returning(move |credentials, spec, nodes| {
            assert_eq!(nodes, 5);
            this.note("resize", credentials, spec);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_set_network_policy().returning(move |credentials, spec, requested| {
            assert_eq!(*requested, policy(true));
            this.note("set network policy", credentials, spec);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_destroy().returning(move |credentials, spec| {
            this.note("destroy", credentials, spec);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_kubeconfig().returning(move |credentials, spec| {
            this.note("kubeconfig", credentials, spec);
            this.kubeconfig.get().map(Into::into)
        });
        let this = self.clone();
        engine.expect_inventory().returning(move |_, _| {
            let found = this.inventory.get();
            this.events.note("inventory");
            found
        });
        engine
    }
}
