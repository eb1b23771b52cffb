//! Promises about concurrent writers, on two replicas if the store allows it.

use futures::future::{join, join_all};
use kqueen_domain::{
    name::ResourceName,
    organization::Organization,
    port::store::{ClusterCommit, ClusterSecrets, Creation, SecretUpdate, StoreError, UserSecrets},
    revision::Versioned,
    user::User,
};

use super::{
    Replica, TestStore,
    records::{a_cluster, a_provisioner, a_user, after, an_organization},
};

const ROUNDS: usize = 15;
const WRITERS: usize = 8;

/// The replicas alternately.
fn alternate(pair: &(Replica, Replica), i: usize) -> &Replica {
    if i.is_multiple_of(2) { &pair.0 } else { &pair.1 }
}

fn one_wins<T: std::fmt::Debug>(results: &[Result<T, StoreError>], is_expected: impl Fn(&StoreError) -> bool) {
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().all(|result| result.as_ref().err().is_none_or(&is_expected)), "{results:?}");
}

pub async fn one_of_many_gets_the_username(site: TestStore) {
    let pair = site.pair().await;
    let (organization, _) = pair.0.organization().await;
    for _ in 0..ROUNDS {
        let shared = a_user(organization.id).username;
        let users: Vec<User> =
            (0..WRITERS).map(|_| User { username: shared.clone(), ..a_user(organization.id) }).collect();
        let attempts =
            users.iter().enumerate().map(|(i, user)| alternate(&pair, i).users.create(user, UserSecrets::default()));
        one_wins(&join_all(attempts).await, |error| matches!(error, StoreError::Taken { field: "username" }));
    }
}

pub async fn one_of_many_gets_the_address(site: TestStore) {
    let pair = site.pair().await;
    let (organization, _) = pair.0.organization().await;
    for _ in 0..ROUNDS {
        let shared = a_user(organization.id).email;
        // Half of the writers create a user, the others update one.
        let mut existing = Vec::new();
        for _ in 0..WRITERS / 2 {
            let (user, revision) = pair.0.user(&organization).await;
            existing.push((User { email: shared.clone(), ..user }, revision));
        }
        let new: Vec<User> =
            (0..WRITERS / 2).map(|_| User { email: shared.clone(), ..a_user(organization.id) }).collect();
        let updates = existing.iter().enumerate().map(|(i, (user, expected))| {
            alternate(&pair, i).users.update(user, UserSecrets::default(), *expected, None)
        });
        let creations =
            new.iter().enumerate().map(|(i, user)| alternate(&pair, i).users.create(user, UserSecrets::default()));
        let (mut results, created) = join(join_all(updates), join_all(creations)).await;
        results.extend(created);
        one_wins(&results, |error| matches!(error, StoreError::Taken { field: "email" }));
    }
}

pub async fn one_of_many_gets_the_namespace(site: TestStore) {
    let pair = site.pair().await;
    for _ in 0..ROUNDS {
        let shared = an_organization().namespace;
        let organizations: Vec<Organization> =
            (0..WRITERS).map(|_| Organization { namespace: shared.clone(), ..an_organization() }).collect();
        let attempts = organizations.iter().enumerate().map(|(i, new)| alternate(&pair, i).organizations.create(new));
        one_wins(&join_all(attempts).await, |error| matches!(error, StoreError::Taken { field: "namespace" }));
    }
}

pub async fn one_of_many_updates_wins(site: TestStore) {
    let pair = site.pair().await;
    let (_, _, provisioner, _) = pair.0.one_of_each().await;
    let (mut cluster, mut expected) = pair.0.cluster(&provisioner).await;
    for round in 0..ROUNDS {
        let changed: Vec<_> = (0..WRITERS)
            .map(|i| {
                let mut changed = cluster.clone();
                changed.name = ResourceName::try_from(format!("{round}-{i}")).unwrap();
                changed
            })
            .collect();
        let attempts = changed
            .iter()
            .enumerate()
            .map(|(i, cluster)| alternate(&pair, i).clusters.update(cluster, ClusterSecrets::default(), expected));
        let results = join_all(attempts).await;
        one_wins(&results, |error| matches!(error, StoreError::Conflict));
        let winner = results.iter().position(Result::is_ok).unwrap();
        pair.0.read_barrier.caught_up().await.unwrap();
        let shown = pair.0.catalog.cluster(cluster.id).unwrap().cluster;
        assert_eq!(shown.record, changed[winner]);
        (cluster, expected) = (shown.record.clone(), shown.revision);
    }
}

/// Either the referring record was created or the referenced record was deleted; never both, never neither. Returns whether it was created.
fn exactly_one<A, B>(deleted: &Result<A, StoreError>, created: &Result<B, StoreError>) -> bool {
    let failed = |error: Option<&StoreError>| match error {
        Some(StoreError::InUse | StoreError::Dangling { .. }) => true,
        Some(other) => panic!("{other:?}"),
        None => false,
    };
    let (deleted, created) = (!failed(deleted.as_ref().err()), !failed(created.as_ref().err()));
    assert!(deleted != created, "deleted: {deleted}, created: {created}");
    created
}

pub async fn nothing_dangles_when_an_organization_is_deleted(site: TestStore) {
    let pair = site.pair().await;
    for round in 0..ROUNDS * 2 {
        let (organization, revision) = pair.0.organization().await;
        let user = a_user(organization.id);
        let (deleter, creator) = (alternate(&pair, round), alternate(&pair, round + 1));
        let (deleted, created) = join(
            deleter.organizations.delete(organization.id, revision),
            creator.users.create(&user, UserSecrets::default()),
        )
        .await;
        let exists = exactly_one(&deleted, &created);
        pair.0.read_barrier.caught_up().await.unwrap();
        assert_eq!(pair.0.catalog.user(user.id).is_some(), exists);
        assert_eq!(pair.0.catalog.organization(organization.id).is_some(), exists);
    }
}

pub async fn nothing_dangles_when_an_owner_is_deleted(site: TestStore) {
    let pair = site.pair().await;
    let (organization, _) = pair.0.organization().await;
    let (provider, _) = pair.0.user(&organization).await;
    let (provisioner, _) = pair.0.provisioner(&provider).await;
    let (other, _) = pair.0.organization().await;
    for round in 0..ROUNDS * 2 {
        let (owner, revision) = pair.0.user(&organization).await;
        let (remover, creator) = (alternate(&pair, round), alternate(&pair, round + 1));
        let removal = async {
            if round % 4 < 2 {
                remover.users.delete(owner.id, revision, None).await
            } else {
                let moved = User { organization: other.id, ..owner.clone() };
                remover.users.update(&moved, UserSecrets::default(), revision, None).await.map(drop)
            }
        };
        if round % 3 == 0 {
            let mut cluster = a_cluster(&provisioner);
            cluster.owner = owner.id;
            let (removed, created) = join(
                removal,
                creator.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None),
            )
            .await;
            owned_or_removed(&removed, &created);
        } else {
            let mut given = a_provisioner(&provider);
            given.owner = owner.id;
            let (removed, created) = join(removal, creator.provisioners.create(&given, SecretUpdate::Keep, None)).await;
            owned_or_removed(&removed, &created);
        }
    }

    /// A user who moved can become an owner afterwards; a deleted user cannot.
    fn owned_or_removed<T>(removed: &Result<(), StoreError>, created: &Result<Creation<T>, StoreError>) {
        match (removed, created) {
            (Err(StoreError::InUse), Ok(_))
            | (Ok(()), Err(StoreError::Dangling { field: "owner" }))
            | (Ok(()), Ok(_)) => {}
            (removed, _) => panic!("removed: {removed:?}, created: {}", created.is_ok()),
        }
    }
}

pub async fn nothing_dangles_when_a_provisioner_is_deleted(site: TestStore) {
    let pair = site.pair().await;
    let (organization, _) = pair.0.organization().await;
    let (user, _) = pair.0.user(&organization).await;
    for round in 0..ROUNDS * 2 {
        let (provisioner, revision) = pair.0.provisioner(&user).await;
        let cluster = a_cluster(&provisioner);
        let (deleter, creator) = (alternate(&pair, round), alternate(&pair, round + 1));
        let (deleted, created) = join(
            deleter.provisioners.delete(provisioner.id, revision),
            creator.clusters.create(&cluster, ClusterSecrets::default(), ClusterCommit::default(), None),
        )
        .await;
        let exists = exactly_one(&deleted, &created);
        pair.0.read_barrier.caught_up().await.unwrap();
        assert_eq!(pair.0.catalog.cluster(cluster.id).is_some(), exists);
        assert_eq!(pair.0.catalog.provisioner(provisioner.id).is_some(), exists);
    }
}

pub async fn two_users_cannot_remove_each_other(site: TestStore) {
    let pair = site.pair().await;
    let (organization, _) = pair.0.organization().await;
    for round in 0..ROUNDS * 2 {
        let (ann, ann_revision) = pair.0.user(&organization).await;
        let (bob, bob_revision) = pair.0.user(&organization).await;
        let (beside_ann, beside_bob) =
            (Versioned { value: ann.id, revision: ann_revision }, Versioned { value: bob.id, revision: bob_revision });
        let without_bob = async {
            let users = &alternate(&pair, round).users;
            if round % 4 < 2 {
                users.delete(bob.id, bob_revision, Some(beside_ann)).await
            } else {
                let out = User { active: false, ..bob.clone() };
                users.update(&out, UserSecrets::default(), bob_revision, Some(beside_ann)).await.map(drop)
            }
        };
        let without_ann = async {
            let out = User { active: false, ..ann.clone() };
            let users = &alternate(&pair, round + 1).users;
            users.update(&out, UserSecrets::default(), ann_revision, Some(beside_bob)).await.map(drop)
        };
        let (without_ann, without_bob) = join(without_ann, without_bob).await;
        one_wins(&[without_ann, without_bob], |error| matches!(error, StoreError::Conflict));
    }
}

pub async fn observation_times_of_two_writers_are_merged(site: TestStore) {
    let pair = site.pair().await;
    let (_, _, provisioner, _) = pair.0.one_of_each().await;
    let mut clusters = Vec::new();
    for _ in 0..40 {
        clusters.push(pair.0.cluster(&provisioner).await.0.id);
    }
    pair.1.read_barrier.caught_up().await.unwrap();
    let (even, odd): (Vec<_>, Vec<_>) = clusters.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let times = |part: Vec<(usize, &kqueen_domain::id::ClusterId)>| -> Vec<_> {
        part.into_iter().map(|(i, id)| (*id, after(i64::try_from(i).unwrap()))).collect()
    };
    let (one, other) = join(
        pair.0.clusters.record_observation_times(times(even), None),
        pair.1.clusters.record_observation_times(times(odd), None),
    )
    .await;
    one.unwrap();
    other.unwrap();
    for replica in [&pair.0, &pair.1] {
        replica.read_barrier.caught_up().await.unwrap();
        for (i, id) in clusters.iter().enumerate() {
            let shown = replica.catalog.cluster(*id).unwrap().observed_at.map(|at| at.timestamp_millis());
            assert_eq!(shown, Some(after(i64::try_from(i).unwrap()).timestamp_millis()), "{i}");
        }
    }
}
