//! Checks of provisioners' credentials: when they are set, and regularly in the background.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::{
    catalog::Catalog,
    id::ProvisionerId,
    observation::EngineError,
    port::{
        clock::Clock,
        engine::{Engine, EngineDescriptor},
        leader::Leadership,
        store::{ProvisionerStore, StoreError},
    },
    provisioner::{Check, Checked, ProvisionerPhase},
    secret::SecretMap,
    service::provisioners::providers::Providers,
};

/// Checks whether the provider accepts `parameters`.
pub(in crate::service) async fn check(engine: &dyn Engine, parameters: &SecretMap, clock: &dyn Clock) -> Check {
    let result = engine.check(parameters).await;
    check_result(result, Some(engine.descriptor()), clock.now())
}

/// The check result for an engine's answer. The engine is named, so that a simulated provider can be told from a real one.
fn check_result(result: Result<(), EngineError>, engine: Option<&EngineDescriptor>, at: DateTime<Utc>) -> Check {
    let name = engine.map_or("the provider", |engine| engine.verbose_name);
    let code = match &result {
        Ok(()) | Err(EngineError::Busy(_) | EngineError::Throttled { .. }) => None,
        Err(error) => Some(error.reason().code),
    };
    let (phase, reason) = match result {
        Ok(()) if engine.is_some_and(|engine| !engine.capabilities.deploy) => {
            (ProvisionerPhase::Ready, "no credentials to check: clusters are attached by their kubeconfigs".to_owned())
        }
        Ok(()) => (ProvisionerPhase::Ready, format!("{name} accepts the credentials")),
        // The provider answers, and the credentials are not the problem.
        Err(EngineError::Busy(_) | EngineError::Throttled { .. }) => {
            (ProvisionerPhase::Ready, format!("{name} is reachable but busy"))
        }
        Err(error @ EngineError::Unreachable(_)) => (ProvisionerPhase::NotReachable, error.reason().to_string()),
        Err(
            error @ (EngineError::Rejected(_)
            | EngineError::Denied(_)
            | EngineError::Missing
            | EngineError::Unsupported(_)
            | EngineError::NotOffered),
        ) => (ProvisionerPhase::Failed, error.reason().to_string()),
    };
    Check { phase, code, reason, at }
}

/// Checks provisioners in the background.
pub struct Checks {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Where results are stored.
    pub store: Arc<dyn ProvisionerStore>,
    /// Reaches providers.
    pub providers: Providers,
    /// Whether this replica may write results.
    pub leadership: Arc<dyn Leadership>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Checks {
    /// Checks one provisioner and stores the result. Returns its phase, or `None` if it was deleted.
    ///
    /// # Errors
    /// `NotLeader`, `Unavailable`.
    pub async fn check(&self, id: ProvisionerId) -> Result<Option<ProvisionerPhase>, StoreError> {
        let term = self.leadership.term().ok_or(StoreError::NotLeader)?;
        // The time before the call: a check with newer credentials that ends meanwhile counts as newer.
        let asked_at = self.clock.now();
        let Some(view) = self.catalog.provisioner(id) else { return Ok(None) };
        let engine = self.providers.engine_of(&view);
        let result = match engine {
            Some(engine) => {
                let credentials = self.providers.credentials(&view).await?;
                engine.check(&credentials.parameters).await
            }
            None => Err(EngineError::NotOffered),
        };
        let before = &view.provisioner.record;
        let check = check_result(result, engine.map(|engine| engine.descriptor()), asked_at);
        let phase = check.phase;
        let state_changed_at = if phase == before.check.phase { before.state_changed_at } else { check.at };
        match self.store.record_check(&Checked { provisioner: id, check, state_changed_at }, term).await {
            Ok(()) => Ok(Some(phase)),
            Err(StoreError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
