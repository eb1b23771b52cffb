//! List requests, and which records the caller may see in them.

use crate::{
    access::{Action, Caller, Rule},
    catalog::{Catalog, Filter, Query, Scope, Sort, Visibility, Window},
    service::ServiceError,
    user::Role,
};

/// A request for a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Which records.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Whether the order is descending.
    pub descending: bool,
    /// Which part of the list; all of it if `None`.
    pub window: Option<Window>,
    /// Another organization than the caller's own; superadmins only.
    pub namespace: Option<String>,
    /// All organizations; superadmins only.
    pub all_namespaces: bool,
}

impl ListRequest {
    /// Whether items carry their namespace.
    #[must_use]
    pub const fn names_namespaces(&self) -> bool {
        self.all_namespaces || self.namespace.is_some()
    }

    /// The organizations that the list covers.
    ///
    /// # Errors
    /// Only superadmins may list other organizations; the namespace must exist.
    pub(super) fn scope(&self, catalog: &Catalog, caller: &Caller) -> Result<Scope, ServiceError> {
        if !self.names_namespaces() {
            return Ok(Scope::Organization(caller.organization));
        }
        if caller.role != Role::Superadmin {
            return Err(ServiceError::Forbidden("only superadmins can use namespace and all_namespaces".into()));
        }
        match &self.namespace {
            Some(_) if self.all_namespaces => {
                Err(ServiceError::field("namespace", "cannot be used together with all_namespaces"))
            }
            Some(namespace) => catalog
                .organization_by_namespace(namespace)
                .map(|organization| Scope::Organization(organization.record.id))
                .ok_or_else(|| ServiceError::field("namespace", "is not the namespace of an organization")),
            None => Ok(Scope::All),
        }
    }

    /// The query to the catalog.
    pub(super) fn listing(&self, scope: Scope, visibility: Visibility) -> Query {
        Query {
            scope,
            visibility,
            filter: self.filter.clone(),
            sort: self.sort,
            descending: self.descending,
            window: self.window.unwrap_or(Window { offset: 0, limit: usize::MAX }),
        }
    }
}

/// Which records a list shows the caller: those for which both `list` and `get` are allowed.
///
/// # Errors
/// The caller may not list at all.
pub(super) fn visibility(
    catalog: &Catalog,
    caller: &Caller,
    list: Action,
    get: Action,
) -> Result<Visibility, ServiceError> {
    if caller.role == Role::Superadmin {
        return Ok(Visibility::All);
    }
    let home = catalog.organization(caller.organization);
    let rule = |action| home.as_ref().map(|home| home.record.policy.rule(action));
    let visibility_for = |action| match rule(action) {
        Some(Rule::All) => Visibility::All,
        Some(Rule::IsOwner) => Visibility::OwnedBy(caller.user),
        Some(Rule::IsAdmin | Rule::AdminOrOwner) if caller.role == Role::Admin => Visibility::All,
        Some(Rule::AdminOrOwner) => Visibility::OwnedBy(caller.user),
        // Without the organization its policy is not known, and access is denied.
        Some(Rule::IsAdmin | Rule::IsSuperadmin) | None => Visibility::Nothing,
    };
    match (visibility_for(list), visibility_for(get)) {
        (Visibility::Nothing, _) => {
            Err(ServiceError::Forbidden(format!("the policy of your organization does not allow you to use {list}")))
        }
        (_, Visibility::Nothing) => Ok(Visibility::Nothing),
        (Visibility::All, other) | (other, Visibility::All) => Ok(other),
        (Visibility::OwnedBy(user), Visibility::OwnedBy(_)) => Ok(Visibility::OwnedBy(user)),
    }
}
