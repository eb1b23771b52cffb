//! Promises about the results of provisioner checks.

use kqueen_domain::{
    port::{
        leader::Term,
        store::{SecretUpdate, StoreError},
    },
    provisioner::{Check, Checked, Provisioner, ProvisionerPhase},
    reason::ReasonCode,
};

use super::{
    TestStore,
    records::{a_provisioner, a_user, after, an_organization, then},
};

fn found(provisioner: &Provisioner, phase: ProvisionerPhase, ms: i64) -> Checked {
    let code = (phase != ProvisionerPhase::Ready).then_some(ReasonCode::CredentialsRejected);
    let check = Check { phase, code, reason: format!("found after {ms}"), at: after(ms) };
    Checked { provisioner: provisioner.id, check, state_changed_at: after(ms - 1) }
}

pub async fn a_check_does_not_change_the_revision(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let revision = replica.catalog.provisioner(provisioner.id).unwrap().provisioner.revision;
    for (phase, ms) in
        [(ProvisionerPhase::Failed, 1), (ProvisionerPhase::NotReachable, 2), (ProvisionerPhase::Ready, 3)]
    {
        let checked = found(&provisioner, phase, ms);
        replica.provisioners.record_check(&checked, Term::Single).await.unwrap();
        let shown = replica.catalog.provisioner(provisioner.id).unwrap().provisioner;
        assert_eq!((&shown.record.check, shown.record.state_changed_at), (&checked.check, checked.state_changed_at));
        assert_eq!(shown.revision, revision);
    }
    let replica = site.restart(replica).await;
    let shown = replica.catalog.provisioner(provisioner.id).unwrap().provisioner;
    assert_eq!((&shown.record.check.reason[..], shown.revision), ("found after 3", revision));
    // An update of the provisioner also replaces its check.
    let check = Check {
        phase: ProvisionerPhase::Failed,
        code: Some(ReasonCode::CredentialsRejected),
        reason: "changed".into(),
        at: after(9),
    };
    let changed = Provisioner { check, ..provisioner };
    replica.provisioners.update(&changed, SecretUpdate::Keep, revision).await.unwrap();
    assert_eq!(replica.catalog.provisioner(changed.id).unwrap().provisioner.record.check, changed.check);
}

pub async fn a_check_needs_its_provisioner(site: TestStore) {
    let replica = site.open().await;
    let provisioner = a_provisioner(&a_user(an_organization().id));
    let checked = found(&provisioner, ProvisionerPhase::Ready, 1);
    let refused = replica.provisioners.record_check(&checked, Term::Single).await;
    assert!(matches!(refused, Err(StoreError::Missing)), "{refused:?}");
}

pub async fn deleting_a_provisioner_removes_its_check(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let (user, _) = replica.user(&organization).await;
    let (provisioner, revision) = replica.provisioner(&user).await;
    replica.provisioners.record_check(&found(&provisioner, ProvisionerPhase::Failed, 1), Term::Single).await.unwrap();
    replica.provisioners.delete(provisioner.id, revision).await.unwrap();
    assert!(replica.catalog.provisioner(provisioner.id).is_none());
    // A provisioner created with the same id does not have the old check.
    replica.provisioners.create(&provisioner, SecretUpdate::Keep, None).await.unwrap();
    let replica = site.restart(replica).await;
    assert_eq!(replica.catalog.provisioner(provisioner.id).unwrap().provisioner.record.check.at, then());
}
