//! A provider that is as the tests tell it to be, behind an engine.

use serde_json::Value;

use super::{
    doubles::{Dial, Log, MAKING, descriptor, kubeconfig},
    kept::Story,
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
    let capabilities =
        Capabilities { deploy: true, resize: true, set_network_policy: true, progress: true, inventory: true };
    EngineDescriptor { capabilities, ..descriptor(MAKING) }
}

pub(super) fn name(name: &str) -> ResourceRef {
    ResourceRef { kind: "server".into(), name: name.into(), location: "west".into() }
}

pub(super) fn thing(text: &str) -> ProviderResource {
    ProviderResource { name: name(text), provider_id: Some(format!("id of {text}")) }
}

pub(super) fn policy(enabled: bool) -> NetworkPolicy {
    NetworkPolicy { provider: "CALICO".into(), enabled }
}

/// A cluster of three nodes, made of a net and a pool.
pub(super) fn seen(condition: ProvisioningState) -> ObservedCluster {
    ObservedCluster {
        state: condition,
        progress: None,
        node_count: Some(3),
        network_policy: Some(policy(false)),
        message: String::new(),
        resources: vec![thing("net"), thing("pool")],
    }
}

/// What it answers to whom.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) descriptor: Dial<EngineDescriptor>,
    pub(super) observation: Dial<Result<Observation, EngineError>>,
    /// To each call that changes something.
    pub(super) answer: Dial<Result<(), EngineError>>,
    pub(super) kubeconfig: Dial<Result<Value, EngineError>>,
    pub(super) inventory: Dial<Result<Vec<InventoryItem>, EngineError>>,
    pub(super) check: Dial<Result<(), EngineError>>,
    /// What it was asked with.
    pub(super) asked: Log<(ProviderCredentials, ClusterSpec)>,
    story: Story,
}

impl Provider {
    pub(super) fn new(story: &Story) -> Self {
        Self {
            descriptor: Dial::new(able()),
            observation: Dial::new(Ok(Observation::Absent)),
            answer: Dial::new(Ok(())),
            kubeconfig: Dial::new(Ok(kubeconfig("of-the-provider"))),
            inventory: Dial::new(Ok(Vec::new())),
            check: Dial::new(Ok(())),
            asked: Log::default(),
            story: story.clone(),
        }
    }

    pub(super) fn shows(&self, condition: ProvisioningState) {
        self.observation.set(Ok(Observation::Present(seen(condition))));
    }

    pub(super) fn lacks_it(&self) {
        self.observation.set(Ok(Observation::Absent));
    }

    pub(super) fn is_silent(&self) {
        self.observation.set(Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection refused")));
    }

    /// Notes what was asked, and with what.
    fn note(&self, word: &'static str, credentials: &ProviderCredentials, spec: &ClusterSpec) {
        self.asked.push((credentials.clone(), spec.clone()));
        self.story.note(word);
    }

    pub(super) fn engine(&self) -> MockEngine {
        let mut engine = MockEngine::new();
        engine.expect_descriptor().return_const(self.descriptor.get());
        engine.expect_makes().returning(|_, _| vec![name("net"), name("pool")]);
        let this = self.clone();
        engine.expect_check().returning(move |_| {
            this.story.note("check");
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
        engine.expect_set_network_policy().returning(move |credentials, spec, wanted| {
            assert_eq!(*wanted, policy(true));
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
            this.story.note("inventory");
            found
        });
        engine
    }
}
