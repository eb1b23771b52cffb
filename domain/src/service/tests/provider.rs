//! A provider that is as the tests tell it to be, behind an engine.

use serde_json::Value;

use super::{
    doubles::{Dial, Log, MAKING, descriptor, kubeconfig},
    kept::Story,
};
use crate::{
    ledger::{Thing, ThingName},
    operation::NetworkPolicy,
    port::engine::{
        Abilities, Access, Condition, EngineDescriptor, EngineError, Found, MockEngine, Observation, Order, Seen,
    },
};

/// An engine of [`MAKING`] that can do everything.
pub(super) fn able() -> EngineDescriptor {
    let abilities = Abilities { deploy: true, resize: true, set_network_policy: true, progress: true, inventory: true };
    EngineDescriptor { abilities, ..descriptor(MAKING) }
}

pub(super) fn name(name: &str) -> ThingName {
    ThingName { kind: "server".into(), name: name.into(), place: "west".into() }
}

pub(super) fn thing(text: &str) -> Thing {
    Thing { name: name(text), provider_id: Some(format!("id of {text}")) }
}

pub(super) fn policy(enabled: bool) -> NetworkPolicy {
    NetworkPolicy { provider: "CALICO".into(), enabled }
}

/// A cluster of three nodes, made of a net and a pool.
pub(super) fn seen(condition: Condition) -> Seen {
    Seen {
        condition,
        progress: None,
        node_count: Some(3),
        network_policy: Some(policy(false)),
        words: String::new(),
        things: vec![thing("net"), thing("pool")],
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
    pub(super) inventory: Dial<Result<Vec<Found>, EngineError>>,
    pub(super) check: Dial<Result<(), EngineError>>,
    /// What it was asked with.
    pub(super) asked: Log<(Access, Order)>,
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

    pub(super) fn shows(&self, condition: Condition) {
        self.observation.set(Ok(Observation::Seen(seen(condition))));
    }

    pub(super) fn lacks_it(&self) {
        self.observation.set(Ok(Observation::Absent));
    }

    pub(super) fn is_silent(&self) {
        self.observation.set(Err(EngineError::Unreachable("connection refused".into())));
    }

    /// Notes what was asked, and with what.
    fn note(&self, word: &'static str, access: &Access, order: &Order) {
        self.asked.push((access.clone(), order.clone()));
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
        engine.expect_observe().returning(move |access, order| {
            let observation = this.observation.get();
            this.note("observe", access, order);
            observation
        });
        let this = self.clone();
        engine.expect_deploy().returning(move |access, order| {
            this.note("deploy", access, order);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_resize().returning(move |access, order, nodes| {
            assert_eq!(nodes, 5);
            this.note("resize", access, order);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_set_network_policy().returning(move |access, order, wanted| {
            assert_eq!(*wanted, policy(true));
            this.note("set network policy", access, order);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_destroy().returning(move |access, order| {
            this.note("destroy", access, order);
            this.answer.get()
        });
        let this = self.clone();
        engine.expect_kubeconfig().returning(move |access, order| {
            this.note("kubeconfig", access, order);
            this.kubeconfig.get()
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
