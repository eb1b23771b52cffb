//! What is decided in every situation: a row for what is observed, a column for how far the operation is, and in each cell the word for
//! the decision (see [`word`]). `observations` and `progress` tell what the words stand for.

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
            assert!(rows.insert(name, cells).is_none(), "row {name} is there twice");
        }
        Self { columns, rows, used: BTreeSet::new() }
    }

    /// The cell for what is observed. A row may be for one way to run alone, or only for when something `besides` holds.
    fn cell(&mut self, observed: &str, besides: &[&str], column: &str) -> &'static str {
        let kind = observed.split('-').next().unwrap();
        let special = besides.iter().map(|fact| format!("{kind}+{fact}"));
        let candidates: Vec<String> = special.chain([observed.into(), kind.into()]).collect();
        let row = candidates.iter().find_map(|name| self.rows.get_key_value(name.as_str()));
        let (name, cells) = row.unwrap_or_else(|| panic!("no row for {observed}"));
        self.used.insert(name);
        cells[self.columns.iter().position(|name| *name == column).unwrap()]
    }

    /// Every row must have been about something.
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

    /// What has an end by itself ends so; the rest ends here, one way or the other.
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

/// Compares every decision about operations of a kind with `table`. `own` is the state a cluster is in during such an operation;
/// `cancelled` tells what cancelling it leads to.
fn check(
    kind: &OperationKind,
    step: StepKind,
    own: &Lifecycle,
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
    for (ledger, has_kubeconfig, besides) in surroundings() {
        for (observed, observation) in observations() {
            for (column, limit, operation) in &operations {
                let decide = |lifecycle: &Lifecycle| {
                    let cluster = Cluster { has_kubeconfig, ..cluster(lifecycle.clone(), now()) };
                    let (operation, ledger, observation) = (Some(operation), &ledger, &observation);
                    plan(&Situation { cluster: &cluster, operation, ledger, observation, now: now() })
                };
                let decision = decide(own);
                let expected = limit.word(table.cell(observed, &besides, column), cancelled(column));
                assert_eq!(word(&decision), expected, "{observed} {besides:?}, {column}, {limit:?}: {operation:?}");
                for other in states() {
                    assert_eq!(decide(&other), fitting(decision.clone(), &other), "{other:?}: {operation:?}");
                }
            }
        }
    }
    table.close();
}

/// Ledgers, whether there is a kubeconfig, and which facts that makes: the ledger is `unsure` while a call may still make something.
fn surroundings() -> impl Iterator<Item = (Ledger, bool, Vec<&'static str>)> {
    let rows = [("a", RecordState::Present), ("b", RecordState::Intended)];
    let second = TimeDelta::seconds(1);
    let ledgers = [
        (ledger(&[], None), None),
        (ledger(&rows, None), None),
        (ledger(&rows, Some(now())), None),
        (ledger(&[], Some(now() + second)), Some("unsure")),
        (ledger(&rows, Some(now() + second)), Some("unsure")),
    ];
    ledgers.into_iter().flat_map(|(ledger, unsure)| {
        [None, Some("kubeconfig")]
            .map(|kubeconfig| (ledger.clone(), kubeconfig.is_some(), unsure.into_iter().chain(kubeconfig).collect()))
    })
}

/// The decision for a cluster that is stored in a state that does not go with its operation: the same, but when the operation ends,
/// what cannot happen in that state is a failure.
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
fn deploying() {
    // What is missing is asked for until the provider shows it; what it was asked for is waited for. A kubeconfig is the last step. What
    // is broken is asked for once. A provider that will not talk to us ends what was not begun, and is waited for otherwise.
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

/// Resizing and switching network policy differ in nothing but the call, which is `CALL` in this table.
const CHANGE: &str = "
                       unsent        unanswered    due           held          settling      accepted
    absent             !vanished     !vanished     !vanished     !vanished     !vanished     !vanished
    incomplete         !incomplete   !incomplete   !incomplete   !incomplete   !incomplete   !incomplete
    removing           !removing     !removing     !removing     !removing     !removing     !removing
    working            (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    running-as-asked   done          done          done          done          done          done
    running-otherwise  CALL          CALL          CALL          (CALL)        (wait)        CALL
    running-untold     CALL          CALL          CALL          (CALL)        (wait)        done
    broken             CALL          CALL          CALL          (CALL)        (wait)        !broken
    unsupported        !unsupported  !unsupported  !unsupported  !unsupported  !unsupported  !unsupported
    rejected           !rejected     (CALL)        (CALL)        (CALL)        (wait)        (wait)
    denied             !denied       (CALL)        (CALL)        (CALL)        (wait)        (wait)
    busy               (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    throttled          (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)
    unreachable        (wait)        (CALL)        (CALL)        (CALL)        (wait)        (wait)";

#[test]
fn changing() {
    // Only what the provider shows counts as done; where it cannot show it, that it has accepted the call. It is asked again for what it
    // accepted and does not show. A cluster that is not whole is not changed.
    for (kind, step) in [(resize(), StepKind::Resize), (set_policy(), StepKind::SetNetworkPolicy)] {
        let table = CHANGE.replace("CALL", step.as_str()).leak();
        check(&kind, step, &Lifecycle::Updating, table, |_| "released");
    }
}

#[test]
fn destroying() {
    // Whatever is there is to go, and is asked to until it does; no trouble with the provider ends that before the deadline. The record
    // leaves when nothing is there and no call is open that may still make something. Cancelled before anything was sent, the cluster
    // is as it was.
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
fn detaching() {
    // What was attached was not made here: no provider has a say in it.
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
fn at_rest() {
    use OperationStatus::{Cancelled, Failed, Succeeded};
    // A cluster that nothing is done to follows what its provider shows: it fails, vanishes and recovers. One whose making was stopped, or
    // that was to be destroyed, does not become well by itself: somebody wanted it otherwise. While the provider cannot be read, what is
    // known stays. A state that says that something is under way when nothing is was left behind, and is ended.
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
        // The cluster was released: whatever it does afterwards, it does on its own.
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
    // The ledger is not even read then.
    let ledger = ledger(&[], None);
    for (observed, observation) in observations() {
        for (column, lifecycles, operations) in &columns {
            for (lifecycle, has_kubeconfig) in lifecycles.iter().flat_map(|it| [(it, false), (it, true)]) {
                let besides: &[&str] = if has_kubeconfig { &["kubeconfig"] } else { &[] };
                let cell = table.cell(observed, besides, column);
                let mut cluster = cluster(lifecycle.clone(), now());
                cluster.has_kubeconfig = has_kubeconfig;
                for operation in operations {
                    let operation = operation.as_ref();
                    let observation = &observation;
                    let decision =
                        plan(&Situation { cluster: &cluster, operation, ledger: &ledger, observation, now: now() });
                    assert_eq!(word(&decision), cell, "{observed} {besides:?}, {lifecycle:?} after {operation:?}");
                }
            }
        }
    }
    table.close();
}

#[test]
fn who_enforces_a_policy_matters_only_while_it_is_on() {
    let rows = [
        (policy("CALICO", true), policy("CALICO", true), "done"),
        (policy("CALICO", true), policy("AZURE", true), "asked"),
        (policy("CALICO", true), policy("CALICO", false), "asked"),
        (policy("CALICO", false), policy("CALICO", false), "done"),
        (policy("CALICO", false), policy("AZURE", false), "done"),
        (policy("CALICO", false), policy("CALICO", true), "asked"),
    ];
    for (asked, shown, expected) in rows {
        let operation = requested(OperationKind::SetNetworkPolicy { policy: asked.clone() });
        let observation = Ok(Observation::Present(ObservedCluster {
            network_policy: Some(shown.clone()),
            ..seen(ProvisioningState::Running)
        }));
        let decision = plan(&Situation {
            cluster: &cluster(Lifecycle::Updating, now()),
            operation: Some(&operation),
            ledger: &ledger(&[], None),
            observation: &observation,
            now: now(),
        });
        let expected =
            if expected == "done" { succeeded() } else { Decision::Call(Call::SetNetworkPolicy(asked.clone())) };
        assert_eq!(decision, expected, "{asked:?} {shown:?}");
    }
}

#[test]
fn what_breaks_once_it_was_taken_up_has_failed_at_once() {
    let observation = Ok(Observation::Present(seen(ProvisioningState::Broken(because("broken")))));
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
        assert_eq!(decide(&operation), step.as_str(), "nothing was asked for that it could be at work on");
        operation.begin(step, now() - TimeDelta::seconds(2));
        operation.end_step(StepOutcome::Done, None, now() - TimeDelta::seconds(1));
        assert_eq!(decide(&operation), "(wait)", "it may be from before");
        operation.note_progress();
        operation.begin(StepKind::Wait, now());
        assert_eq!(decide(&operation), "!broken");
        // What is asked for once more is one more thing to be taken up.
        operation.begin(step, now());
        operation.end_step(StepOutcome::Done, None, now());
        assert_eq!(decide(&operation), "(wait)");
    }
}
