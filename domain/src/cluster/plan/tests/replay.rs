//! The reconciler and its store in memory: decisions are carried out turn by turn the way the real one does it, with crashes, people who
//! ask for something meanwhile, and a clock that moves by what is waited for. It knows none of the rules that decide, and checks at
//! every call that what may come of it is stored.

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

/// Longest that a look or a call takes.
pub(super) const ANSWER: i64 = 30;

/// How long it takes until somebody carries on after a crash.
const RESTART: TimeDelta = TimeDelta::seconds(10);

/// How long after its deadline an operation has ended: a look and a call that were begun before, a crash, and the look that ends it.
const LATE: TimeDelta = TimeDelta::seconds(3 * ANSWER + 10);

/// The other side.
pub(super) trait Provider {
    fn observe(&mut self, now: DateTime<Utc>) -> Result<Observation, EngineError>;
    fn call(&mut self, call: &Call, now: DateTime<Utc>) -> Result<(), EngineError>;
}

/// The names of what deploying makes.
pub(super) fn makes() -> Vec<ResourceRef> {
    ["a", "b"].map(|name| thing(name).name).to_vec()
}

/// When the reconciler's process ends in the middle of a turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Crash {
    BeforeTheCall,
    AfterTheCall,
}

/// What people ask for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Request {
    Cancel,
    Destroy,
}

/// What happens in a turn besides; by default nothing, at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Luck {
    /// How long the look takes, in seconds.
    pub(super) looking: i64,
    /// How long the call takes.
    pub(super) calling: i64,
    pub(super) crash: Option<Crash>,
    /// Comes while the turn is under way: what the turn would have written then is refused.
    pub(super) request: Option<Request>,
}

#[derive(Debug, Clone)]
pub(super) struct Stored {
    /// `None` when it has left.
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
    /// A cluster on which `kind` was just asked for.
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

    pub(super) fn has_left(&self) -> bool {
        self.stored.cluster.is_none()
    }

    /// Somebody asks for the next operation.
    pub(super) fn ask(&mut self, kind: OperationKind, event: ClusterEvent) {
        let Some(cluster) = &mut self.stored.cluster else { return };
        cluster.lifecycle = cluster.lifecycle.clone().on(event).unwrap();
        self.stored.operation = Operation::requested(cluster.id, kind, UserId::random(), self.now, self.now + TIMEOUT);
    }

    /// Writes what somebody asks for; whether that changes anything.
    fn meet(&mut self, request: Request) -> bool {
        let now = self.now;
        let operation = &mut self.stored.operation;
        let busy = operation.status.is_unfinished();
        match request {
            Request::Cancel if busy && operation.cancel.is_none() => operation.cancel = Some((UserId::random(), now)),
            Request::Destroy if !busy || operation.kind != OperationKind::Destroy => {
                if busy {
                    operation.end(OperationStatus::Cancelled, Some(interrupted()), now);
                }
                self.ask(OperationKind::Destroy, ClusterEvent::DeleteRequested);
            }
            Request::Cancel | Request::Destroy => return false,
        }
        true
    }

    /// One turn, and the wait for the next.
    pub(super) fn turn(&mut self, provider: &mut dyn Provider, luck: &Luck) -> TestCaseResult {
        let Some(cluster) = self.stored.cluster.clone() else { return Ok(()) };
        let busy = self.is_busy();
        let mut next = self.stored.clone();
        // What is seen is at least as old as the question.
        let asked_at = self.now;
        let observation = provider.observe(asked_at);
        self.now += TimeDelta::seconds(luck.looking);
        if busy && matches!(&observation, Ok(Observation::Present(seen)) if seen.state == ProvisioningState::Working) {
            next.operation.note_progress();
        }
        if busy && let Some(things) = things(&observation) {
            next.ledger.observed(things, asked_at);
        }
        let step = plan(&Situation {
            cluster: &cluster,
            operation: Some(&next.operation),
            ledger: &next.ledger,
            observation: &observation,
            now: asked_at,
        });
        let pause = match step {
            Decision::Call(call) => self.call(next, &call, provider, luck)?,
            step => {
                let pause = self.carry_out(&mut next, step, &observation);
                self.save(next, luck).unwrap_or(pause)
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

    /// Everything but calls.
    fn carry_out(
        &self,
        next: &mut Stored,
        step: Decision,
        observation: &Result<Observation, EngineError>,
    ) -> TimeDelta {
        let now = self.now;
        match step {
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
                restate(next, event);
                TimeDelta::zero()
            }
            Decision::Move(event) => {
                restate(next, event);
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

    /// Writes down what may come of the call, makes it, writes down what came of it.
    fn call(
        &mut self,
        mut next: Stored,
        call: &Call,
        provider: &mut dyn Provider,
        luck: &Luck,
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
        if luck.crash == Some(Crash::BeforeTheCall) {
            return Ok(RESTART);
        }
        self.check_intent(call)?;
        let answer = provider.call(call, sent_at);
        self.now += TimeDelta::seconds(luck.calling);
        if luck.crash == Some(Crash::AfterTheCall) {
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
        Ok(self.save(next, luck).unwrap_or(pause))
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
                restate(next, ClusterEvent::EngineFailed(error.reason()));
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

    /// Writes, unless somebody else has written meanwhile: then the turn is run again, and how long to wait for that.
    fn save(&mut self, next: Stored, luck: &Luck) -> Option<TimeDelta> {
        if luck.request.is_some_and(|request| self.meet(request)) {
            return Some(TimeDelta::zero());
        }
        self.stored = next;
        None
    }

    /// No call is sent that is not written down with what may come of it.
    fn check_intent(&self, call: &Call) -> TestCaseResult {
        let Stored { operation, ledger, .. } = &self.stored;
        let has = |name: &ResourceRef, states: &[RecordState]| {
            ledger.resources.iter().any(|row| row.resource.name == *name && states.contains(&row.state))
        };
        match call {
            Call::Deploy => {
                let may_be_there = [RecordState::Intended, RecordState::Present, RecordState::Deleting];
                prop_assert!(makes().iter().all(|name| has(name, &may_be_there)), "{:?}", ledger);
                prop_assert!(ledger.is_uncertain(self.now), "{:?}", ledger);
            }
            Call::Destroy => {
                let kept = ledger
                    .resources
                    .iter()
                    .any(|row| matches!(row.state, RecordState::Intended | RecordState::Present));
                prop_assert!(!kept, "{:?}", ledger);
            }
            Call::Resize(_) | Call::SetNetworkPolicy(_) => {}
            Call::Kubeconfig => return Ok(()),
        }
        prop_assert!(operation.status.is_unfinished(), "{:?} after the end: {:?}", call, operation);
        prop_assert_eq!(operation.current().map(|step| step.kind), Some(call.step()), "{:?}", operation);
        Ok(())
    }

    /// What is stored goes together at any time.
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

fn restate(next: &mut Stored, event: ClusterEvent) {
    if let Some(cluster) = &mut next.cluster {
        cluster.lifecycle = cluster.lifecycle.clone().on(event).unwrap();
    }
}

fn things(observation: &Result<Observation, EngineError>) -> Option<&[ProviderResource]> {
    match observation {
        Ok(Observation::Present(seen)) => Some(&seen.resources),
        Ok(Observation::Absent) => Some(&[]),
        Err(_) => None,
    }
}

fn seconds(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap()
}

/// Whether somebody has to put something right first. Taking down and fetching are tried until the deadline.
fn is_final(call: &Call, error: &EngineError) -> bool {
    let needs_somebody = matches!(
        error,
        EngineError::Unsupported(_) | EngineError::Rejected(_) | EngineError::Denied(_) | EngineError::Missing
    );
    needs_somebody && !matches!(call, Call::Destroy | Call::Kubeconfig)
}
