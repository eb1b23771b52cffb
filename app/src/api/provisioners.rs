//! Provisioners and engines.

use crate::api::State;
use kqueen_domain::{access::Caller, catalog, service::Expected};
use poem::Request;
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Api, Tag,
    body::Body,
    dto::{
        Deleted, Health,
        form::ProvisionerForm,
        provisioner::{EngineView, ProvisionerCreate, ProvisionerUpdate, ProvisionerView},
    },
    expected,
    header::HeaderText,
    idempotency_key,
    page::{ListQuery, PhasedQuery},
    rendered::{Listed, Rendered},
    security::Authenticated,
};

use crate::error::ApiError;

pub(super) struct ProvisionersApi;

/// The revision expected by `If-Match`.
fn expected_revision(api: &Api, caller: &Caller, id: &Path<Uuid>, tags: &HeaderText) -> Expected {
    let provisioners = &api.provisioners;
    let now = || provisioners.get(caller, id.0.into()).ok().map(|view| view.provisioner.revision);
    expected(tags.0.as_deref(), now)
}

fn shown(api: &Api, caller: &Caller, view: &catalog::ProvisionerView) -> Rendered<ProvisionerView> {
    Rendered::at(&api.views.provisioner(caller, view, false), view.provisioner.revision)
}

#[OpenApi(prefix_path = "/api/v1/provisioners", tag = "Tag::Provisioners")]
impl ProvisionersApi {
    /// List provisioners.
    #[oai(path = "/", method = "get", operation_id = "provisioner_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: PhasedQuery,
    ) -> Result<Rendered<Listed<ProvisionerView>>, ApiError> {
        let query = api.views.provisioner_query(&query)?;
        let page = api.provisioners.list(&caller.0, &query.list)?;
        let with_namespace = query.list.names_namespaces();
        let item = |view: &catalog::ProvisionerView| api.views.provisioner(&caller.0, view, with_namespace);
        Ok(Rendered::of(&Listed::of(&page, query.paged, item)))
    }

    /// Create a provisioner. Its credentials are checked, and it is saved whatever the result.
    #[oai(path = "/", method = "post", operation_id = "provisioner_create")]
    async fn create(
        &self,
        api: State<'_>,
        caller: Authenticated,
        #[oai(name = "Idempotency-Key")] key: HeaderText,
        body: Body<ProvisionerCreate>,
    ) -> Result<Rendered<ProvisionerView>, ApiError> {
        let idempotency_key = idempotency_key(key.0, &body)?;
        let new = body.read()?;
        Ok(shown(&api, &caller.0, &api.provisioners.create(&caller.0, new, idempotency_key).await?))
    }

    /// List the available engines, with their parameters and capabilities.
    #[oai(path = "/engines", method = "get", operation_id = "engine_list")]
    async fn engines(&self, api: State<'_>, _caller: Authenticated) -> Result<Rendered<Vec<EngineView>>, ApiError> {
        let engines: Vec<_> = api.provisioners.engines().map(EngineView::from).collect();
        Ok(Rendered::of(&engines))
    }

    /// Get the number of provisioners and the share of them that is healthy.
    #[oai(path = "/health", method = "get", operation_id = "provisioner_health")]
    async fn health(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: ListQuery,
    ) -> Result<Rendered<Health>, ApiError> {
        let tally = api.provisioners.health(&caller.0, &query.list)?;
        Ok(Rendered::of(&Health::from(tally)))
    }

    /// Get the form for clusters of a provisioner: the fields, with the choices that the provider offers its credentials at this moment.
    ///
    /// Every query parameter is a value chosen so far, by the name of its field: offers may depend on it, as machine types depend on the
    /// location. Offers are read from the provider and kept for a few minutes. A field whose offer cannot be read, or not within 5
    /// seconds, takes any text and says why.
    #[oai(path = "/:id/form", method = "get", operation_id = "provisioner_form")]
    async fn form(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        request: &Request,
    ) -> Result<Rendered<ProvisionerForm>, ApiError> {
        let query = request.uri().query().unwrap_or_default();
        let values = url::form_urlencoded::parse(query.as_bytes());
        let values = values.filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.into(), value.into()));
        let fields = api.provisioners.form(&caller.0, id.0.into(), &values.collect()).await?;
        Ok(Rendered::of(&ProvisionerForm::of(&fields)))
    }

    /// Get a provisioner.
    #[oai(path = "/:id", method = "get", operation_id = "provisioner_get")]
    async fn get(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<ProvisionerView>, ApiError> {
        Ok(shown(&api, &caller.0, &api.provisioners.get(&caller.0, id.0.into())?))
    }

    /// Change a provisioner. New parameters are checked against the provider.
    ///
    /// An object that was read can be sent back as a whole: read-only fields with the value that was read are ignored, another value is 422.
    /// Times are compared as instants. The owner is `"User:<id>"`, or the object that was read, in full or shortened. State, reason and all
    /// other observed fields may have changed since: they are ignored if the body has the object's `id`, and an `observed_at` or
    /// `state_changed_at` that differs from the current one.
    #[oai(path = "/:id", method = "patch", operation_id = "provisioner_update")]
    async fn update(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<ProvisionerUpdate>,
    ) -> Result<Rendered<ProvisionerView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let now = || {
            let view = api.provisioners.get(&caller.0, id.0.into()).ok()?;
            serde_json::to_value(api.views.provisioner(&caller.0, &view, true)).ok()
        };
        let patch = body.read(now)?;
        Ok(shown(&api, &caller.0, &api.provisioners.update(&caller.0, id.0.into(), patch, expected).await?))
    }

    /// Delete a provisioner that no cluster uses.
    #[oai(path = "/:id", method = "delete", operation_id = "provisioner_delete")]
    async fn delete(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
    ) -> Result<Rendered<Deleted>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        api.provisioners.delete(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Deleted::of(id.0)))
    }
}
