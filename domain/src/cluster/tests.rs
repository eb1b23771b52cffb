//! The state machine as tables: every state with every event, every state with every look.

use ClusterEvent::{Answered, ChangeRequested, DeleteRequested, EngineFailed, TimedOut};
use Lifecycle::{Deploying, Destroying, Ready, Updating};
use chrono::TimeDelta;

use super::*;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn failed(reason: &str) -> Lifecycle {
    Lifecycle::Failed { reason: reason.into() }
}

fn states() -> [Lifecycle; 5] {
    [Deploying, Ready, Updating, Destroying, failed("before")]
}

fn cluster(lifecycle: Lifecycle, changed_at: DateTime<Utc>) -> Cluster {
    Cluster {
        id: ClusterId::random(),
        name: "c".try_into().unwrap(),
        organization: OrganizationId::random(),
        provisioner: ProvisionerId::random(),
        owner: UserId::random(),
        metadata: None,
        has_kubeconfig: true,
        lifecycle,
        changed_at,
        created_at: at(0),
    }
}

fn sighting(of: &Cluster, look: Look, phase_changed_at: DateTime<Utc>) -> Sighting {
    Sighting { cluster: of.id, phase: look.phase(), look, version: None, phase_changed_at, at: phase_changed_at }
}

fn looks() -> [Look; 3] {
    [
        Look::Answered { version: "v1.37.2".into() },
        Look::Refused { reason: "the token is not accepted".into() },
        Look::Silent { reason: "connection refused".into() },
    ]
}

#[test]
fn every_state_with_every_event() {
    let events = [Answered, ChangeRequested, DeleteRequested, TimedOut("late".into()), EngineFailed("broken".into())];
    // Rows in the order of `states`, columns in the order of `events`; `None` where the event cannot happen.
    let table: [[Option<Lifecycle>; 5]; 5] = [
        [Some(Ready), None, Some(Destroying), Some(failed("late")), Some(failed("broken"))],
        [Some(Ready), Some(Updating), Some(Destroying), None, Some(failed("broken"))],
        [Some(Ready), None, Some(Destroying), Some(failed("late")), Some(failed("broken"))],
        [None, None, Some(Destroying), Some(failed("late")), Some(failed("broken"))],
        [Some(Ready), None, Some(Destroying), None, None],
    ];
    for (from, row) in states().into_iter().zip(table) {
        for (event, expected) in events.iter().zip(row) {
            let refused = IllegalTransition { from: from.clone(), event: event.clone() };
            assert_eq!(from.clone().on(event.clone()), expected.ok_or(refused), "{from:?} on {event:?}");
        }
    }
}

#[test]
fn every_way_out_of_a_transient_state_ends_somewhere_stable() {
    for state in states() {
        let transient = [Deploying, Updating, Destroying].contains(&state);
        assert_eq!(state.is_transient(), transient, "{state:?}");
        assert_eq!(state.on(TimedOut("late".into())).is_ok_and(|next| !next.is_transient()), transient);
    }
}

#[test]
fn every_state_with_every_look() {
    let phases = [Phase::Ready, Phase::Failed, Phase::Unknown];
    for lifecycle in states() {
        let cluster = cluster(lifecycle.clone(), at(10));
        let unseen = Standing::of(&cluster, None);
        let shown = match lifecycle {
            // Attached and not yet seen.
            Deploying | Ready => Phase::Deploying,
            Updating => Phase::Updating,
            Destroying => Phase::Destroying,
            Lifecycle::Failed { .. } => Phase::Failed,
        };
        assert_eq!((unseen.phase, unseen.changed_at), (shown, at(10)), "{lifecycle:?}");
        assert!(!unseen.reason.is_empty());
        for (look, phase) in looks().into_iter().zip(phases) {
            let seen = Standing::of(&cluster, Some(&sighting(&cluster, look.clone(), at(20))));
            if lifecycle == Ready {
                // Nothing is being done to it, so what was seen speaks.
                assert_eq!((seen.phase, seen.changed_at), (phase, at(20)), "{look:?}");
                let says = match &look {
                    Look::Answered { version } => version,
                    Look::Refused { reason } | Look::Silent { reason } => reason,
                };
                assert!(seen.reason.contains(says.as_str()), "{}", seen.reason);
            } else {
                assert_eq!(seen, unseen, "{lifecycle:?} {look:?}");
            }
        }
    }
}

#[test]
fn a_failure_says_why_it_failed() {
    let failed = Standing::of(&cluster(failed("waited 3600 s for the cluster to be made"), at(10)), None);
    assert_eq!(failed.reason, "waited 3600 s for the cluster to be made");
}

#[test]
fn the_shown_phase_has_changed_when_the_later_of_state_and_sighting_did() {
    // It answered since 10, was changed, and is ready again since 50: until then the phase was another.
    let cluster = cluster(Ready, at(50));
    let standing = Standing::of(&cluster, Some(&sighting(&cluster, looks()[0].clone(), at(10))));
    assert_eq!((standing.phase, standing.changed_at), (Phase::Ready, at(50)));
}

#[test]
fn only_what_is_under_way_is_overdue_and_only_past_its_deadline() {
    let timeout = TimeDelta::seconds(3600);
    for lifecycle in states() {
        let cluster = cluster(lifecycle.clone(), at(0));
        assert_eq!(overdue(&cluster, at(3600), timeout), None, "{lifecycle:?} at the deadline");
        assert_eq!(overdue(&cluster, at(-5), timeout), None, "{lifecycle:?} on a clock that runs behind");
        let event = overdue(&cluster, at(3601), timeout);
        assert_eq!(event.is_some(), lifecycle.is_transient(), "{lifecycle:?} past the deadline");
        if let Some(event) = event {
            let TimedOut(reason) = &event else { panic!("{event:?}") };
            assert!(reason.contains("3600 s"), "{reason}");
            let after = lifecycle.on(event.clone()).unwrap();
            assert_eq!(after, failed(reason));
        }
    }
}

#[test]
fn the_reason_names_what_was_waited_for() {
    let reason = |lifecycle| match overdue(&cluster(lifecycle, at(0)), at(61), TimeDelta::seconds(60)) {
        Some(TimedOut(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let reasons = [reason(Deploying), reason(Updating), reason(Destroying)];
    assert!(reasons[0].contains("made") && reasons[1].contains("change") && reasons[2].contains("taken down"));
}

#[test]
fn words_of_phases_are_the_api_s() {
    for phase in Phase::ALL {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.as_str());
    }
}
