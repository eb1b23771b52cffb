//! Access to a cluster's provider: the engine, the credentials of the provisioner, and the cluster as a [`ClusterSpec`].

use std::sync::Arc;

use uuid::Uuid;

use crate::{
    catalog::{Catalog, ClusterView, ProvisionerView},
    document::{Document, MASK},
    id::{ClusterId, ProvisionerId},
    kubeconfig::with_token,
    ledger::{Ledger, OwnershipTag, ProviderResource},
    observation::EngineError,
    port::{
        engine::{ClusterSpec, Engine, EngineRegistry, ProviderCredentials},
        store::{ClusterStore, ProvisionerStore, StoreError},
    },
    secret::{Kubeconfig, SecretDocument, SecretMap},
};

/// Everything needed to call providers.
#[derive(Clone)]
pub struct Providers {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Stores clusters' secret parameters.
    pub clusters: Arc<dyn ClusterStore>,
    /// Stores provisioners' secret parameters.
    pub provisioners: Arc<dyn ProvisionerStore>,
    /// The engines this installation offers.
    pub engines: EngineRegistry,
    /// The id of this installation, for the ownership tags on the resources it creates.
    pub installation: Uuid,
}

impl Providers {
    /// The engine of a provisioner, if this installation offers it.
    #[must_use]
    pub fn engine_of(&self, provisioner: &ProvisionerView) -> Option<&Arc<dyn Engine>> {
        self.engines.get(&provisioner.provisioner.record.engine)
    }

    /// The engine of a cluster, if this installation offers it.
    #[must_use]
    pub fn engine_of_cluster(&self, view: &ClusterView) -> Option<&Arc<dyn Engine>> {
        self.engine_of(view.provisioner.as_ref()?)
    }

    /// The ownership tag on every resource of a cluster.
    #[must_use]
    pub const fn tag(&self, cluster: ClusterId) -> OwnershipTag {
        OwnershipTag { installation: self.installation, cluster }
    }

    /// The credentials to call a provider.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn credentials(&self, view: &ProvisionerView) -> Result<ProviderCredentials, StoreError> {
        let record = &view.provisioner.record;
        let parameters = self.parameters(record.id, &record.parameters).await?;
        Ok(ProviderCredentials { provisioner: record.id, parameters })
    }

    /// How this installation accesses a cluster with this stored kubeconfig. Nothing is sent to the provider yet.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn access(&self, view: &ClusterView, stored: Kubeconfig) -> Result<ClusterAccess, StoreError> {
        let issuer = match &view.provisioner {
            Some(provisioner) => self.issuer(view, provisioner).await?,
            None => None,
        };
        Ok(ClusterAccess { stored, issuer })
    }

    async fn issuer(
        &self,
        view: &ClusterView,
        provisioner: &ProvisionerView,
    ) -> Result<Option<TokenIssuer>, StoreError> {
        let engine = self.engine_of(provisioner).filter(|engine| engine.descriptor().capabilities.issues_tokens);
        let Some(engine) = engine.cloned() else { return Ok(None) };
        let credentials = self.credentials(provisioner).await?;
        let spec = self.spec(view, &Ledger::empty(view.cluster.record.id)).await?;
        Ok(Some(TokenIssuer { engine, credentials, spec }))
    }

    /// A provisioner's parameters with their secret parts.
    async fn parameters(&self, id: ProvisionerId, shown: &Document) -> Result<SecretMap, StoreError> {
        // Without masks nothing is secret, and the store need not be read.
        let sealed = if is_masked(shown) { self.provisioners.secrets(id).await? } else { None };
        revealed(shown, sealed.as_ref())
    }

    /// The spec of a cluster, for its engine.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn spec(&self, view: &ClusterView, ledger: &Ledger) -> Result<ClusterSpec, StoreError> {
        let cluster = &view.cluster.record;
        let parameters = match &cluster.metadata {
            None => SecretMap::new(),
            Some(shown) => {
                let sealed = if is_masked(shown) { self.clusters.metadata(cluster.id).await? } else { None };
                revealed(shown, sealed.as_ref())?
            }
        };
        Ok(ClusterSpec { tag: self.tag(cluster.id), name: cluster.name.to_string(), parameters, known: known(ledger) })
    }
}

/// Access to a cluster: its stored kubeconfig and, if that contains no credentials, the engine that issues tokens.
pub struct ClusterAccess {
    stored: Kubeconfig,
    issuer: Option<TokenIssuer>,
}

struct TokenIssuer {
    engine: Arc<dyn Engine>,
    credentials: ProviderCredentials,
    spec: ClusterSpec,
}

impl ClusterAccess {
    /// The kubeconfig to access the cluster with: the stored one, with a token if its engine issues them. May call the provider.
    ///
    /// # Errors
    /// The engine issues no token.
    pub async fn kubeconfig(&self) -> Result<Kubeconfig, EngineError> {
        let Some(TokenIssuer { engine, credentials, spec }) = &self.issuer else { return Ok(self.stored.clone()) };
        let issued = engine.issue_token(credentials, spec).await?;
        Ok(with_token(&self.stored, &issued.token).unwrap_or_else(|| self.stored.clone()))
    }
}

/// The resources that exist or may exist.
pub(in crate::service) fn known(ledger: &Ledger) -> Vec<ProviderResource> {
    ledger.remaining().map(|record| record.resource.clone()).collect()
}

fn is_masked(shown: &Document) -> bool {
    shown.as_str().contains(MASK)
}

fn revealed(shown: &Document, sealed: Option<&SecretDocument>) -> Result<SecretMap, StoreError> {
    shown.reveal(sealed).map_err(|error| StoreError::Unreadable(Box::new(error)))
}
