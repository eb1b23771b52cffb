//! Request bodies: JSON objects of a declared shape, read field by field so that all errors are reported at once.

use std::{fmt::Display, io, marker::PhantomData, str::FromStr};

use bytes::Bytes;
use kqueen_domain::{
    invalid::{Findings, Invalid},
    secret::{SecretMap, SecretValue},
    service::references,
};
use poem::{Request, RequestBody, Result, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};
use ring::digest;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{json, read_only, rendered::JSON};
use crate::{error::ApiError, http::context::RequestContext};

/// A JSON object of the shape `T`, as declared in the document.
pub struct Body<T> {
    /// The fields.
    pub fields: Fields,
    shape: PhantomData<fn() -> T>,
}

impl<'a, T: Type> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> Result<Self> {
        let media_type = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
        if media_type.is_some_and(|media_type| !is_json(media_type)) {
            return Err(ApiError::unsupported_media_type().into());
        }
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(ApiError::unsupported_encoding().into());
        }
        // Without a copy, if the memory is not shared.
        let bytes = Zeroizing::new(Vec::from(read(request, body).await?));
        let value = json::read(&bytes)
            .map_err(|wrong| ApiError::bad_request(format!("the body is not valid JSON: {wrong}")))?;
        let map = value.into_map().map_err(|_| ApiError::from(Invalid::field("body", "must be a JSON object")))?;
        Ok(Self { fields: Fields { map, findings: Findings::default() }, shape: PhantomData })
    }
}

/// Reads the body of a request, up to the limit.
pub(super) async fn read(request: &Request, body: &mut RequestBody) -> Result<Bytes> {
    let limit = RequestContext::of(request)?.body_limit;
    let too_large = || ApiError::too_large(limit);
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        return Err(too_large().into());
    }
    // Boxed because the future takes 4 kB, which would be moved for every request to the same path, with or without a body.
    let bytes = Box::pin(body.take()?.into_bytes_limit(limit)).await.map_err(|error| match error {
        poem::error::ReadBodyError::PayloadTooLarge => too_large(),
        _ => ApiError::bad_request("the body could not be read completely"),
    })?;
    Ok(bytes)
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().strip_prefix("application/").is_some_and(|subtype| subtype.ends_with("+json"))
}

/// The fields of a body, taken out one by one. Errors are collected, and returned by [`Fields::finish`]. Any field may contain a secret.
#[derive(Debug)]
pub struct Fields {
    map: SecretMap,
    findings: Findings,
}

impl Fields {
    /// Takes a field, if it is present and not null.
    pub fn value(&mut self, name: &str) -> Option<SecretValue> {
        self.map.remove(name).filter(|value| !value.expose().is_null())
    }

    /// Whether a field is present and not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field that may be null.
    pub fn nullable(&mut self, name: &str) -> Option<SecretValue> {
        self.map.remove(name)
    }

    #[cfg(test)]
    pub(super) fn of(value: Value) -> Self {
        Self { map: SecretValue::from(value).into_map().unwrap(), findings: Findings::default() }
    }

    /// A hash of all fields, which white space and the order of keys do not change. No copy of them is made.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Hasher(digest::Context::new(&digest::SHA256));
        // Writing to it cannot fail, and keys are strings.
        drop(serde_json::to_writer(&mut hasher, self.map.expose()));
        let mut hash = [0; 32];
        hash.copy_from_slice(hasher.0.finish().as_ref());
        hash
    }

    /// Removes a field without reading it.
    pub fn ignore(&mut self, name: &str) {
        self.map.remove(name);
    }

    /// Adds an error if a required field is missing.
    pub fn require<T>(&mut self, name: &str, value: Option<T>, given: bool) -> Option<T> {
        if !given {
            self.findings.add(name, "is required");
        }
        value
    }

    /// Adds an error to a field.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.findings.add(name, message);
    }

    /// Takes a text field and parses it.
    pub fn text<T: TryFrom<String, Error: Display>>(&mut self, name: &str) -> Option<T> {
        match self.value(name)?.into_text() {
            Ok(text) => self.findings.take(name, T::try_from(text)),
            Err(_) => self.wrong_type(name, "must be a string"),
        }
    }

    /// Takes a required text field.
    pub fn required_text<T: TryFrom<String, Error: Display>>(&mut self, name: &str) -> Option<T> {
        let given = self.has(name);
        let value = self.text(name);
        self.require(name, value, given)
    }

    /// Takes a text field with a fixed set of values.
    pub fn choice<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.value(name)?.expose() {
            Value::String(text) => self.findings.take(name, text.parse()),
            _ => self.wrong_type(name, "must be a string"),
        }
    }

    /// Takes a reference: `"User:<uuid>"`, or the object as responses nest it, in full or shortened, of which only the id is read.
    pub fn reference<T: FromStr>(&mut self, name: &str, kind: &str) -> Option<T> {
        match self.value(name)?.expose() {
            Value::String(text) => self.findings.take(name, references::parse(kind, text)),
            Value::Object(nested) => {
                let id = nested.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                let message = || format!("must be \"{kind}:<uuid>\", or an object with an id");
                self.findings.take(name, id.ok_or_else(message))
            }
            _ => self.wrong_type(name, &format!("must be \"{kind}:<uuid>\"")),
        }
    }

    /// Removes a field if it is an empty text, which clients of 2018 send for none. Returns whether it was.
    pub fn take_empty(&mut self, name: &str) -> bool {
        let is_empty = self.map.get(name).is_some_and(|value| value == "");
        if is_empty {
            self.map.remove(name);
        }
        is_empty
    }

    /// Takes a boolean field.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)?.expose() {
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong_type(name, "must be true or false"),
        }
    }

    /// Takes an object field.
    pub fn object(&mut self, name: &str) -> Option<SecretMap> {
        match self.value(name)?.into_map() {
            Ok(object) => Some(object),
            Err(_) => self.wrong_type(name, "must be an object"),
        }
    }

    /// Takes all remaining fields.
    pub fn rest(&mut self) -> SecretMap {
        std::mem::take(&mut self.map)
    }

    fn wrong_type<T>(&mut self, name: &str, message: &str) -> Option<T> {
        self.findings.add(name, message);
        None
    }

    /// `value`, if there are no errors and no field is left.
    ///
    /// # Errors
    /// All errors, including one for each unknown field.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        for name in self.map.expose().keys() {
            let message = if read_only::is_known(name) { "is read-only" } else { "is not a field of this request" };
            self.findings.add(shortened(name), message);
        }
        self.findings.finish(value)
    }
}

/// Hashes what is written to it.
struct Hasher(digest::Context);

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Truncates the name of an unknown field, which is repeated in the response.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use kqueen_domain::name::ResourceName;
    use serde_json::json;

    use super::*;

    #[test]
    fn all_errors_are_reported_at_once() {
        let mut fields = Fields::of(json!({"name": 5, "active": "yes", "owner": "User:x", "id": "1", "colour": "red"}));
        let name: Option<ResourceName> = fields.required_text("name");
        let active = fields.flag("active");
        let owner: Option<kqueen_domain::id::UserId> = fields.reference("owner", "User");
        let engine: Option<ResourceName> = fields.required_text("engine");
        assert!(name.is_none() && active.is_none() && owner.is_none() && engine.is_none());
        let wrong: Vec<_> = fields.finish(Some(())).unwrap_err().0.into_iter().map(|e| e.field).collect();
        assert_eq!(wrong, ["name", "active", "owner", "engine", "colour", "id"]);
    }

    #[test]
    fn the_hash_is_that_of_the_compact_text_with_sorted_keys() {
        let read = |text: &str| {
            let map = json::read(text.as_bytes()).unwrap().into_map().unwrap();
            Fields { map, findings: Findings::default() }.hash()
        };
        let hash = read("{\"b\": [1.50, {\"d\": null, \"c\": \"\\u00e4\\n\"}],\n \"a\": 18446744073709551615}");
        // As versions before hashed it: their stored hashes are compared with it.
        let compact = "{\"a\":18446744073709551615,\"b\":[1.5,{\"c\":\"ä\\n\",\"d\":null}]}";
        assert_eq!(hash, digest::digest(&digest::SHA256, compact.as_bytes()).as_ref());
        assert_eq!(hash, read(compact));
        assert_ne!(hash, read("{}"));
    }

    #[test]
    fn debug_hides_the_values_of_a_body() {
        let mut fields = Fields::of(json!({"name": ["hunter2"], "parameters": {"zone": "hunter2"}}));
        let name: Option<ResourceName> = fields.text("name");
        assert_eq!(name, None);
        let shown = format!("{fields:?} {:?}", fields.object("parameters"));
        assert!(shown.contains("hidden") && !shown.contains("hunter2") && !shown.contains("zone"), "{shown}");
    }

    #[test]
    fn json_media_types_are_recognised() {
        for good in
            ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
        {
            assert!(is_json(good), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "", "json"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
