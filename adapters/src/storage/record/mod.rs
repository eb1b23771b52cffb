//! The stored forms of records: compact JSON in an envelope with a format number. Domain types are never stored directly, so that a
//! change to them cannot change the stored data by accident. An older format is migrated when it is read and written back with the
//! record's next change; a newer one is rejected, never guessed.

mod cluster;
mod code;
mod ledger;
mod observed_status;
mod operation;
mod organization;
mod orphan;
mod provisioner;
mod reason;
mod timeline;
mod user;

use kqueen_domain::{document::Document, port::store::StoreError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

/// Converts between an enum of the domain and its stored twin: a variant that one of them lacks does not compile.
macro_rules! twins {
    ($domain:ident, $stored:ident { $($variant:ident),+ }) => {
        impl From<$domain> for $stored {
            fn from(value: $domain) -> Self {
                match value { $($domain::$variant => Self::$variant),+ }
            }
        }

        impl From<$stored> for $domain {
            fn from(value: $stored) -> Self {
                match value { $($stored::$variant => Self::$variant),+ }
            }
        }
    };
}
use twins;

/// Why stored bytes cannot be read. It says where, but does not quote the bytes, because they may name people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the stored {kind} is damaged (near byte {at})")]
    Damaged { kind: &'static str, at: usize },
    #[error(
        "the stored {kind} is of format {format} and this release reads formats up to {known}: run the release that wrote it, \
         or a later one"
    )]
    Newer { kind: &'static str, format: u32, known: u32 },
    #[error("{key}: {source}")]
    At { key: String, source: Box<Unreadable> },
}

impl Unreadable {
    /// Adds the key that the bytes are stored under.
    pub(crate) fn at(self, key: &super::key::Key) -> Self {
        Self::At { key: format!("{key:?}"), source: Box::new(self) }
    }
}

impl From<Unreadable> for StoreError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(Box::new(error))
    }
}

/// A type that is stored.
pub(crate) trait Record: Sized {
    /// Its stored form, in the newest format.
    type Form: Serialize + DeserializeOwned + for<'a> From<&'a Self>;
    /// Its name in messages.
    const KIND: &'static str;
    /// The newest format.
    const FORMAT: u32;

    /// Converts the newest form back.
    fn restored(form: Self::Form) -> Option<Self>;

    /// Migrates a form to the next format. `None` if that format was never written.
    fn migrated(_from: u32, _form: Value) -> Option<Value> {
        None
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    format: u32,
    record: T,
}

#[derive(Deserialize)]
struct Opened<'a> {
    format: u32,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// The bytes to store for `record`.
pub(crate) fn written<T: Record>(record: &T) -> Result<Vec<u8>, StoreError> {
    let envelope = Envelope { format: T::FORMAT, record: T::Form::from(record) };
    serde_json::to_vec(&envelope).map_err(|error| StoreError::Unreadable(Box::new(error)))
}

/// The record in stored bytes.
pub(crate) fn read<T: Record>(bytes: &[u8]) -> Result<T, Unreadable> {
    let kind = T::KIND;
    // The parser's own error may quote what it read.
    let damaged = |error: serde_json::Error| Unreadable::Damaged { kind, at: error.column() };
    let opened: Opened<'_> = serde_json::from_slice(bytes).map_err(damaged)?;
    if opened.format > T::FORMAT {
        return Err(Unreadable::Newer { kind, format: opened.format, known: T::FORMAT });
    }
    let form: T::Form = if opened.format == T::FORMAT {
        serde_json::from_str(opened.record.get()).map_err(damaged)?
    } else {
        let mut form: Value = serde_json::from_str(opened.record.get()).map_err(damaged)?;
        for format in opened.format..T::FORMAT {
            form = T::migrated(format, form).ok_or(Unreadable::Damaged { kind, at: 0 })?;
        }
        serde_json::from_value(form).map_err(damaged)?
    };
    T::restored(form).ok_or(Unreadable::Damaged { kind, at: 0 })
}

/// Renames fields of a form. Fields that do not exist were left out.
fn renamed(form: &mut Value, names: &[(&str, &str)]) -> Option<()> {
    let fields = form.as_object_mut()?;
    for (before, after) in names {
        if let Some(value) = fields.remove(*before) {
            fields.insert((*after).to_owned(), value);
        }
    }
    Some(())
}

/// Migrates a field, if it exists.
fn migrated_in(form: &mut Value, field: &str, migrate: impl FnOnce(&mut Value) -> Option<()>) -> Option<()> {
    form.as_object_mut()?.get_mut(field).map_or(Some(()), migrate)
}

/// Migrates each item of a field, if it exists.
fn migrated_each(form: &mut Value, field: &str, migrate: impl Fn(&mut Value) -> Option<()>) -> Option<()> {
    migrated_in(form, field, |items| items.as_array_mut()?.iter_mut().try_for_each(|item| migrate(item).ok_or(())).ok())
}

/// A document as part of a stored form. A [`Document`] is always JSON.
fn embedded(document: &Document) -> Box<RawValue> {
    RawValue::from_string(document.as_str().to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn extracted(raw: &RawValue) -> Option<Document> {
    Document::from_stored(raw.get()).ok()
}

/// A stored form inside another value, such as an idempotency record.
pub(crate) fn nested<T: Record>(record: &T) -> Result<Box<RawValue>, StoreError> {
    to_raw_value(&Envelope { format: T::FORMAT, record: T::Form::from(record) })
        .map_err(|error| StoreError::Unreadable(Box::new(error)))
}

#[cfg(test)]
mod tests;
