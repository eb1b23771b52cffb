//! The key layout. Keys are paths; what the read model shows is stored below `shown/`, everything else is read by key.
//!
//! | key | value |
//! | --- | --- |
//! | `shown/{organization,user,provisioner,cluster}/<id>` | a record |
//! | `shown/sighting/<cluster>` | the observed status of a cluster |
//! | `shown/ages/<shard>` | when the clusters of a shard were last observed |
//! | `shown/check/<provisioner>` | the result of the last background check |
//! | `shown/operation/<id>` | an operation on a cluster |
//! | `shown/orphan/<cluster>` | the resources of a deleted cluster that are left at a provider |
//! | `shown/departed/<cluster>` | the tombstone of a deleted cluster |
//! | `ledger/<cluster>` | the resource records of a cluster |
//! | `timeline/<cluster>/<position>` | an event of a cluster's timeline, see `timeline` |
//! | `unique/{username,email,namespace}/<text>` | id of the record that has it |
//! | `uses/{organization,user,provisioner}/<id>/<kind>/<id>` | nothing: the second record refers to the first |
//! | `sealed/<what>/<id>` | a sealed secret |
//! | `claim/<kind>/<caller>/<hash of the key>` | a creation requested with an idempotency key |
//! | `meta/leader` | the leader, on stores that several replicas share; deleted with its writer's lease |
//! | `meta/installation` | the id of the installation |
//! | `meta/…` | what the store itself needs |
//!
//! `uses/` exists so that the transaction of a deletion can require that no key is left below a prefix. Kubeconfigs are stored
//! separately from the records so that a start reads none of them.
//!
//! Key names are those of version 0.1 and do not change, even where the record has been renamed (`sighting` is an observed status,
//! `departed` a tombstone): a record is migrated when it is next written, but a key would have to be moved for all records at once, and
//! a replica of the previous version, which reads below the key it knows, would take all of them for deleted.

use std::fmt;

use kqueen_domain::id::{ClusterId, OperationId, OrganizationId, ProvisionerId, UserId};
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use super::{ages::Shard, timeline::Position};

/// A key, without the prefix that a backend adds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(Box<str>);

/// Everything the read model shows.
const SHOWN: &str = "shown/";

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Parses the output of [`Key::as_bytes`]; `None` if it is not text.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(|text| Self(text.into()))
    }

    pub(crate) fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&*prefix.0)
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.0.starts_with(SHOWN)
    }

    fn new(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    /// An id below `prefix`. Memory is allocated only once, because every answer that shows a secret needs its key.
    fn of_id(prefix: &str, id: Uuid) -> Self {
        Self([prefix, id.hyphenated().encode_lower(&mut Uuid::encode_buffer())].concat().into_boxed_str())
    }
}

/// Keys may contain names of people: only their kind is shown.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('/') {
            Some((kind, _)) if kind.starts_with("unique") => write!(f, "{kind}/…"),
            _ => f.write_str(&self.0),
        }
    }
}

/// What a shown key identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Organization(OrganizationId),
    User(UserId),
    Provisioner(ProvisionerId),
    Cluster(ClusterId),
    ObservedStatus(ClusterId),
    Ages(Shard),
    Check(ProvisionerId),
    Operation(OperationId),
    Orphan(ClusterId),
    Tombstone(ClusterId),
}

impl Shown {
    /// Reads a key; `None` for one that this release does not know.
    pub(crate) fn of(key: &Key) -> Option<Self> {
        let (kind, name) = key.0.strip_prefix(SHOWN)?.split_once('/')?;
        Some(match kind {
            "organization" => Self::Organization(name.parse().ok()?),
            "user" => Self::User(name.parse().ok()?),
            "provisioner" => Self::Provisioner(name.parse().ok()?),
            "cluster" => Self::Cluster(name.parse().ok()?),
            "sighting" => Self::ObservedStatus(name.parse().ok()?),
            "ages" => Self::Ages(Shard::from_name(name)?),
            "check" => Self::Check(name.parse().ok()?),
            "operation" => Self::Operation(name.parse().ok()?),
            "orphan" => Self::Orphan(name.parse().ok()?),
            "departed" => Self::Tombstone(name.parse().ok()?),
            _ => return None,
        })
    }
}

impl From<Shown> for Key {
    fn from(shown: Shown) -> Self {
        Self::new(match shown {
            Shown::Organization(id) => format!("shown/organization/{id}"),
            Shown::User(id) => format!("shown/user/{id}"),
            Shown::Provisioner(id) => format!("shown/provisioner/{id}"),
            Shown::Cluster(id) => format!("shown/cluster/{id}"),
            Shown::ObservedStatus(id) => format!("shown/sighting/{id}"),
            Shown::Ages(shard) => format!("shown/ages/{shard}"),
            Shown::Check(id) => format!("shown/check/{id}"),
            Shown::Operation(id) => format!("shown/operation/{id}"),
            Shown::Orphan(id) => format!("shown/orphan/{id}"),
            Shown::Tombstone(id) => format!("shown/departed/{id}"),
        })
    }
}

/// Everything the read model shows.
pub(crate) fn all_shown() -> Key {
    Key(SHOWN.into())
}

pub(crate) fn organization(id: OrganizationId) -> Key {
    Shown::Organization(id).into()
}

pub(crate) fn user(id: UserId) -> Key {
    Shown::User(id).into()
}

pub(crate) fn provisioner(id: ProvisionerId) -> Key {
    Shown::Provisioner(id).into()
}

pub(crate) fn cluster(id: ClusterId) -> Key {
    Shown::Cluster(id).into()
}

pub(crate) fn observed(id: ClusterId) -> Key {
    Shown::ObservedStatus(id).into()
}

/// The result of the last background check of a provisioner.
pub(crate) fn provisioner_check(id: ProvisionerId) -> Key {
    Shown::Check(id).into()
}

pub(crate) fn operation(id: OperationId) -> Key {
    Shown::Operation(id).into()
}

pub(crate) fn orphan(id: ClusterId) -> Key {
    Shown::Orphan(id).into()
}

pub(crate) fn tombstone(id: ClusterId) -> Key {
    Shown::Tombstone(id).into()
}

/// The resource records of a cluster.
pub(crate) fn ledger(id: ClusterId) -> Key {
    Key::new(format!("ledger/{id}"))
}

/// The timeline of a cluster; its events are below, newest first.
pub(crate) fn timeline(id: ClusterId) -> Key {
    Key::new(format!("timeline/{id}/"))
}

/// An event of a cluster's timeline.
pub(crate) fn timeline_event(id: ClusterId, position: &Position) -> Key {
    Key::new(format!("timeline/{id}/{position}"))
}

/// The owner of a value that must be unique. `kind` is `username`, `email` (folded) or `namespace`.
pub(crate) fn unique(kind: &'static str, text: &str) -> Key {
    Key::new(format!("unique/{kind}/{text}"))
}

/// A record that others refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Used {
    Organization(OrganizationId),
    User(UserId),
    Provisioner(ProvisionerId),
}

/// A record that refers to others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    User(UserId),
    Provisioner(ProvisionerId),
    Cluster(ClusterId),
    /// An orphan that is listed or being deleted.
    Orphan(ClusterId),
}

/// Everything that refers to `used`.
pub(crate) fn uses_of(used: Used) -> Key {
    Key::new(match used {
        Used::Organization(id) => format!("uses/organization/{id}/"),
        Used::User(id) => format!("uses/user/{id}/"),
        Used::Provisioner(id) => format!("uses/provisioner/{id}/"),
    })
}

/// `by` refers to `used`.
pub(crate) fn uses(used: Used, by: By) -> Key {
    let prefix = uses_of(used);
    Key::new(match by {
        By::User(id) => format!("{}user/{id}", prefix.0),
        By::Provisioner(id) => format!("{}provisioner/{id}", prefix.0),
        By::Cluster(id) => format!("{}cluster/{id}", prefix.0),
        By::Orphan(id) => format!("{}orphan/{id}", prefix.0),
    })
}

/// Secrets, each kind under separate keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Secret {
    Password(UserId),
    UserMetadata(UserId),
    ProvisionerParameters(ProvisionerId),
    Kubeconfig(ClusterId),
    ClusterMetadata(ClusterId),
}

impl From<Secret> for Key {
    fn from(secret: Secret) -> Self {
        match secret {
            Secret::Password(id) => Self::of_id("sealed/password/", id.uuid()),
            Secret::UserMetadata(id) => Self::of_id("sealed/user-metadata/", id.uuid()),
            Secret::ProvisionerParameters(id) => Self::of_id("sealed/provisioner-parameters/", id.uuid()),
            Secret::Kubeconfig(id) => Self::of_id("sealed/kubeconfig/", id.uuid()),
            Secret::ClusterMetadata(id) => Self::of_id("sealed/cluster-metadata/", id.uuid()),
        }
    }
}

/// Every sealed secret.
pub(crate) fn all_sealed() -> Key {
    Key("sealed/".into())
}

/// A creation requested with an idempotency key. The client's key is hashed: it may be any text.
pub(crate) fn idempotency(kind: &'static str, caller: UserId, key: &str) -> Key {
    let hash = digest(&SHA256, key.as_bytes());
    let (half, _) = hash.as_ref().split_at(16);
    let hash = half.try_into().map_or_else(|_| Uuid::nil(), Uuid::from_bytes);
    Key::new(format!("claim/{kind}/{caller}/{}", hash.simple()))
}

/// All idempotency records.
pub(crate) fn all_idempotency_records() -> Key {
    Key("claim/".into())
}

/// How keys are derived for this store, with the salt.
pub(crate) fn derivation() -> Key {
    Key("meta/derivation".into())
}

/// Proof that a secret key belongs to this store.
pub(crate) fn check(key_id: &str) -> Key {
    Key::new(format!("meta/check/{key_id}"))
}

/// The proofs of all secret keys that values may be sealed with.
pub(crate) fn all_checks() -> Key {
    Key("meta/check/".into())
}

/// The election key. Its revision is the term of the leader that wrote it.
pub(crate) fn leader() -> Key {
    Key("meta/leader".into())
}

/// The id of this installation.
pub(crate) fn installation() -> Key {
    Key("meta/installation".into())
}

/// Written by every transaction that changes what is shown, for backends with several writers.
pub(crate) fn clock() -> Key {
    Key("meta/clock".into())
}

/// The newest revision, for backends that count revisions themselves.
pub(crate) fn newest_revision() -> Key {
    Key("meta/revision".into())
}

#[cfg(test)]
mod tests;
