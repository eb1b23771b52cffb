//! Users and their roles.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{
    document::Document,
    id::{OrganizationId, UserId},
    name::{EmailAddress, Username},
};

/// The role of a user; [`crate::access`] decides what it permits. Ordered by permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Uses the resources of an organization.
    Member,
    /// Administers an organization.
    Admin,
    /// Administers the installation.
    Superadmin,
}

impl Role {
    /// Every role, the one with the fewest permissions first.
    pub const ALL: [Self; 3] = [Self::Member, Self::Admin, Self::Superadmin];

    /// The value in the API.
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

/// How a user is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// With a stored password hash.
    Local,
    /// With a directory.
    Ldap,
}

impl AuthMethod {
    /// The value in the API and in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ldap => "ldap",
        }
    }
}

/// A person or program with an account. The password hash is stored separately, see
/// [`UserStore::password_hash`](crate::port::store::UserStore::password_hash).
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The id, which tokens contain.
    pub id: UserId,
    /// User name, unique.
    pub username: Username,
    /// E-mail address, unique if set.
    pub email: Option<EmailAddress>,
    /// The user's organization.
    pub organization: OrganizationId,
    /// Role.
    pub role: Role,
    /// Whether the user may log in and use tokens.
    pub active: bool,
    /// How the user is authenticated.
    pub auth: AuthMethod,
    /// Free-form metadata that clients store (time zone, preferences); secret parts are masked.
    pub metadata: Option<Document>,
    /// Counts changes that invalidate older tokens: a token is valid only with the current number.
    pub token_generation: u64,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
}
