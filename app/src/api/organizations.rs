//! Organizations and their policies.

use crate::api::State;
use kqueen_domain::{access::Caller, service::Expected};
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Api, Tag,
    body::Body,
    dto::{
        Deleted,
        organization::{
            Deletable, OrganizationCreate, OrganizationUpdate, OrganizationView, PolicyUpdate, PolicyView, effective,
        },
    },
    expected,
    header::HeaderText,
    page::ListQuery,
    rendered::{Listed, Rendered},
    security::Authenticated,
};

use crate::error::ApiError;

pub(super) struct OrganizationsApi;

/// The revision expected by `If-Match`.
fn expected_revision(api: &Api, caller: &Caller, id: &Path<Uuid>, tags: &HeaderText) -> Expected {
    let organizations = &api.organizations;
    let now = || organizations.get(caller, id.0.into()).ok().map(|view| view.revision);
    expected(tags.0.as_deref(), now)
}

type Entry = kqueen_domain::catalog::Stored<kqueen_domain::organization::Organization>;

fn shown(entry: &Entry) -> Rendered<OrganizationView> {
    Rendered::at(&OrganizationView::of(entry), entry.revision)
}

#[OpenApi(prefix_path = "/api/v1/organizations", tag = "Tag::Organizations")]
impl OrganizationsApi {
    /// List organizations. Superadmins see all organizations, others only their own.
    #[oai(path = "/", method = "get", operation_id = "organization_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: ListQuery,
    ) -> Result<Rendered<Listed<OrganizationView>>, ApiError> {
        let page = api.organizations.list(&caller.0, &query.list)?;
        Ok(Rendered::of(&Listed::of(&page, query.paged, |entry| OrganizationView::of(entry))))
    }

    /// Create an organization. Superadmins only.
    #[oai(path = "/", method = "post", operation_id = "organization_create")]
    async fn create(
        &self,
        api: State<'_>,
        caller: Authenticated,
        body: Body<OrganizationCreate>,
    ) -> Result<Rendered<OrganizationView>, ApiError> {
        let new = body.read()?;
        Ok(shown(&*api.organizations.create(&caller.0, new).await?))
    }

    /// Get an organization.
    #[oai(path = "/:id", method = "get", operation_id = "organization_get")]
    async fn get(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<OrganizationView>, ApiError> {
        Ok(shown(&*api.organizations.get(&caller.0, id.0.into())?))
    }

    /// Change the name of an organization, or rules of its policy. Superadmins only.
    ///
    /// An object that was read can be sent back as a whole: read-only fields with the value that was read are ignored, another value is 422.
    #[oai(path = "/:id", method = "patch", operation_id = "organization_update")]
    async fn update(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<OrganizationUpdate>,
    ) -> Result<Rendered<OrganizationView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let organizations = &api.organizations;
        let now = || {
            let entry = organizations.get(&caller.0, id.0.into()).ok()?;
            serde_json::to_value(OrganizationView::of(&entry)).ok()
        };
        let patch = body.read(now)?;
        Ok(shown(&*organizations.update(&caller.0, id.0.into(), patch, expected).await?))
    }

    /// Delete an empty organization. Superadmins only.
    #[oai(path = "/:id", method = "delete", operation_id = "organization_delete")]
    async fn delete(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
    ) -> Result<Rendered<Deleted>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        api.organizations.delete(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Deleted::of(id.0)))
    }

    /// Get the effective rules of an organization, by action.
    #[oai(path = "/:id/policy", method = "get", operation_id = "organization_policy_get")]
    async fn policy(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<PolicyView>, ApiError> {
        let entry = api.organizations.get(&caller.0, id.0.into())?;
        Ok(policy(&entry))
    }

    /// Override rules of an organization. null restores the default.
    ///
    /// `organization:*`, `user:delete_superadmin` and `policy:update` cannot be overridden.
    #[oai(path = "/:id/policy", method = "patch", operation_id = "organization_policy_update")]
    async fn change_policy(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<PolicyUpdate>,
    ) -> Result<Rendered<PolicyView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let changes = body.read()?;
        let organizations = &api.organizations;
        Ok(policy(&*organizations.change_policy(&caller.0, id.0.into(), &changes, expected).await?))
    }

    /// Check whether an organization can be deleted, and list the objects that it still contains. Superadmins only.
    #[oai(path = "/:id/deletable", method = "get", operation_id = "organization_deletable")]
    async fn deletable(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
    ) -> Result<Rendered<Deletable>, ApiError> {
        let remaining = api.organizations.remaining(&caller.0, id.0.into())?;
        Ok(Rendered::of(&Deletable::from(remaining)))
    }
}

fn policy(entry: &Entry) -> Rendered<PolicyView> {
    Rendered::at(&effective(&entry.record.policy), entry.revision)
}
