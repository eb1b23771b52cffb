//! Organizations: the tenants that everything else belongs to.

use std::sync::Arc;

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    query::{Page, Query, Scope},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::{Row, Stored},
};
use crate::{
    id::OrganizationId,
    name::Namespace,
    organization::{Organization, Remaining},
    revision::Versioned,
};

impl Kind for Versioned<Organization> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        tables.organizations.put(row(self));
        None
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        snapshot.tables.organizations.push(row(self));
    }
}

impl Deletable for Versioned<Organization> {
    type Id = OrganizationId;

    fn delete(id: OrganizationId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        tables.organizations.remove(id.uuid());
        None
    }
}

fn row(Versioned { value, revision }: Versioned<Organization>) -> Row<Organization, ()> {
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.id,
        owner: None,
        name: value.name.as_str().to_lowercase().into(),
        provisioner: Arc::from(""),
        engine: Arc::from(""),
        state: "",
        extra: (),
        stored: Arc::new(Stored::new(value, revision)),
    }
}

impl Tables {
    pub(super) fn organization(&self, id: OrganizationId) -> Option<Arc<Stored<Organization>>> {
        self.organizations.get(id.uuid()).cloned()
    }
}

impl Catalog {
    /// An organization.
    #[must_use]
    pub fn organization(&self, id: OrganizationId) -> Option<Arc<Stored<Organization>>> {
        self.read().organization(id)
    }

    /// The organization with that namespace.
    #[must_use]
    pub fn organization_by_namespace(&self, namespace: &str) -> Option<Arc<Stored<Organization>>> {
        self.read().organizations.find(|row| row.stored.record.namespace.as_str() == namespace)
    }

    /// The namespace of an organization.
    #[must_use]
    pub fn namespace(&self, id: OrganizationId) -> Option<Namespace> {
        self.read().organizations.get(id.uuid()).map(|entry| entry.record.namespace.clone())
    }

    /// A page of organizations.
    #[must_use]
    pub fn organizations(&self, query: &Query) -> Page<Arc<Stored<Organization>>> {
        self.read().organizations.page(query, |row| row.stored.clone())
    }

    /// How many organizations there are.
    #[must_use]
    pub fn organization_count(&self) -> usize {
        self.read().organizations.len(Scope::All)
    }

    /// Up to `limit` users, provisioners and clusters of an organization, which prevent its deletion.
    #[must_use]
    pub fn remaining_in_organization(&self, id: OrganizationId, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let scope = Scope::Organization(id);
        let users = tables.users.rows_in(scope).map(super::users::remaining);
        let provisioners = tables.provisioners.rows_in(scope).map(super::provisioners::remaining);
        let clusters = tables.clusters.rows_in(scope).map(super::clusters::remaining);
        users.chain(provisioners).chain(clusters).take(limit).collect()
    }
}
