//! The shapes of requests and responses, as declared in the document.

pub mod cluster;
pub mod configuration;
pub mod form;
pub mod operation;
pub mod organization;
pub mod orphan;
pub mod provisioner;
pub mod reason_code;
pub mod session;
pub mod status;
pub mod timeline;
pub mod topology;
pub mod user;

use std::fmt;

use kqueen_domain::{document::Document, secret::Kubeconfig};
use poem_openapi::{Object, types::Any};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error};
use serde_json::{Value, value::RawValue};

/// Free-form JSON in a declared shape.
pub type Free = Any<Value>;

/// Free-form JSON that is returned as it is stored.
pub type FreeText = Any<Box<RawValue>>;

/// A document as free-form JSON.
#[must_use]
pub fn free_text(document: &Document) -> FreeText {
    // A document is always valid JSON.
    Any(RawValue::from_string(document.as_str().to_owned()).unwrap_or_default())
}

/// A kubeconfig in a response: a JSON object, in memory that is zeroed.
pub struct SecretJson(Option<Kubeconfig>);

/// A kubeconfig, or an empty object if there is none yet.
#[must_use]
pub const fn secret_json(kubeconfig: Option<Kubeconfig>) -> Any<SecretJson> {
    Any(SecretJson(kubeconfig))
}

impl fmt::Debug for SecretJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretJson(hidden)")
    }
}

impl Serialize for SecretJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.as_ref().map_or("{}", Kubeconfig::expose);
        // The parser's error is dropped: it may quote the text.
        let raw: &RawValue = serde_json::from_str(text).map_err(|_| S::Error::custom("a kubeconfig is not JSON"))?;
        raw.serialize(serializer)
    }
}

/// Required by the framework; no request has this shape.
impl<'de> Deserialize<'de> for SecretJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(Some(Kubeconfig::new(Box::<str>::from(text).into()))))
    }
}

/// The number of objects, and the share of them that is healthy.
#[derive(Debug, Serialize, Object)]
pub struct Health {
    /// The number of objects that the caller is allowed to see.
    pub total: usize,
    /// The percentage of objects in state OK, rounded down; 100 if there are no objects.
    pub healthy_percentage: usize,
}

impl From<kqueen_domain::catalog::Tally> for Health {
    fn from(tally: kqueen_domain::catalog::Tally) -> Self {
        Self { total: tally.total, healthy_percentage: tally.percentage() }
    }
}

/// The result of a deletion.
#[derive(Debug, Serialize, Object)]
pub struct Deleted {
    /// The id of the deleted object.
    pub id: String,
    /// Always `deleted`.
    pub state: String,
}

impl Deleted {
    /// The response to a deletion.
    #[must_use]
    pub fn of(id: impl std::fmt::Display) -> Self {
        Self { id: id.to_string(), state: "deleted".into() }
    }
}
