//! Organizations: the tenants. Provisioners and clusters belong to the namespace of one organization.

use chrono::{DateTime, Utc};

use crate::{
    access::Policy,
    id::OrganizationId,
    name::{Namespace, OrganizationName},
};

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: OrganizationName,
    /// Its unique slug. Never changes, since clients store it.
    pub namespace: Namespace,
    /// The rules it has overridden.
    pub policy: Policy,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// An object that prevents a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// Kind of the object in the API: `User`, `Provisioner`, `Cluster`.
    pub object: &'static str,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: uuid::Uuid,
}
