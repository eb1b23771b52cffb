//! Promises of [`OrganizationStore`](kqueen_domain::port::store::OrganizationStore).

use kqueen_domain::{
    access::{Action, Rule},
    name::{Namespace, OrganizationName},
    organization::Organization,
    port::store::StoreError,
    revision::Revision,
};

use super::{TestStore, records::an_organization};

pub async fn stored_records_are_visible(site: TestStore) {
    let replica = site.open().await;
    let organization =
        Organization { policy: [(Action::ClusterCreate, Rule::IsAdmin)].into_iter().collect(), ..an_organization() };
    let revision = replica.organizations.create(&organization).await.unwrap();
    let entry = replica.catalog.organization(organization.id).unwrap();
    assert_eq!((&entry.record, entry.revision), (&organization, revision));

    let renamed = Organization { name: OrganizationName::try_from("Větší organizace").unwrap(), ..organization };
    let next = replica.organizations.update(&renamed, revision).await.unwrap();
    assert!(next > revision);
    let entry = replica.catalog.organization(renamed.id).unwrap();
    assert_eq!((&entry.record, entry.revision), (&renamed, next));

    replica.organizations.delete(renamed.id, next).await.unwrap();
    assert!(replica.catalog.organization(renamed.id).is_none());
}

pub async fn a_stale_revision_is_a_conflict(site: TestStore) {
    let replica = site.open().await;
    let (organization, first) = replica.organization().await;
    let second = replica.organizations.update(&organization, first).await.unwrap();
    let update = replica.organizations.update(&organization, first).await;
    assert!(matches!(update, Err(StoreError::Conflict)), "{update:?}");
    let delete = replica.organizations.delete(organization.id, first).await;
    assert!(matches!(delete, Err(StoreError::Conflict)), "{delete:?}");
    replica.organizations.delete(organization.id, second).await.unwrap();
}

pub async fn a_missing_record_is_reported(site: TestStore) {
    let replica = site.open().await;
    let organization = an_organization();
    let update = replica.organizations.update(&organization, Revision(1)).await;
    assert!(matches!(update, Err(StoreError::Missing)), "{update:?}");
    let delete = replica.organizations.delete(organization.id, Revision(1)).await;
    assert!(matches!(delete, Err(StoreError::Missing)), "{delete:?}");
}

pub async fn namespaces_are_unique(site: TestStore) {
    let replica = site.open().await;
    let (organization, _) = replica.organization().await;
    let other = Organization { namespace: organization.namespace, ..an_organization() };
    let created = replica.organizations.create(&other).await;
    assert!(matches!(created, Err(StoreError::Taken { field: "namespace" })), "{created:?}");
    assert!(replica.catalog.organization(other.id).is_none());
}

pub async fn a_namespace_never_changes(site: TestStore) {
    let replica = site.open().await;
    let (organization, revision) = replica.organization().await;
    let moved = Organization { namespace: Namespace::try_from("elsewhere").unwrap(), ..organization.clone() };
    replica.organizations.update(&moved, revision).await.unwrap();
    assert_eq!(replica.catalog.organization(organization.id).unwrap().record.namespace, organization.namespace);
}

pub async fn deleting_frees_the_namespace(site: TestStore) {
    let replica = site.open().await;
    let (organization, revision) = replica.organization().await;
    replica.organizations.delete(organization.id, revision).await.unwrap();
    let next = Organization { namespace: organization.namespace, ..an_organization() };
    replica.organizations.create(&next).await.unwrap();
}

pub async fn in_use_cannot_be_deleted(site: TestStore) {
    let replica = site.open().await;
    let (organization, revision) = replica.organization().await;
    let (user, user_revision) = replica.user(&organization).await;
    let delete = replica.organizations.delete(organization.id, revision).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
    replica.users.delete(user.id, user_revision, None).await.unwrap();
    replica.organizations.delete(organization.id, revision).await.unwrap();
}
