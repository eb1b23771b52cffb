//! Users, by id and by user name.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Catalog, Tables,
    change::{Deletable, Kind},
    query::{Page, Query, Scope},
    snapshot::SnapshotBuilder,
    subscriber::{Subject, Tenant},
    table::{Row, Stored},
};
use crate::{
    id::UserId,
    name::Namespace,
    organization::{Organization, Remaining},
    revision::Versioned,
    user::{Role, User},
};

/// A user, with the organization.
#[derive(Debug, Clone)]
pub struct UserView {
    /// The user.
    pub user: Arc<Stored<User>>,
    /// The organization; `None` only briefly, during a deletion.
    pub organization: Option<Arc<Stored<Organization>>>,
}

/// Numbers of users, for dashboards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserCounts {
    /// Per namespace; 0 for organizations without users.
    pub by_namespace: BTreeMap<Namespace, usize>,
    /// Per role; 0 for roles without users.
    pub by_role: BTreeMap<Role, usize>,
    /// Those who may log in.
    pub active: usize,
}

impl Kind for Versioned<User> {
    fn put(self, tables: &mut Tables) -> Option<Subject> {
        let id = self.value.id;
        if let Some(old) = tables.users.get(id.uuid()).cloned()
            && old.record.username != self.value.username
        {
            tables.forget_username(old.record.username.as_str(), id);
        }
        tables.usernames.insert(self.value.username.as_str().into(), id);
        tables.users.put(row(self));
        Some(Subject::User(id))
    }

    fn load(self, snapshot: &mut SnapshotBuilder) {
        let tables = &mut snapshot.tables;
        tables.usernames.insert(self.value.username.as_str().into(), self.value.id);
        tables.users.push(row(self));
    }
}

impl Deletable for Versioned<User> {
    type Id = UserId;

    fn delete(id: UserId, tables: &mut Tables) -> Option<(Subject, Tenant)> {
        let user = tables.users.remove(id.uuid())?.stored;
        tables.forget_username(user.record.username.as_str(), id);
        Some((Subject::User(id), tenant(&user.record)))
    }
}

fn row(Versioned { value, revision }: Versioned<User>) -> Row<User, ()> {
    Row {
        id: value.id.uuid(),
        created_at: value.created_at,
        organization: value.organization,
        owner: Some(value.id),
        name: value.username.as_str().to_lowercase().into(),
        provisioner: Arc::from(""),
        engine: Arc::from(""),
        state: "",
        extra: (),
        stored: Arc::new(Stored::new(value, revision)),
    }
}

pub(super) const fn tenant(user: &User) -> Tenant {
    Tenant { organization: user.organization, owner: user.id }
}

pub(super) fn remaining(row: &Row<User, ()>) -> Remaining {
    Remaining { object: "User", name: row.stored.record.username.to_string(), id: row.id }
}

impl Tables {
    /// Removes a user name, unless it belongs to another user by now.
    fn forget_username(&mut self, username: &str, id: UserId) {
        if self.usernames.get(username) == Some(&id) {
            self.usernames.remove(username);
        }
    }

    pub(super) fn user_view(&self, id: UserId) -> Option<UserView> {
        Some(self.user_view_of(self.users.get(id.uuid())?.clone()))
    }

    fn user_view_of(&self, user: Arc<Stored<User>>) -> UserView {
        UserView { organization: self.organization(user.record.organization), user }
    }
}

impl Catalog {
    /// A user.
    #[must_use]
    pub fn user(&self, id: UserId) -> Option<Arc<Stored<User>>> {
        self.read().users.get(id.uuid()).cloned()
    }

    /// A user with the objects nested in an answer.
    #[must_use]
    pub fn user_view(&self, id: UserId) -> Option<UserView> {
        self.read().user_view(id)
    }

    /// The user with that user name.
    #[must_use]
    pub fn user_by_name(&self, username: &str) -> Option<Arc<Stored<User>>> {
        let tables = self.read();
        tables.usernames.get(username).and_then(|id| tables.users.get(id.uuid())).cloned()
    }

    /// A page of users.
    #[must_use]
    pub fn users(&self, query: &Query) -> Page<UserView> {
        let tables = self.read();
        tables.users.page(query, |row| tables.user_view_of(row.stored.clone()))
    }

    /// Whether there is any user.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.read().users.len(Scope::All) > 0
    }

    /// Numbers of users.
    #[must_use]
    pub fn user_counts(&self) -> UserCounts {
        let tables = self.read();
        let mut counts =
            UserCounts { by_role: Role::ALL.into_iter().map(|role| (role, 0)).collect(), ..UserCounts::default() };
        for row in tables.organizations.rows_in(Scope::All) {
            let members = tables.users.len(Scope::Organization(row.stored.record.id));
            counts.by_namespace.insert(row.stored.record.namespace.clone(), members);
        }
        for row in tables.users.rows_in(Scope::All) {
            *counts.by_role.entry(row.stored.record.role).or_default() += 1;
            counts.active += usize::from(row.stored.record.active);
        }
        counts
    }

    /// Up to `limit` provisioners and clusters that a user owns, which prevent the user's deletion.
    #[must_use]
    pub fn remaining_of_user(&self, user: &User, limit: usize) -> Vec<Remaining> {
        let tables = self.read();
        let is_own = |owner: Option<UserId>| owner == Some(user.id);
        let provisioners = tables.provisioners.rows_in(Scope::All).filter(|row| is_own(row.owner));
        let clusters = tables.clusters.rows_in(Scope::All).filter(|row| is_own(row.owner));
        let provisioners = provisioners.map(super::provisioners::remaining);
        provisioners.chain(clusters.map(super::clusters::remaining)).take(limit).collect()
    }
}
