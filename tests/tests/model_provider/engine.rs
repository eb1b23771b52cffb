//! The model engine satisfies the contract of engines, and handles what is special about this provider.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use kqueen_domain::{
    ledger::{ProviderResource, ResourceRef},
    observation::{EngineError, Observation, ProvisioningState},
    operation::NetworkPolicy,
    port::engine::{ClusterSpec, Engine, ProviderCredentials},
    reason::{ReasonCode, Responsible},
};
use kqueen_tests::{
    fixture::peer::{Peer, response},
    model::{
        CallKind, Effect, Event, Fault, Injection, Key, Kind, Model, ModelEngine, Patience, Right, Status, Trouble,
    },
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::setup::{PASSWORD, PROJECT, Setup, a_spec, credentials, http_client, object};

mod contract {
    kqueen_tests::engine_contract!(crate::setup::stage);
}

#[tokio::test]
async fn a_rejection_says_who_is_responsible() {
    let cases = [
        (Trouble::BadRequest, ReasonCode::InvalidParameter, Responsible::Requester, "does not accept the request"),
        (Trouble::Unauthenticated, ReasonCode::CredentialsRejected, Responsible::Admin, "does not accept the token"),
        (Trouble::Forbidden, ReasonCode::PermissionDenied, Responsible::Admin, "lacks the right things.read"),
        (Trouble::ProjectMissing, ReasonCode::NotFound, Responsible::Admin, "does not have the project"),
        (
            Trouble::NoSuchRoute,
            ReasonCode::WrongEndpoint,
            Responsible::Admin,
            "no such provider at the provisioner's address",
        ),
        (Trouble::Quota, ReasonCode::QuotaExceeded, Responsible::Admin, "quota is used up"),
    ];
    let setup = Setup::new().await;
    for (failures, code, responsible, cause) in cases {
        setup.model.inject(Injection::any(Fault::Answers(failures, Effect::Never)));
        let error = setup.observe(&a_spec()).await.unwrap_err();
        let (EngineError::Rejected(reason) | EngineError::Denied(reason)) = error else { panic!("{error:?}") };
        assert_eq!((reason.code, reason.responsible), (code, responsible), "{failures:?}: {reason}");
        assert!(reason.cause.contains(cause), "{failures:?}: {reason}");
        assert_eq!(reason.provider_message.is_some(), failures != Trouble::NoSuchRoute, "{failures:?}: {reason}");
    }
    for (seconds, waits) in [(0, 0), (17, 17), (100_000, 600)] {
        let failures = Trouble::TooManyCalls { retry_after: seconds };
        setup.model.inject(Injection::any(Fault::Answers(failures, Effect::Never)));
        let error = setup.observe(&a_spec()).await.unwrap_err();
        assert_eq!(error, EngineError::Throttled { retry_after: Duration::from_secs(waits) });
    }
}

#[tokio::test]
async fn a_check_names_the_missing_rights() {
    let setup = Setup::new().await;
    let spec = a_spec();
    for right in Right::ALL {
        let others: Vec<Right> = Right::ALL.into_iter().filter(|other| *other != right).collect();
        let limited = setup.limited(&others);
        let error = setup.engine.check(&limited.parameters).await.unwrap_err();
        let EngineError::Denied(reason) = error else { panic!("{error:?}") };
        assert!(reason.cause.contains(right.as_str()), "{reason}");
        assert!(others.iter().all(|other| !reason.cause.contains(other.as_str())), "{reason}");
    }
    // The call that needs the right names it as well.
    let error = setup.engine.deploy(&setup.limited(&[Right::Read]), &spec).await.unwrap_err();
    let EngineError::Denied(reason) = error else { panic!("{error:?}") };
    assert!(reason.cause.contains("things.create"), "{reason}");
    let unknown =
        setup.model.parameters("nowhere", setup.credentials.parameters.get("token").unwrap().as_str().unwrap());
    let error = setup.engine.check(&unknown.into()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Rejected(reason) if reason.cause.contains("project")), "{error:?}");
}

#[tokio::test]
async fn a_deleted_project_is_not_taken_for_a_deleted_cluster() {
    let setup = Setup::new().await;
    let spec = a_spec();
    setup.build(&spec, 3).await;
    setup.model.drop_project(PROJECT);
    let (engine, credentials) = (&setup.engine, &setup.credentials);
    let outcomes = [
        engine.observe(credentials, &spec).await.err(),
        engine.destroy(credentials, &spec).await.err(),
        engine.resize(credentials, &spec, 3).await.err(),
        engine.inventory(credentials, spec.tag.installation).await.err(),
    ];
    for outcome in outcomes {
        assert!(matches!(&outcome, Some(EngineError::Rejected(_))), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_stale_list_is_completed_by_reading_names() {
    let setup = Setup::new().await;
    let spec = a_spec();
    setup.engine.deploy(&setup.credentials, &spec).await.unwrap();
    setup.model.inject(Injection::on(CallKind::List, Fault::Stale).until_cleared());
    let seen = setup.seen(&spec).await;
    assert_eq!((seen.state, seen.resources.len()), (ProvisioningState::Working, 1));
}

#[tokio::test]
async fn resources_in_another_project_are_not_taken_for_deleted() {
    let setup = Setup::new().await;
    let mut spec = a_spec();
    setup.build(&spec, 3).await;
    spec.known = setup.seen(&spec).await.resources;
    let moved = credentials(setup.model.provisioner("green"));
    // Credentials for one project give no access to another: that is reported, and not taken for a deleted cluster.
    let error = setup.engine.observe(&moved, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Denied(_)), "{error:?}");
    let error = setup.engine.destroy(&moved, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn foreign_resources_that_use_ours_are_named() {
    let setup = Setup::new().await;
    let spec = a_spec();
    setup.build(&spec, 1).await;
    // Another client creates a cluster in our network.
    let name = setup.key(Kind::Network, &spec).name;
    let url = format!("{}/v1/projects/{PROJECT}/clusters", setup.model.url);
    let token = setup.credentials.parameters.get("token").unwrap().as_str().unwrap();
    let cluster = json!({"name": "theirs", "labels": {}, "network": name});
    let made = http_client().post(url).bearer_auth(token).json(&cluster).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 202);
    let theirs = setup.model.resource(&Key::new(PROJECT, Kind::Cluster, "theirs")).unwrap();
    let error = setup.engine.destroy(&setup.credentials, &spec).await.unwrap_err();
    let EngineError::Rejected(reason) = error else { panic!("{error:?}") };
    assert!(reason.next_step.contains(&theirs.id), "{reason}");
}

#[tokio::test]
async fn deletion_waits_for_our_cluster_that_a_stale_list_omits() {
    let setup = Setup::new().await;
    let spec = a_spec();
    setup.build(&spec, 1).await;
    setup.engine.deploy(&setup.credentials, &spec).await.unwrap();
    // The cluster is not in the list yet, but is found by its name, still being created.
    setup.model.inject(Injection::on(CallKind::List, Fault::Stale));
    let error = setup.engine.destroy(&setup.credentials, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Busy(_)), "{error:?}");
}

#[tokio::test]
async fn a_failure_at_the_provider_is_reported_with_its_message_and_repaired() {
    let setup = Setup::new().await;
    let spec = a_spec();
    setup.build(&spec, 1).await;
    setup.model.inject(Injection::on(CallKind::Create(Kind::Cluster), Fault::Doomed));
    setup.engine.deploy(&setup.credentials, &spec).await.unwrap();
    setup.model.pass(TimeDelta::seconds(120));
    let seen = setup.seen(&spec).await;
    let ProvisioningState::Broken(reason) = seen.state else { panic!("{seen:?}") };
    assert_eq!(reason.provider_message.as_deref(), Some("creating the cluster failed"));
    assert_eq!(reason.responsible, Responsible::Provider);
    setup.engine.deploy(&setup.credentials, &spec).await.unwrap();
    assert_eq!(setup.seen(&spec).await.state, ProvisioningState::Working);
    setup.model.pass(TimeDelta::seconds(120));
    assert_eq!(setup.seen(&spec).await.state, ProvisioningState::Incomplete);
}

#[tokio::test]
async fn a_resource_without_its_tag_is_not_touched() {
    let setup = Setup::new().await;
    let mut spec = a_spec();
    setup.build(&spec, 3).await;
    spec.known = setup.seen(&spec).await.resources;
    setup.model.happens(&setup.key(Kind::Nodepool, &spec), Event::LosesLabels);
    let seen = setup.seen(&spec).await;
    assert_eq!((seen.resources.len(), seen.node_count), (3, None), "a resource that may cost money stays listed");
    let ProvisioningState::Broken(reason) = &seen.state else { panic!("{seen:?}") };
    assert!(reason.cause.contains("does not carry our ownership tag any more"), "{reason}");
    assert!(seen.message.contains("nodepool without its ownership tag"), "{}", seen.message);
    let before = setup.model.resource(&setup.key(Kind::Nodepool, &spec));
    assert!(matches!(setup.engine.deploy(&setup.credentials, &spec).await, Err(EngineError::Rejected(_))));
    assert!(matches!(setup.engine.resize(&setup.credentials, &spec, 9).await, Err(EngineError::Rejected(_))));
    let error = setup.engine.destroy(&setup.credentials, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Rejected(_)), "{error:?}");
    assert_eq!(setup.model.resource(&setup.key(Kind::Nodepool, &spec)), before);
}

/// Runs `event` between the engine's read and its next call of that kind, with the key of that call.
fn meanwhile(model: &Arc<Model>, kind: CallKind, event: impl Fn(&Model, &Key) + Send + Sync + 'static) {
    let provider = Arc::downgrade(model);
    model.before_each_call(move |call| {
        if call.kind == kind {
            event(&provider.upgrade().unwrap(), &call.key().unwrap());
        }
        Box::pin(std::future::ready(()))
    });
}

#[tokio::test]
async fn a_foreign_resource_that_has_taken_our_name_is_not_touched() {
    let Setup { model, engine, credentials } = Setup::new().await;
    let (model, spec) = (Arc::new(model), a_spec());
    let network = engine.makes(&credentials, &spec).swap_remove(0);
    let network = Key::new(PROJECT, Kind::Network, &network.name);
    meanwhile(&model, CallKind::Create(Kind::Network), |model, key| model.plant(key, BTreeMap::new()));
    let error = engine.deploy(&credentials, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Rejected(_)), "{error:?}");
    model.happens(&network, Event::Vanishes);

    meanwhile(&model, CallKind::Delete(Kind::Network), |model, key| {
        model.happens(key, Event::Vanishes);
        model.plant(key, BTreeMap::new());
    });
    engine.deploy(&credentials, &spec).await.unwrap();
    model.pass(TimeDelta::seconds(5));
    let error = engine.destroy(&credentials, &spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Busy(_)), "{error:?}");
    assert_eq!(model.resource(&network).unwrap().status, Status::Running);
}

#[tokio::test]
async fn a_resource_that_vanishes_during_deletion_counts_as_deleted() {
    let Setup { model, engine, credentials } = Setup::new().await;
    let (model, spec) = (Arc::new(model), a_spec());
    engine.deploy(&credentials, &spec).await.unwrap();
    model.pass(TimeDelta::seconds(5));
    meanwhile(&model, CallKind::Delete(Kind::Network), |model, key| model.happens(key, Event::Vanishes));
    engine.destroy(&credentials, &spec).await.unwrap();
    assert_eq!(engine.observe(&credentials, &spec).await, Ok(Observation::Absent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_deployments_create_every_resource_once() {
    let setup = Setup::new().await;
    let specs: Vec<ClusterSpec> = (0..20).map(|_| a_spec()).collect();
    let replicas: Vec<ModelEngine> = (0..4).map(|number| setup.model.engine(&format!("replica-{number}"))).collect();
    for _ in Kind::ALL {
        let deploys = specs.iter().flat_map(|spec| {
            let credentials = &setup.credentials;
            replicas.iter().map(move |engine| engine.deploy(credentials, spec))
        });
        for outcome in futures::future::join_all(deploys).await {
            outcome.unwrap();
        }
        setup.model.pass(TimeDelta::seconds(120));
    }
    let accounts = setup.model.accounts();
    assert_eq!(accounts.len(), specs.len() * 3);
    assert!(accounts.values().all(|account| account.made == 1 && account.gone == 0), "{accounts:?}");
}

#[tokio::test]
async fn invalid_parameters_are_rejected() {
    let setup = Setup::new().await;
    let mut spec = a_spec();
    for (name, value) in [("url", json!("ftp://127.0.0.1")), ("url", json!("what?")), ("token", json!(7))] {
        let mut wrong = setup.credentials.clone();
        wrong.parameters.insert(name, value.clone());
        let error = setup.observe_with(&wrong, &spec).await;
        assert!(
            matches!(&error, EngineError::Rejected(reason) if reason.responsible == Responsible::Admin),
            "{value}: {error:?}"
        );
    }
    spec.parameters = object(json!({}));
    let error = setup.engine.deploy(&setup.credentials, &spec).await.unwrap_err();
    assert!(
        matches!(&error, EngineError::Rejected(reason) if reason.responsible == Responsible::Requester),
        "{error:?}"
    );
    assert_eq!(setup.model.calls(), 0);
}

impl Setup {
    async fn observe_with(&self, credentials: &ProviderCredentials, spec: &ClusterSpec) -> EngineError {
        self.engine.observe(credentials, spec).await.unwrap_err()
    }
}

#[tokio::test]
async fn unexpected_answers_are_classified() {
    // Answers that an observation should not get, and how each of them counts.
    let cases = [
        ("301 Moved Permanently", "", "no answer"),
        ("200 OK", "", "no answer"),
        ("200 OK", "[]", "no answer"),
        ("200 OK", r#"{"items": [{"name": "half a thing"}], "next": null}"#, "no answer"),
        ("200 OK", r#"{"items": [], "next": "/the/same/page/again"}"#, "no answer"),
        ("408 Request Timeout", "", "no answer"),
        ("501 Not Implemented", "", "no answer"),
        ("504 Gateway Timeout", r#"{"error": "not an object"}"#, "no answer"),
        ("402 Payment Required", r#"{"error": {"code": "broke", "message": "pay first"}}"#, "rejected"),
        ("404 Not Found", r#"{"error": {"message": "nothing here"}}"#, "rejected"),
        ("405 Method Not Allowed", "", "rejected"),
        ("418 I'm a teapot", "a page", "rejected"),
        ("422 Unprocessable Content", r#"{"error": {"code": "too_green"}}"#, "rejected"),
    ];
    for (status, body, expected) in cases {
        let provider = Peer::http(move |_| response(status, "application/json", body)).await;
        let parameters = object(json!({"url": provider.url("http"), "project": PROJECT, "token": "a token"}));
        let engine = ModelEngine::new("somebody", Patience::default());
        let outcome = match engine.observe(&credentials(parameters), &a_spec()).await.unwrap_err() {
            EngineError::Unreachable(_) => "no answer",
            EngineError::Rejected(_) => "rejected",
            other => panic!("{status} {body}: {other:?}"),
        };
        assert_eq!(outcome, expected, "{status} {body}");
    }
}

/// A provider that answers lists with `list`, and everything else with `other`.
async fn provider(list: &'static str, other: (&'static str, &'static str)) -> (Peer, ModelEngine, ProviderCredentials) {
    let provider = Peer::http(move |path| match path.contains("/things?") {
        true => response("200 OK", "application/json", list),
        false => response(other.0, "application/json", other.1),
    })
    .await;
    let parameters = object(json!({"url": provider.url("http"), "project": PROJECT, "token": "a token"}));
    (provider, ModelEngine::new("somebody", Patience::default()), credentials(parameters))
}

#[tokio::test]
async fn an_answer_about_another_resource_counts_as_no_answer() {
    let another = r#"{"kind": "network", "name": "another", "id": "1", "labels": {}, "status": "running"}"#;
    let (_provider, engine, credentials) = provider(r#"{"items": [], "next": null}"#, ("200 OK", another)).await;
    let error = engine.observe(&credentials, &a_spec()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Unreachable(why) if why.code == ReasonCode::UnexpectedAnswer), "{error:?}");
}

#[tokio::test]
async fn a_list_with_foreign_resources_is_filtered() {
    let list = r#"{"next": null, "items": [
        {"kind": "network", "name": "theirs", "id": "1", "labels": {}, "status": "running"},
        {"kind": "network", "name": "theirs", "id": "2", "status": "running", "labels":
            {"kqueen-installation": "another", "kqueen-cluster": "6f1c9a4e-3f0b-4a6b-9a55-6f2b6f0c1d2e"}}
    ]}"#;
    let missing = ("404 Not Found", r#"{"error": {"code": "not_found"}}"#);
    let (_provider, engine, credentials) = provider(list, missing).await;
    let spec = a_spec();
    assert_eq!(engine.observe(&credentials, &spec).await, Ok(Observation::Absent));
    assert_eq!(engine.destroy(&credentials, &spec).await, Ok(()));
    assert_eq!(engine.inventory(&credentials, spec.tag.installation).await, Ok(Vec::new()));
}

/// An engine gives up by itself when its time has run out: for one call, or for all together.
#[tokio::test]
async fn an_engine_gives_up_when_its_time_has_run_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let parameters = object(json!({"url": url, "project": PROJECT, "token": "a token"}));
    let (long, short) = (Duration::from_secs(600), Duration::from_millis(20));
    for (call, whole, check) in [(short, long, long), (long, short, short)] {
        let mut patience = Patience::default();
        (patience.call, patience.whole, patience.check) = (call, whole, check);
        let engine = ModelEngine::new("impatient", patience);
        for error in [
            engine.check(&parameters).await.unwrap_err(),
            engine.observe(&credentials(parameters.clone()), &a_spec()).await.unwrap_err(),
        ] {
            assert!(matches!(&error, EngineError::Unreachable(_)), "{error:?}");
        }
    }
    let usual = Patience::default();
    assert!(usual.check <= Duration::from_secs(10) && usual.whole <= Duration::from_secs(30));
}

#[tokio::test]
async fn secrets_reach_the_provider_and_known_resources_of_other_kinds_are_ignored() {
    let setup = Setup::new().await;
    let mut spec = a_spec();
    spec.parameters.insert("network_policy", "CILIUM".to_owned());
    let name = ResourceRef { kind: "stack".into(), name: "kq".into(), location: "elsewhere".into() };
    spec.known = vec![ProviderResource { name, provider_id: None }];
    setup.build(&spec, 3).await;
    let cluster = setup.model.resource(&setup.key(Kind::Cluster, &spec)).unwrap();
    assert_eq!(cluster.admin_password.as_deref(), Some(PASSWORD));
    let seen = setup.seen(&spec).await;
    assert_eq!(seen.state, ProvisioningState::Running);
    assert_eq!(seen.network_policy, Some(NetworkPolicy { provider: "CILIUM".into(), enabled: true }));
    assert!(!format!("{spec:?} {:?}", setup.credentials).contains(PASSWORD));
}
