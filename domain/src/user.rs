//! Users and their roles.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    document::Document,
    id::{OrganizationId, UserId},
    name::{EmailAddress, Username},
};

/// What a user may do in general; [`crate::access`] turns it into decisions. Ordered by power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Uses what the organization has.
    Member,
    /// Runs one organization.
    Admin,
    /// Runs the installation.
    Superadmin,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Superadmin];

    /// The word the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or("must be one of superadmin, admin, member")
    }
}

/// Who vouches for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// We do: a password hash is stored.
    Local,
    /// A directory does.
    Ldap,
}

impl AuthMethod {
    /// The word the API and the settings use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ldap => "ldap",
        }
    }
}

/// A person or program with an account. The password hash is kept apart, see
/// [`UserStore::password_hash`](crate::port::store::UserStore::password_hash).
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Identity; what tokens are issued for.
    pub id: UserId,
    /// Log-in name, unique.
    pub username: Username,
    /// Address, unique where given.
    pub email: Option<EmailAddress>,
    /// The tenant the user belongs to.
    pub organization: OrganizationId,
    /// Role.
    pub role: Role,
    /// Whether the user may log in and use tokens.
    pub active: bool,
    /// Who checks the password.
    pub auth: AuthMethod,
    /// Free-form facts clients keep (time zone, preferences), secret parts masked.
    pub metadata: Option<Document>,
    /// Counts changes that end older tokens: a token is good only while it carries this number.
    pub token_generation: u64,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
}
