//! Users.

use crate::api::State;
use kqueen_domain::{
    access::Caller,
    catalog,
    service::{Expected, people::users::UserPatch},
};
use poem_openapi::{OpenApi, param::Path};
use uuid::Uuid;

use super::{
    Api, Tag,
    body::Body,
    dto::{
        Deleted,
        user::{PasswordUpdate, UserCreate, UserUpdate, UserView},
    },
    expected,
    header::HeaderText,
    page::ListQuery,
    rendered::{Listed, Rendered},
    security::Authenticated,
};

use crate::error::ApiError;

pub(super) struct UsersApi;

/// The revision expected by `If-Match`.
fn expected_revision(api: &Api, caller: &Caller, id: &Path<Uuid>, tags: &HeaderText) -> Expected {
    let users = &api.users;
    let now = || users.get(caller, id.0.into()).ok().map(|view| view.user.revision);
    expected(tags.0.as_deref(), now)
}

fn shown(view: &catalog::UserView) -> Rendered<UserView> {
    Rendered::at(&view.into(), view.user.revision)
}

#[OpenApi(prefix_path = "/api/v1/users", tag = "Tag::Users")]
impl UsersApi {
    /// List users. Superadmins see all users, others those of their organization.
    #[oai(path = "/", method = "get", operation_id = "user_list")]
    async fn list(
        &self,
        api: State<'_>,
        caller: Authenticated,
        query: ListQuery,
    ) -> Result<Rendered<Listed<UserView>>, ApiError> {
        let page = api.users.list(&caller.0, &query.list)?;
        Ok(Rendered::of(&Listed::of(&page, query.paged, |view| UserView::from(view))))
    }

    /// Create a user. You cannot assign a role above your own.
    #[oai(path = "/", method = "post", operation_id = "user_create")]
    async fn create(
        &self,
        api: State<'_>,
        caller: Authenticated,
        body: Body<UserCreate>,
    ) -> Result<Rendered<UserView>, ApiError> {
        let new = body.read()?;
        Ok(shown(&api.users.create(&caller.0, new).await?))
    }

    /// Get the user that the token belongs to.
    #[oai(path = "/whoami", method = "get", operation_id = "user_whoami")]
    async fn whoami(&self, api: State<'_>, caller: Authenticated) -> Result<Rendered<UserView>, ApiError> {
        Ok(shown(&api.users.get(&caller.0, caller.0.user)?))
    }

    /// Get a user.
    #[oai(path = "/:id", method = "get", operation_id = "user_get")]
    async fn get(&self, api: State<'_>, caller: Authenticated, id: Path<Uuid>) -> Result<Rendered<UserView>, ApiError> {
        Ok(shown(&api.users.get(&caller.0, id.0.into())?))
    }

    /// Change a user. Members can change only their own e-mail address and metadata.
    ///
    /// An object that was read can be sent back as a whole: read-only fields with the value that was read are ignored, another value is 422. The
    /// organization is `"Organization:<id>"`, or the object that was read.
    #[oai(path = "/:id", method = "patch", operation_id = "user_update")]
    async fn update(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<UserUpdate>,
    ) -> Result<Rendered<UserView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let users = &api.users;
        let now = || {
            let view = users.get(&caller.0, id.0.into()).ok()?;
            serde_json::to_value(UserView::from(&view)).ok()
        };
        let patch: UserPatch = body.read(now)?;
        Ok(shown(&users.update(&caller.0, id.0.into(), patch, expected).await?))
    }

    /// Delete a user who owns no objects. You cannot delete your own account.
    #[oai(path = "/:id", method = "delete", operation_id = "user_delete")]
    async fn delete(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
    ) -> Result<Rendered<Deleted>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        api.users.delete(&caller.0, id.0.into(), expected).await?;
        Ok(Rendered::of(&Deleted::of(id.0)))
    }

    /// Set your own password or, as an admin, the password of a user of your organization. All older tokens of the user become invalid.
    #[oai(path = "/:id/updatepw", method = "patch", operation_id = "user_update_password")]
    async fn update_password(
        &self,
        api: State<'_>,
        caller: Authenticated,
        id: Path<Uuid>,
        #[oai(name = "If-Match")] if_match: HeaderText,
        body: Body<PasswordUpdate>,
    ) -> Result<Rendered<UserView>, ApiError> {
        let expected = expected_revision(&api, &caller.0, &id, &if_match);
        let password = body.read()?;
        let users = &api.users;
        Ok(shown(&users.set_password(&caller.0, id.0.into(), password, expected).await?))
    }
}
