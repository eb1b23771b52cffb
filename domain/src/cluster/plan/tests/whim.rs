//! Providers with random answers: whatever they return, every operation ends in time.

use proptest::prelude::*;

use super::{super::*, arbitrary::*, replay::*};

/// The random answers of a provider in one reconciliation.
#[derive(Debug, Clone)]
struct RandomAnswers {
    observation: Result<Observation, EngineError>,
    answer: Result<(), EngineError>,
    disturbance: Disturbance,
}

fn random_answers() -> impl Strategy<Value = RandomAnswers> {
    let answer = prop_oneof![2 => Just(Ok(())), 3 => errors().prop_map(Err)];
    let crash =
        prop_oneof![8 => Just(None), 1 => Just(Some(Crash::BeforeTheCall)), 1 => Just(Some(Crash::AfterTheCall))];
    let request = prop_oneof![48 => Just(None), 1 => Just(Some(Request::Cancel)), 1 => Just(Some(Request::Destroy))];
    (observed(), answer, 0..=ANSWER, 0..=ANSWER, crash, request).prop_map(
        |(observation, answer, observing, calling, crash, request)| RandomAnswers {
            observation,
            answer,
            disturbance: Disturbance { observing, calling, crash, request },
        },
    )
}

impl Provider for RandomAnswers {
    fn observe(&mut self, _: DateTime<Utc>) -> Result<Observation, EngineError> {
        self.observation.clone()
    }

    fn call(&mut self, _: &Call, _: DateTime<Utc>) -> Result<(), EngineError> {
        self.answer.clone()
    }
}

proptest! {
    /// `replay` checks in every reconciliation that the operation ends in time.
    #[test]
    fn every_operation_ends_in_time_whatever_the_provider_returns(
        kind in kinds(),
        random_answers in prop::collection::vec(random_answers(), 1..40),
        resting in prop::collection::vec(random_answers(), 0..10),
    ) {
        let lifecycle = match kind {
            OperationKind::Deploy => Lifecycle::Deploying,
            OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => Lifecycle::Updating,
            OperationKind::Destroy | OperationKind::Detach => Lifecycle::Destroying,
        };
        let mut replay = Replay::of(kind, lifecycle);
        let mut sequence = random_answers.into_iter().cycle();
        while replay.is_busy() {
            let mut answers = sequence.next().unwrap();
            // Every new request moves the deadline; here there is only one.
            if replay.stored.operation.kind == OperationKind::Destroy {
                answers.disturbance.request = answers.disturbance.request.filter(|request| *request == Request::Cancel);
            }
            let disturbance = answers.disturbance.clone();
            replay.reconcile(&mut answers, &disturbance)?;
        }
        // A cluster at rest stays at rest.
        for mut answers in resting {
            answers.disturbance.request = None;
            let disturbance = answers.disturbance.clone();
            replay.reconcile(&mut answers, &disturbance)?;
            prop_assert!(!replay.is_busy());
        }
    }
}
