//! Clusters whose kubeconfig contains no credentials are accessed with tokens that their engine issues.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::{
    doubles::{MAKING, Setting, descriptor, noon},
    world::World,
};
use crate::{
    catalog::ClusterView,
    kubeconfig::{AddressRules, ApiAccess, parse},
    observation::EngineError,
    port::{
        engine::{Capabilities, EngineRegistry, IssuedToken, MockEngine},
        store::{MockClusterStore, MockProvisionerStore},
    },
    reason::ReasonCode,
    secret::Kubeconfig,
    service::provisioners::providers::Providers,
};

fn stored(user: serde_json::Value) -> Kubeconfig {
    let document = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://203.0.113.7"}}],
        "users": [{"name": "me", "user": user}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "me"}}],
    });
    parse(&document.into(), &AddressRules::default()).unwrap()
}

fn token_of(kubeconfig: &Kubeconfig) -> Option<String> {
    let access = ApiAccess::of(kubeconfig).unwrap();
    access.credentials.token.map(|token| token.expose_secret().to_owned())
}

/// A cluster of the engine that creates clusters.
fn made(world: &World) -> ClusterView {
    let view = world.catalog.cluster(world.cluster).unwrap();
    let provisioner = world.catalog.provisioner(world.making).unwrap();
    ClusterView { provisioner: Some(provisioner), ..view }
}

fn providers(world: &World, engine: MockEngine) -> Providers {
    let mut provisioners = MockProvisionerStore::new();
    provisioners.expect_secrets().returning(|_| Ok(None));
    Providers {
        catalog: world.catalog.clone(),
        clusters: Arc::new(MockClusterStore::new()),
        provisioners: Arc::new(provisioners),
        engines: EngineRegistry::default().with(Arc::new(engine)),
        installation: Uuid::from_u128(42),
    }
}

#[tokio::test]
async fn the_token_is_added_for_use_and_replaces_other_credentials() {
    let world = World::new();
    let view = made(&world);
    let answer = Setting::new(Ok("issued".to_owned()));
    let given = answer.clone();
    let mut engine = MockEngine::new();
    let mut described = descriptor(MAKING);
    described.capabilities = Capabilities { deploy: true, issues_tokens: true, ..Capabilities::default() };
    engine.expect_descriptor().return_const(described);
    engine.expect_issue_token().returning(move |_, _| {
        let issued = |token: String| IssuedToken { token: token.into(), expires_at: noon() + TimeDelta::hours(1) };
        given.get().map(issued)
    });
    let providers = providers(&world, engine);
    for user in [json!({}), json!({"token": "old"}), json!({"username": "a", "password": "b"})] {
        let access = providers.access(&view, stored(user.clone())).await.unwrap().kubeconfig().await.unwrap();
        assert_eq!(token_of(&access).as_deref(), Some("issued"), "{user}");
        assert!(ApiAccess::of(&access).unwrap().credentials.password.is_none());
    }
    answer.set(Err(EngineError::Throttled { retry_after: Duration::from_secs(9) }));
    let error = providers.access(&view, stored(json!({}))).await.unwrap().kubeconfig().await.unwrap_err();
    assert_eq!(error.reason().code, ReasonCode::Throttled);
}

#[tokio::test]
async fn other_engines_are_not_asked_and_their_kubeconfigs_stay_as_they_are() {
    let world = World::new();
    let view = made(&world);
    let mut engine = MockEngine::new();
    engine.expect_descriptor().return_const(descriptor(MAKING));
    let access = providers(&world, engine).access(&view, stored(json!({"token": "kept"}))).await.unwrap();
    let access = access.kubeconfig().await.unwrap();
    assert_eq!(token_of(&access).as_deref(), Some("kept"));
}
