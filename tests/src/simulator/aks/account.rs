//! Service principals and what they prove themselves with: client secrets for short-lived tokens. And who gets into which cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Whom tokens for Resource Manager are for.
pub(super) const ARM: &str = "https://management.azure.com";
/// Whom tokens for the API servers of clusters are for: the id of AKS in every tenant.
pub const AKS_SERVER: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";

/// How long a token is good.
const HOUR: TimeDelta = TimeDelta::seconds(3_599);

/// A service principal: somebody who may call, with one client secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    pub tenant: String,
    /// The id of the application, which people call the client's.
    pub client_id: String,
    /// The id by which roles are assigned.
    pub object_id: String,
    pub secret: String,
    pub secret_is_expired: bool,
    pub is_disabled: bool,
    /// Where it has a role at all.
    pub subscriptions: BTreeSet<String>,
    /// The actions it may do there, with `*` for anything; all without it.
    pub permissions: Option<BTreeSet<String>>,
}

impl Principal {
    /// Whether its roles allow an action.
    #[must_use]
    pub fn may(&self, action: &str) -> bool {
        let allowed = |permissions: &BTreeSet<String>| permissions.iter().any(|pattern| covers(pattern, action));
        self.permissions.as_ref().is_none_or(allowed)
    }
}

/// Whether an action is one of those that a pattern of a role names. Neither minds capitals.
fn covers(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| action.strip_prefix(start)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((end, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

/// What a token is good for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grant {
    client_id: String,
    audience: String,
    until: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rejected {
    Missing,
    Unknown,
    /// It ended then.
    Expired(DateTime<Utc>, DateTime<Utc>),
}

/// Who gets into a cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Door {
    /// In the kubeconfigs that need no further login.
    pub(super) token: String,
    pub(super) has_local_accounts: bool,
    /// The tenant whose principals get in with tokens of their own.
    pub(super) tenant: Option<String>,
}

/// Everybody who may call. The Kubernetes API of clusters looks tokens up as well, which is why it is shared.
#[derive(Debug, Clone, Default)]
pub struct Accounts(Arc<Mutex<Inner>>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Inner {
    principals: BTreeMap<String, Principal>,
    tokens: BTreeMap<String, Grant>,
    /// By the ids of clusters.
    doors: BTreeMap<String, Door>,
    /// What the server says the time is; tokens end by it.
    #[serde(skip)]
    now: DateTime<Utc>,
}

impl Accounts {
    fn with<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        ask(&mut self.0.lock().unwrap())
    }

    pub(super) fn set_now(&self, now: DateTime<Utc>) {
        self.with(|inner| inner.now = now);
    }

    /// Makes a principal that may do everything in a subscription.
    pub fn add(&self, client_id: &str, secret: &str, tenant: &str, subscription: &str) -> Principal {
        let principal = Principal {
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            object_id: Uuid::new_v4().to_string(),
            secret: secret.to_owned(),
            secret_is_expired: false,
            is_disabled: false,
            subscriptions: BTreeSet::from([subscription.to_owned()]),
            permissions: None,
        };
        self.with(|inner| inner.principals.insert(client_id.to_owned(), principal.clone()));
        principal
    }

    #[must_use]
    pub fn get(&self, client_id: &str) -> Option<Principal> {
        self.with(|inner| inner.principals.get(client_id).cloned())
    }

    /// Everybody.
    #[must_use]
    pub fn all(&self) -> Vec<Principal> {
        self.with(|inner| inner.principals.values().cloned().collect())
    }

    /// Changes a principal.
    ///
    /// # Panics
    /// There is none of that id.
    pub fn change(&self, client_id: &str, change: impl FnOnce(&mut Principal)) {
        self.with(|inner| {
            let found = inner.principals.get_mut(client_id);
            change(found.unwrap_or_else(|| panic!("there is no {client_id}")));
        });
    }

    /// Takes a principal away; what it has minted is no good any more.
    pub fn remove(&self, client_id: &str) {
        self.with(|inner| drop(inner.principals.remove(client_id)));
    }

    /// Ends every token, as when their hour is over.
    pub fn expire_tokens(&self) {
        self.with(|inner| {
            let now = inner.now;
            inner.tokens.values_mut().for_each(|grant| grant.until = grant.until.min(now));
        });
    }

    /// A token for Resource Manager without a login, for tests that are about something else.
    #[must_use]
    pub fn mint(&self, client_id: &str) -> String {
        self.mint_for(client_id, ARM)
    }

    /// A token for `audience`.
    #[must_use]
    pub fn mint_for(&self, client_id: &str, audience: &str) -> String {
        self.with(|inner| {
            let until = inner.now + HOUR;
            let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let claims = json!({"aud": audience, "appid": client_id, "exp": until.timestamp(), "jti": Uuid::new_v4()});
            let head = part(json!({"typ": "JWT", "alg": "RS256"}));
            let token = format!("{head}.{}.simulated", part(claims));
            let grant = Grant { client_id: client_id.to_owned(), audience: audience.to_owned(), until };
            inner.tokens.insert(token.clone(), grant);
            token
        })
    }

    /// Who a token for `audience` belongs to.
    pub(super) fn holder(&self, token: Option<&str>, audience: &str) -> Result<Principal, Rejected> {
        self.with(|inner| {
            let grant = inner.tokens.get(token.ok_or(Rejected::Missing)?).ok_or(Rejected::Unknown)?;
            if grant.audience != audience {
                return Err(Rejected::Unknown);
            }
            if grant.until <= inner.now {
                return Err(Rejected::Expired(grant.until, inner.now));
            }
            let principal = inner.principals.get(&grant.client_id).filter(|principal| !principal.is_disabled);
            principal.cloned().ok_or(Rejected::Unknown)
        })
    }

    pub(super) fn set_door(&self, cluster: &str, door: Door) {
        self.with(|inner| drop(inner.doors.insert(cluster.to_owned(), door)));
    }

    pub(super) fn remove_door(&self, cluster: &str) {
        self.with(|inner| drop(inner.doors.remove(cluster)));
    }

    /// Whether a token opens a cluster: that of its local account, or one of a principal of its tenant.
    pub(super) fn may_enter(&self, token: &str, cluster: &str) -> bool {
        let Some(door) = self.with(|inner| inner.doors.get(cluster).cloned()) else { return false };
        if door.token == token {
            return door.has_local_accounts;
        }
        let holder = self.holder(Some(token), AKS_SERVER).ok();
        let user = "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action";
        holder.is_some_and(|principal| Some(&principal.tenant) == door.tenant.as_ref() && principal.may(user))
    }

    pub(super) fn save(&self) -> Value {
        self.with(|inner| json!(inner))
    }

    pub(super) fn load(&self, state: Value) -> Result<(), String> {
        let loaded: Inner = serde_json::from_value(state).map_err(|error| error.to_string())?;
        self.with(|inner| *inner = Inner { now: inner.now, ..loaded });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_name_actions_by_patterns() {
        let write = "Microsoft.ContainerService/managedClusters/write";
        for (pattern, covered) in [
            ("*", true),
            ("microsoft.containerservice/managedclusters/write", true),
            ("Microsoft.ContainerService/*", true),
            ("Microsoft.ContainerService/*/write", true),
            ("*/read", false),
            ("Microsoft.ContainerService/managedClusters", false),
            ("Microsoft.Compute/*", false),
        ] {
            assert_eq!(covers(pattern, write), covered, "{pattern}");
        }
    }
}
