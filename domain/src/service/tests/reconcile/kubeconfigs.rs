//! The kubeconfig of a cluster that was made: fetched, checked like one that a person sends, and stored.

use serde_json::{Value, json};

use super::*;
use crate::{
    observation::{EngineError, ProvisioningState},
    operation::{StepKind, StepOutcome},
    port::store::{RecordChange, SecretUpdate},
    reason::ReasonCode,
    service::{reconcile::Requeue, tests::doubles::kubeconfig},
};

/// A cluster that runs since a moment ago.
fn deployed() -> Stage {
    let stage = Stage::asked(OperationKind::Deploy);
    stage.provider.shows(ProvisioningState::Running);
    stage
}

#[tokio::test]
async fn it_is_fetched_once_the_cluster_runs_and_then_the_deployment_has_succeeded() {
    let stage = deployed();
    let read_at = stage.revision();
    assert_eq!(stage.turn().await.requeue, Requeue::Now);
    let events = stage.happened();
    assert_eq!(words(&events), ["ledger", "observe", "commit", "kubeconfig", "commit"]);
    let [intent, fetched] = &commits(events)[..] else { panic!() };
    assert_eq!(told(intent), [(EventKind::Step, StepKind::Kubeconfig.caption())]);
    let RecordChange::Put(cluster, secrets, seen) = &fetched.record else { panic!("{fetched:?}") };
    assert_eq!((cluster.has_kubeconfig, &cluster.lifecycle, *seen), (true, &Lifecycle::Deploying, read_at));
    let SecretUpdate::Set(stored) = &secrets.kubeconfig else { panic!() };
    assert!(stored.expose().contains("of-the-provider"));
    assert!(matches!(secrets.metadata, SecretUpdate::Keep));
    assert_eq!(stage.step().outcome, Some(StepOutcome::Done));
    stage.turn().await;
    assert_eq!((stage.operation().status, stage.cluster().lifecycle), (OperationStatus::Succeeded, Lifecycle::Ready));
}

#[tokio::test]
async fn whoever_ceased_to_lead_does_not_fetch_it() {
    let stage = deployed();
    let term = stage.term.clone();
    stage.kept.story.meanwhile("commit", move || term.set(None));
    assert!(matches!(stage.turn_fails().await, StoreError::NotLeader));
    assert_eq!(stage.words(), ["observe", "commit"]);
}

#[tokio::test]
async fn one_that_may_not_be_used_is_not_stored_and_the_step_says_why() {
    let pointing_to = |server: &str| {
        let mut given = kubeconfig("zebra");
        given["clusters"][0]["cluster"]["server"] = json!(server);
        given
    };
    let mut running_commands = kubeconfig("zebra");
    running_commands["users"][0]["user"] = json!({"exec": {"command": "sh"}});
    let rows = [
        // Whoever runs the installation says where kubeconfigs may point to.
        (pointing_to("https://127.0.0.1:6443"), "leads to an address", Responsible::Operator),
        (pointing_to("https://169.254.169.254"), "leads to an address", Responsible::Operator),
        (running_commands, "exec", Responsible::Provider),
        (json!("<html>502</html>"), "kubeconfig", Responsible::Provider),
        (Value::Null, "kubeconfig", Responsible::Provider),
    ];
    for (given, said, responsible) in rows {
        let stage = deployed();
        stage.provider.kubeconfig.set(Ok(given.clone()));
        let Requeue::After(_) = stage.turn().await.requeue else { panic!("{given}") };
        let step = stage.step();
        let reason = step.reason.unwrap();
        assert!(reason.cause.starts_with("the provider's kubeconfig cannot be used: "), "{}", reason.cause);
        assert!(reason.cause.contains(said), "{} does not name {said}", reason.cause);
        assert_eq!((reason.responsible, step.ended_at), (responsible, None));
        let commits = stage.commits();
        assert!(commits.iter().all(|commit| matches!(commit.record, RecordChange::Keep(_))), "{given}");
        assert_eq!(commits[1].work.timeline[0].reason, Some(reason), "{given}");
        assert!(!format!("{commits:?}").contains("zebra"), "no credential is told");
        // At the deadline that is what the cluster says.
        stage.advance(3600);
        stage.turn().await;
        let Lifecycle::Failed { reason } = stage.cluster().lifecycle else { panic!("{given}") };
        assert!(reason.cause.contains("cannot be used"), "{}", reason.cause);
    }
}

#[tokio::test]
async fn a_provider_that_does_not_give_it_is_asked_again() {
    for error in [
        EngineError::Missing,
        EngineError::Busy("it is rolling out".into()),
        EngineError::unreachable(ReasonCode::ProviderUnreachable, "connection reset"),
        EngineError::Denied(reason("the key was revoked")),
    ] {
        let stage = deployed();
        stage.provider.kubeconfig.set(Err(error.clone()));
        let Requeue::After(pause) = stage.turn().await.requeue else { panic!("{error:?}") };
        assert_eq!((stage.operation().failures, stage.step().reason), (1, Some(error.reason())));
        stage.advance(i64::try_from(pause.as_secs()).unwrap() + 1);
        stage.provider.kubeconfig.set(Ok(kubeconfig("zebra")));
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{error:?}");
        assert!(stage.cluster().has_kubeconfig, "{error:?}");
        let step = stage.operation().newest(StepKind::Kubeconfig).cloned().unwrap();
        assert_eq!((step.tries, step.outcome, step.reason), (2, Some(StepOutcome::Done), None), "{error:?}");
    }
}

#[tokio::test]
async fn one_that_a_person_sent_meanwhile_is_not_overwritten() {
    let stage = Arc::new(deployed());
    let others = stage.clone();
    stage.kept.story.meanwhile("kubeconfig", move || others.cluster_is(|cluster| cluster.has_kubeconfig = true));
    assert_eq!(stage.turn().await.requeue, Requeue::Now);
    assert_eq!(stage.words(), ["observe", "commit", "kubeconfig", "catch up"]);
    assert_eq!(stage.kept.kubeconfig.get().unwrap().expose(), "of the cluster");
}

#[tokio::test]
async fn a_cluster_at_rest_that_has_none_gets_one_and_keeps_its_state_if_it_cannot() {
    for lifecycle in [Lifecycle::Ready, failed()] {
        let stage = Stage::resting(lifecycle.clone());
        stage.cluster_is(|cluster| cluster.has_kubeconfig = false);
        stage.provider.shows(ProvisioningState::Running);
        stage.provider.kubeconfig.set(Err(EngineError::Missing));
        assert_eq!(stage.turn().await.requeue, Requeue::Quiet, "{lifecycle:?}");
        assert_eq!(stage.words(), ["observe", "commit", "kubeconfig"], "{lifecycle:?}");
        assert_eq!(stage.cluster().lifecycle, lifecycle);
        let before = stage.operation();
        stage.provider.kubeconfig.set(Ok(kubeconfig("zebra")));
        assert_eq!(stage.turn().await.requeue, Requeue::Now, "{lifecycle:?}");
        assert!(stage.cluster().has_kubeconfig, "{lifecycle:?}");
        assert_eq!(stage.operation(), before, "what has ended is not begun again");
        let term = stage.term.clone();
        stage.cluster_is(|cluster| cluster.has_kubeconfig = false);
        stage.kept.story.meanwhile("observe", move || term.set(None));
        assert!(matches!(stage.turn_fails().await, StoreError::NotLeader), "{lifecycle:?}");
    }
}
