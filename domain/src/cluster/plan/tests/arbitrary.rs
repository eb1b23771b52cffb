//! Arbitrary stored state and observations, including those that should never occur.

use std::time::Duration;

use proptest::{prelude::*, sample::select};

use super::{super::*, case::*};
use crate::{
    cluster::tests::{because, cluster, states},
    id::UserId,
    ledger::{RecordState, ResourceRecord},
    operation::{self, StepOutcome},
    reason::ReasonCode,
};

/// Everything a decision depends on.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) cluster: Cluster,
    pub(super) operation: Option<Operation>,
    pub(super) ledger: Ledger,
    pub(super) observation: Result<Observation, EngineError>,
    pub(super) now: DateTime<Utc>,
}

impl Case {
    pub(super) fn decide(&self) -> Decision {
        plan(&Situation {
            cluster: &self.cluster,
            operation: self.operation.as_ref(),
            ledger: &self.ledger,
            observation: &self.observation,
            now: self.now,
        })
    }

    /// The operation, unless it has ended.
    pub(super) fn unfinished(&self) -> Option<&Operation> {
        self.operation.as_ref().filter(|operation| operation.status.is_unfinished())
    }
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let cluster = (select(states().to_vec()), any::<bool>())
        .prop_map(|(lifecycle, has_kubeconfig)| Cluster { has_kubeconfig, ..cluster(lifecycle, now()) });
    let operation = prop::option::weighted(0.9, operations());
    (cluster, operation, ledgers(), observed(), times()).prop_map(|(cluster, operation, ledger, observation, now)| {
        Case { cluster, operation, ledger, observation, now }
    })
}

/// A few times around `now`, so that they often coincide; sometimes the extremes, where arithmetic could overflow.
fn times() -> impl Strategy<Value = DateTime<Utc>> {
    let extremes = vec![DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::UNIX_EPOCH];
    prop_oneof![
        12 => (-4..=4).prop_map(|times| now() + SETTLE * times),
        1 => select(extremes),
    ]
}

pub(super) fn kinds() -> impl Strategy<Value = OperationKind> {
    select(vec![OperationKind::Deploy, resize(), set_policy(), OperationKind::Destroy, OperationKind::Detach])
}

/// Operations with any steps in any order, also of other kinds, without an end, or in the future.
fn operations() -> impl Strategy<Value = Operation> {
    use OperationStatus::{Cancelled, Failed, Pending, Running, Succeeded};
    let status = select(vec![Pending, Running, Running, Running, Succeeded, Failed, Cancelled]);
    let cancel = prop::option::weighted(0.2, times());
    let limits = (times(), times(), cancel, prop::option::of(times()), any::<(u32, bool)>());
    (kinds(), status, limits, prop::collection::vec(steps(), 0..6)).prop_map(|(kind, status, limits, steps)| {
        let (requested_at, deadline, cancel, next_attempt_at, (failures, was_taken_up)) = limits;
        let cancel = cancel.map(|at| (UserId::random(), at));
        let operation = Operation { requested_at, deadline, status, cancel, next_attempt_at, ..requested(kind) };
        Operation { failures, was_taken_up, steps, ..operation }
    })
}

fn steps() -> impl Strategy<Value = operation::Step> {
    let kinds = select(vec![
        StepKind::Create,
        StepKind::Resize,
        StepKind::SetNetworkPolicy,
        StepKind::Delete,
        StepKind::Wait,
        StepKind::Kubeconfig,
        StepKind::Verify,
    ]);
    let outcome = prop::option::of(select(vec![StepOutcome::Done, StepOutcome::Failed, StepOutcome::Stopped]));
    (kinds, any::<u32>(), times(), times(), prop::option::of(times()), outcome, any::<bool>()).prop_map(
        |(kind, tries, started_at, tried_at, ended_at, outcome, has_reason)| {
            let reason = has_reason.then(|| because("held"));
            operation::Step { kind, started_at, tries, tried_at, ended_at, outcome, reason }
        },
    )
}

fn ledgers() -> impl Strategy<Value = Ledger> {
    let state = select(vec![RecordState::Intended, RecordState::Present, RecordState::Deleting, RecordState::Gone]);
    let record = (select(vec!["a", "b"]), state, times());
    let records = record.prop_map(|(name, state, since)| ResourceRecord { resource: resource(name), state, since });
    (prop::collection::vec(records, 0..3), prop::option::of(times()))
        .prop_map(|(resources, uncertain_until)| Ledger { resources, ..ledger(&[], uncertain_until) })
}

/// Errors that a provider may return.
pub(super) fn errors() -> impl Strategy<Value = EngineError> {
    select(vec![
        EngineError::Unsupported("do it"),
        EngineError::Rejected(because("rejected")),
        EngineError::Denied(because("denied")),
        EngineError::Busy("upgrading".into()),
        EngineError::Throttled { retry_after: Duration::from_secs(7) },
        EngineError::Throttled { retry_after: Duration::from_secs(7200) },
        EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer"),
        EngineError::Missing,
    ])
}

fn provisioning_states() -> impl Strategy<Value = ProvisioningState> {
    select(vec![
        ProvisioningState::Incomplete,
        ProvisioningState::Working,
        ProvisioningState::Running,
        ProvisioningState::Removing,
        ProvisioningState::Broken(because("broken")),
    ])
}

/// What a provider may show; the resources of a cluster are "a" and "b".
pub(super) fn observed() -> impl Strategy<Value = Result<Observation, EngineError>> {
    let node_count = select(vec![None, Some(3), Some(5)]);
    let network_policy = select(vec![None, Some(policy("CALICO", true)), Some(policy("CALICO", false))]);
    let resources = select(vec![vec![], vec![resource("a")], vec![resource("a"), resource("b")], vec![resource("c")]]);
    let message = select(vec!["", "1 of 3 nodes"]);
    let present = (provisioning_states(), node_count, network_policy, resources, message).prop_map(
        |(state, node_count, network_policy, resources, message)| {
            let present = ObservedCluster {
                state,
                progress: None,
                node_count,
                network_policy,
                message: message.into(),
                resources,
            };
            Ok(Observation::Present(present))
        },
    );
    prop_oneof![
        2 => Just(Ok(Observation::Absent)),
        5 => present,
        2 => errors().prop_map(|error| Observation::of(Err(error))),
    ]
}
