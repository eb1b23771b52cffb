//! Providers that say anything at any time: whatever they say, everything comes to rest in time.

use proptest::prelude::*;

use super::{super::*, arbitrary::*, replay::*};

/// What a provider says in one turn.
#[derive(Debug, Clone)]
struct Whim {
    observation: Result<Observation, EngineError>,
    answer: Result<(), EngineError>,
    luck: Luck,
}

fn whims() -> impl Strategy<Value = Whim> {
    let answer = prop_oneof![2 => Just(Ok(())), 3 => errors().prop_map(Err)];
    let crash =
        prop_oneof![8 => Just(None), 1 => Just(Some(Crash::BeforeTheCall)), 1 => Just(Some(Crash::AfterTheCall))];
    let request = prop_oneof![48 => Just(None), 1 => Just(Some(Request::Cancel)), 1 => Just(Some(Request::Destroy))];
    (observed(), answer, 0..=ANSWER, 0..=ANSWER, crash, request).prop_map(
        |(observation, answer, looking, calling, crash, request)| Whim {
            observation,
            answer,
            luck: Luck { looking, calling, crash, request },
        },
    )
}

impl Provider for Whim {
    fn observe(&mut self, _: DateTime<Utc>) -> Result<Observation, EngineError> {
        self.observation.clone()
    }

    fn call(&mut self, _: &Call, _: DateTime<Utc>) -> Result<(), EngineError> {
        self.answer.clone()
    }
}

proptest! {
    /// That it ends in time is checked in every turn, see `replay`.
    #[test]
    fn whatever_a_provider_says_everything_comes_to_rest_in_time(
        kind in kinds(),
        whims in prop::collection::vec(whims(), 1..40),
        resting in prop::collection::vec(whims(), 0..10),
    ) {
        let lifecycle = match kind {
            OperationKind::Deploy => Lifecycle::Deploying,
            OperationKind::Resize { .. } | OperationKind::SetNetworkPolicy { .. } => Lifecycle::Updating,
            OperationKind::Destroy | OperationKind::Detach => Lifecycle::Destroying,
        };
        let mut replay = Replay::of(kind, lifecycle);
        let mut turns = whims.into_iter().cycle();
        while replay.is_busy() {
            let mut whim = turns.next().unwrap();
            // Somebody who asks again and again moves the deadline; here that happens once.
            if replay.stored.operation.kind == OperationKind::Destroy {
                whim.luck.request = whim.luck.request.filter(|request| *request == Request::Cancel);
            }
            let luck = whim.luck.clone();
            replay.turn(&mut whim, &luck)?;
        }
        // What rests stays at rest, and is left alone.
        for mut whim in resting {
            whim.luck.request = None;
            let luck = whim.luck.clone();
            replay.turn(&mut whim, &luck)?;
            prop_assert!(!replay.is_busy());
        }
    }
}
