//! Every format that was ever written is listed here as bytes and must stay readable.

use kqueen_domain::{
    cluster::{Cluster, Lifecycle, Phase},
    ledger::{Ledger, RecordState},
    observation::{ObservedStatus, ProbeResult},
    operation::{Operation, OperationKind, OperationStatus},
    organization::Organization,
    orphan::{Orphan, OrphanState},
    provisioner::{Checked, Provisioner, ProvisionerPhase},
    reason::{Reason, ReasonCode, Responsible},
    timeline::{TimelineEvent, Tombstone},
    user::{AuthMethod, Role, User},
};

use super::{Record, Unreadable, read, written};

const ORGANIZATION_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","name":"Demo Org","namespace":"demoorg","policy":{"cluster:create":"IS_ADMIN"},"created_at":"2026-03-01T10:00:00.123456789Z"}}"#;
const USER_0: &str = r#"{"format":0,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","username":"ann","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","role":"admin","active":true,"auth":"local","created_at":"2026-03-01T10:00:00Z"}}"#;
const USER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","username":"ann","email":"Ann@example.org","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","role":"superadmin","active":false,"auth":"ldap","metadata":{"tz":"Europe/Prague"},"token_generation":3,"created_at":"2026-03-01T10:00:00Z"}}"#;
const PROVISIONER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","name":"GKE","engine":"kqueen.engines.GceEngine","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","parameters":{"project":"p","service_account":"*******"},"check":{"phase":"not_reachable","reason":"nothing answers","at":"2026-03-01T10:00:01Z"},"state_changed_at":"2026-03-01T10:00:01Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const CLUSTER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","metadata":{"node_count":3},"has_kubeconfig":true,"state":"failed","reason":"quota","changed_at":"2026-03-01T10:00:02Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const SIGHTING_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","outcome":"silent","said":"connection refused","version":"v1.37.2","phase":"unknown","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;

const CLUSTER_2: &str = r#"{"format":2,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","metadata":{"node_count":3},"has_kubeconfig":true,"state":"failed","reason":{"cause":"quota","fixer":"admin","next_step":"raise it","words":"QUOTA_EXCEEDED"},"operation":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","changed_at":"2026-03-01T10:00:02Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const SIGHTING_2: &str = r#"{"format":2,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","look":{"outcome":"silent","said":"connection refused"},"told":{"progress":40,"node_count":3,"network_policy":{"provider":"CALICO","enabled":true},"words":"RECONCILING","trouble":{"cause":"time-out","fixer":"provider"}},"version":"v1.37.2","phase":"unknown","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;
const BARE_SIGHTING_2: &str = r#"{"format":2,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","phase":"ready","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;
const CHECK_1: &str = r#"{"format":1,"record":{"provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","check":{"phase":"failed","reason":"401","at":"2026-03-01T10:00:01Z"},"state_changed_at":"2026-03-01T09:00:01Z"}}"#;
const OPERATION_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","asked":{"kind":"resize","node_count":5},"requested_by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","requested_at":"2026-03-01T10:00:00Z","deadline":"2026-03-01T11:00:00Z","status":"cancelled","attempt":2,"failures":3,"next_attempt_at":"2026-03-01T10:01:00Z","cancel":{"by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","at":"2026-03-01T10:02:00Z"},"ended_at":"2026-03-01T10:03:00Z","reason":{"cause":"stopped","fixer":"requester"},"steps":[{"kind":"resize","started_at":"2026-03-01T10:00:01Z","tries":1,"tried_at":"2026-03-01T10:00:01Z","ended_at":"2026-03-01T10:00:02Z","outcome":"done"},{"kind":"wait","started_at":"2026-03-01T10:00:02Z","tries":4,"tried_at":"2026-03-01T10:00:09Z","reason":{"cause":"busy","fixer":"provider"}}]}}"#;
const BARE_OPERATION_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","asked":{"kind":"set_network_policy","provider":"CALICO","enabled":false},"requested_by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","requested_at":"2026-03-01T10:00:00Z","deadline":"2026-03-01T11:00:00Z","status":"pending","attempt":1}}"#;
const LEDGER_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","rows":[{"kind":"server","name":"kqueen-1","place":"here","provider_id":"17","state":"deleting","since":"2026-03-01T10:00:00Z"},{"kind":"stack","name":"kqueen","state":"intended","since":"2026-03-01T10:00:00Z"}],"uncertain_until":"2026-03-01T10:00:00Z"}}"#;
const ENTRY_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","at":"2026-03-01T10:00:00.123456789Z","happening":"asked","message":"asked to deploy the cluster","operation":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","reason":{"cause":"quota","fixer":"operator"}}}"#;
const DEPARTED_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","at":"2026-03-01T10:00:00Z"}}"#;
const ORPHAN_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","rows":[{"kind":"stack","name":"kqueen","state":"present","since":"2026-03-01T10:00:00Z"}],"stands":{"state":"deleting","by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","since":"2026-03-01T10:00:05Z","trouble":{"cause":"busy","fixer":"provider"}},"listed_at":"2026-03-01T10:00:00Z","seen_at":"2026-03-01T10:00:01Z"}}"#;

// As they are written today.
const CLUSTER_3: &str = r#"{"format":3,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","metadata":{"node_count":3},"has_kubeconfig":true,"state":"failed","reason":{"code":"Unknown","cause":"quota","responsible":"admin","next_step":"raise it","provider_message":"QUOTA_EXCEEDED"},"operation":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","changed_at":"2026-03-01T10:00:02Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const OBSERVED_3: &str = r#"{"format":3,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","probe":{"outcome":"no_answer","code":"Unknown","reason":"connection refused"},"provider":{"progress":40,"node_count":3,"network_policy":{"provider":"CALICO","enabled":true},"message":"RECONCILING","last_error":{"code":"Unknown","cause":"time-out","responsible":"provider"}},"version":"v1.37.2","phase":"unknown","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;
const BARE_OBSERVED_3: &str = r#"{"format":3,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","phase":"ready","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;
const OPERATION_2: &str = r#"{"format":2,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","asked":{"kind":"resize","node_count":5},"requested_by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","requested_at":"2026-03-01T10:00:00Z","deadline":"2026-03-01T11:00:00Z","status":"cancelled","attempt":2,"failures":3,"was_taken_up":true,"next_attempt_at":"2026-03-01T10:01:00Z","cancel":{"by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","at":"2026-03-01T10:02:00Z"},"ended_at":"2026-03-01T10:03:00Z","reason":{"code":"Unknown","cause":"stopped","responsible":"requester"},"steps":[{"kind":"resize","started_at":"2026-03-01T10:00:01Z","tries":1,"tried_at":"2026-03-01T10:00:01Z","ended_at":"2026-03-01T10:00:02Z","outcome":"done"},{"kind":"wait","started_at":"2026-03-01T10:00:02Z","tries":4,"tried_at":"2026-03-01T10:00:09Z","reason":{"code":"Unknown","cause":"busy","responsible":"provider"}}]}}"#;
const BARE_OPERATION_2: &str = r#"{"format":2,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","asked":{"kind":"set_network_policy","provider":"CALICO","enabled":false},"requested_by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","requested_at":"2026-03-01T10:00:00Z","deadline":"2026-03-01T11:00:00Z","status":"pending","attempt":1}}"#;
const LEDGER_2: &str = r#"{"format":2,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","resources":[{"kind":"server","name":"kqueen-1","location":"here","provider_id":"17","state":"deleting","since":"2026-03-01T10:00:00Z"},{"kind":"stack","name":"kqueen","state":"intended","since":"2026-03-01T10:00:00Z"}],"uncertain_until":"2026-03-01T10:00:00Z"}}"#;
const EVENT_2: &str = r#"{"format":2,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","at":"2026-03-01T10:00:00.123456789Z","kind":"asked","message":"asked to deploy the cluster","operation":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0005","by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","reason":{"code":"Unknown","cause":"quota","responsible":"operator"}}}"#;
const ORPHAN_2: &str = r#"{"format":2,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","resources":[{"kind":"stack","name":"kqueen","state":"present","since":"2026-03-01T10:00:00Z"}],"state":{"kind":"deleting","by":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","since":"2026-03-01T10:00:05Z","last_error":{"code":"Unknown","cause":"busy","responsible":"provider"}},"listed_at":"2026-03-01T10:00:00Z","seen_at":"2026-03-01T10:00:01Z"}}"#;
const CHECK_1_WITH_CODE: &str = r#"{"format":1,"record":{"provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","check":{"phase":"failed","code":"CredentialsRejected","reason":"401","at":"2026-03-01T10:00:01Z"},"state_changed_at":"2026-03-01T09:00:01Z"}}"#;
const PROVISIONER_1_WITH_CODE: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","name":"GKE","engine":"kqueen.engines.GceEngine","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","parameters":{"project":"p","service_account":"*******"},"check":{"phase":"not_reachable","code":"ProviderUnreachable","reason":"nothing answers","at":"2026-03-01T10:00:01Z"},"state_changed_at":"2026-03-01T10:00:01Z","created_at":"2026-03-01T10:00:00Z"}}"#;

/// Reads and writes the newest format, which gives the same bytes.
fn round_trip<T: Record>(stored: &str) -> T {
    let record: T = read(stored.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(written(&record).unwrap()).unwrap(), stored);
    record
}

#[test]
fn the_newest_formats_stay_as_they_are() {
    let organization: Organization = round_trip(ORGANIZATION_1);
    assert_eq!(organization.policy.overrides().count(), 1);
    let user: User = round_trip(USER_1);
    assert_eq!((user.role, user.auth, user.token_generation), (Role::Superadmin, AuthMethod::Ldap, 3));
    let provisioner: Provisioner = round_trip(PROVISIONER_1_WITH_CODE);
    assert_eq!(provisioner.check.phase, ProvisionerPhase::NotReachable);
    let cluster: Cluster = round_trip(CLUSTER_3);
    let reason = Reason::new(ReasonCode::Unknown, "quota", Responsible::Admin, "raise it")
        .with_provider_message("QUOTA_EXCEEDED");
    assert_eq!(cluster.lifecycle, Lifecycle::Failed { reason });
    assert!(cluster.operation.is_some());
    let observed: ObservedStatus = round_trip(OBSERVED_3);
    assert_eq!(
        observed.probe,
        Some(ProbeResult::NoAnswer { code: ReasonCode::Unknown, reason: "connection refused".into() })
    );
    assert_eq!(observed.provider.unwrap().network_policy.unwrap().provider, "CALICO");
    let bare: ObservedStatus = round_trip(BARE_OBSERVED_3);
    assert_eq!((bare.probe, bare.provider, bare.phase), (None, None, Phase::Ready));
}

#[test]
fn the_newest_formats_of_operations_and_history_stay_as_they_are() {
    let operation: Operation = round_trip(OPERATION_2);
    assert_eq!(operation.kind, OperationKind::Resize { node_count: 5 });
    assert_eq!((operation.status, operation.steps.len()), (OperationStatus::Cancelled, 2));
    assert_eq!((operation.failures, operation.was_taken_up), (3, true));
    assert!(operation.next_attempt_at.is_some() && operation.cancel.is_some());
    let bare: Operation = round_trip(BARE_OPERATION_2);
    assert_eq!((bare.failures, bare.steps.len(), bare.reason), (0, 0, None));
    let ledger: Ledger = round_trip(LEDGER_2);
    assert_eq!(ledger.resources[0].resource.provider_id.as_deref(), Some("17"));
    assert_eq!(
        (ledger.resources[1].state, ledger.resources[1].resource.name.location.as_str()),
        (RecordState::Intended, "")
    );
    assert!(ledger.uncertain_until.is_some());
    let event: TimelineEvent = round_trip(EVENT_2);
    assert_eq!(event.reason.unwrap().responsible, Responsible::Operator);
    let tombstone: Tombstone = round_trip(DEPARTED_1);
    assert_eq!(tombstone.name.as_str(), "prod");
    let checked: Checked = round_trip(CHECK_1_WITH_CODE);
    assert_eq!(checked.check.phase, ProvisionerPhase::Failed);
    let orphan: Orphan = round_trip(ORPHAN_2);
    assert!(matches!(orphan.state, OrphanState::Deleting { last_error: Some(_), .. }));
    for state in [OrphanState::Listed, OrphanState::Ignored { by: tombstone.owner, since: tombstone.at }] {
        let other = Orphan { state, ..orphan.clone() };
        assert_eq!(read::<Orphan>(&written(&other).unwrap()).unwrap(), other);
    }
}

/// Asserts that an older form is read like today's.
fn assert_migrates_to<T: Record + PartialEq + std::fmt::Debug>(before: &str, today: &str) {
    assert_eq!(read::<T>(before.as_bytes()).unwrap(), read::<T>(today.as_bytes()).unwrap());
}

#[test]
fn what_version_0_1_wrote_is_read_in_full() {
    assert_migrates_to::<Cluster>(CLUSTER_2, CLUSTER_3);
    assert_migrates_to::<ObservedStatus>(SIGHTING_2, OBSERVED_3);
    assert_migrates_to::<ObservedStatus>(BARE_SIGHTING_2, BARE_OBSERVED_3);
    let reached = |text: &str| text.replace("\"silent\"", "\"answered\"");
    let observed: ObservedStatus = read(reached(SIGHTING_2).as_bytes()).unwrap();
    assert_eq!(observed.probe, Some(ProbeResult::Reached { version: "connection refused".into() }));
    let rejected = SIGHTING_2.replace("\"trouble\"", "\"refusal\"");
    let observed: ObservedStatus = read(rejected.as_bytes()).unwrap();
    assert_eq!(observed.provider.unwrap().last_rejection.unwrap().cause, "time-out");
    let taken_up = OPERATION_1.replace("\"failures\":3,", "\"failures\":3,\"was_taken_up\":true,");
    assert_migrates_to::<Operation>(&taken_up, OPERATION_2);
    assert_migrates_to::<Operation>(BARE_OPERATION_1, BARE_OPERATION_2);
    assert_migrates_to::<Ledger>(LEDGER_1, LEDGER_2);
    assert_migrates_to::<TimelineEvent>(ENTRY_1, EVENT_2);
    assert_migrates_to::<Orphan>(ORPHAN_1, ORPHAN_2);
    let ignored = |deleting: &str, field: &str| {
        let (begin, rest) = deleting.split_once(",\"since\":\"2026-03-01T10:00:05Z\"").unwrap();
        let begin = begin.replace(&format!("{{\"{field}\":\"deleting\""), &format!("{{\"{field}\":\"ignored\""));
        let end = rest.split_once("}}").unwrap().1;
        format!("{begin},\"since\":\"2026-03-01T10:00:05Z\"}}{end}")
    };
    assert_migrates_to::<Orphan>(&ignored(ORPHAN_1, "state"), &ignored(ORPHAN_2, "kind"));
    let unchecked: Provisioner = read(PROVISIONER_1.as_bytes()).unwrap();
    assert_eq!(unchecked.check.code, Some(ReasonCode::Unknown));
    let checked: Checked = read(CHECK_1.as_bytes()).unwrap();
    assert_eq!(checked.check.code, Some(ReasonCode::Unknown));
    let ready: Checked = read(CHECK_1.replace("\"failed\"", "\"ready\"").as_bytes()).unwrap();
    assert_eq!(ready.check.code, None);
}

#[test]
fn a_reason_of_version_0_1_gets_its_code_by_its_sentence() {
    let sentence = "the provider does not have the cluster any more";
    let cluster: Cluster = read(CLUSTER_2.replace("\"quota\"", &format!("\"{sentence}\"")).as_bytes()).unwrap();
    let Lifecycle::Failed { reason } = cluster.lifecycle else { panic!("{:?}", cluster.lifecycle) };
    assert_eq!((reason.code, reason.cause.as_str()), (ReasonCode::ClusterMissing, sentence));
    let unresolved = "the name of the API server cannot be resolved: check it";
    for stored in [SIGHTING_1, SIGHTING_2] {
        let stored = stored.replace("connection refused", unresolved);
        let observed: ObservedStatus = read(stored.as_bytes()).unwrap();
        let reason = unresolved.to_owned();
        assert_eq!(observed.probe, Some(ProbeResult::NoAnswer { code: ReasonCode::NameNotResolved, reason }));
    }
    // A code of a later version is not taken for a sentence.
    let later = CLUSTER_3.replace("\"Unknown\"", "\"OfALaterVersion\"");
    assert_migrates_to::<Cluster>(&later, CLUSTER_3);
}

#[test]
fn a_failure_stored_as_text_becomes_a_reason() {
    let cluster: Cluster = read(CLUSTER_1.as_bytes()).unwrap();
    assert_eq!(
        cluster.lifecycle,
        Lifecycle::Failed { reason: Reason::new(ReasonCode::Unknown, "quota", Responsible::Admin, "") }
    );
    assert_eq!((cluster.operation, cluster.has_kubeconfig), (None, true));
    assert_eq!(cluster.metadata.as_ref().unwrap().as_str(), r#"{"node_count":3}"#);
    let again: Cluster = read(&written(&cluster).unwrap()).unwrap();
    assert_eq!(again, cluster);
    for state in ["deploying", "ready", "updating", "destroying"] {
        let other = CLUSTER_1.replace(r#""state":"failed","reason":"quota""#, &format!(r#""state":"{state}""#));
        let other: Cluster = read(other.as_bytes()).unwrap();
        assert!(!matches!(other.lifecycle, Lifecycle::Failed { .. }));
    }
}

#[test]
fn a_probe_result_is_kept_when_its_format_changes() {
    let observed: ObservedStatus = read(SIGHTING_1.as_bytes()).unwrap();
    assert_eq!(
        observed.probe,
        Some(ProbeResult::NoAnswer { code: ReasonCode::Unknown, reason: "connection refused".into() })
    );
    assert_eq!((observed.provider.as_ref(), observed.version.as_deref()), (None, Some("v1.37.2")));
    assert_eq!(observed.phase, Phase::Unknown);
    let again: ObservedStatus = read(&written(&observed).unwrap()).unwrap();
    assert_eq!(again, observed);
}

#[test]
fn an_older_format_is_migrated() {
    let user: User = read(USER_0.as_bytes()).unwrap();
    assert_eq!((user.username.as_str(), user.role, user.token_generation), ("ann", Role::Admin, 0));
    assert_eq!(user.metadata, None);
    let again: User = read(&written(&user).unwrap()).unwrap();
    assert_eq!(again, user);
}

#[test]
fn a_newer_format_is_rejected_with_advice() {
    let newer = CLUSTER_3.replacen("\"format\":3", "\"format\":4", 1);
    let Err(error @ Unreadable::Newer { format: 4, known: 3, .. }) = read::<Cluster>(newer.as_bytes()) else {
        panic!("was read")
    };
    assert!(error.to_string().contains("run the release that wrote it"), "{error}");
}

#[test]
fn errors_about_damage_do_not_quote_what_was_stored() {
    let damaged = [
        "".to_owned(),
        USER_1.replace("ldap", "oidc-with-a-name"),
        USER_1[..USER_1.len() - 2].to_owned(),
        USER_1.replace(r#"{"tz":"Europe/Prague"}"#, r#""Europe/Prague""#),
        CLUSTER_1.replace("\"format\":1", "\"format\":0"),
    ];
    for stored in damaged {
        let Err(error) = read::<User>(stored.as_bytes()) else { panic!("was read: {stored}") };
        assert!(matches!(error, Unreadable::Damaged { .. }), "{stored}: {error}");
        assert!(!error.to_string().contains("oidc") && !error.to_string().contains("Prague"), "{error}");
    }
}

#[test]
fn rules_of_a_later_release_are_not_guessed() {
    let gone = ORGANIZATION_1.replace("cluster:create", "cluster:paint");
    let organization: Organization = read(gone.as_bytes()).unwrap();
    assert_eq!(organization.policy.overrides().count(), 0);
    let unknown = ORGANIZATION_1.replace("IS_ADMIN", "IS_FRIEND");
    assert!(matches!(read::<Organization>(unknown.as_bytes()), Err(Unreadable::Damaged { .. })));
}
