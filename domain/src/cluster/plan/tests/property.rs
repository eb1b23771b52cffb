//! What holds of every decision, whatever is stored and observed.

use proptest::prelude::*;

use super::{super::*, arbitrary::cases};

proptest! {
    #[test]
    fn every_proposed_event_is_accepted_and_leads_to_rest(case in cases()) {
        let (Decision::End { event, .. } | Decision::Move(event)) = case.decide() else { return Ok(()) };
        let before = case.cluster.lifecycle;
        let after = before.clone().on(event);
        prop_assert!(after.as_ref().is_ok_and(|after| !after.is_transient()), "{:?} -> {:?}", before, after);
    }

    #[test]
    fn an_unfinished_operation_ends_at_its_deadline_and_when_it_is_cancelled(case in cases()) {
        let Some(operation) = case.unfinished() else { return Ok(()) };
        if case.now >= operation.deadline || operation.cancel.is_some() {
            let step = case.decide();
            prop_assert!(matches!(step, Decision::End { .. } | Decision::Leave), "{:?}", step);
        }
    }

    #[test]
    fn an_operation_ends_for_good_and_only_success_has_no_reason(case in cases()) {
        let Decision::End { status, reason, .. } = case.decide() else { return Ok(()) };
        prop_assert!(case.unfinished().is_some());
        prop_assert!(!status.is_unfinished());
        prop_assert_eq!(reason.is_none(), status == OperationStatus::Succeeded);
    }

    #[test]
    fn a_record_leaves_only_when_nothing_is_or_will_be_there(case in cases()) {
        if case.decide() == Decision::Leave {
            match case.unfinished().map(|operation| &operation.kind) {
                Some(OperationKind::Destroy) => {
                    prop_assert!(matches!(case.observation, Ok(Observation::Absent)));
                    prop_assert!(!case.ledger.is_uncertain(case.now));
                }
                // Nothing was made for what was attached.
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
    fn nothing_is_done_that_was_not_asked_for(case in cases()) {
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
    fn what_is_under_way_is_never_left_alone(case in cases()) {
        let step = case.decide();
        if case.unfinished().is_some() {
            prop_assert!(!matches!(step, Decision::Rest | Decision::Move(_)), "{:?}", step);
        } else {
            prop_assert!(!matches!(step, Decision::Wait(_) | Decision::End { .. } | Decision::Leave), "{:?}", step);
            // A state in which something is under way, when nothing is, is ended whatever the provider says.
            let stuck = case.cluster.lifecycle.is_transient() && !matches!(step, Decision::Move(_));
            prop_assert!(!stuck, "{:?}", step);
        }
    }
}
