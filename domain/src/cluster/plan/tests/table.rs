//! The decision in every situation: a row for each observation, a column for each progress of the operation, and in each cell the word
//! for the decision (see [`word`]). `observations` and `progress` define the names of rows and columns.

use std::collections::{BTreeSet, HashMap};

use chrono::TimeDelta;

use super::{super::*, case::*};
use crate::{
    cluster::tests::{because, cluster, states},
    id::UserId,
    ledger::RecordState,
    operation::StepOutcome,
};

/// Cells by row and column.
struct Table {
    columns: Vec<&'static str>,
    rows: HashMap<&'static str, Vec<&'static str>>,
    used: BTreeSet<&'static str>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(str::split_whitespace);
        let columns: Vec<_> = lines.next().unwrap().collect();
        let mut rows = HashMap::new();
        for mut line in lines {
            let (name, cells) = (line.next().unwrap(), line.collect::<Vec<_>>());
            assert_eq!(cells.len(), columns.len(), "row {name}");
            assert!(rows.insert(name, cells).is_none(), "row {name} is repeated");
        }
        Self { columns, rows, used: BTreeSet::new() }
    }

    /// The cell for an observation. A row may cover only one kind of `running`, or apply only with one of the `facts`.
    fn cell(&mut self, observed: &str, facts: &[&str], column: &str) -> &'static str {
        let kind = observed.split('-').next().unwrap();
        let special = facts.iter().map(|fact| format!("{kind}+{fact}"));
        let candidates: Vec<String> = special.chain([observed.into(), kind.into()]).collect();
        let row = candidates.iter().find_map(|name| self.rows.get_key_value(name.as_str()));
        let (name, cells) = row.unwrap_or_else(|| panic!("no row for {observed}"));
        self.used.insert(name);
        cells[self.columns.iter().position(|name| *name == column).unwrap()]
    }

    /// Every row must have been used.
    fn close(self) {
        let all: BTreeSet<_> = self.rows.into_keys().collect();
        assert_eq!(self.used, all);
    }
}

/// How an operation is limited in time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    BeforeTheDeadline,
    AtTheDeadline,
    PastTheDeadline,
    Cancelled,
    CancelledPastTheDeadline,
}

const LIMITS: [Limit; 5] = [
    Limit::BeforeTheDeadline,
    Limit::AtTheDeadline,
    Limit::PastTheDeadline,
    Limit::Cancelled,
    Limit::CancelledPastTheDeadline,
];

impl Limit {
    fn of(self, operation: &Operation) -> Operation {
        let mut operation = operation.clone();
        if matches!(self, Self::Cancelled | Self::CancelledPastTheDeadline) {
            operation.cancel = Some((UserId::random(), now()));
        }
        operation.deadline = match self {
            Self::BeforeTheDeadline | Self::Cancelled => now() + TimeDelta::seconds(1),
            Self::AtTheDeadline => now(),
            Self::PastTheDeadline | Self::CancelledPastTheDeadline => now() - TimeDelta::hours(1),
        };
        operation
    }

    /// A decision that ends the operation is kept; at a limit, every other one becomes the end of the operation.
    fn word(self, cell: &'static str, cancelled: &'static str) -> &'static str {
        let ends = cell == "done" || cell == "leave" || cell.starts_with('!');
        match self {
            _ if ends => cell,
            Self::BeforeTheDeadline => cell,
            Self::AtTheDeadline | Self::PastTheDeadline => "timed-out",
            Self::Cancelled | Self::CancelledPastTheDeadline => cancelled,
        }
    }
}

/// Compares every decision about operations of a kind with `table`. `state` is the state of the cluster during such an operation;
/// `cancelled` gives the word for cancelling it.
fn check(
    kind: &OperationKind,
    step: StepKind,
    state: &Lifecycle,
    table: &'static str,
    cancelled: impl Fn(&str) -> &'static str,
) {
    let mut table = Table::read(table);
    let mut columns = progress(kind, step);
    columns.retain(|(column, _)| table.columns.contains(column));
    assert_eq!(columns.len(), table.columns.len());
    let operations: Vec<(&str, Limit, Operation)> = columns
        .iter()
        .flat_map(|(column, operations)| operations.iter().map(move |operation| (*column, operation)))
        .flat_map(|(column, operation)| LIMITS.map(|limit| (column, limit, limit.of(operation))))
        .collect();
    for (ledger, has_kubeconfig, facts) in contexts() {
        for (observed, observation) in observations() {
            for (column, limit, operation) in &operations {
                let decide = |lifecycle: &Lifecycle| {
                    let cluster = Cluster { has_kubeconfig, ..cluster(lifecycle.clone(), now()) };
                    let (operation, ledger, observation) = (Some(operation), &ledger, &observation);
                    plan(&Situation { cluster: &cluster, operation, ledger, observation, now: now() })
                };
                let decision = decide(state);
                let expected = limit.word(table.cell(observed, &facts, column), cancelled(column));
                assert_eq!(word(&decision), expected, "{observed} {facts:?}, {column}, {limit:?}: {operation:?}");
                for other in states() {
                    assert_eq!(decide(&other), fitting(decision.clone(), &other), "{other:?}: {operation:?}");
                }
            }
        }
    }
    table.close();
}

/// Ledgers, whether there is a kubeconfig, and the resulting facts: the ledger is `unsure` while a call may still make something.
fn contexts() -> impl Iterator<Item = (Ledger, bool, Vec<&'static str>)> {
    let records = [("a", RecordState::Present), ("b", RecordState::Intended)];
    let second = TimeDelta::seconds(1);
    let ledgers = [
        (ledger(&[], None), None),
        (ledger(&records, None), None),
        (ledger(&records, Some(now())), None),
        (ledger(&[], Some(now() + second)), Some("unsure")),
        (ledger(&records, Some(now() + second)), Some("unsure")),
    ];
    ledgers.into_iter().flat_map(|(ledger, unsure)| {
        [None, Some("kubeconfig")]
            .map(|kubeconfig| (ledger.clone(), kubeconfig.is_some(), unsure.into_iter().chain(kubeconfig).collect()))
    })
}

/// The decision for a cluster whose stored state does not match its operation: the same, except that an end whose event is illegal in
/// that state is a failure.
fn fitting(decision: Decision, lifecycle: &Lifecycle) -> Decision {
    match decision {
        Decision::End { status, reason, event } if lifecycle.clone().on(event.clone()).is_err() => {
            let event = ClusterEvent::EngineFailed(reason.clone().unwrap_or_else(interrupted));
            Decision::End { status, reason, event }
        }
        other => other,
    }
}

#[test]
fn decisions_while_deploying_match_the_table() {
    // A missing cluster is created until the provider shows it; after an accepted call it is waited for. The kubeconfig is the last step. A
    // broken cluster is created once. A provider that rejects us ends an operation without a call; otherwise the operation waits.
    let table = "
                            unsent        unanswered    due           held          settling      accepted      fetching      fetch-held
        absent              create        create        create        (create)      (wait)        create        create        (create)
        incomplete          create        create        create        (create)      create        create        create        (create)
        working             (wait)        (wait)        (wait)        (wait)        (wait)        (wait)        (wait)        (wait)
        removing            (wait)        (wait)        (wait)        (wait)        (wait)        (wait)        (wait)        (wait)
        running             kubeconfig    kubeconfig    kubeconfig    (kubeconfig)  kubeconfig    kubeconfig    kubeconfig    (kubeconfig)
        running+kubeconfig  done          done          done          done          done          done          done          done
        broken              create        create        create        (create)      (wait)        !broken       !broken       !broken
        unsupported         !unsupported  !unsupported  !unsupported  !unsupported  !unsupported  !unsupported  !unsupported  !unsupported
        rejected            !rejected     (create)      (create)      (create)      (wait)        (wait)        (kubeconfig)  (kubeconfig)
        denied              !denied       (create)      (create)      (create)      (wait)        (wait)        (kubeconfig)  (kubeconfig)
        busy                (wait)        (create)      (create)      (create)      (wait)        (wait)        (kubeconfig)  (kubeconfig)
        throttled           (wait)        (create)      (create)      (create)      (wait)        (wait)        (kubeconfig)  (kubeconfig)
        unreachable         (wait)        (create)      (create)      (create)      (wait)        (wait)        (kubeconfig)  (kubeconfig)";
    check(&OperationKind::Deploy, StepKind::Create, &Lifecycle::Deploying, table, |_| "stopped");
}

/// Resizing and switching network policy differ only in the call, which is `CALL` in this table.
const CHANGE: &str = "
                       unsent        unanswered    due           held          settling      accepted
    absent             !vanished     !vanished     !vanished     !vanished     !vanished     !vanished
    incomplete         !incomplete   !incomplete   !incomplete   !incomplete   !incomplete   !incomplete
    removing           !removing     !removing     !removing     !removing     !removing     !removing
    working            (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    running-as-asked   done          done          done          done          done          done
    running-otherwise  CALL          CALL          CALL          (CALL)        (wait)        CALL
    running-unknown    CALL          CALL          CALL          (CALL)        (wait)        done
    broken             CALL          CALL          CALL          (CALL)        (wait)        !broken
    unsupported        !unsupported  !unsupported  !unsupported  !unsupported  !unsupported  !unsupported
    rejected           !rejected     (CALL)        (CALL)        (CALL)        (wait)        (wait)
    denied             !denied       (CALL)        (CALL)        (CALL)        (wait)        (wait)
    busy               (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    throttled          (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    unreachable        (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)";

#[test]
fn decisions_while_changing_match_the_table() {
    // A change is done when the provider shows it or, where it cannot show it, has accepted the call. An accepted change that does not show
    // is called again. An incomplete cluster is not changed.
    for (kind, step) in [(resize(), StepKind::Resize), (set_policy(), StepKind::SetNetworkPolicy)] {
        let table = CHANGE.replace("CALL", step.as_str()).leak();
        check(&kind, step, &Lifecycle::Updating, table, |_| "released");
    }
}

#[test]
fn decisions_while_destroying_match_the_table() {
    // Whatever exists is deleted, repeatedly if needed; no error of the provider ends that before the deadline. The record is removed when
    // nothing exists and no open call may still make something. If the operation is cancelled before any call, the cluster is unchanged.
    let table = "
                        unsent    unanswered  due       held      settling  accepted
        absent          leave     leave       leave     leave     leave     leave
        absent+unsure   (verify)  (verify)    (verify)  (verify)  (verify)  (verify)
        incomplete      delete    delete      delete    (delete)  (verify)  delete
        working         delete    delete      delete    (delete)  (verify)  delete
        running         delete    delete      delete    (delete)  (verify)  delete
        broken          delete    delete      delete    (delete)  (verify)  delete
        removing        (verify)  (verify)    (verify)  (verify)  (verify)  (verify)
        unsupported     (verify)  (delete)    (delete)  (delete)  (verify)  (verify)
        rejected        (verify)  (delete)    (delete)  (delete)  (verify)  (verify)
        denied          (verify)  (delete)    (delete)  (delete)  (verify)  (verify)
        busy            (verify)  (delete)    (delete)  (delete)  (verify)  (verify)
        throttled       (verify)  (delete)    (delete)  (delete)  (verify)  (verify)
        unreachable     (verify)  (delete)    (delete)  (delete)  (verify)  (verify)";
    let cancelled = |column: &str| if column == "unsent" { "released" } else { "stopped" };
    check(&OperationKind::Destroy, StepKind::Delete, &Lifecycle::Destroying, table, cancelled);
}

#[test]
fn a_detached_cluster_is_removed_whatever_is_observed() {
    // An attached cluster was not made here: its provider does not matter.
    let everything: String = observations().into_iter().map(|(observed, _)| format!("{observed} leave\n")).collect();
    let table = format!("unsent\n{everything}").leak();
    check(&OperationKind::Detach, StepKind::Delete, &Lifecycle::Destroying, table, |_| "leave");
}

/// An operation that has ended.
fn ended(kind: OperationKind, status: OperationStatus, sent: Option<StepKind>) -> Operation {
    let mut operation = requested(kind);
    if let Some(step) = sent {
        operation.begin(step, now() - TimeDelta::minutes(9));
        operation.end_step(StepOutcome::Done, None, now() - TimeDelta::minutes(9));
    }
    let reason = (status != OperationStatus::Succeeded).then(|| because("it ended so"));
    operation.end(status, reason, now() - TimeDelta::minutes(1));
    operation
}

#[test]
fn decisions_at_rest_match_the_table() {
    use OperationStatus::{Cancelled, Failed, Succeeded};
    // A cluster at rest follows what its provider shows: it fails, vanishes and recovers. One whose deployment was cancelled, or that was to
    // be destroyed, does not recover, because a user decided otherwise. While the provider cannot be read, the state stays. A transient
    // state without an operation is a leftover, and is ended.
    let mut table = Table::read(
        "
                            ready             failed      unwanted  transient
        absent              fails:vanished    rest        rest      fails:interrupted
        incomplete          fails:incomplete  rest        rest      fails:interrupted
        working             rest              rest        rest      fails:interrupted
        running             kubeconfig        kubeconfig  rest      fails:interrupted
        running+kubeconfig  rest              well        rest      fails:interrupted
        removing            fails:removing    rest        rest      fails:interrupted
        broken              fails:broken      rest        rest      fails:interrupted
        unsupported         rest              rest        rest      fails:interrupted
        rejected            rest              rest        rest      fails:interrupted
        denied              rest              rest        rest      fails:interrupted
        busy                rest              rest        rest      fails:interrupted
        throttled           rest              rest        rest      fails:interrupted
        unreachable         rest              rest        rest      fails:interrupted",
    );
    let wanted = vec![
        None,
        Some(ended(OperationKind::Deploy, Succeeded, Some(StepKind::Create))),
        Some(ended(OperationKind::Deploy, Failed, Some(StepKind::Create))),
        Some(ended(resize(), Succeeded, Some(StepKind::Resize))),
        Some(ended(resize(), Failed, Some(StepKind::Resize))),
        // The cluster was released: later changes have nothing to do with the operation.
        Some(ended(resize(), Cancelled, Some(StepKind::Resize))),
        Some(ended(set_policy(), Cancelled, None)),
        Some(ended(OperationKind::Destroy, Cancelled, None)),
    ];
    let unwanted = vec![
        Some(ended(OperationKind::Deploy, Cancelled, None)),
        Some(ended(OperationKind::Deploy, Cancelled, Some(StepKind::Create))),
        Some(ended(OperationKind::Destroy, Failed, None)),
        Some(ended(OperationKind::Destroy, Failed, Some(StepKind::Delete))),
        Some(ended(OperationKind::Destroy, Cancelled, Some(StepKind::Delete))),
    ];
    let any = [wanted.clone(), unwanted.clone()].concat();
    let failed = || Lifecycle::Failed { reason: because("before") };
    let columns = [
        ("ready", vec![Lifecycle::Ready], any.clone()),
        ("failed", vec![failed()], wanted),
        ("unwanted", vec![failed()], unwanted),
        ("transient", vec![Lifecycle::Deploying, Lifecycle::Updating, Lifecycle::Destroying], any),
    ];
    // The ledger is not used at rest.
    let ledger = ledger(&[], None);
    for (observed, observation) in observations() {
        for (column, lifecycles, operations) in &columns {
            for (lifecycle, has_kubeconfig) in lifecycles.iter().flat_map(|it| [(it, false), (it, true)]) {
                let facts: &[&str] = if has_kubeconfig { &["kubeconfig"] } else { &[] };
                let cell = table.cell(observed, facts, column);
                let mut cluster = cluster(lifecycle.clone(), now());
                cluster.has_kubeconfig = has_kubeconfig;
                for operation in operations {
                    let operation = operation.as_ref();
                    let observation = &observation;
                    let decision =
                        plan(&Situation { cluster: &cluster, operation, ledger: &ledger, observation, now: now() });
                    assert_eq!(word(&decision), cell, "{observed} {facts:?}, {lifecycle:?} after {operation:?}");
                }
            }
        }
    }
    table.close();
}

#[test]
fn the_policy_provider_matters_only_while_the_policy_is_on() {
    let rows = [
        (policy("CALICO", true), policy("CALICO", true), "done"),
        (policy("CALICO", true), policy("AZURE", true), "asked"),
        (policy("CALICO", true), policy("CALICO", false), "asked"),
        (policy("CALICO", false), policy("CALICO", false), "done"),
        (policy("CALICO", false), policy("AZURE", false), "done"),
        (policy("CALICO", false), policy("CALICO", true), "asked"),
    ];
    for (requested_policy, shown, expected) in rows {
        let operation = requested(OperationKind::SetNetworkPolicy { policy: requested_policy.clone() });
        let observation = Ok(Observation::Present(ObservedCluster {
            network_policy: Some(shown.clone()),
            ..observed_cluster(ProvisioningState::Running)
        }));
        let decision = plan(&Situation {
            cluster: &cluster(Lifecycle::Updating, now()),
            operation: Some(&operation),
            ledger: &ledger(&[], None),
            observation: &observation,
            now: now(),
        });
        let expected = if expected == "done" {
            succeeded()
        } else {
            Decision::Call(Call::SetNetworkPolicy(requested_policy.clone()))
        };
        assert_eq!(decision, expected, "{requested_policy:?} {shown:?}");
    }
}

#[test]
fn a_cluster_that_breaks_after_progress_fails_at_once() {
    let observation = Ok(Observation::Present(observed_cluster(ProvisioningState::Broken(because("broken")))));
    for (kind, step, lifecycle) in [
        (OperationKind::Deploy, StepKind::Create, Lifecycle::Deploying),
        (resize(), StepKind::Resize, Lifecycle::Updating),
        (set_policy(), StepKind::SetNetworkPolicy, Lifecycle::Updating),
    ] {
        let mut operation = requested(kind);
        operation.note_progress();
        let decide = |operation: &Operation| {
            let (cluster, ledger) = (cluster(lifecycle.clone(), now()), ledger(&[], None));
            let operation = Some(operation);
            word(&plan(&Situation {
                cluster: &cluster,
                operation,
                ledger: &ledger,
                observation: &observation,
                now: now(),
            }))
        };
        assert_eq!(decide(&operation), step.as_str(), "no call was sent that it could be working on");
        operation.begin(step, now() - TimeDelta::seconds(2));
        operation.end_step(StepOutcome::Done, None, now() - TimeDelta::seconds(1));
        assert_eq!(decide(&operation), "(wait)", "the failure may be older than the call");
        operation.note_progress();
        operation.begin(StepKind::Wait, now());
        assert_eq!(decide(&operation), "!broken");
        // A repeated call must show progress again.
        operation.begin(step, now());
        operation.end_step(StepOutcome::Done, None, now());
        assert_eq!(decide(&operation), "(wait)");
    }
}
