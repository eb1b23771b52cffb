//! Creating clusters, or attaching existing ones.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{ClusterWithKubeconfig, Clusters, permits, set_by_provider, take_kubeconfig};
use crate::{
    access::{Action, Caller, Target},
    catalog::{ClusterView, Stored},
    cluster::{Cluster, Lifecycle},
    document,
    id::{ClusterId, OperationId, ProvisionerId, UserId},
    kubeconfig,
    name::ResourceName,
    operation::{Operation, OperationKind},
    port::store::{ClusterCommit, ClusterSecrets, Creation, SecretUpdate},
    provisioner::ProvisionerPhase,
    revision::Revision,
    secret::{Kubeconfig, SecretMap, SecretValue},
    service::{
        ServiceError,
        idempotency::{IdempotencyKey, used_for_another},
        permission::may,
        references,
    },
    timeline::{EventKind, TimelineEvent},
};

/// A request to create a cluster.
#[derive(Debug)]
pub struct NewCluster {
    /// Its name.
    pub name: ResourceName,
    /// Its provisioner.
    pub provisioner: ProvisionerId,
    /// Its owner; the caller if `None`.
    pub owner: Option<UserId>,
    /// The engine's cluster parameters, and whatever else clients store there. May contain the kubeconfig.
    pub metadata: Option<SecretMap>,
    /// The kubeconfig, as a JSON object or YAML text.
    pub kubeconfig: Option<SecretValue>,
}

impl Clusters {
    /// Stores a new cluster, which is reconciled in the background from then on.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`; `Conflict` when the provisioner is not ready, or the key was used for another request.
    pub async fn create(
        &self,
        caller: &Caller,
        new: NewCluster,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<ClusterWithKubeconfig, ServiceError> {
        let idempotency = idempotency.map(|key| key.record(caller.user, self.clock.now()));
        if let Some(idempotency) = &idempotency
            && let Some((first, same_request)) = self.store.created_with(idempotency).await?
        {
            let mut metadata = new.metadata.unwrap_or_default();
            let sent = take_kubeconfig(&mut metadata, new.kubeconfig)?;
            let kubeconfig = sent.and_then(|sent| kubeconfig::parse(&sent, &self.addresses).ok());
            return self.repeated(caller, first, kubeconfig, same_request);
        }
        let provisioner = references::visible_provisioner(&self.catalog, caller, new.provisioner)?;
        let record = &provisioner.provisioner.record;
        let organization = record.organization;
        let created = Target { organization, owner: Some(caller.user) };
        if !may(caller, Action::ClusterCreate, created, provisioner.organization.as_deref()) {
            return Err(ServiceError::Forbidden(
                "you do not have permission to create clusters in this organization".into(),
            ));
        }
        let owner = references::owner(&self.catalog, caller, new.owner.unwrap_or(caller.user), organization)?;
        let engine = self.engine(&record.engine)?;
        let mut metadata = new.metadata.clone().unwrap_or_default();
        let sent = take_kubeconfig(&mut metadata, new.kubeconfig)?;
        let kubeconfig = sent.map(|sent| kubeconfig::parse(&sent, &self.addresses)).transpose()?;
        engine.descriptor().cluster.normalize("metadata", &mut metadata)?;
        if kubeconfig.is_some() && engine.descriptor().capabilities.deploy {
            let mut invalid = set_by_provider();
            if let Err(others) = self.validated(engine, metadata, true) {
                invalid.0.extend(others.0);
            }
            return Err(invalid.into());
        }
        let (full, is_attached) = self.validated(engine, metadata, kubeconfig.is_some())?;
        if record.check.phase != ProvisionerPhase::Ready {
            return Err(ServiceError::conflict(format!(
                "provisioner {} is not ready: {}",
                record.name, record.check.reason
            )));
        }
        let schema = &engine.descriptor().cluster;
        let is_secret = |path: &[&str]| schema.is_secret(path);
        document::refuse_masks("metadata", &full, &is_secret)?;
        let split = document::split(&full, &is_secret);
        let now = self.clock.now();
        let id = ClusterId::random();
        let (operation, work) = self.first_commit(id, caller, is_attached, now);
        let cluster = Cluster {
            id,
            operation,
            name: new.name,
            organization,
            provisioner: record.id,
            owner,
            metadata: (new.metadata.is_some() || !split.shown.is_empty()).then_some(split.shown),
            has_kubeconfig: kubeconfig.is_some(),
            lifecycle: if is_attached { Lifecycle::Ready } else { Lifecycle::Deploying },
            changed_at: now,
            created_at: now,
        };
        let secrets = ClusterSecrets {
            kubeconfig: kubeconfig.clone().map_or(SecretUpdate::Keep, SecretUpdate::Set),
            metadata: split.sealed.into(),
        };
        match self.store.create(&cluster, secrets, work, idempotency).await? {
            Creation::New(revision) => Ok(self.created(caller, cluster, revision, kubeconfig)),
            Creation::Repeated { first, same_request } => self.repeated(caller, first, kubeconfig, same_request),
        }
    }

    /// What is written with a new cluster: the operation that deploys it, unless it is attached, and its first timeline event.
    fn first_commit(
        &self,
        id: ClusterId,
        caller: &Caller,
        is_attached: bool,
        now: DateTime<Utc>,
    ) -> (Option<OperationId>, ClusterCommit) {
        let operation = (!is_attached)
            .then(|| Operation::requested(id, OperationKind::Deploy, caller.user, now, self.deadline(now)));
        let message = if is_attached { "the cluster was attached" } else { "cluster creation requested" };
        let event = TimelineEvent {
            cluster: id,
            at: now,
            kind: EventKind::Asked,
            message: message.to_owned(),
            operation: operation.as_ref().map(|operation| operation.id),
            by: Some(caller.user),
            reason: None,
        };
        let started = operation.as_ref().map(|operation| operation.id);
        let operations = operation.into_iter().map(|operation| (operation, None)).collect();
        (started, ClusterCommit { operations, timeline: vec![event], ..ClusterCommit::default() })
    }

    /// The answer to a request that repeats the key of an earlier one.
    fn repeated(
        &self,
        caller: &Caller,
        first: Cluster,
        kubeconfig: Option<Kubeconfig>,
        same_request: bool,
    ) -> Result<ClusterWithKubeconfig, ServiceError> {
        // Revision 0 is no stored revision: the record may have changed since.
        if same_request { Ok(self.created(caller, first, Revision(0), kubeconfig)) } else { Err(used_for_another()) }
    }

    fn created(
        &self,
        caller: &Caller,
        cluster: Cluster,
        revision: Revision,
        kubeconfig: Option<Kubeconfig>,
    ) -> ClusterWithKubeconfig {
        let view = self.view(cluster, revision);
        let may_read = permits(caller, Action::ClusterKubeconfig, &view);
        let kubeconfig = may_read.then(|| kubeconfig.into());
        ClusterWithKubeconfig { view, kubeconfig }
    }

    fn view(&self, cluster: Cluster, revision: Revision) -> ClusterView {
        ClusterView {
            organization: self.catalog.organization(cluster.organization),
            provisioner: self.catalog.provisioner(cluster.provisioner),
            owner: self.catalog.user_view(cluster.owner),
            observed: None,
            observed_at: None,
            cluster: Arc::new(Stored::new(cluster, revision)),
        }
    }
}
