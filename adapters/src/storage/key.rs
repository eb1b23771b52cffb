//! The key layout, in one place. Keys are paths; what the read model shows lives below `shown/`, everything else is read by key.
//!
//! | key | value |
//! | --- | --- |
//! | `shown/{organization,user,provisioner,cluster}/<id>` | a record |
//! | `shown/sighting/<cluster>` | what was last seen of a cluster |
//! | `shown/ages/<shard>` | when the clusters of a shard were last looked at |
//! | `unique/{username,email,namespace}/<text>` | id of the record that has it |
//! | `uses/{organization,user,provisioner}/<id>/<kind>/<id>` | nothing: the second record refers to the first |
//! | `sealed/<what>/<id>` | a sealed secret |
//! | `claim/<kind>/<caller>/<hash of the key>` | a creation that was asked for with an idempotency key |
//! | `meta/…` | what the store itself needs |
//!
//! `uses/` exists so that a deletion can be made to depend, in its own transaction, on nothing being left below a prefix. Kubeconfigs
//! are apart from the records so that a start reads none of them.

use std::fmt;

use kqueen_domain::id::{ClusterId, OrganizationId, ProvisionerId, UserId};
use ring::digest::{SHA256, digest};
use uuid::Uuid;

use super::ages::Shard;

/// A key, without what a backend puts in front of it.
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

    /// Takes back what [`Key::as_bytes`] gave; `None` if it is not text.
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

/// What a shown key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Organization(OrganizationId),
    User(UserId),
    Provisioner(ProvisionerId),
    Cluster(ClusterId),
    Sighting(ClusterId),
    Ages(Shard),
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
            "sighting" => Self::Sighting(name.parse().ok()?),
            "ages" => Self::Ages(Shard::from_name(name)?),
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
            Shown::Sighting(id) => format!("shown/sighting/{id}"),
            Shown::Ages(shard) => format!("shown/ages/{shard}"),
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

pub(crate) fn sighting(id: ClusterId) -> Key {
    Shown::Sighting(id).into()
}

/// Who has a value that must be unique. `kind` is `username`, `email` (folded) or `namespace`.
pub(crate) fn unique(kind: &'static str, text: &str) -> Key {
    Key::new(format!("unique/{kind}/{text}"))
}

/// Something that others refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Used {
    Organization(OrganizationId),
    User(UserId),
    Provisioner(ProvisionerId),
}

/// Something that refers to others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    User(UserId),
    Provisioner(ProvisionerId),
    Cluster(ClusterId),
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
    })
}

/// Secrets, each kind under keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    Password(UserId),
    UserMetadata(UserId),
    ProvisionerParameters(ProvisionerId),
    Kubeconfig(ClusterId),
    ClusterMetadata(ClusterId),
}

impl From<Secret> for Key {
    fn from(secret: Secret) -> Self {
        Self::new(match secret {
            Secret::Password(id) => format!("sealed/password/{id}"),
            Secret::UserMetadata(id) => format!("sealed/user-metadata/{id}"),
            Secret::ProvisionerParameters(id) => format!("sealed/provisioner-parameters/{id}"),
            Secret::Kubeconfig(id) => format!("sealed/kubeconfig/{id}"),
            Secret::ClusterMetadata(id) => format!("sealed/cluster-metadata/{id}"),
        })
    }
}

/// Every sealed secret.
pub(crate) fn all_sealed() -> Key {
    Key("sealed/".into())
}

/// A creation asked for with an idempotency key. The client's key is hashed: it may be any text.
pub(crate) fn claim(kind: &'static str, caller: UserId, key: &str) -> Key {
    let hash = digest(&SHA256, key.as_bytes());
    let (half, _) = hash.as_ref().split_at(16);
    let hash = half.try_into().map_or_else(|_| Uuid::nil(), Uuid::from_bytes);
    Key::new(format!("claim/{kind}/{caller}/{}", hash.simple()))
}

/// Every claim.
pub(crate) fn all_claims() -> Key {
    Key("claim/".into())
}

/// How keys are made for this store: the salt.
pub(crate) fn derivation() -> Key {
    Key("meta/derivation".into())
}

/// Proof that a secret key belongs to this store.
pub(crate) fn check(key_id: &str) -> Key {
    Key::new(format!("meta/check/{key_id}"))
}

/// The proofs of every secret key something may be sealed with.
pub(crate) fn all_checks() -> Key {
    Key("meta/check/".into())
}

/// Written by every transaction that changes what is shown, for backends with several writers.
pub(crate) fn clock() -> Key {
    Key("meta/clock".into())
}

/// The newest revision, for backends that count themselves.
pub(crate) fn newest_revision() -> Key {
    Key("meta/revision".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back_from_its_key() {
        let id = Uuid::new_v4();
        for shown in [
            Shown::Organization(id.into()),
            Shown::User(id.into()),
            Shown::Provisioner(id.into()),
            Shown::Cluster(id.into()),
            Shown::Sighting(id.into()),
            Shown::Ages(Shard::of(id.into())),
        ] {
            let key = Key::from(shown);
            assert!(key.is_shown() && key.starts_with(&all_shown()));
            assert_eq!(Shown::of(&key), Some(shown));
        }
    }

    #[test]
    fn a_later_release_may_show_more() {
        for text in ["shown/operation/1", "shown/cluster/not-a-uuid", "shown/ages/64", "sealed/kubeconfig/x"] {
            assert_eq!(Shown::of(&Key(text.into())), None, "{text}");
        }
    }

    #[test]
    fn no_key_of_one_kind_lies_below_another() {
        let id = Uuid::new_v4();
        let keys: Vec<Key> = vec![
            organization(id.into()),
            user(id.into()),
            provisioner(id.into()),
            cluster(id.into()),
            sighting(id.into()),
            Shown::Ages(Shard::of(id.into())).into(),
            unique("username", "a/b"),
            unique("email", "a/b"),
            unique("namespace", "a"),
            uses(Used::Organization(id.into()), By::User(id.into())),
            uses(Used::Organization(id.into()), By::Cluster(id.into())),
            uses(Used::User(id.into()), By::Cluster(id.into())),
            uses(Used::Provisioner(id.into()), By::Cluster(id.into())),
            Secret::Password(id.into()).into(),
            Secret::UserMetadata(id.into()).into(),
            Secret::ProvisionerParameters(id.into()).into(),
            Secret::Kubeconfig(id.into()).into(),
            Secret::ClusterMetadata(id.into()).into(),
            claim("cluster", id.into(), "k"),
            claim("provisioner", id.into(), "k"),
            derivation(),
            check("k"),
            newest_revision(),
        ];
        for (i, one) in keys.iter().enumerate() {
            for (j, other) in keys.iter().enumerate() {
                assert!(i == j || !one.starts_with(other), "{one:?} lies below {other:?}");
            }
        }
        let below_user = keys.iter().filter(|key| key.starts_with(&uses_of(Used::User(id.into()))));
        assert_eq!(below_user.count(), 1);
    }

    #[test]
    fn claims_of_other_callers_and_kinds_are_other_claims() {
        let (ann, bob) = (UserId::random(), UserId::random());
        assert_ne!(claim("cluster", ann, "k"), claim("cluster", bob, "k"));
        assert_ne!(claim("cluster", ann, "k"), claim("provisioner", ann, "k"));
        assert_ne!(claim("cluster", ann, "k"), claim("cluster", ann, "l"));
        assert_eq!(claim("cluster", ann, "k"), claim("cluster", ann, "k"));
    }

    #[test]
    fn debug_shows_no_names_of_people() {
        assert_eq!(format!("{:?}", unique("email", "ann@example.org")), "unique/email/…");
    }
}
