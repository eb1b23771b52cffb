//! Organizations: the tenants. Everything but users and organizations lives in one organization's namespace.

use chrono::{DateTime, Utc};

use crate::{
    access::Policy,
    id::OrganizationId,
    name::{Namespace, OrganizationName},
};

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// Identity.
    pub id: OrganizationId,
    /// What it is called.
    pub name: OrganizationName,
    /// Its unique slug; never changes, since programs keep it.
    pub namespace: Namespace,
    /// The rules it has changed for itself.
    pub policy: Policy,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// Something that stands in the way of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// Kind of the object as the API calls it: `User`, `Provisioner`, `Cluster`.
    pub object: &'static str,
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: uuid::Uuid,
}
