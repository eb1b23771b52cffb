//! Tables of the state machine: every state with every event.

use ClusterEvent::{
    ChangeRequested, DeleteRequested, DeployRequested, EngineFailed, Finished, Released, Stopped, TimedOut,
};
use Lifecycle::{Deploying, Destroying, Ready, Updating};

use super::*;
use crate::reason::{Reason, ReasonCode, Responsible};

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

pub(crate) fn because(cause: &str) -> Reason {
    Reason::new(ReasonCode::ProvisioningFailed, cause, Responsible::Provider, "")
}

pub(crate) fn failed(cause: &str) -> Lifecycle {
    Lifecycle::Failed { reason: because(cause) }
}

pub(super) fn states() -> [Lifecycle; 5] {
    [Deploying, Ready, Updating, Destroying, failed("before")]
}

pub(crate) fn cluster(lifecycle: Lifecycle, changed_at: DateTime<Utc>) -> Cluster {
    Cluster {
        id: ClusterId::random(),
        name: "c".try_into().unwrap(),
        organization: OrganizationId::random(),
        provisioner: ProvisionerId::random(),
        owner: UserId::random(),
        metadata: None,
        has_kubeconfig: true,
        lifecycle,
        operation: None,
        changed_at,
        created_at: at(0),
    }
}

#[test]
fn transitions_match_the_table() {
    let events = [
        Finished,
        DeployRequested,
        ChangeRequested,
        DeleteRequested,
        Released,
        Stopped(because("stopped")),
        TimedOut(because("late")),
        EngineFailed(because("broken")),
    ];
    // A row for each of `events`, a column for each of `states`. A dash: the event cannot happen in that state.
    let table = "
        Finished         Ready       Ready       Ready       -           Ready
        DeployRequested  -           -           -           -           Deploying
        ChangeRequested  -           Updating    -           -           Updating
        DeleteRequested  Destroying  Destroying  Destroying  Destroying  Destroying
        Released         -           -           Ready       Ready       -
        Stopped          stopped     -           stopped     stopped     -
        TimedOut         late        -           late        late        -
        EngineFailed     broken      broken      broken      broken      broken";
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(rows.len(), events.len());
    for (event, row) in events.into_iter().zip(rows) {
        let mut words = row.split_whitespace();
        assert!(format!("{event:?}").starts_with(words.next().unwrap()), "{row}");
        let expected: Vec<&str> = words.collect();
        assert_eq!(expected.len(), states().len());
        for (from, expected) in states().into_iter().zip(expected) {
            let expected = match expected {
                "-" => Err(IllegalTransition { from: Box::new(from.clone()), event: Box::new(event.clone()) }),
                "Deploying" => Ok(Deploying),
                "Ready" => Ok(Ready),
                "Updating" => Ok(Updating),
                "Destroying" => Ok(Destroying),
                cause => Ok(failed(cause)),
            };
            assert_eq!(from.clone().on(event.clone()), expected, "{from:?} on {event:?}");
        }
    }
}

#[test]
fn only_transient_states_can_be_stopped_or_time_out() {
    for state in states() {
        let transient = [Deploying, Updating, Destroying].contains(&state);
        assert_eq!(state.is_transient(), transient, "{state:?}");
        for event in [TimedOut(because("late")), Stopped(because("stopped"))] {
            assert_eq!(state.clone().on(event).is_ok_and(|next| !next.is_transient()), transient, "{state:?}");
        }
    }
}
