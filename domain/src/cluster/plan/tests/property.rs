//! Properties of every decision, for arbitrary stored state and observations.

use proptest::prelude::*;

use super::{super::*, arbitrary::cases};

proptest! {
    #[test]
    fn every_event_of_a_decision_is_legal_and_leads_to_a_state_at_rest(case in cases()) {
        let (Decision::End { event, .. } | Decision::Move(event)) = case.decide() else { return Ok(()) };
        let before = case.cluster.lifecycle;
        let after = before.clone().on(event);
        prop_assert!(after.as_ref().is_ok_and(|after| !after.is_transient()), "{:?} -> {:?}", before, after);
    }

    #[test]
    fn an_unfinished_operation_ends_at_its_deadline_and_when_it_is_cancelled(case in cases()) {
        let Some(operation) = case.unfinished() else { return Ok(()) };
        if case.now >= operation.deadline || operation.cancel.is_some() {
            let decision = case.decide();
            prop_assert!(matches!(decision, Decision::End { .. } | Decision::Leave), "{:?}", decision);
        }
    }

    #[test]
    fn an_operation_ends_with_a_reason_unless_it_succeeded(case in cases()) {
        let Decision::End { status, reason, .. } = case.decide() else { return Ok(()) };
        prop_assert!(case.unfinished().is_some());
        prop_assert!(!status.is_unfinished());
        prop_assert_eq!(reason.is_none(), status == OperationStatus::Succeeded);
    }

    #[test]
    fn a_cluster_is_removed_only_when_nothing_exists_or_can_appear(case in cases()) {
        if case.decide() == Decision::Leave {
            match case.unfinished().map(|operation| &operation.kind) {
                Some(OperationKind::Destroy) => {
                    prop_assert!(matches!(case.observation, Ok(Observation::Absent)));
                    prop_assert!(!case.ledger.is_uncertain(case.now));
                }
                // Nothing was made for an attached cluster.
                Some(OperationKind::Detach) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn the_provider_is_not_called_before_the_next_attempt(case in cases()) {
        if let (Decision::Call(call), Some(operation)) = (case.decide(), case.unfinished()) {
            prop_assert!(operation.next_attempt_at.is_none_or(|at| at <= case.now), "{:?}", call);
        }
    }

    #[test]
    fn every_call_belongs_to_the_requested_operation(case in cases()) {
        let Decision::Call(call) = case.decide() else { return Ok(()) };
        match (call, case.unfinished().map(|operation| &operation.kind)) {
            (Call::Deploy | Call::Kubeconfig, Some(OperationKind::Deploy))
            | (Call::Destroy, Some(OperationKind::Destroy)) => {}
            (Call::Resize(to), Some(OperationKind::Resize { node_count })) => prop_assert_eq!(to, *node_count),
            (Call::SetNetworkPolicy(to), Some(OperationKind::SetNetworkPolicy { policy })) => {
                prop_assert_eq!(&to, policy);
            }
            // It changes nothing.
            (Call::Kubeconfig, None) => {}
            (call, kind) => prop_assert!(false, "{:?} for {:?}", call, kind),
        }
    }

    #[test]
    fn an_unfinished_operation_is_always_continued(case in cases()) {
        let decision = case.decide();
        if case.unfinished().is_some() {
            prop_assert!(!matches!(decision, Decision::Rest | Decision::Move(_)), "{:?}", decision);
        } else {
            prop_assert!(!matches!(decision, Decision::Wait(_) | Decision::End { .. } | Decision::Leave), "{:?}", decision);
            // A transient state without an operation is ended whatever the provider answers.
            let stuck = case.cluster.lifecycle.is_transient() && !matches!(decision, Decision::Move(_));
            prop_assert!(!stuck, "{:?}", decision);
        }
    }
}
