//! Access control: actions, rules, an organization's policy and the decision function. Pure; denies by default.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{
    id::{OrganizationId, UserId},
    invalid::{Findings, Invalid},
    user::{Role, User},
};

/// The user who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The caller's organization.
    pub organization: OrganizationId,
    /// The caller's current role, not the one when the token was issued.
    pub role: Role,
    /// The generation of the caller's tokens: it grows when the password changes or the user is deactivated.
    pub token_generation: u64,
}

impl Caller {
    /// The user as a caller.
    #[must_use]
    pub const fn of(user: &User) -> Self {
        let User { id, organization, role, token_generation, .. } = user;
        Self { user: *id, organization: *organization, role: *role, token_generation: *token_generation }
    }
}

/// The target of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Its organization.
    pub organization: OrganizationId,
    /// Its owner. Users own their accounts.
    pub owner: Option<UserId>,
}

/// A rule in an organization's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Everybody in the organization.
    All,
    /// The owner of the target.
    IsOwner,
    /// Admins of the organization.
    IsAdmin,
    /// Admins of the organization, and the owner.
    AdminOrOwner,
    /// Superadmins only.
    IsSuperadmin,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 5] = [Self::All, Self::IsOwner, Self::IsAdmin, Self::AdminOrOwner, Self::IsSuperadmin];

    /// The name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "ALL",
            Self::IsOwner => "IS_OWNER",
            Self::IsAdmin => "IS_ADMIN",
            Self::AdminOrOwner => "ADMIN_OR_OWNER",
            Self::IsSuperadmin => "IS_SUPERADMIN",
        }
    }
}

impl FromStr for Rule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|rule| rule.as_str() == text)
            .ok_or("must be one of ALL, IS_OWNER, IS_ADMIN, ADMIN_OR_OWNER, IS_SUPERADMIN, or null for the default")
    }
}

macro_rules! actions {
    ($($name:ident $text:literal $rule:ident $overridable:literal,)*) => {
        /// An action that needs permission.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Action {
            /// Every action, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in policies.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The rule if an organization has not set its own.
            #[must_use]
            pub const fn default_rule(self) -> Rule {
                match self { $(Self::$name => Rule::$rule,)* }
            }

            /// Whether an organization may set its own rule.
            #[must_use]
            pub const fn overridable(self) -> bool {
                match self { $(Self::$name => $overridable,)* }
            }
        }
    };
}

actions! {
    ClusterCreate "cluster:create" All true,
    ClusterDelete "cluster:delete" AdminOrOwner true,
    ClusterForget "cluster:forget" IsAdmin true,
    ClusterGet "cluster:get" All true,
    ClusterKubeconfig "cluster:kubeconfig" All true,
    ClusterList "cluster:list" All true,
    ClusterUpdate "cluster:update" AdminOrOwner true,
    OrganizationCreate "organization:create" IsSuperadmin false,
    OrganizationDelete "organization:delete" IsSuperadmin false,
    OrganizationGet "organization:get" All false,
    OrganizationList "organization:list" All false,
    OrganizationUpdate "organization:update" IsSuperadmin false,
    OrphanDelete "orphan:delete" IsAdmin true,
    OrphanGet "orphan:get" IsAdmin true,
    OrphanIgnore "orphan:ignore" IsAdmin true,
    PolicyUpdate "policy:update" IsAdmin false,
    ProvisionerCreate "provisioner:create" IsAdmin true,
    ProvisionerDelete "provisioner:delete" IsAdmin true,
    ProvisionerGet "provisioner:get" All true,
    ProvisionerList "provisioner:list" All true,
    ProvisionerUpdate "provisioner:update" IsAdmin true,
    UserCreate "user:create" IsAdmin true,
    UserDeleteAdmin "user:delete_admin" IsAdmin true,
    UserDeleteMember "user:delete_member" IsAdmin true,
    UserDeleteSuperadmin "user:delete_superadmin" IsSuperadmin false,
    UserGet "user:get" All true,
    UserList "user:list" All true,
    UserUpdate "user:update" AdminOrOwner true,
}

impl Action {
    /// The action of deleting a user with this role.
    #[must_use]
    pub const fn delete_user(role: Role) -> Self {
        match role {
            Role::Member => Self::UserDeleteMember,
            Role::Admin => Self::UserDeleteAdmin,
            Role::Superadmin => Self::UserDeleteSuperadmin,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text).ok_or("is not an action")
    }
}

/// The rules an organization has overridden. All other actions follow the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy(BTreeMap<Action, Rule>);

impl Policy {
    /// The effective rule for `action`. Overrides of actions that cannot be overridden have no effect.
    #[must_use]
    pub fn rule(&self, action: Action) -> Rule {
        match self.0.get(&action) {
            Some(rule) if action.overridable() => *rule,
            _ => action.default_rule(),
        }
    }

    /// Every action with its effective rule.
    pub fn effective(&self) -> impl Iterator<Item = (Action, Rule)> {
        Action::ALL.iter().map(|action| (*action, self.rule(*action)))
    }

    /// Only the overrides.
    pub fn overrides(&self) -> impl Iterator<Item = (Action, Rule)> {
        self.0.iter().map(|(action, rule)| (*action, *rule))
    }

    /// This policy with `changes` applied: action name to rule name, or `None` for the default.
    ///
    /// # Errors
    /// All unknown actions, unknown rules, and actions that cannot be overridden.
    pub fn changed<'a>(&self, changes: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Self, Invalid> {
        let mut next = self.clone();
        let mut findings = Findings::default();
        for (name, rule) in changes {
            let Some(action) = findings.take(name, name.parse::<Action>()) else { continue };
            if !action.overridable() {
                findings.add(name, "cannot be overridden");
                continue;
            }
            match rule {
                None => {
                    next.0.remove(&action);
                }
                Some(rule) => {
                    if let Some(rule) = findings.take(name, rule.parse::<Rule>()) {
                        next.0.insert(action, rule);
                    }
                }
            }
        }
        findings.finish(Some(next))
    }
}

impl FromIterator<(Action, Rule)> for Policy {
    fn from_iter<I: IntoIterator<Item = (Action, Rule)>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// Whether `caller` may do `action` to `target` under the policy of the target's organization.
#[must_use]
pub fn allows(caller: &Caller, action: Action, target: Target, policy: &Policy) -> bool {
    if caller.role == Role::Superadmin {
        return true;
    }
    if caller.organization != target.organization {
        return false;
    }
    let is_admin = caller.role == Role::Admin;
    let is_owner = target.owner == Some(caller.user);
    match policy.rule(action) {
        Rule::All => true,
        Rule::IsOwner => is_owner,
        Rule::IsAdmin => is_admin,
        Rule::AdminOrOwner => is_admin || is_owner,
        Rule::IsSuperadmin => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Caller {
        Caller { user: UserId::random(), organization: OrganizationId::random(), role, token_generation: 0 }
    }

    #[test]
    fn rules_by_role_and_ownership() {
        let policy: Policy = [
            (Action::ClusterGet, Rule::All),
            (Action::ClusterList, Rule::IsOwner),
            (Action::ClusterCreate, Rule::IsAdmin),
            (Action::ClusterUpdate, Rule::AdminOrOwner),
            (Action::ClusterDelete, Rule::IsSuperadmin),
        ]
        .into_iter()
        .collect();
        // Rows: role, owns the target; columns: the five rules above.
        let table = [
            (Role::Member, false, [true, false, false, false, false]),
            (Role::Member, true, [true, true, false, true, false]),
            (Role::Admin, false, [true, false, true, true, false]),
            (Role::Admin, true, [true, true, true, true, false]),
            (Role::Superadmin, false, [true; 5]),
        ];
        for (role, owns, expected) in table {
            let caller = caller(role);
            let owner = if owns { caller.user } else { UserId::random() };
            let target = Target { organization: caller.organization, owner: Some(owner) };
            let elsewhere = Target { organization: OrganizationId::random(), owner: Some(owner) };
            for (action, _) in policy.overrides() {
                let column = [
                    Action::ClusterGet,
                    Action::ClusterList,
                    Action::ClusterCreate,
                    Action::ClusterUpdate,
                    Action::ClusterDelete,
                ]
                .iter()
                .position(|a| *a == action)
                .unwrap();
                assert_eq!(allows(&caller, action, target, &policy), expected[column], "{role} {owns} {action}");
                assert_eq!(
                    allows(&caller, action, elsewhere, &policy),
                    role == Role::Superadmin,
                    "{role} {action} in another organization"
                );
            }
        }
    }

    #[test]
    fn a_target_without_owner_is_owned_by_nobody() {
        let caller = caller(Role::Member);
        let target = Target { organization: caller.organization, owner: None };
        assert!(!allows(&caller, Action::ClusterUpdate, target, &Policy::default()));
    }

    #[test]
    fn changes_report_every_error_and_null_restores_the_default() {
        let refused = Policy::default()
            .changed([
                ("cluster:fly", Some("ALL")),
                ("cluster:get", Some("MAYBE")),
                ("organization:create", Some("ALL")),
                ("policy:update", None),
                ("user:delete_superadmin", Some("IS_ADMIN")),
            ])
            .unwrap_err();
        assert_eq!(refused.0.len(), 5);
        let narrowed = Policy::default().changed([("cluster:create", Some("IS_ADMIN"))]).unwrap();
        assert_eq!(narrowed.rule(Action::ClusterCreate), Rule::IsAdmin);
        assert_eq!(narrowed.changed([("cluster:create", None)]).unwrap(), Policy::default());
    }

    #[test]
    fn a_stored_override_of_a_fixed_action_has_no_effect() {
        let policy: Policy = [(Action::PolicyUpdate, Rule::All)].into_iter().collect();
        assert_eq!(policy.rule(Action::PolicyUpdate), Rule::IsAdmin);
    }

    #[test]
    fn names_round_trip() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse::<Action>().unwrap(), *action);
        }
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse::<Rule>().unwrap(), rule);
        }
    }
}
