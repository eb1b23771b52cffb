//! The kubeconfig of a provisioned cluster: fetched, checked like one that a user sends, and stored.

use serde_json::{Value, json};

use super::*;
use crate::{
    observation::{EngineError, ProvisioningState},
    operation::{StepKind, StepOutcome},
    port::store::{RecordChange, SecretUpdate},
    reason::ReasonCode,
    service::{reconcile::Requeue, tests::doubles::kubeconfig},
};

/// A cluster that has just started to run.
fn deployed() -> Fixture {
    let fixture = Fixture::requested(OperationKind::Deploy);
    fixture.provider.shows(ProvisioningState::Running);
    fixture
}

#[tokio::test]
async fn it_is_fetched_once_the_cluster_runs_and_completes_the_deployment() {
    let fixture = deployed();
    let read_at = fixture.revision();
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
    let events = fixture.take_events();
    assert_eq!(call_names(&events), ["ledger", "observe", "commit", "kubeconfig", "commit"]);
    let [intent, fetched] = &commits(events)[..] else { panic!() };
    assert_eq!(timeline(intent), [(EventKind::Step, StepKind::Kubeconfig.caption())]);
    let RecordChange::Put(cluster, secrets, expected) = &fetched.record else { panic!("{fetched:?}") };
    assert_eq!((cluster.has_kubeconfig, &cluster.lifecycle, *expected), (true, &Lifecycle::Deploying, read_at));
    let SecretUpdate::Set(stored) = &secrets.kubeconfig else { panic!() };
    assert!(stored.expose().contains("of-the-provider"));
    assert!(matches!(secrets.metadata, SecretUpdate::Keep));
    assert_eq!(fixture.step().outcome, Some(StepOutcome::Done));
    fixture.reconcile().await;
    assert_eq!(
        (fixture.operation().status, fixture.cluster().lifecycle),
        (OperationStatus::Succeeded, Lifecycle::Ready)
    );
}

#[tokio::test]
async fn after_losing_leadership_it_is_not_fetched() {
    let fixture = deployed();
    let term = fixture.term.clone();
    fixture.fake.events.during("commit", move || term.set(None));
    assert!(matches!(fixture.reconcile_error().await, StoreError::NotLeader));
    assert_eq!(fixture.call_names(), ["observe", "commit"]);
}

#[tokio::test]
async fn an_unusable_one_is_not_stored_and_the_step_has_the_reason() {
    let pointing_to = |server: &str| {
        let mut given = kubeconfig("zebra");
        given["clusters"][0]["cluster"]["server"] = json!(server);
        given
    };
    let mut running_commands = kubeconfig("zebra");
    running_commands["users"][0]["user"] = json!({"exec": {"command": "sh"}});
    let rows = [
        // The operator decides which addresses kubeconfigs may point to.
        (pointing_to("https://127.0.0.1:6443"), "does not connect to", Responsible::Operator),
        (pointing_to("https://169.254.169.254"), "does not connect to", Responsible::Operator),
        (running_commands, "exec", Responsible::Provider),
        (json!("<html>502</html>"), "kubeconfig", Responsible::Provider),
        (Value::Null, "kubeconfig", Responsible::Provider),
    ];
    for (given, part, responsible) in rows {
        let fixture = deployed();
        fixture.provider.kubeconfig.set(Ok(given.clone()));
        let Requeue::After(_) = fixture.reconcile().await.requeue else { panic!("{given}") };
        let step = fixture.step();
        let reason = step.reason.unwrap();
        assert!(reason.cause.starts_with("the provider's kubeconfig cannot be used: "), "{}", reason.cause);
        assert!(reason.cause.contains(part), "{} does not name {part}", reason.cause);
        assert_eq!((reason.responsible, step.ended_at), (responsible, None));
        let commits = fixture.commits();
        assert!(commits.iter().all(|commit| matches!(commit.record, RecordChange::Keep(_))), "{given}");
        assert_eq!(commits[1].work.timeline[0].reason, Some(reason), "{given}");
        assert!(!format!("{commits:?}").contains("zebra"), "no credential is reported");
        // At the deadline it is the reason of the failed cluster.
        fixture.advance(3600);
        fixture.reconcile().await;
        let Lifecycle::Failed { reason } = fixture.cluster().lifecycle else { panic!("{given}") };
        assert!(reason.cause.contains("cannot be used"), "{}", reason.cause);
    }
}

#[tokio::test]
async fn fetching_it_is_retried() {
    for error in [
        EngineError::Missing,
        EngineError::Busy("it is rolling out".into()),
        EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection reset"),
        EngineError::Denied(reason("the key was revoked")),
    ] {
        let fixture = deployed();
        fixture.provider.kubeconfig.set(Err(error.clone()));
        let Requeue::After(pause) = fixture.reconcile().await.requeue else { panic!("{error:?}") };
        assert_eq!((fixture.operation().failures, fixture.step().reason), (1, Some(error.reason())));
        fixture.advance(i64::try_from(pause.as_secs()).unwrap() + 1);
        fixture.provider.kubeconfig.set(Ok(kubeconfig("zebra")));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{error:?}");
        assert!(fixture.cluster().has_kubeconfig, "{error:?}");
        let step = fixture.operation().newest(StepKind::Kubeconfig).cloned().unwrap();
        assert_eq!((step.tries, step.outcome, step.reason), (2, Some(StepOutcome::Done), None), "{error:?}");
    }
}

#[tokio::test]
async fn one_that_a_user_sent_meanwhile_is_not_overwritten() {
    let fixture = Arc::new(deployed());
    let others = fixture.clone();
    fixture.fake.events.during("kubeconfig", move || others.change_cluster(|cluster| cluster.has_kubeconfig = true));
    assert_eq!(fixture.reconcile().await.requeue, Requeue::Now);
    assert_eq!(fixture.call_names(), ["observe", "commit", "kubeconfig", "catch up"]);
    assert_eq!(fixture.fake.kubeconfig.get().unwrap().expose(), "of the cluster");
}

#[tokio::test]
async fn a_cluster_at_rest_without_one_gets_it_and_a_failed_fetch_changes_nothing() {
    for lifecycle in [Lifecycle::Ready, failed()] {
        let fixture = Fixture::resting(lifecycle.clone());
        fixture.change_cluster(|cluster| cluster.has_kubeconfig = false);
        fixture.provider.shows(ProvisioningState::Running);
        fixture.provider.kubeconfig.set(Err(EngineError::Missing));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Quiet, "{lifecycle:?}");
        assert_eq!(fixture.call_names(), ["observe", "commit", "kubeconfig"], "{lifecycle:?}");
        assert_eq!(fixture.cluster().lifecycle, lifecycle);
        let before = fixture.operation();
        fixture.provider.kubeconfig.set(Ok(kubeconfig("zebra")));
        assert_eq!(fixture.reconcile().await.requeue, Requeue::Now, "{lifecycle:?}");
        assert!(fixture.cluster().has_kubeconfig, "{lifecycle:?}");
        assert_eq!(fixture.operation(), before, "an ended operation is not changed");
        let term = fixture.term.clone();
        fixture.change_cluster(|cluster| cluster.has_kubeconfig = false);
        fixture.fake.events.during("observe", move || term.set(None));
        assert!(matches!(fixture.reconcile_error().await, StoreError::NotLeader), "{lifecycle:?}");
    }
}
