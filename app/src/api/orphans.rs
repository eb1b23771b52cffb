//! Orphans: resources that may be left at providers without a cluster.

use crate::api::State;
use kqueen_domain::catalog::{self, Page};
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Api, Tag,
    dto::orphan::OrphanView,
    no_body::NoBody,
    page::ListQuery,
    rendered::{Listed, Rendered},
    security::Authenticated,
};
use crate::error::ApiError;

pub(super) struct OrphansApi;

fn shown(api: &Api, caller: &Authenticated, view: &catalog::OrphanView) -> Rendered<OrphanView> {
    Rendered::at(&api.views.orphan(&api.users, &caller.0, view, false), view.orphan.revision)
}

#[OpenApi(prefix_path = "/api/v1/orphans", tag = "Tag::Orphans")]
impl OrphansApi {
    /// List the resources that exist, or may exist, at providers without a cluster, oldest first.
    #[oai(path = "/", method = "get", operation_id = "orphan_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: ListQuery,
    ) -> Result<Rendered<Listed<OrphanView>>, ApiError> {
        let mut items = api.orphans.list(&caller.0, &query.list)?;
        let total = items.len();
        if let Some(window) = query.list.window {
            items = items.into_iter().skip(window.offset).take(window.limit).collect();
        }
        let with_namespace = query.list.names_namespaces();
        let item = |view: &catalog::OrphanView| api.views.orphan(&api.users, &caller.0, view, with_namespace);
        Ok(Rendered::of(&Listed::of(&Page { items, total }, query.paged, item)))
    }

    /// Delete the resources of an orphan at its provider. It leaves the list when the provider confirms that they are deleted.
    ///
    /// 409 if its provisioner was deleted: the provider can no longer be reached.
    #[oai(path = "/:id/delete", method = "post", operation_id = "orphan_delete")]
    async fn delete(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        _body: NoBody,
    ) -> Result<Rendered<OrphanView>, ApiError> {
        let view = api.orphans.delete(&caller.0, id.0.into()).await?;
        Ok(shown(&api, &caller, &view))
    }

    /// Ignore an orphan. It stays in the list as ignored, and no longer keeps its provisioner from being deleted.
    ///
    /// An orphan whose provisioner was deleted leaves the list, because its resources can no longer be observed.
    #[oai(path = "/:id/ignore", method = "post", operation_id = "orphan_ignore")]
    async fn ignore(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        _body: NoBody,
    ) -> Result<Rendered<OrphanView>, ApiError> {
        let view = api.orphans.ignore(&caller.0, id.0.into()).await?;
        Ok(shown(&api, &caller, &view))
    }
}
