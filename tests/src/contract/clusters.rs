//! Promises of [`ClusterStore`](kqueen_domain::port::store::ClusterStore).

use kqueen_domain::{
    cluster::{Cluster, Lifecycle, Phase},
    document::Document,
    id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId},
    name::ResourceName,
    observation::{ObservedStatus, ProbeResult, ProviderStatus},
    operation::NetworkPolicy,
    port::store::{ClusterCommit, ClusterSecrets, Creation, SecretUpdate, StoreError},
    reason::{Reason, ReasonCode, Responsible},
    revision::Revision,
    secret::{Kubeconfig, SecretDocument},
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_provisioner, a_user, after, an_observed_status, an_organization, then},
};

fn with_kubeconfig(text: &str) -> ClusterSecrets {
    ClusterSecrets { kubeconfig: SecretUpdate::Set(Kubeconfig::new(text.into())), metadata: SecretUpdate::Keep }
}

async fn kubeconfig(replica: &Replica, id: ClusterId) -> Option<String> {
    replica.clusters.kubeconfig(id).await.unwrap().map(|kubeconfig| kubeconfig.expose().to_owned())
}

pub async fn stored_records_are_visible(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let entry = replica.catalog.cluster(cluster.id).unwrap().cluster;
    assert_eq!((&entry.record, entry.revision), (&cluster, revision));

    let mut changed = Cluster {
        name: ResourceName::try_from("Größe 3").unwrap(),
        metadata: Some(Document::from_stored(r#"{"node_count":3}"#).unwrap()),
        has_kubeconfig: true,
        operation: Some(OperationId::random()),
        changed_at: after(1),
        ..cluster
    };
    let mut expected = revision;
    for lifecycle in [
        Lifecycle::Ready,
        Lifecycle::Updating,
        Lifecycle::Failed {
            reason: Reason::new(
                ReasonCode::QuotaExceeded,
                "the quota of 3 \"nodes\" is used up",
                Responsible::Admin,
                "raise it",
            )
            .with_provider_message("QUOTA"),
        },
        Lifecycle::Destroying,
        Lifecycle::Deploying,
    ] {
        changed.lifecycle = lifecycle;
        expected = replica.clusters.update(&changed, ClusterSecrets::default(), expected).await.unwrap();
        let entry = replica.catalog.cluster(changed.id).unwrap().cluster;
        assert_eq!((&entry.record, entry.revision), (&changed, expected));
    }
    replica.remove(changed.id, expected).await.unwrap();
    assert!(replica.catalog.cluster(changed.id).is_none());
}

pub async fn a_stale_revision_is_a_conflict(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, first) = replica.cluster(&provisioner).await;
    replica.clusters.update(&cluster, ClusterSecrets::default(), first).await.unwrap();
    let update = replica.clusters.update(&cluster, with_kubeconfig("late"), first).await;
    assert!(matches!(update, Err(StoreError::Conflict)), "{update:?}");
    assert_eq!(kubeconfig(&replica, cluster.id).await, None);
    let delete = replica.remove(cluster.id, first).await;
    assert!(matches!(delete, Err(StoreError::Conflict)), "{delete:?}");
}

pub async fn a_missing_record_is_reported(site: TestStore) {
    let replica = site.open().await;
    let cluster = a_cluster(&a_provisioner(&a_user(an_organization().id)));
    let update = replica.clusters.update(&cluster, ClusterSecrets::default(), Revision(1)).await;
    assert!(matches!(update, Err(StoreError::Missing)), "{update:?}");
    let delete = replica.remove(cluster.id, Revision(1)).await;
    assert!(matches!(delete, Err(StoreError::Missing)), "{delete:?}");
    assert_eq!(kubeconfig(&replica, cluster.id).await, None);
    assert!(replica.clusters.metadata(cluster.id).await.unwrap().is_none());
}

pub async fn references_must_exist(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    for (field, cluster) in [
        ("organization", Cluster { organization: OrganizationId::random(), ..a_cluster(&provisioner) }),
        ("owner", Cluster { owner: UserId::random(), ..a_cluster(&provisioner) }),
        ("provisioner", Cluster { provisioner: ProvisionerId::random(), ..a_cluster(&provisioner) }),
    ] {
        let created = replica.clusters.create(&cluster, with_kubeconfig("k"), ClusterCommit::default(), None).await;
        assert!(matches!(created, Err(StoreError::Dangling { field: name }) if name == field), "{field}: {created:?}");
        assert!(replica.catalog.cluster(cluster.id).is_none());
        assert_eq!(kubeconfig(&replica, cluster.id).await, None);
    }
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let given_away = Cluster { owner: UserId::random(), ..cluster };
    let updated = replica.clusters.update(&given_away, ClusterSecrets::default(), revision).await;
    assert!(matches!(updated, Err(StoreError::Dangling { field: "owner" })), "{updated:?}");
}

pub async fn kubeconfigs_are_kept_set_and_removed(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let cluster = a_cluster(&provisioner);
    let secrets = ClusterSecrets {
        metadata: SecretUpdate::Set(SecretDocument::new(r#"{"token":"t"}"#.into())),
        ..with_kubeconfig("one")
    };
    let created = replica.clusters.create(&cluster, secrets, ClusterCommit::default(), None).await.unwrap();
    let Creation::New(revision) = created else { panic!("the key was used before") };
    // Twice: the second read may come from the cache.
    for _ in 0..2 {
        assert_eq!(kubeconfig(&replica, cluster.id).await.as_deref(), Some("one"));
    }
    let revision = replica.clusters.update(&cluster, ClusterSecrets::default(), revision).await.unwrap();
    assert_eq!(kubeconfig(&replica, cluster.id).await.as_deref(), Some("one"));
    let revision = replica.clusters.update(&cluster, with_kubeconfig("two"), revision).await.unwrap();
    assert_eq!(kubeconfig(&replica, cluster.id).await.as_deref(), Some("two"));
    assert_eq!(replica.clusters.metadata(cluster.id).await.unwrap().unwrap().expose(), r#"{"token":"t"}"#);
    let none = ClusterSecrets { kubeconfig: SecretUpdate::Remove, metadata: SecretUpdate::Remove };
    let revision = replica.clusters.update(&cluster, none, revision).await.unwrap();
    assert_eq!(kubeconfig(&replica, cluster.id).await, None);
    assert!(replica.clusters.metadata(cluster.id).await.unwrap().is_none());
    let revision = replica.clusters.update(&cluster, with_kubeconfig("three"), revision).await.unwrap();
    replica.remove(cluster.id, revision).await.unwrap();
    assert_eq!(kubeconfig(&replica, cluster.id).await, None);
}

pub async fn ownership_can_be_transferred(site: TestStore) {
    let replica = site.open().await;
    let (organization, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let (bob, bob_revision) = replica.user(&organization).await;
    let given = Cluster { owner: bob.id, ..cluster.clone() };
    let revision = replica.clusters.update(&given, ClusterSecrets::default(), revision).await.unwrap();
    let delete = replica.users.delete(bob.id, bob_revision, None).await;
    assert!(matches!(delete, Err(StoreError::InUse)), "{delete:?}");
    replica.clusters.update(&cluster, ClusterSecrets::default(), revision).await.unwrap();
    replica.users.delete(bob.id, bob_revision, None).await.unwrap();
}

pub async fn provisioner_and_organization_never_change(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (other, _, other_provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let moved = Cluster { organization: other.id, provisioner: other_provisioner.id, ..cluster.clone() };
    replica.clusters.update(&moved, ClusterSecrets::default(), revision).await.unwrap();
    assert_eq!(replica.catalog.cluster(cluster.id).unwrap().cluster.record, cluster);
}

pub async fn deleting_releases_its_references(site: TestStore) {
    let replica = site.open().await;
    let (organization, organization_revision) = replica.organization().await;
    let (user, user_revision) = replica.user(&organization).await;
    let (provisioner, provisioner_revision) = replica.provisioner(&user).await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    replica.remove(cluster.id, revision).await.unwrap();
    replica.provisioners.delete(provisioner.id, provisioner_revision).await.unwrap();
    replica.users.delete(user.id, user_revision, None).await.unwrap();
    replica.organizations.delete(organization.id, organization_revision).await.unwrap();
}

pub async fn observed_statuses_do_not_change_the_revision(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    let status = ProviderStatus {
        progress: Some(40),
        node_count: Some(3),
        network_policy: Some(NetworkPolicy { provider: "CALICO".into(), enabled: true }),
        message: "RECONCILING".into(),
        last_error: Some(Reason::new(ReasonCode::ProviderTimedOut, "time-out", Responsible::Provider, "")),
        last_rejection: Some(Reason::new(ReasonCode::ResourceInUse, "a network is in use", Responsible::Admin, "")),
    };
    for (probe, provider) in [
        (Some(ProbeResult::Reached { version: "v1.37.2".into() }), None),
        (
            Some(ProbeResult::Refused { code: ReasonCode::KubeconfigRejected, reason: "401".into() }),
            Some(ProviderStatus::default()),
        ),
        (
            Some(ProbeResult::NoAnswer { code: ReasonCode::ClusterUnreachable, reason: "time-out".into() }),
            Some(status.clone()),
        ),
        (None, Some(status)),
    ] {
        let observed = ObservedStatus {
            probe,
            provider,
            phase: Phase::Unknown,
            phase_changed_at: after(3),
            ..an_observed_status(cluster.id)
        };
        replica.record_observed_status(&observed).await.unwrap();
        let view = replica.catalog.cluster(cluster.id).unwrap();
        assert_eq!(view.observed.as_deref(), Some(&observed));
        assert_eq!(view.cluster.revision, revision);
    }
    replica.clusters.update(&cluster, ClusterSecrets::default(), revision).await.unwrap();
    assert!(replica.catalog.cluster(cluster.id).unwrap().observed.is_some());
}

pub async fn an_observed_status_needs_its_cluster(site: TestStore) {
    let replica = site.open().await;
    let recorded = replica.record_observed_status(&an_observed_status(ClusterId::random())).await;
    assert!(matches!(recorded, Err(StoreError::Missing)), "{recorded:?}");
}

pub async fn deleting_removes_the_observed_status(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let (cluster, revision) = replica.cluster(&provisioner).await;
    replica.record_observed_status(&an_observed_status(cluster.id)).await.unwrap();
    replica.remove(cluster.id, revision).await.unwrap();
    replica.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None).await.unwrap();
    assert!(replica.catalog.cluster(cluster.id).unwrap().observed.is_none());
    let replica = site.restart(replica).await;
    assert!(replica.catalog.cluster(cluster.id).unwrap().observed.is_none());
}

pub async fn observation_times_only_grow(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, first) = replica.one_of_each().await;
    let (second, revision) = replica.cluster(&provisioner).await;
    let observed_at = |id| replica.catalog.cluster(id).unwrap().observed_at;
    replica
        .clusters
        .record_observation_times(vec![(first.id, after(1000)), (second.id, after(2000))], None)
        .await
        .unwrap();
    let ms = |at: chrono::DateTime<chrono::Utc>| at.timestamp_millis();
    assert_eq!(observed_at(first.id).map(ms), Some(ms(after(1000))));
    assert_eq!(observed_at(second.id).map(ms), Some(ms(after(2000))));
    replica
        .clusters
        .record_observation_times(vec![(first.id, after(3000)), (second.id, after(500))], None)
        .await
        .unwrap();
    assert_eq!(observed_at(first.id).map(ms), Some(ms(after(3000))));
    assert_eq!(observed_at(second.id).map(ms), Some(ms(after(2000))));
    assert_eq!(replica.catalog.cluster(second.id).unwrap().cluster.revision, revision);
}

pub async fn observation_times_of_deleted_clusters_are_skipped(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, cluster) = replica.one_of_each().await;
    let (gone, revision) = replica.cluster(&provisioner).await;
    replica.clusters.record_observation_times(vec![(gone.id, after(1))], None).await.unwrap();
    replica.remove(gone.id, revision).await.unwrap();
    let times = vec![(gone.id, after(1000)), (ClusterId::random(), after(1000)), (cluster.id, after(1000))];
    replica.clusters.record_observation_times(times, None).await.unwrap();
    assert!(replica.catalog.cluster(cluster.id).unwrap().observed_at.is_some());
    assert!(replica.catalog.cluster(gone.id).is_none());
    let replica = site.restart(replica).await;
    assert!(replica.catalog.cluster(cluster.id).unwrap().observed_at.is_some());
    assert!(replica.catalog.cluster(gone.id).is_none());
}

pub async fn observation_times_survive_a_restart(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let mut times = Vec::new();
    for i in 0..20 {
        let (cluster, _) = replica.cluster(&provisioner).await;
        times.push((cluster.id, after(i)));
    }
    replica.clusters.record_observation_times(times.clone(), None).await.unwrap();
    let replica = site.restart(replica).await;
    for (id, at) in times {
        let shown = replica.catalog.cluster(id).unwrap().observed_at.unwrap();
        assert_eq!(shown.timestamp_millis(), at.timestamp_millis());
    }
}

pub async fn large_kubeconfigs_are_stored(site: TestStore) {
    let replica = site.open().await;
    let (_, _, provisioner, _) = replica.one_of_each().await;
    let cluster = Cluster { created_at: then(), ..a_cluster(&provisioner) };
    let large = "k".repeat(900 * 1024);
    replica.clusters.create(&cluster, with_kubeconfig(&large), ClusterCommit::default(), None).await.unwrap();
    assert!(kubeconfig(&replica, cluster.id).await.as_ref() == Some(&large));
    let replica = site.restart(replica).await;
    assert!(kubeconfig(&replica, cluster.id).await == Some(large));
}
