//! Users in requests and responses.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    catalog,
    id::UserId,
    invalid::Invalid,
    name::EmailAddress,
    secret::{Password, SecretValue},
    service::people::users::{NewUser, UserPatch},
    user::{AuthMethod, Role},
};
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Free, FreeText, free_text, organization::OrganizationView};
use crate::api::{
    body::{Body, Fields},
    read_only,
};

/// The role of a user.
///
/// - `member`: Uses the clusters and provisioners of an organization.
/// - `admin`: Administers an organization.
/// - `superadmin`: Administers the installation.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "Role", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum RoleView {
    Member,
    Admin,
    Superadmin,
}

/// How a user is authenticated.
///
/// - `local`: By the password that is stored in this service.
/// - `ldap`: By an LDAP directory.
#[derive(Debug, Clone, Copy, Enum, Serialize)]
#[oai(rename = "AuthMethod", rename_all = "lowercase")]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the values are explained above")]
pub enum AuthMethodView {
    Local,
    Ldap,
}

/// A user to create.
#[derive(Object)]
pub struct UserCreate {
    /// The user name, unique in the installation.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub username: String,
    /// The password. Required for local users.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub password: Option<String>,
    /// The e-mail address, unique in the installation. An empty text means none.
    #[oai(validator(max_length = 254))]
    pub email: Option<String>,
    /// The organization, `Organization:<uuid>`. The organization of the caller by default.
    #[oai(validator(pattern = "^Organization:[0-9a-fA-F-]{36}$"))]
    pub organization: Option<String>,
    /// The role. `member` by default.
    pub role: Option<RoleView>,
    /// Whether the user is allowed to log in. True by default.
    pub active: Option<bool>,
    /// The authentication method. `local` by default.
    pub auth: Option<AuthMethodView>,
    /// Free-form data. Values under names like `password` or `token` are stored as secrets.
    pub metadata: Option<Free>,
}

/// Changes to a user.
#[derive(Object)]
pub struct UserUpdate {
    /// The user name.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub username: Option<String>,
    /// The e-mail address. null or an empty text removes it.
    #[oai(validator(max_length = 254))]
    pub email: Option<String>,
    /// The organization, `Organization:<uuid>`. Superadmins only, and only for users who own no objects.
    #[oai(validator(pattern = "^Organization:[0-9a-fA-F-]{36}$"))]
    pub organization: Option<String>,
    /// The role. You cannot assign a role above your own.
    pub role: Option<RoleView>,
    /// Whether the user is allowed to log in. All tokens become invalid when this changes.
    pub active: Option<bool>,
    /// Free-form data, merged by key: null removes a key.
    pub metadata: Option<Free>,
}

/// A new password.
#[derive(Object)]
pub struct PasswordUpdate {
    /// The password. All tokens issued before become invalid.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub password: String,
}

/// A user.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "User")]
pub struct UserView {
    /// The id of the user.
    pub id: Uuid,
    /// The user name.
    pub username: String,
    /// The e-mail address.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The role.
    pub role: RoleView,
    /// Whether the user is allowed to log in.
    pub active: bool,
    /// The authentication method.
    pub auth: AuthMethodView,
    /// Free-form data, with secrets as `*******`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<FreeText>,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
    /// The organization the user belongs to.
    pub organization: OrganizationView,
}

impl From<&catalog::UserView> for UserView {
    fn from(view: &catalog::UserView) -> Self {
        let user = &view.user.record;
        let organization = view.organization.as_deref();
        Self {
            id: user.id.uuid(),
            username: user.username.to_string(),
            email: user.email.as_ref().map(ToString::to_string),
            role: user.role.into(),
            active: user.active,
            auth: user.auth.into(),
            metadata: user.metadata.as_ref().map(free_text),
            created_at: user.created_at,
            organization: organization
                .map_or_else(|| OrganizationView::unknown(user.organization), OrganizationView::nested),
        }
    }
}

/// A user in another object. Callers who are not allowed to see the user get only `id` and `username`.
#[derive(Debug, Default, Serialize, Object)]
#[oai(rename = "NestedUser", skip_serializing_if_is_none)]
pub struct NestedUser {
    /// The id of the user.
    pub id: Uuid,
    /// The user name.
    pub username: String,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleView>,
    /// Whether the user is allowed to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// The authentication method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthMethodView>,
    /// Free-form data, with secrets as `*******`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<FreeText>,
    /// When the account was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// The organization the user belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationView>,
}

impl NestedUser {
    /// A user in full, or with only id and name; with only the id if the user is unknown.
    #[must_use]
    pub fn of(id: UserId, view: Option<&catalog::UserView>, in_full: bool) -> Self {
        // Possible for a moment while a user is deleted with the objects it owned.
        let Some(view) = view else { return Self { id: id.uuid(), ..Self::default() } };
        let UserView { id, username, email, role, active, auth, metadata, created_at, organization } = match in_full {
            true => view.into(),
            false => {
                let user = &view.user.record;
                return Self { id: user.id.uuid(), username: user.username.to_string(), ..Self::default() };
            }
        };
        Self {
            id,
            username,
            email,
            role: Some(role),
            active: Some(active),
            auth: Some(auth),
            metadata,
            created_at: Some(created_at),
            organization: Some(organization),
        }
    }
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
            Role::Superadmin => Self::Superadmin,
        }
    }
}

impl From<AuthMethod> for AuthMethodView {
    fn from(method: AuthMethod) -> Self {
        match method {
            AuthMethod::Local => Self::Local,
            AuthMethod::Ldap => Self::Ldap,
        }
    }
}

impl Body<UserCreate> {
    /// Parses the user to create.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<NewUser, Invalid> {
        let mut fields = self.fields;
        fields.ignore("created_at");
        let username = fields.required_text("username");
        let password = fields.text::<String>("password").map(Password::new);
        fields.take_empty("email");
        let email = fields.text("email");
        let organization = fields.reference("organization", "Organization");
        let role = fields.choice("role").unwrap_or(Role::Member);
        let active = fields.flag("active").unwrap_or(true);
        let auth = auth_method(&mut fields).unwrap_or(AuthMethod::Local);
        let metadata = fields.object("metadata");
        fields.finish(username.map(|username| NewUser {
            username,
            password,
            email,
            organization,
            role,
            active,
            auth,
            metadata,
        }))
    }
}

impl Body<UserUpdate> {
    /// Parses the changes; `shown` is the current object.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self, shown: impl FnOnce() -> Option<Value>) -> Result<UserPatch, Invalid> {
        let mut fields = self.fields;
        read_only::USER.take(&mut fields, shown);
        let is_none = fields.take_empty("email");
        let email = fields.nullable("email");
        let email = match email.as_ref().map(SecretValue::expose) {
            None => is_none.then_some(None),
            Some(Value::Null) => Some(None),
            Some(Value::String(text)) => match EmailAddress::try_from(text.clone()) {
                Ok(address) => Some(Some(address)),
                Err(error) => {
                    fields.wrong("email", error.to_string());
                    None
                }
            },
            Some(_) => {
                fields.wrong("email", "must be a string or null");
                None
            }
        };
        let patch = UserPatch {
            username: fields.text("username"),
            email,
            organization: fields.reference("organization", "Organization"),
            role: fields.choice("role"),
            active: fields.flag("active"),
            metadata: fields.object("metadata"),
        };
        fields.finish(Some(patch))
    }
}

impl Body<PasswordUpdate> {
    /// Parses the password.
    ///
    /// # Errors
    /// All invalid fields.
    pub fn read(self) -> Result<Password, Invalid> {
        let mut fields = self.fields;
        let password = fields.required_text::<String>("password").map(Password::new);
        fields.finish(password)
    }
}

fn auth_method(fields: &mut Fields) -> Option<AuthMethod> {
    let name: String = fields.text("auth")?;
    let method = [AuthMethod::Local, AuthMethod::Ldap].into_iter().find(|method| method.as_str() == name);
    if method.is_none() {
        fields.wrong("auth", "must be one of local, ldap");
    }
    method
}
