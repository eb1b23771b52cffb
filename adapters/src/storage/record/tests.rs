//! Every format that was ever written is kept here as bytes and must stay readable.

use kqueen_domain::{
    cluster::{Cluster, Lifecycle, Look, Phase, Sighting},
    organization::Organization,
    provisioner::{Provisioner, ProvisionerPhase},
    user::{AuthMethod, Role, User},
};

use super::{Record, Unreadable, read, written};

const ORGANIZATION_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","name":"Demo Org","namespace":"demoorg","policy":{"cluster:create":"IS_ADMIN"},"created_at":"2026-03-01T10:00:00.123456789Z"}}"#;
const USER_0: &str = r#"{"format":0,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","username":"ann","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","role":"admin","active":true,"auth":"local","created_at":"2026-03-01T10:00:00Z"}}"#;
const USER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","username":"ann","email":"Ann@example.org","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","role":"superadmin","active":false,"auth":"ldap","metadata":{"tz":"Europe/Prague"},"token_generation":3,"created_at":"2026-03-01T10:00:00Z"}}"#;
const PROVISIONER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","name":"GKE","engine":"kqueen.engines.GceEngine","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","parameters":{"project":"p","service_account":"*******"},"check":{"phase":"not_reachable","reason":"nothing answers","at":"2026-03-01T10:00:01Z"},"state_changed_at":"2026-03-01T10:00:01Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const CLUSTER_1: &str = r#"{"format":1,"record":{"id":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","name":"prod","organization":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0001","provisioner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0003","owner":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0002","metadata":{"node_count":3},"has_kubeconfig":true,"state":"failed","reason":"quota","changed_at":"2026-03-01T10:00:02Z","created_at":"2026-03-01T10:00:00Z"}}"#;
const SIGHTING_1: &str = r#"{"format":1,"record":{"cluster":"0d3f5a52-7d0b-4d0e-9d55-2a0f6c3f0004","outcome":"silent","said":"connection refused","version":"v1.37.2","phase":"unknown","phase_changed_at":"2026-03-01T10:00:03Z","at":"2026-03-01T10:00:04Z"}}"#;

/// Read and written again, the newest format is the same bytes.
fn survives<T: Record>(stored: &str) -> T {
    let record: T = read(stored.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(written(&record).unwrap()).unwrap(), stored);
    record
}

#[test]
fn the_newest_formats_stay_as_they_are() {
    let organization: Organization = survives(ORGANIZATION_1);
    assert_eq!(organization.policy.overrides().count(), 1);
    let user: User = survives(USER_1);
    assert_eq!((user.role, user.auth, user.token_generation), (Role::Superadmin, AuthMethod::Ldap, 3));
    let provisioner: Provisioner = survives(PROVISIONER_1);
    assert_eq!(provisioner.check.phase, ProvisionerPhase::NotReachable);
    let cluster: Cluster = survives(CLUSTER_1);
    assert_eq!(cluster.lifecycle, Lifecycle::Failed { reason: "quota".into() });
    let sighting: Sighting = survives(SIGHTING_1);
    assert_eq!(sighting.look, Look::Silent { reason: "connection refused".into() });
    assert_eq!(sighting.phase, Phase::Unknown);
}

#[test]
fn an_older_format_is_brought_up_to_date() {
    let user: User = read(USER_0.as_bytes()).unwrap();
    assert_eq!((user.username.as_str(), user.role, user.token_generation), ("ann", Role::Admin, 0));
    assert_eq!(user.metadata, None);
    let again: User = read(&written(&user).unwrap()).unwrap();
    assert_eq!(again, user);
}

#[test]
fn a_newer_format_is_refused_with_what_to_do() {
    let newer = CLUSTER_1.replacen("\"format\":1", "\"format\":2", 1);
    let Err(error @ Unreadable::Newer { format: 2, known: 1, .. }) = read::<Cluster>(newer.as_bytes()) else {
        panic!("was read")
    };
    assert!(error.to_string().contains("run the release that wrote it"), "{error}");
}

#[test]
fn damage_is_told_without_what_was_stored() {
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
fn rules_of_a_later_release_are_not_guessed_at() {
    let gone = ORGANIZATION_1.replace("cluster:create", "cluster:paint");
    let organization: Organization = read(gone.as_bytes()).unwrap();
    assert_eq!(organization.policy.overrides().count(), 0);
    let unknown = ORGANIZATION_1.replace("IS_ADMIN", "IS_FRIEND");
    assert!(matches!(read::<Organization>(unknown.as_bytes()), Err(Unreadable::Damaged { .. })));
}
