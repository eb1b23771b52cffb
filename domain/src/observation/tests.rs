//! Tables of the display status for every state and observed status, and of how an observation updates the observed status.

use Lifecycle::{Deploying, Destroying, Ready, Updating};
use chrono::{DateTime, Utc};

use super::*;
use crate::{
    cluster::{
        Cluster, Lifecycle, Phase,
        tests::{at, because, cluster, failed},
    },
    id::ClusterId,
    operation::NetworkPolicy,
    reason::{Reason, ReasonCode, Responsible},
};

fn answered(version: &str) -> ProbeResult {
    ProbeResult::Reached { version: version.into() }
}

fn rejected_probe() -> ProbeResult {
    ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "the token is not accepted".into() }
}

fn no_answer() -> ProbeResult {
    ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "connection refused".into() }
}

fn with_message(message: &str) -> ProviderStatus {
    ProviderStatus { message: message.into(), ..ProviderStatus::default() }
}

/// The last known status, with an error.
fn with_error(message: &str) -> ProviderStatus {
    ProviderStatus { last_error: Some(because("the provider is away")), ..with_message(message) }
}

/// The observed status after the first observation.
fn observed(
    of: &Cluster,
    probe: Option<ProbeResult>,
    provider: Option<ProviderStatus>,
    now: DateTime<Utc>,
) -> ObservedStatus {
    ObservedStatus::after(None, of.id, probe, provider, now).unwrap()
}

#[test]
fn a_transient_or_failed_state_is_shown_whatever_was_observed() {
    let rows = [
        (Deploying, Phase::Deploying, "the cluster is being created"),
        (Updating, Phase::Updating, "the cluster is being updated"),
        (Destroying, Phase::Destroying, "the cluster is being deleted"),
        (failed("the quota is used up"), Phase::Failed, "the quota is used up"),
    ];
    for (lifecycle, phase, reason) in rows {
        let code = (phase == Phase::Failed).then_some(ReasonCode::ProvisioningFailed);
        let cluster = cluster(lifecycle.clone(), at(10));
        let unseen = DisplayStatus::of(&cluster, None);
        assert_eq!(unseen, DisplayStatus { phase, code, reason: reason.into(), changed_at: at(10) });
        for probe in [None, Some(answered("v1.37.2")), Some(rejected_probe()), Some(no_answer())] {
            let seen = observed(&cluster, probe.clone(), None, at(20));
            assert_eq!(DisplayStatus::of(&cluster, Some(&seen)), unseen, "{lifecycle:?} {probe:?}");
            let without_message = observed(&cluster, probe.clone(), Some(with_message("")), at(20));
            assert_eq!(DisplayStatus::of(&cluster, Some(&without_message)), unseen, "{lifecycle:?} {probe:?}");
        }
    }
}

#[test]
fn the_provider_message_is_shown_during_an_operation() {
    for (lifecycle, quoted) in [(Deploying, true), (Updating, true), (Destroying, true), (failed("broken"), false)] {
        let cluster = cluster(lifecycle.clone(), at(10));
        let reason =
            |provider| DisplayStatus::of(&cluster, Some(&observed(&cluster, None, Some(provider), at(20)))).reason;
        let nothing = DisplayStatus::of(&cluster, None).reason;
        let with = |message: &str| if quoted { format!("{nothing}: {message}") } else { nothing.clone() };
        assert_eq!(reason(with_message("2 of 3 nodes are ready")), with("2 of 3 nodes are ready"), "{lifecycle:?}");
        assert_eq!(reason(with_error("2 of 3 nodes are ready")), with("the provider is away"), "{lifecycle:?}");
        let rejected = ProviderStatus { last_rejection: Some(because("no room")), ..with_message("") };
        assert_eq!(reason(rejected), with("no room"), "{lifecycle:?}");
    }
}

#[test]
fn a_cluster_at_rest_shows_its_observed_status() {
    let answers = "the cluster is reachable (Kubernetes v1.37.2)";
    let provider_code = Some(because("").code);
    let (rejected, unreachable) = (Some(ReasonCode::KubeconfigRejected), Some(ReasonCode::ClusterUnreachable));
    let rows = [
        (Some(answered("v1.37.2")), None, Phase::Ready, None, answers.to_owned()),
        (Some(answered("v1.37.2")), Some(with_message("fine")), Phase::Ready, None, answers.to_owned()),
        (
            Some(answered("v1.37.2")),
            Some(with_error("fine")),
            Phase::Ready,
            provider_code,
            format!("{answers}, but its provider cannot be queried: the provider is away"),
        ),
        (Some(rejected_probe()), None, Phase::Failed, rejected, "the token is not accepted".to_owned()),
        (
            Some(rejected_probe()),
            Some(with_error("fine")),
            Phase::Failed,
            rejected,
            "the token is not accepted".to_owned(),
        ),
        (Some(no_answer()), None, Phase::Unknown, unreachable, "connection refused".to_owned()),
        (Some(no_answer()), Some(with_message("fine")), Phase::Unknown, unreachable, "connection refused".to_owned()),
        (
            None,
            Some(with_message("fine")),
            Phase::Ready,
            None,
            "the provider reports that the cluster is running".to_owned(),
        ),
        (None, Some(with_error("fine")), Phase::Unknown, provider_code, "the provider is away".to_owned()),
    ];
    let cluster = cluster(Ready, at(10));
    let unseen = DisplayStatus::of(&cluster, None);
    assert_eq!((unseen.phase, unseen.changed_at), (Phase::Deploying, at(10)));
    assert_eq!(unseen.reason, "waiting for the first status check");
    for (probe, provider, phase, code, reason) in rows {
        let seen = observed(&cluster, probe.clone(), provider.clone(), at(20));
        let expected = DisplayStatus { phase, code, reason, changed_at: at(20) };
        assert_eq!(DisplayStatus::of(&cluster, Some(&seen)), expected, "{probe:?} {provider:?}");
    }
}

#[test]
fn a_failure_shows_its_cause_and_the_next_step() {
    let reason = Reason::new(ReasonCode::QuotaExceeded, "the quota is used up", Responsible::Admin, "raise it")
        .with_provider_message("QUOTA_EXCEEDED");
    let failed = DisplayStatus::of(&cluster(Lifecycle::Failed { reason }, at(10)), None);
    assert_eq!(failed.code, Some(ReasonCode::QuotaExceeded));
    assert_eq!(failed.reason, "the quota is used up (provider message: QUOTA_EXCEEDED); raise it");
}

#[test]
fn the_phase_changed_at_the_later_change_of_state_and_observed_status() {
    // Reachable since 10, changed later, ready again since 50: before 50 the phase was another.
    let cluster = cluster(Ready, at(50));
    let seen = observed(&cluster, Some(answered("v1.37.2")), None, at(10));
    let display = DisplayStatus::of(&cluster, Some(&seen));
    assert_eq!((display.phase, display.changed_at), (Phase::Ready, at(50)));
}

/// Consecutive observations: probe, provider status, and the phase and version known afterwards; `None` where nothing changes.
type Sequence = Vec<(Option<ProbeResult>, Option<ProviderStatus>, Option<(Phase, Option<&'static str>)>)>;

#[test]
fn each_observation_updates_the_observed_status() {
    let sequences: [(&str, Sequence); 4] = [
        (
            "an attached cluster that changes",
            vec![
                (Some(no_answer()), None, Some((Phase::Unknown, None))),
                (Some(no_answer()), None, None),
                (Some(answered("v1.36.0")), None, Some((Phase::Ready, Some("v1.36.0")))),
                (Some(answered("v1.36.0")), None, None),
                (Some(answered("v1.37.2")), None, Some((Phase::Ready, Some("v1.37.2")))),
            ],
        ),
        (
            "the version is kept while it does not answer",
            vec![
                (Some(answered("v1.37.2")), None, Some((Phase::Ready, Some("v1.37.2")))),
                (Some(no_answer()), None, Some((Phase::Unknown, Some("v1.37.2")))),
                (Some(rejected_probe()), None, Some((Phase::Failed, Some("v1.37.2")))),
            ],
        ),
        (
            "a provisioned cluster without a kubeconfig",
            vec![
                (None, Some(with_message("creating")), Some((Phase::Ready, None))),
                (None, Some(with_message("creating")), None),
                (None, Some(with_error("creating")), Some((Phase::Unknown, None))),
                (None, Some(with_error("creating")), None),
                (None, Some(with_message("running")), Some((Phase::Ready, None))),
            ],
        ),
        (
            "the probe counts for more than the provider",
            vec![
                (Some(answered("v1.37.2")), Some(with_error("")), Some((Phase::Ready, Some("v1.37.2")))),
                (Some(answered("v1.37.2")), Some(with_message("")), Some((Phase::Ready, Some("v1.37.2")))),
                (Some(no_answer()), Some(with_message("")), Some((Phase::Unknown, Some("v1.37.2")))),
                (Some(rejected_probe()), Some(with_error("")), Some((Phase::Failed, Some("v1.37.2")))),
            ],
        ),
    ];
    for (name, sequence) in sequences {
        let id = ClusterId::random();
        let mut known: Option<ObservedStatus> = None;
        for (second, (probe, provider, expected)) in (1..).zip(sequence) {
            let next = ObservedStatus::after(known.as_ref(), id, probe.clone(), provider.clone(), at(second));
            let context = format!("{name}, observation {second}");
            assert_eq!(next.is_some(), expected.is_some(), "{context}");
            let Some((next, (phase, version))) = next.zip(expected) else { continue };
            assert_eq!((next.phase, next.version.as_deref()), (phase, version), "{context}");
            assert_eq!(
                (next.cluster, &next.probe, &next.provider, next.at),
                (id, &probe, &provider, at(second)),
                "{context}"
            );
            let since =
                known.filter(|before| before.phase == phase).map_or(at(second), |before| before.phase_changed_at);
            assert_eq!(next.phase_changed_at, since, "{context}: a phase that stays keeps its time");
            known = Some(next);
        }
    }
}

#[test]
fn every_change_of_the_provider_status_is_new() {
    let before = observed(&cluster(Ready, at(0)), Some(answered("v1.37.2")), Some(ProviderStatus::default()), at(1));
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    let changed = [
        ProviderStatus { progress: Some(50), ..ProviderStatus::default() },
        ProviderStatus { node_count: Some(3), ..ProviderStatus::default() },
        ProviderStatus { network_policy: Some(policy), ..ProviderStatus::default() },
        with_message("creating"),
        with_error(""),
    ];
    for provider in changed {
        let after =
            ObservedStatus::after(Some(&before), before.cluster, before.probe.clone(), Some(provider.clone()), at(9));
        let after = after.unwrap_or_else(|| panic!("{provider:?} is not a change"));
        assert_eq!((after.phase, after.phase_changed_at, after.at), (Phase::Ready, at(1), at(9)), "{provider:?}");
    }
}

#[test]
fn only_answered_observations_may_be_repeated_early() {
    let rejected = ProviderStatus { last_rejection: Some(because("try again later")), ..ProviderStatus::default() };
    for (probe, provider, keeps_its_schedule) in [
        (Some(answered("v1.37.2")), None, false),
        (Some(rejected_probe()), None, false),
        (Some(no_answer()), None, true),
        (None, Some(with_message("works")), false),
        (Some(answered("v1.37.2")), Some(with_message("works")), false),
        (Some(answered("v1.37.2")), Some(with_error("works")), true),
        (None, Some(rejected), true),
    ] {
        let observed = observed(&cluster(Ready, at(0)), probe, provider, at(1));
        assert_eq!(observed.keeps_its_schedule(), keeps_its_schedule, "{observed:?}");
    }
}
