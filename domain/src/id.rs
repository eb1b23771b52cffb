//! Ids: UUIDs with a type for each kind of object, so that a cluster's id cannot be passed where a user's is expected.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new random id (UUID version 4).
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Uuid::parse_str(text).map(Self).map_err(|_| NotAnId)
            }
        }
    };
}

id!(
    /// The id of an [`Organization`](crate::organization::Organization).
    OrganizationId
);
id!(
    /// The id of a [`User`](crate::user::User).
    UserId
);
id!(
    /// The id of a [`Provisioner`](crate::provisioner::Provisioner).
    ProvisionerId
);
id!(
    /// The id of a [`Cluster`](crate::cluster::Cluster).
    ClusterId
);
id!(
    /// The id of an [`Operation`](crate::operation::Operation).
    OperationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_through_text() {
        let id = ClusterId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_text_is_refused() {
        assert_eq!("cluster-1".parse::<ClusterId>(), Err(NotAnId));
    }
}
