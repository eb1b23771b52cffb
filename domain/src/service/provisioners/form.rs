//! The form for clusters of a provisioner.

use std::collections::BTreeMap;

use super::Provisioners;
use crate::{
    access::{Action, Caller, Target},
    id::ProvisionerId,
    invalid::Findings,
    parameter::{Field, FormField},
    port::engine::ProviderCredentials,
    service::{ServiceError, permission::may},
};

impl Provisioners {
    /// The fields of a cluster of this provisioner, with what the provider offers its credentials, given the values chosen so far, by the
    /// names or aliases of their fields. Offers are a few minutes old at most. If they cannot be read, the affected fields say why.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for callers who may not create clusters; `Invalid` for values of unknown or secret fields; `Conflict` if the
    /// engine is not offered.
    pub async fn form(
        &self,
        caller: &Caller,
        id: ProvisionerId,
        values: &BTreeMap<String, String>,
    ) -> Result<Vec<FormField>, ServiceError> {
        let view = self.get(caller, id)?;
        let provisioner = &view.provisioner.record;
        let target = Target { organization: provisioner.organization, owner: None };
        if !may(caller, Action::ClusterCreate, target, view.organization.as_deref()) {
            return Err(ServiceError::Forbidden("you may not create clusters in this organization".into()));
        }
        let engine = self
            .engines
            .get(&provisioner.engine)
            .ok_or_else(|| ServiceError::conflict(format!("the engine {} is no longer offered", provisioner.engine)))?;
        let schema = &engine.descriptor().cluster;
        let mut findings = Findings::default();
        let mut chosen = BTreeMap::new();
        for (name, value) in values {
            let is_named =
                |field: &&Field| field.name == *name || field.alias.as_ref().is_some_and(|alias| alias == name);
            match schema.0.iter().find(is_named) {
                None => findings.add(name.clone(), "is not a field of this form"),
                Some(field) if field.secret => findings.add(name.clone(), "is secret and cannot be part of an address"),
                Some(field) => drop(chosen.insert(field.name.to_string(), value.clone())),
            }
        }
        findings.finish(Some(()))?;
        let sealed = self.store.secrets(id).await?;
        let parameters = provisioner.parameters.reveal(sealed.as_ref());
        let parameters = parameters.map_err(|error| ServiceError::Internal(error.into()))?;
        let credentials = ProviderCredentials { provisioner: id, parameters };
        let offers = engine.offers(&credentials, &chosen).await;
        Ok(schema.form(&offers.map_err(|error| error.reason())))
    }
}
