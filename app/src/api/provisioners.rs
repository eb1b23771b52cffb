//! Provisioners and engines.

use kqueen_domain::{access::Caller, catalog, service::Expected};
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Api, Tag,
    body::Body,
    dto::{
        Deleted, Health,
        provisioner::{EngineView, ProvisionerCreate, ProvisionerUpdate, ProvisionerView},
    },
    error::ApiError,
    expected,
    header::HeaderText,
    once,
    page::{ListQuery, PhasedQuery},
    ready,
    rendered::{Listed, Rendered},
    security::Authenticated,
};

pub(super) struct ProvisionersApi(pub(super) Option<Api>);

impl ProvisionersApi {
    /// The revision a request expects.
    fn expected(&self, caller: &Caller, id: &Path<Uuid>, tags: &HeaderText) -> Result<Expected, ApiError> {
        let provisioners = &ready(self.0.as_ref())?.provisioners;
        let now = || provisioners.get(caller, id.0.into()).ok().map(|view| view.provisioner.revision);
        Ok(expected(tags.0.as_deref(), now))
    }
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
        caller: Authenticated,
        query: PhasedQuery,
    ) -> Result<Rendered<Listed<ProvisionerView>>, ApiError> {
        let api = ready(self.0.as_ref())?;
        let query = api.views.provisioner_query(&query)?;
        let page = api.provisioners.list(&caller.0, &query.list)?;
        let named = query.list.names_namespaces();
        let item = |view: &catalog::ProvisionerView| api.views.provisioner(&caller.0, view, named);
        Ok(Rendered::of(&Listed::of(&page, query.paged, item)))
    }

    /// Create a provisioner. Its credentials are checked; it is saved whatever the check finds.
    #[oai(path = "/", method = "post", operation_id = "provisioner_create")]
    async fn create(
        &self,
        caller: Authenticated,
        #[oai(name = "Idempotency-Key")] key: HeaderText,
        body: Body<ProvisionerCreate>,
    ) -> Result<Rendered<ProvisionerView>, ApiError> {
        let api = ready(self.0.as_ref())?;
        let once = once(key.0, body.bytes())?;
        let new = body.read()?;
        Ok(shown(api, &caller.0, &api.provisioners.create(&caller.0, new, once).await?))
    }

    /// List the engines that are offered, with what they ask for and can do.
    #[oai(path = "/engines", method = "get", operation_id = "engine_list")]
    async fn engines(&self, _caller: Authenticated) -> Result<Rendered<Vec<EngineView>>, ApiError> {
        let engines: Vec<_> = ready(self.0.as_ref())?.provisioners.engines().map(EngineView::from).collect();
        Ok(Rendered::of(&engines))
    }

    /// Tell how many provisioners there are and which share of them is well.
    #[oai(path = "/health", method = "get", operation_id = "provisioner_health")]
    async fn health(&self, caller: Authenticated, query: ListQuery) -> Result<Rendered<Health>, ApiError> {
        let tally = ready(self.0.as_ref())?.provisioners.health(&caller.0, &query.list)?;
        Ok(Rendered::of(&Health::from(tally)))
    }

    /// Show one provisioner.
    #[oai(path = "/:id", method = "get", operation_id = "provisioner_get")]
    async fn get(&self, caller: Authenticated, id: Path<Uuid>) -> Result<Rendered<ProvisionerView>, ApiError> {
        let api = ready(self.0.as_ref())?;
        Ok(shown(api, &caller.0, &api.provisioners.get(&caller.0, id.0.into())?))
    }

    /// Change a provisioner. New parameters are checked against the provider.
    ///
    /// What was read can be sent back whole: read-only fields with the value that was read are ignored, another value is 422. Times are
    /// compared as instants. The owner is `"User:<id>"`, or the object that was read, whole or shortened. State, reason and whatever else
    /// is observed may have changed since: if the body has the object's `id`, and `observed_at` or `state_changed_at` of another time
    /// than now, these fields are ignored.
    #[oai(path = "/:id", method = "patch", operation_id = "provisioner_update")]
    async fn update(
        &self,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<ProvisionerUpdate>,
    ) -> Result<Rendered<ProvisionerView>, ApiError> {
        let api = ready(self.0.as_ref())?;
        let expected = self.expected(&caller.0, &id, &if_match)?;
        let now = || {
            let view = api.provisioners.get(&caller.0, id.0.into()).ok()?;
            serde_json::to_value(api.views.provisioner(&caller.0, &view, true)).ok()
        };
        let patch = body.read(now)?;
        Ok(shown(api, &caller.0, &api.provisioners.update(&caller.0, id.0.into(), patch, expected).await?))
    }

    /// Delete a provisioner that no cluster uses.
    #[oai(path = "/:id", method = "delete", operation_id = "provisioner_delete")]
    async fn delete(
        &self,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
    ) -> Result<Rendered<Deleted>, ApiError> {
        let expected = self.expected(&caller.0, &id, &if_match)?;
        ready(self.0.as_ref())?.provisioners.delete(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Deleted::of(id.0)))
    }
}
