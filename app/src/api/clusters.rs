//! Clusters.

use crate::api::State;
use kqueen_domain::{
    access::Caller,
    catalog,
    service::{
        Expected,
        clusters::{ClusterWithKubeconfig, Progress},
    },
};
use poem_openapi::{OpenApi, param::Path, types::Any};
use uuid::Uuid;

use super::{
    Api, Tag,
    body::Body,
    dto::{
        Deleted, Health, SecretJson,
        cluster::{ClusterCreate, ClusterUpdate, ClusterView, NetworkPolicy, ProgressView, Resize},
        secret_json,
        status::ClusterStatusView,
        topology::TopologyView,
    },
    expected,
    header::HeaderText,
    idempotency_key,
    page::{ListQuery, PhasedQuery},
    rendered::{Cached, Listed, Rendered},
    security::Authenticated,
};

use crate::error::ApiError;

pub(super) struct ClustersApi;

/// The revision expected by `If-Match`.
fn expected_revision(api: &Api, caller: &Caller, id: &Path<Uuid>, tags: &HeaderText) -> Expected {
    let clusters = &api.clusters;
    let now = || clusters.get(caller, id.0.into()).ok().map(|view| view.cluster.revision);
    expected(tags.0.as_deref(), now)
}

fn shown(api: &Api, caller: &Caller, cluster: ClusterWithKubeconfig) -> Rendered<ClusterView> {
    let revision = cluster.view.cluster.revision;
    Rendered::secret_at(&api.views.cluster_with_kubeconfig(caller, cluster), revision)
}

pub(super) fn without_kubeconfig(
    api: &Api,
    caller: &Caller,
    view: &catalog::ClusterView,
) -> Rendered<Cached<ClusterView>> {
    Rendered::at(&api.views.cluster(caller, view, false), view.cluster.revision)
}

#[OpenApi(prefix_path = "/api/v1/clusters", tag = "Tag::Clusters")]
impl ClustersApi {
    /// List clusters.
    #[oai(path = "/", method = "get", operation_id = "cluster_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: PhasedQuery,
    ) -> Result<Rendered<Listed<Cached<ClusterView>>>, ApiError> {
        let query = api.views.cluster_query(&query)?;
        let page = api.clusters.list(&caller.0, &query.list)?;
        if api.trigger_on_list {
            let due = page.items.iter().filter(|view| !view.keeps_its_schedule());
            api.trigger.listed(due.map(|view| (&view.cluster.record.id, view.observed_at)));
        }
        let with_namespace = query.list.names_namespaces();
        let item = |view: &catalog::ClusterView| api.views.cluster(&caller.0, view, with_namespace);
        Ok(Rendered::of(&Listed::of(&page, query.paged, item)))
    }

    /// Create a cluster, or attach an existing one with the manual engine. The response does not wait for a provider.
    #[oai(path = "/", method = "post", operation_id = "cluster_create")]
    async fn create(
        &self,
        api: State<'_>,
        caller: Authenticated,
        #[oai(name = "Idempotency-Key")] key: HeaderText,
        body: Body<ClusterCreate>,
    ) -> Result<Rendered<ClusterView>, ApiError> {
        let idempotency_key = idempotency_key(key.0, &body)?;
        let new = body.read()?;
        let cluster = api.clusters.create(&caller.0, new, idempotency_key).await?;
        api.trigger.now(cluster.view.cluster.record.id);
        Ok(shown(&api, &caller.0, cluster))
    }

    /// Get the number of clusters and the share of them that is healthy.
    #[oai(path = "/health", method = "get", operation_id = "cluster_health")]
    async fn health(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: ListQuery,
    ) -> Result<Rendered<Health>, ApiError> {
        let tally = api.clusters.health(&caller.0, &query.list)?;
        Ok(Rendered::of(&Health::from(tally)))
    }

    /// Get a cluster, with its kubeconfig if the policy allows the caller to read it.
    #[oai(path = "/:id", method = "get", operation_id = "cluster_get")]
    async fn get(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<ClusterView>, ApiError> {
        let cluster = api.clusters.show(&caller.0, id.0.into()).await?;
        Ok(shown(&api, &caller.0, cluster))
    }

    /// Change a cluster: name, owner, metadata, kubeconfig.
    ///
    /// An object that was read can be sent back as a whole: read-only fields with the value that was read are ignored, another value is 422.
    /// Times are compared as instants. The owner is `"User:<id>"`, or the object that was read, in full or shortened. State, reason and
    /// other observed fields may have changed since: they are ignored if the body has the object's `id`, and an `observed_at` or
    /// `state_changed_at` that differs from the current one. `node_count` and `network_policy` are never ignored: another value than the
    /// current one is 422, which names the request that changes it.
    #[oai(path = "/:id", method = "patch", operation_id = "cluster_update")]
    async fn update(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<ClusterUpdate>,
    ) -> Result<Rendered<ClusterView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let now = || {
            let view = api.clusters.get(&caller.0, id.0.into()).ok()?;
            serde_json::from_str(api.views.cluster(&caller.0, &view, true).text()).ok()
        };
        let patch = body.read(now)?;
        let cluster = api.clusters.update(&caller.0, id.0.into(), patch, expected).await?;
        api.trigger.now(id.0.into());
        Ok(shown(&api, &caller.0, cluster))
    }

    /// Delete a cluster. An attached cluster is only detached: the cluster itself is not changed.
    ///
    /// A cluster that a provider created is deleted in the background, even if another operation is running. Its phase is `Destroying`
    /// until the provider confirms that no resources are left, and then it is removed. Further requests meanwhile have no effect.
    #[oai(path = "/:id", method = "delete", operation_id = "cluster_delete")]
    async fn delete(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
    ) -> Result<Rendered<Deleted>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        api.clusters.delete(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Deleted::of(id.0)))
    }

    /// Get the Kubernetes objects in a cluster, live: nodes, pods, services, deployments and more.
    ///
    /// Kinds that could not be read, or not in time, are listed in `errors`. 502 if the cluster rejects the request or cannot be reached, 504
    /// if it does not respond in time. Concurrent requests for the same view share one response. 429 if too many other views are being
    /// read for you or for your organization.
    #[oai(path = "/:id/status", method = "get", operation_id = "cluster_status")]
    async fn status(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<ClusterStatusView>, ApiError> {
        api.live.status(&caller.0, id.0.into()).await
    }

    /// Get the Kubernetes objects in a cluster as a graph, live: objects by UID, and the relations between them.
    ///
    /// The errors are those of `GET /clusters/{id}/status`.
    #[oai(path = "/:id/topology-data", method = "get", operation_id = "cluster_topology")]
    async fn topology(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<TopologyView>, ApiError> {
        api.live.topology(&caller.0, id.0.into()).await
    }

    /// Get the kubeconfig, if the policy allows the caller to read it.
    #[oai(path = "/:id/kubeconfig", method = "get", operation_id = "cluster_kubeconfig")]
    async fn kubeconfig(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<Any<SecretJson>>, ApiError> {
        let kubeconfig = api.clusters.kubeconfig(&caller.0, id.0.into()).await?;
        Ok(Rendered::secret(&secret_json(Some(kubeconfig))))
    }

    /// Get the progress of creating a cluster. `response` is 501 if the engine does not report progress.
    #[oai(path = "/:id/progress", method = "get", operation_id = "cluster_progress")]
    async fn progress(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<ProgressView>, ApiError> {
        let Progress { percent, phase } = api.clusters.progress(&caller.0, id.0.into())?;
        let (response, progress) = percent.map_or((501, 0), |percent| (200, percent));
        let result = api.views.caption(phase).to_owned();
        Ok(Rendered::of(&ProgressView { response, progress, result }))
    }

    /// Change the number of nodes. The response does not wait for the provider. 409 `unsupported` if the engine cannot resize clusters.
    #[oai(path = "/:id/resize", method = "patch", operation_id = "cluster_resize")]
    async fn resize(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<Resize>,
    ) -> Result<Rendered<Cached<ClusterView>>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let node_count = body.read()?;
        let view = api.clusters.resize(&caller.0, id.0.into(), node_count, expected).await?;
        Ok(without_kubeconfig(&api, &caller.0, &view))
    }

    /// Set the network policy. The response does not wait for the provider. 409 `unsupported` if the engine cannot set it.
    #[oai(path = "/:id/set_network_policy", method = "patch", operation_id = "cluster_set_network_policy")]
    async fn set_network_policy(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<NetworkPolicy>,
    ) -> Result<Rendered<Cached<ClusterView>>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let policy = body.read()?;
        let view = api.clusters.set_network_policy(&caller.0, id.0.into(), policy, expected).await?;
        Ok(without_kubeconfig(&api, &caller.0, &view))
    }
}
