//! What is shown of a cluster, as tables: every state with every observed status, and what a look makes of the last one.

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

fn refused() -> ProbeResult {
    ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "the token is not accepted".into() }
}

fn silent() -> ProbeResult {
    ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "connection refused".into() }
}

fn says(words: &str) -> ProviderStatus {
    ProviderStatus { message: words.into(), ..ProviderStatus::default() }
}

/// What was told before, and why nothing is told now.
fn in_trouble(words: &str) -> ProviderStatus {
    ProviderStatus { last_error: Some(because("the provider is away")), ..says(words) }
}

/// What a first look and answer make known.
fn observed(
    of: &Cluster,
    probe: Option<ProbeResult>,
    told: Option<ProviderStatus>,
    now: DateTime<Utc>,
) -> ObservedStatus {
    ObservedStatus::after(None, of.id, probe, told, now).unwrap()
}

#[test]
fn what_is_under_way_or_has_failed_is_shown_whatever_was_seen() {
    let rows = [
        (Deploying, Phase::Deploying, "the cluster is being made"),
        (Updating, Phase::Updating, "the cluster is being changed"),
        (Destroying, Phase::Destroying, "the cluster is being taken down"),
        (failed("the quota is used up"), Phase::Failed, "the quota is used up"),
    ];
    for (lifecycle, phase, reason) in rows {
        let code = (phase == Phase::Failed).then_some(ReasonCode::ProvisioningFailed);
        let cluster = cluster(lifecycle.clone(), at(10));
        let unseen = DisplayStatus::of(&cluster, None);
        assert_eq!(unseen, DisplayStatus { phase, code, reason: reason.into(), changed_at: at(10) });
        for probe in [None, Some(answered("v1.37.2")), Some(refused()), Some(silent())] {
            let seen = observed(&cluster, probe.clone(), None, at(20));
            assert_eq!(DisplayStatus::of(&cluster, Some(&seen)), unseen, "{lifecycle:?} {probe:?}");
            let quiet = observed(&cluster, probe.clone(), Some(says("")), at(20));
            assert_eq!(DisplayStatus::of(&cluster, Some(&quiet)), unseen, "{lifecycle:?} {probe:?}");
        }
    }
}

#[test]
fn while_something_is_under_way_its_provider_is_quoted() {
    for (lifecycle, quoted) in [(Deploying, true), (Updating, true), (Destroying, true), (failed("broken"), false)] {
        let cluster = cluster(lifecycle.clone(), at(10));
        let said = |told| DisplayStatus::of(&cluster, Some(&observed(&cluster, None, Some(told), at(20)))).reason;
        let nothing = DisplayStatus::of(&cluster, None).reason;
        let with = |words: &str| if quoted { format!("{nothing}: {words}") } else { nothing.clone() };
        assert_eq!(said(says("2 of 3 nodes are ready")), with("2 of 3 nodes are ready"), "{lifecycle:?}");
        assert_eq!(said(in_trouble("2 of 3 nodes are ready")), with("the provider is away"), "{lifecycle:?}");
        let rejected = ProviderStatus { last_rejection: Some(because("no room")), ..says("") };
        assert_eq!(said(rejected), with("no room"), "{lifecycle:?}");
    }
}

#[test]
fn a_cluster_that_nothing_is_done_to_stands_as_it_was_seen() {
    let answers = "the cluster answers, Kubernetes v1.37.2";
    let away = Some(because("").code);
    let (rejected, silence) = (Some(ReasonCode::KubeconfigRejected), Some(ReasonCode::ClusterUnreachable));
    let rows = [
        (Some(answered("v1.37.2")), None, Phase::Ready, None, answers.to_owned()),
        (Some(answered("v1.37.2")), Some(says("fine")), Phase::Ready, None, answers.to_owned()),
        (
            Some(answered("v1.37.2")),
            Some(in_trouble("fine")),
            Phase::Ready,
            away,
            format!("{answers}; its provider does not: the provider is away"),
        ),
        (Some(refused()), None, Phase::Failed, rejected, "the token is not accepted".to_owned()),
        (Some(refused()), Some(in_trouble("fine")), Phase::Failed, rejected, "the token is not accepted".to_owned()),
        (Some(silent()), None, Phase::Unknown, silence, "connection refused".to_owned()),
        (Some(silent()), Some(says("fine")), Phase::Unknown, silence, "connection refused".to_owned()),
        (None, Some(says("fine")), Phase::Ready, None, "the provider says that the cluster runs".to_owned()),
        (None, Some(in_trouble("fine")), Phase::Unknown, away, "the provider is away".to_owned()),
    ];
    let cluster = cluster(Ready, at(10));
    let unseen = DisplayStatus::of(&cluster, None);
    assert_eq!((unseen.phase, unseen.changed_at), (Phase::Deploying, at(10)));
    assert_eq!(unseen.reason, "waiting for the first look at the cluster");
    for (probe, told, phase, code, reason) in rows {
        let seen = observed(&cluster, probe.clone(), told.clone(), at(20));
        let expected = DisplayStatus { phase, code, reason, changed_at: at(20) };
        assert_eq!(DisplayStatus::of(&cluster, Some(&seen)), expected, "{probe:?} {told:?}");
    }
}

#[test]
fn a_failure_says_why_it_failed_and_what_to_do() {
    let reason = Reason::new(ReasonCode::QuotaExceeded, "the quota is used up", Responsible::Admin, "raise it")
        .with_words("QUOTA_EXCEEDED");
    let failed = DisplayStatus::of(&cluster(Lifecycle::Failed { reason }, at(10)), None);
    assert_eq!(failed.code, Some(ReasonCode::QuotaExceeded));
    assert_eq!(failed.reason, "the quota is used up (the provider says: QUOTA_EXCEEDED); raise it");
}

#[test]
fn the_shown_phase_has_changed_when_the_later_of_state_and_observed_status_did() {
    // It answered since 10, was changed, and is ready again since 50: until then the phase was another.
    let cluster = cluster(Ready, at(50));
    let seen = observed(&cluster, Some(answered("v1.37.2")), None, at(10));
    let display = DisplayStatus::of(&cluster, Some(&seen));
    assert_eq!((display.phase, display.changed_at), (Phase::Ready, at(50)));
}

/// One turn after another: what is found, and the phase and version known from then on. `None` where nothing new is known.
type Story = Vec<(Option<ProbeResult>, Option<ProviderStatus>, Option<(Phase, Option<&'static str>)>)>;

#[test]
fn what_is_known_after_each_look() {
    let stories: [(&str, Story); 4] = [
        (
            "one that was attached and changes",
            vec![
                (Some(silent()), None, Some((Phase::Unknown, None))),
                (Some(silent()), None, None),
                (Some(answered("v1.36.0")), None, Some((Phase::Ready, Some("v1.36.0")))),
                (Some(answered("v1.36.0")), None, None),
                (Some(answered("v1.37.2")), None, Some((Phase::Ready, Some("v1.37.2")))),
            ],
        ),
        (
            "the version is kept while it does not answer",
            vec![
                (Some(answered("v1.37.2")), None, Some((Phase::Ready, Some("v1.37.2")))),
                (Some(silent()), None, Some((Phase::Unknown, Some("v1.37.2")))),
                (Some(refused()), None, Some((Phase::Failed, Some("v1.37.2")))),
            ],
        ),
        (
            "one that its provider makes, before there is a kubeconfig",
            vec![
                (None, Some(says("creating")), Some((Phase::Ready, None))),
                (None, Some(says("creating")), None),
                (None, Some(in_trouble("creating")), Some((Phase::Unknown, None))),
                (None, Some(in_trouble("creating")), None),
                (None, Some(says("running")), Some((Phase::Ready, None))),
            ],
        ),
        (
            "its own answer counts for more than its provider's",
            vec![
                (Some(answered("v1.37.2")), Some(in_trouble("")), Some((Phase::Ready, Some("v1.37.2")))),
                (Some(answered("v1.37.2")), Some(says("")), Some((Phase::Ready, Some("v1.37.2")))),
                (Some(silent()), Some(says("")), Some((Phase::Unknown, Some("v1.37.2")))),
                (Some(refused()), Some(in_trouble("")), Some((Phase::Failed, Some("v1.37.2")))),
            ],
        ),
    ];
    for (story, turns) in stories {
        let id = ClusterId::random();
        let mut known: Option<ObservedStatus> = None;
        for (second, (probe, told, expected)) in (1..).zip(turns) {
            let next = ObservedStatus::after(known.as_ref(), id, probe.clone(), told.clone(), at(second));
            let place = format!("{story}, turn {second}");
            assert_eq!(next.is_some(), expected.is_some(), "{place}");
            let Some((next, (phase, version))) = next.zip(expected) else { continue };
            assert_eq!((next.phase, next.version.as_deref()), (phase, version), "{place}");
            assert_eq!(
                (next.cluster, &next.probe, &next.provider, next.at),
                (id, &probe, &told, at(second)),
                "{place}"
            );
            let since =
                known.filter(|before| before.phase == phase).map_or(at(second), |before| before.phase_changed_at);
            assert_eq!(next.phase_changed_at, since, "{place}: a phase that stays keeps its time");
            known = Some(next);
        }
    }
}

#[test]
fn whatever_its_provider_tells_differently_is_news() {
    let before = observed(&cluster(Ready, at(0)), Some(answered("v1.37.2")), Some(ProviderStatus::default()), at(1));
    let policy = NetworkPolicy { provider: "CALICO".into(), enabled: true };
    let changed = [
        ProviderStatus { progress: Some(50), ..ProviderStatus::default() },
        ProviderStatus { node_count: Some(3), ..ProviderStatus::default() },
        ProviderStatus { network_policy: Some(policy), ..ProviderStatus::default() },
        says("creating"),
        in_trouble(""),
    ];
    for told in changed {
        let after =
            ObservedStatus::after(Some(&before), before.cluster, before.probe.clone(), Some(told.clone()), at(9));
        let after = after.unwrap_or_else(|| panic!("{told:?} is not news"));
        assert_eq!((after.phase, after.phase_changed_at, after.at), (Phase::Ready, at(1), at(9)), "{told:?}");
    }
}

#[test]
fn who_wants_to_know_hurries_only_a_look_that_is_answered() {
    let rejected = ProviderStatus { last_rejection: Some(because("try again later")), ..ProviderStatus::default() };
    for (probe, provider, keeps_its_schedule) in [
        (Some(answered("v1.37.2")), None, false),
        (Some(refused()), None, false),
        (Some(silent()), None, true),
        (None, Some(says("works")), false),
        (Some(answered("v1.37.2")), Some(says("works")), false),
        (Some(answered("v1.37.2")), Some(in_trouble("works")), true),
        (None, Some(rejected), true),
    ] {
        let observed = observed(&cluster(Ready, at(0)), probe, provider, at(1));
        assert_eq!(observed.keeps_its_schedule(), keeps_its_schedule, "{observed:?}");
    }
}
