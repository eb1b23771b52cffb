//! The stored form of a user. The password's hash is sealed and stored separately.

use chrono::{DateTime, Utc};
use kqueen_domain::{
    id::{OrganizationId, UserId},
    name::{EmailAddress, Username},
    user::{AuthMethod, Role, User},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{Record, embedded, extracted};

#[derive(Serialize, Deserialize)]
pub(crate) struct Form {
    id: UserId,
    username: Username,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<EmailAddress>,
    organization: OrganizationId,
    role: StoredRole,
    active: bool,
    auth: StoredAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    token_generation: u64,
    created_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredRole {
    Member,
    Admin,
    Superadmin,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredAuth {
    Local,
    Ldap,
}

impl From<&User> for Form {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            email: user.email.clone(),
            organization: user.organization,
            role: match user.role {
                Role::Member => StoredRole::Member,
                Role::Admin => StoredRole::Admin,
                Role::Superadmin => StoredRole::Superadmin,
            },
            active: user.active,
            auth: match user.auth {
                AuthMethod::Local => StoredAuth::Local,
                AuthMethod::Ldap => StoredAuth::Ldap,
            },
            metadata: user.metadata.as_ref().map(embedded),
            token_generation: user.token_generation,
            created_at: user.created_at,
        }
    }
}

impl Record for User {
    type Form = Form;
    const KIND: &'static str = "user";
    const FORMAT: u32 = 1;

    fn restored(form: Form) -> Option<Self> {
        Some(Self {
            id: form.id,
            username: form.username,
            email: form.email,
            organization: form.organization,
            role: match form.role {
                StoredRole::Member => Role::Member,
                StoredRole::Admin => Role::Admin,
                StoredRole::Superadmin => Role::Superadmin,
            },
            active: form.active,
            auth: match form.auth {
                StoredAuth::Local => AuthMethod::Local,
                StoredAuth::Ldap => AuthMethod::Ldap,
            },
            metadata: form.metadata.map(|raw| extracted(&raw).ok_or(())).transpose().ok()?,
            token_generation: form.token_generation,
            created_at: form.created_at,
        })
    }

    /// Format 0 had no token generations.
    fn migrated(from: u32, mut form: Value) -> Option<Value> {
        if from != 0 {
            return None;
        }
        form.as_object_mut()?.insert("token_generation".to_owned(), 0.into());
        Some(form)
    }
}
