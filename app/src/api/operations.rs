//! Operations on clusters, and the actions without a body.

use crate::api::State;
use kqueen_domain::{catalog, ledger::ResourceRecord, service::clusters};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
};
use uuid::Uuid;

use super::{
    Api, Tag, clusters as shapes,
    dto::{
        cluster::ClusterView,
        operation::{Forgotten, OperationView, Requester, resources},
        timeline::{Timeline, TimelineEvent},
    },
    expected,
    header::HeaderText,
    no_body::NoBody,
    rendered::{Cached, Rendered},
    security::Authenticated,
};

/// Default `limit` of a timeline.
const DEFAULT_LIMIT: usize = 50;

use crate::error::ApiError;

pub(super) struct OperationsApi;

fn shown(
    api: &Api,
    caller: &Authenticated,
    view: &catalog::OperationView,
    records: &[ResourceRecord],
) -> Rendered<OperationView> {
    Rendered::at(&OperationView::of(view, &api.users, &caller.0, Some(records)), view.operation.revision)
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Operations")]
impl OperationsApi {
    /// List the operations on a cluster, newest first. Operations on a deleted cluster are kept for 30 days.
    #[oai(path = "/clusters/:id/operations", method = "get", operation_id = "operation_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<Vec<OperationView>>, ApiError> {
        let views = api.clusters.operations(&caller.0, id.0.into())?;
        let item = |view| OperationView::of(view, &api.users, &caller.0, None);
        Ok(Rendered::of(&views.iter().map(item).collect()))
    }

    /// Get an operation, with the resources that exist or may exist at the provider.
    #[oai(path = "/operations/:id", method = "get", operation_id = "operation_get")]
    async fn get(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<OperationView>, ApiError> {
        let clusters::OperationWithResources { view, resources } =
            api.clusters.operation_with_resources(&caller.0, id.0.into()).await?;
        Ok(shown(&api, &caller, &view, &resources))
    }

    /// Cancel an operation after the current call to the provider. The response lists the resources that exist now.
    ///
    /// The operation ends as `cancelled` shortly after. Resources that a cancelled deployment has created remain: retry it, or delete the
    /// cluster. Further requests have no effect.
    #[oai(path = "/operations/:id/cancel", method = "post", operation_id = "operation_cancel")]
    async fn cancel(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        _body: NoBody,
    ) -> Result<Rendered<OperationView>, ApiError> {
        api.clusters.cancel(&caller.0, id.0.into()).await?;
        let clusters::OperationWithResources { view, resources } =
            api.clusters.operation_with_resources(&caller.0, id.0.into()).await?;
        Ok(shown(&api, &caller, &view, &resources))
    }

    /// Retry the operation that failed or was cancelled, from where it stopped.
    ///
    /// A cluster that failed at its provider, or that misses resources there, is deployed again. This requires the right `cluster:update`;
    /// retrying a deletion that was cancelled also requires `cluster:delete`.
    #[oai(path = "/clusters/:id/retry", method = "post", operation_id = "cluster_retry")]
    async fn retry(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        _body: NoBody,
    ) -> Result<Rendered<Cached<ClusterView>>, ApiError> {
        let view = api.clusters.retry(&caller.0, id.0.into()).await?;
        Ok(shapes::without_kubeconfig(&api, &caller.0, &view))
    }

    /// Delete the record of a cluster without calling its provider, even if an operation is running. The response lists the resources that
    /// may remain at the provider, which become an orphan.
    #[oai(path = "/clusters/:id/forget", method = "post", operation_id = "cluster_forget")]
    async fn forget(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        _body: NoBody,
    ) -> Result<Rendered<Forgotten>, ApiError> {
        let now = || api.clusters.get(&caller.0, id.0.into()).ok().map(|view| view.cluster.revision);
        let expected = expected(if_match.0.as_deref(), now);
        let clusters::Forgotten { cluster, remaining } = api.clusters.forget(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Forgotten {
            id: cluster.uuid(),
            state: "forgotten".to_owned(),
            orphan: (!remaining.is_empty()).then_some(cluster.uuid()),
            remaining: resources(&remaining),
        }))
    }

    /// Get the timeline of a cluster, newest first. The timeline of a deleted cluster is kept for 30 days.
    #[oai(path = "/clusters/:id/timeline", method = "get", operation_id = "cluster_timeline")]
    async fn timeline(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        /// The maximum number of events; 50 by default.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<usize>>,
        /// Where to continue: the value of `next` in the previous response.
        from: Query<Option<String>>,
    ) -> Result<Rendered<Timeline>, ApiError> {
        let from = from.0.filter(|from| !from.is_empty());
        let page = api.clusters.timeline(&caller.0, id.0.into(), from, limit.0.unwrap_or(DEFAULT_LIMIT)).await?;
        let by = |user| Requester::of(user, &api.users, &caller.0);
        let items = page.entries.iter().map(|entry| TimelineEvent::of(entry, entry.by.map(by))).collect();
        Ok(Rendered::of(&Timeline { items, next: page.next }))
    }
}
