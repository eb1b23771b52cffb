//! A reconciler with a store in memory: it carries out decisions like the real one, with crashes, requests of users in between, and a
//! clock that advances by the waiting times. It has no rules for decisions, and checks before every call that its possible effects are
//! stored.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::{
    prop_assert, prop_assert_eq,
    test_runner::{TestCaseError, TestCaseResult},
};

use super::{super::*, case::*};
use crate::{
    cluster::tests::cluster,
    id::UserId,
    ledger::{ProviderResource, RecordState, ResourceRef},
    operation::StepOutcome,
};

/// The longest time that an observation or a call takes, in seconds.
pub(super) const ANSWER: i64 = 30;

/// The time until reconciliation continues after a crash.
const RESTART: TimeDelta = TimeDelta::seconds(10);

/// The longest time from its deadline to the end of an operation: an observation and a call begun before, a crash, and the last observation.
const LATE: TimeDelta = TimeDelta::seconds(3 * ANSWER + 10);

/// The simulated provider.
pub(super) trait Provider {
    fn observe(&mut self, now: DateTime<Utc>) -> Result<Observation, EngineError>;
    fn call(&mut self, call: &Call, now: DateTime<Utc>) -> Result<(), EngineError>;
}

/// The resources that deploying makes.
pub(super) fn makes() -> Vec<ResourceRef> {
    ["a", "b"].map(|name| resource(name).name).to_vec()
}

/// When the reconciler crashes in the middle of a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Crash {
    BeforeTheCall,
    AfterTheCall,
}

/// What users request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Request {
    Cancel,
    Destroy,
}

/// What else happens during a reconciliation; by default nothing, and without delay.
#[derive(Debug, Clone, Default)]
pub(super) struct Disturbance {
    /// How long the observation takes, in seconds.
    pub(super) observing: i64,
    /// How long the call takes.
    pub(super) calling: i64,
    pub(super) crash: Option<Crash>,
    /// Arrives during the reconciliation, whose write is refused then.
    pub(super) request: Option<Request>,
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// `None` once it is removed.
    pub(super) cluster: Option<Cluster>,
    pub(super) operation: Operation,
    pub(super) ledger: Ledger,
}

pub(super) struct Replay {
    pub(super) stored: Stored,
    pub(super) now: DateTime<Utc>,
}

/// How long an operation may take.
const TIMEOUT: TimeDelta = TimeDelta::minutes(15);

impl Replay {
    /// A cluster for which `kind` was just requested.
    pub(super) fn of(kind: OperationKind, lifecycle: Lifecycle) -> Self {
        let mut cluster = cluster(lifecycle, now());
        cluster.has_kubeconfig = false;
        let operation = Operation::requested(cluster.id, kind, UserId::random(), now(), now() + TIMEOUT);
        let ledger = Ledger::empty(cluster.id);
        Self { stored: Stored { cluster: Some(cluster), operation, ledger }, now: now() }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.stored.operation.status.is_unfinished()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.stored.cluster.is_none()
    }

    /// Requests the next operation.
    pub(super) fn request(&mut self, kind: OperationKind, event: ClusterEvent) {
        let Some(cluster) = &mut self.stored.cluster else { return };
        cluster.lifecycle = cluster.lifecycle.clone().on(event).unwrap();
        self.stored.operation = Operation::requested(cluster.id, kind, UserId::random(), self.now, self.now + TIMEOUT);
    }

    /// Stores a request; returns whether it changes anything.
    fn store_request(&mut self, request: Request) -> bool {
        let now = self.now;
        let operation = &mut self.stored.operation;
        let busy = operation.status.is_unfinished();
        match request {
            Request::Cancel if busy && operation.cancel.is_none() => operation.cancel = Some((UserId::random(), now)),
            Request::Destroy if !busy || operation.kind != OperationKind::Destroy => {
                if busy {
                    operation.end(OperationStatus::Cancelled, Some(interrupted()), now);
                }
                self.request(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            }
            Request::Cancel | Request::Destroy => return false,
        }
        true
    }

    /// One reconciliation, and the wait for the next.
    pub(super) fn reconcile(&mut self, provider: &mut dyn Provider, disturbance: &Disturbance) -> TestCaseResult {
        let Some(cluster) = self.stored.cluster.clone() else { return Ok(()) };
        let busy = self.is_busy();
        let mut next = self.stored.clone();
        // The observation may be as old as its start.
        let observed_at = self.now;
        let observation = provider.observe(observed_at);
        self.now += TimeDelta::seconds(disturbance.observing);
        if busy && matches!(&observation, Ok(Observation::Present(seen)) if seen.state == ProvisioningState::Working) {
            next.operation.note_progress();
        }
        if busy && let Some(resources) = resources(&observation) {
            next.ledger.observed(resources, observed_at);
        }
        let decision = plan(&Situation {
            cluster: &cluster,
            operation: Some(&next.operation),
            ledger: &next.ledger,
            observation: &observation,
            now: observed_at,
        });
        let pause = match decision {
            Decision::Call(call) => self.call(next, &call, provider, disturbance)?,
            decision => {
                let pause = self.carry_out(&mut next, decision, &observation);
                self.save(next, disturbance).unwrap_or(pause)
            }
        };
        self.now += pause;
        if self.is_busy() {
            // The worker sleeps no longer than until the deadline.
            let (last, deadline) = (self.now - pause, self.stored.operation.deadline);
            self.now = self.now.min(deadline.max(last));
            prop_assert!(self.now <= deadline + LATE, "the deadline was missed: {:?}", self.stored);
        }
        self.check()
    }

    /// Carries out every decision except calls.
    fn carry_out(
        &self,
        next: &mut Stored,
        decision: Decision,
        observation: &Result<Observation, EngineError>,
    ) -> TimeDelta {
        let now = self.now;
        match decision {
            Decision::Rest => TimeDelta::minutes(1),
            Decision::Wait(kind) => {
                if next.operation.current().is_none_or(|current| current.kind != kind) {
                    next.operation.begin(kind, now);
                }
                match observation {
                    Err(EngineError::Throttled { retry_after }) => seconds(*retry_after),
                    _ => TimeDelta::seconds(5),
                }
            }
            Decision::End { status, reason, event } => {
                next.operation.end(status, reason, now);
                apply_event(next, event);
                TimeDelta::zero()
            }
            Decision::Move(event) => {
                apply_event(next, event);
                TimeDelta::zero()
            }
            Decision::Leave => {
                next.operation.end(OperationStatus::Succeeded, None, now);
                next.cluster = None;
                TimeDelta::zero()
            }
            Decision::Call(call) => unreachable!("{call:?}"),
        }
    }

    /// Stores the possible effects of the call, makes it, and stores its result.
    fn call(
        &mut self,
        mut next: Stored,
        call: &Call,
        provider: &mut dyn Provider,
        disturbance: &Disturbance,
    ) -> Result<TimeDelta, TestCaseError> {
        let (busy, sent_at) = (self.is_busy(), self.now);
        if busy {
            next.operation.begin(call.step(), sent_at);
        }
        let uncertain_before = next.ledger.uncertain_until;
        match call {
            Call::Deploy => next.ledger.intend(makes(), sent_at),
            Call::Destroy => next.ledger.condemn(sent_at),
            Call::Resize(_) | Call::SetNetworkPolicy(_) | Call::Kubeconfig => {}
        }
        self.stored = next.clone();
        if disturbance.crash == Some(Crash::BeforeTheCall) {
            return Ok(RESTART);
        }
        self.check_intent(call)?;
        let answer = provider.call(call, sent_at);
        self.now += TimeDelta::seconds(disturbance.calling);
        if disturbance.crash == Some(Crash::AfterTheCall) {
            return Ok(RESTART);
        }
        if *call == Call::Deploy {
            match &answer {
                Ok(()) => next.ledger.accepted(uncertain_before, self.now),
                Err(error) if !error.is_uncertain() => next.ledger.refused(uncertain_before),
                Err(_) => {}
            }
        }
        let pause = self.answered(&mut next, call, answer, busy);
        Ok(self.save(next, disturbance).unwrap_or(pause))
    }

    fn answered(&self, next: &mut Stored, call: &Call, answer: Result<(), EngineError>, busy: bool) -> TimeDelta {
        let now = self.now;
        let answer = match answer {
            Err(EngineError::Missing) if *call == Call::Destroy => Ok(()),
            other => other,
        };
        match answer {
            Ok(()) => {
                if *call == Call::Kubeconfig
                    && let Some(cluster) = &mut next.cluster
                {
                    cluster.has_kubeconfig = true;
                }
                if busy {
                    next.operation.end_step(StepOutcome::Done, None, now);
                }
                TimeDelta::seconds(5)
            }
            Err(error) if busy && is_final(call, &error) => {
                next.operation.end(OperationStatus::Failed, Some(error.reason()), now);
                apply_event(next, ClusterEvent::EngineFailed(error.reason()));
                TimeDelta::zero()
            }
            Err(error) if busy => {
                let pause = match &error {
                    EngineError::Throttled { retry_after } => seconds(*retry_after),
                    _ => TimeDelta::seconds((5 << next.operation.failures.min(4)).min(60)),
                };
                next.operation.hold(error.reason(), now + pause);
                pause
            }
            Err(_) => TimeDelta::minutes(1),
        }
    }

    /// Stores `next`, unless a request was stored meanwhile: then returns the wait until the next reconciliation.
    fn save(&mut self, next: Stored, disturbance: &Disturbance) -> Option<TimeDelta> {
        if disturbance.request.is_some_and(|request| self.store_request(request)) {
            return Some(TimeDelta::zero());
        }
        self.stored = next;
        None
    }

    /// Every call is stored with its possible effects before it is sent.
    fn check_intent(&self, call: &Call) -> TestCaseResult {
        let Stored { operation, ledger, .. } = &self.stored;
        let has = |name: &ResourceRef, states: &[RecordState]| {
            ledger.resources.iter().any(|record| record.resource.name == *name && states.contains(&record.state))
        };
        match call {
            Call::Deploy => {
                let may_exist = [RecordState::Intended, RecordState::Present, RecordState::Deleting];
                prop_assert!(makes().iter().all(|name| has(name, &may_exist)), "{:?}", ledger);
                prop_assert!(ledger.is_uncertain(self.now), "{:?}", ledger);
            }
            Call::Destroy => {
                let kept = ledger
                    .resources
                    .iter()
                    .any(|record| matches!(record.state, RecordState::Intended | RecordState::Present));
                prop_assert!(!kept, "{:?}", ledger);
            }
            Call::Resize(_) | Call::SetNetworkPolicy(_) => {}
            Call::Kubeconfig => return Ok(()),
        }
        prop_assert!(operation.status.is_unfinished(), "{:?} after the end: {:?}", call, operation);
        prop_assert_eq!(operation.current().map(|step| step.kind), Some(call.step()), "{:?}", operation);
        Ok(())
    }

    /// The stored state is always consistent.
    fn check(&self) -> TestCaseResult {
        let Stored { cluster, operation, .. } = &self.stored;
        let transient = cluster.as_ref().is_some_and(|cluster| cluster.lifecycle.is_transient());
        prop_assert_eq!(transient, self.is_busy(), "{:?} {:?}", cluster, operation);
        if !self.is_busy() {
            prop_assert!(operation.ended_at.is_some(), "{:?}", operation);
            prop_assert!(
                operation.steps.iter().all(|step| step.ended_at.is_some() && step.outcome.is_some()),
                "{:?}",
                operation
            );
            prop_assert_eq!(
                operation.reason.is_none(),
                operation.status == OperationStatus::Succeeded,
                "{:?}",
                operation
            );
        }
        Ok(())
    }
}

fn apply_event(next: &mut Stored, event: ClusterEvent) {
    if let Some(cluster) = &mut next.cluster {
        cluster.lifecycle = cluster.lifecycle.clone().on(event).unwrap();
    }
}

fn resources(observation: &Result<Observation, EngineError>) -> Option<&[ProviderResource]> {
    match observation {
        Ok(Observation::Present(seen)) => Some(&seen.resources),
        Ok(Observation::Absent) => Some(&[]),
        Err(_) => None,
    }
}

fn seconds(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap()
}

/// Whether a person has to fix something first. Destroying and fetching are retried until the deadline.
fn is_final(call: &Call, error: &EngineError) -> bool {
    let needs_a_person = matches!(
        error,
        EngineError::Unsupported(_) | EngineError::Rejected(_) | EngineError::Denied(_) | EngineError::Missing
    );
    needs_a_person && !matches!(call, Call::Destroy | Call::Kubeconfig)
}
