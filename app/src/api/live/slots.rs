//! Limits of concurrent reads of live views: per user, per cluster, per organization of the users, and in total.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use kqueen_domain::{
    access::Caller,
    id::{ClusterId, OrganizationId, UserId},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

/// Limits of concurrent reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Per user: less than the total, so that one user's hanging clusters leave room for others.
    pub(super) per_user: usize,
    /// Per cluster: each of its views with the current kubeconfig, and as many with a previous one.
    pub(super) per_cluster: usize,
    /// Per organization: less than the total, so that the users of one organization leave room for others.
    pub(super) per_organization: usize,
    /// In total, so that memory and connections stay bounded.
    pub(super) overall: usize,
    /// How long a request waits for a slot.
    pub(super) max_wait: Duration,
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSlot {
    /// The limit per user is reached.
    #[error(
        "{0} live views are being read for you, which is the limit per user: wait until one of them ends, or close pages that \
         show clusters that do not respond"
    )]
    User(usize),
    /// The limit per cluster is reached.
    #[error("{0} live views of this cluster are being read, which is the limit per cluster: try again later")]
    Cluster(usize),
    /// The limit per organization is reached.
    #[error(
        "{0} live views are being read for the users of your organization, as many as one organization may have at a time: try again in a \
         moment"
    )]
    Organization(usize),
    /// The total limit is reached.
    #[error("{0} live views are being read, which is the limit of this installation: try again later")]
    Overall(usize),
}

/// The slots for reads.
#[derive(Debug)]
pub(super) struct ReadSlots {
    limits: Limits,
    users: PerKey<UserId>,
    clusters: PerKey<ClusterId>,
    organizations: PerKey<OrganizationId>,
    overall: Arc<Semaphore>,
}

/// A slot that is free again when it is dropped.
#[derive(Debug)]
pub(super) struct ReadSlot {
    _permits: [OwnedSemaphorePermit; 4],
}

impl ReadSlots {
    /// All slots are free.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            users: PerKey::new(limits.per_user),
            clusters: PerKey::new(limits.per_cluster),
            organizations: PerKey::new(limits.per_organization),
            overall: Arc::new(Semaphore::new(limits.overall)),
        }
    }

    /// Takes a slot for a user, with the user's organization, and a cluster; waits for one up to the limit.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) async fn take(&self, caller: &Caller, cluster: ClusterId) -> Result<ReadSlot, NoSlot> {
        let Limits { per_user, per_cluster, per_organization, overall, max_wait } = self.limits;
        let until = Instant::now() + max_wait;
        // Shared permits last, so that they are not kept while waiting for another one.
        let user = permit(self.users.of(caller.user), until).await.ok_or(NoSlot::User(per_user))?;
        let cluster = permit(self.clusters.of(cluster), until).await.ok_or(NoSlot::Cluster(per_cluster))?;
        let organization = permit(self.organizations.of(caller.organization), until).await;
        let organization = organization.ok_or(NoSlot::Organization(per_organization))?;
        let any = permit(self.overall.clone(), until).await.ok_or(NoSlot::Overall(overall))?;
        Ok(ReadSlot { _permits: [user, cluster, organization, any] })
    }
}

/// Waits for a permit until `until`.
async fn permit(semaphore: Arc<Semaphore>, until: Instant) -> Option<OwnedSemaphorePermit> {
    timeout_at(until, semaphore.acquire_owned()).await.ok()?.ok()
}

/// The same number of permits for each key. Keys without taken permits are removed.
#[derive(Debug)]
struct PerKey<K> {
    permits: usize,
    semaphores: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> PerKey<K> {
    fn new(permits: usize) -> Self {
        Self { permits, semaphores: Mutex::default() }
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(semaphore) = semaphores.get(&key).and_then(Weak::upgrade) {
            return semaphore;
        }
        semaphores.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.permits));
        semaphores.insert(key, Arc::downgrade(&semaphore));
        semaphore
    }
}

#[cfg(test)]
mod tests {
    use kqueen_domain::user::Role;

    use super::*;

    const LIMITS: Limits =
        Limits { per_user: 3, per_cluster: 2, per_organization: 5, overall: 8, max_wait: Duration::from_secs(2) };

    /// A user of an organization.
    fn user_of(organization: OrganizationId) -> Caller {
        Caller { user: UserId::random(), organization, role: Role::Member, token_generation: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn each_limit_is_reported_and_dropped_slots_are_free_again() {
        let slots = ReadSlots::new(Limits { per_organization: 4, overall: 4, ..LIMITS });
        let organization = OrganizationId::random();
        let [ann, bob] = [(); 2].map(|()| user_of(organization));
        let cid = user_of(OrganizationId::random());
        let clusters = [(); 5].map(|()| ClusterId::random());
        let first = slots.take(&ann, clusters[0]).await.unwrap();
        let _second = slots.take(&bob, clusters[0]).await.unwrap();
        assert_eq!(slots.take(&ann, clusters[0]).await.unwrap_err(), NoSlot::Cluster(2));
        let third = slots.take(&ann, clusters[1]).await.unwrap();
        let _fourth = slots.take(&ann, clusters[2]).await.unwrap();
        assert_eq!(slots.take(&ann, clusters[3]).await.unwrap_err(), NoSlot::User(3));
        assert_eq!(slots.take(&cid, clusters[3]).await.unwrap_err(), NoSlot::Overall(4));
        drop((first, third));
        let _again = slots.take(&ann, clusters[0]).await.unwrap();
        slots.take(&cid, clusters[4]).await.unwrap();
        slots.take(&user_of(organization), clusters[4]).await.unwrap();
        assert!(!slots.users.semaphores.lock().unwrap().contains_key(&cid.user), "users without slots are removed");
    }

    #[tokio::test(start_paused = true)]
    async fn one_organization_cannot_take_all_slots() {
        let slots = ReadSlots::new(LIMITS);
        let (crowd, other) = (OrganizationId::random(), OrganizationId::random());
        let mut taken = Vec::new();
        for _ in 0..LIMITS.per_organization {
            taken.push(slots.take(&user_of(crowd), ClusterId::random()).await.unwrap());
        }
        let refused = slots.take(&user_of(crowd), ClusterId::random()).await.unwrap_err();
        assert_eq!(refused, NoSlot::Organization(LIMITS.per_organization));
        assert!(refused.to_string().starts_with("5 live views are being read for the users of your organization"));
        let _others = [
            slots.take(&user_of(other), ClusterId::random()).await.unwrap(),
            slots.take(&user_of(other), ClusterId::random()).await.unwrap(),
        ];
        taken.pop();
        slots.take(&user_of(crowd), ClusterId::random()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_slot() {
        let slots = ReadSlots::new(LIMITS);
        let (ann, clusters) = (user_of(OrganizationId::random()), [(); 4].map(|()| ClusterId::random()));
        let mut taken = Vec::new();
        for cluster in &clusters[..3] {
            taken.push(slots.take(&ann, *cluster).await.unwrap());
        }
        let end_one = async {
            tokio::time::sleep(LIMITS.max_wait / 2).await;
            taken.pop();
        };
        let (slot, ()) = tokio::join!(slots.take(&ann, clusters[3]), end_one);
        assert!(slot.is_ok());
    }
}
