//! Request bodies: a JSON object of a declared shape, read field by field so that everything wrong with it is told at once.

use std::{fmt::Display, marker::PhantomData, str::FromStr};

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
use serde_json::Value;
use zeroize::Zeroizing;

use super::{json, read_only};
use crate::{error::ApiError, http::context::RequestContext};

/// A JSON object of the shape `T`, which is what the document declares.
pub struct Body<T> {
    /// The fields.
    pub fields: Fields,
    /// The bytes it was read from, overwritten when they are dropped.
    bytes: Zeroizing<Vec<u8>>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Body<T> {
    /// The bytes it was read from, for telling requests apart.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
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
            content: vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }],
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
        // The memory itself, not a copy of it, wherever nobody else holds it.
        let bytes = Zeroizing::new(Vec::from(read(request, body).await?));
        let value = json::read(&bytes)
            .map_err(|wrong| ApiError::bad_request(format!("the body cannot be read as JSON: {wrong}")))?;
        let map = value.into_map().map_err(|_| ApiError::from(Invalid::field("body", "must be a JSON object")))?;
        Ok(Self { fields: Fields { map, findings: Findings::default() }, bytes, shape: PhantomData })
    }
}

/// The bytes of a request's body, if they are not too many.
pub(super) async fn read(request: &Request, body: &mut RequestBody) -> Result<Bytes> {
    let limit = RequestContext::of(request)?.body_limit;
    let too_large = || ApiError::too_large(limit);
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        return Err(too_large().into());
    }
    // Boxed, as it takes 4 kB, which every request to the same path would carry from hand to hand, with a body or without.
    let bytes = Box::pin(body.take()?.into_bytes_limit(limit)).await.map_err(|error| match error {
        poem::error::ReadBodyError::PayloadTooLarge => too_large(),
        _ => ApiError::bad_request("the body could not be read to its end"),
    })?;
    Ok(bytes)
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().strip_prefix("application/").is_some_and(|subtype| subtype.ends_with("+json"))
}

/// The fields of a body, taken out one by one; what is wrong is noted, and told by [`Fields::finish`]. Any of them may hold a secret.
#[derive(Debug)]
pub struct Fields {
    map: SecretMap,
    findings: Findings,
}

impl Fields {
    /// A field, if it is there and not null.
    pub fn value(&mut self, name: &str) -> Option<SecretValue> {
        self.map.remove(name).filter(|value| !value.expose().is_null())
    }

    /// Whether a field is there and not null.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// A field, whether it is null or not.
    pub fn nullable(&mut self, name: &str) -> Option<SecretValue> {
        self.map.remove(name)
    }

    #[cfg(test)]
    pub(super) fn of(value: Value) -> Self {
        Self { map: SecretValue::from(value).into_map().unwrap(), findings: Findings::default() }
    }

    /// Takes a field out without looking at it.
    pub fn ignore(&mut self, name: &str) {
        self.map.remove(name);
    }

    /// Notes that a field is missing.
    pub fn require<T>(&mut self, name: &str, value: Option<T>, given: bool) -> Option<T> {
        if !given {
            self.findings.add(name, "must be given");
        }
        value
    }

    /// Notes that a field is wrong.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.findings.add(name, message);
    }

    /// A text field made into what it means.
    pub fn text<T: TryFrom<String, Error: Display>>(&mut self, name: &str) -> Option<T> {
        match self.value(name)?.into_text() {
            Ok(text) => self.findings.take(name, T::try_from(text)),
            Err(_) => self.wrong_type(name, "must be a text"),
        }
    }

    /// A text field that must be given.
    pub fn required_text<T: TryFrom<String, Error: Display>>(&mut self, name: &str) -> Option<T> {
        let given = self.has(name);
        let value = self.text(name);
        self.require(name, value, given)
    }

    /// A text field that is one of some words.
    pub fn word<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        match self.value(name)?.expose() {
            Value::String(text) => self.findings.take(name, text.parse()),
            _ => self.wrong_type(name, "must be a text"),
        }
    }

    /// A reference: `"User:<uuid>"`, or the object as answers nest it, whole or shortened, of which only the id counts.
    pub fn reference<T: FromStr>(&mut self, name: &str, kind: &str) -> Option<T> {
        match self.value(name)?.expose() {
            Value::String(text) => self.findings.take(name, references::parse(kind, text)),
            Value::Object(nested) => {
                let id = nested.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                let message = || format!("must be \"{kind}:<uuid>\", or have the id of the object that was read");
                self.findings.take(name, id.ok_or_else(message))
            }
            _ => self.wrong_type(name, &format!("must be \"{kind}:<uuid>\"")),
        }
    }

    /// Takes a field out that is an empty text, which clients of 2018 send for none; whether it was one.
    pub fn take_empty(&mut self, name: &str) -> bool {
        let is_empty = self.map.get(name).is_some_and(|value| value == "");
        if is_empty {
            self.map.remove(name);
        }
        is_empty
    }

    /// A yes or no.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)?.expose() {
            Value::Bool(flag) => Some(*flag),
            _ => self.wrong_type(name, "must be true or false"),
        }
    }

    /// An object.
    pub fn object(&mut self, name: &str) -> Option<SecretMap> {
        match self.value(name)?.into_map() {
            Ok(object) => Some(object),
            Err(_) => self.wrong_type(name, "must be an object"),
        }
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> SecretMap {
        std::mem::take(&mut self.map)
    }

    fn wrong_type<T>(&mut self, name: &str, message: &str) -> Option<T> {
        self.findings.add(name, message);
        None
    }

    /// `value`, if nothing is wrong and no field is left.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Invalid> {
        for name in self.map.expose().keys() {
            let message = if read_only::is_known(name) { "is read-only" } else { "is not a field of this request" };
            self.findings.add(shortened(name), message);
        }
        self.findings.finish(value)
    }
}

/// Names of unknown fields come from outside and are answered; a long one is cut.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use kqueen_domain::name::ResourceName;
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_wrong_is_told_at_once() {
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
    fn debug_of_a_body_shows_no_value() {
        let mut fields = Fields::of(json!({"name": ["hunter2"], "parameters": {"zone": "hunter2"}}));
        let name: Option<ResourceName> = fields.text("name");
        assert_eq!(name, None);
        let shown = format!("{fields:?} {:?}", fields.object("parameters"));
        assert!(shown.contains("hidden") && !shown.contains("hunter2") && !shown.contains("zone"), "{shown}");
    }

    #[test]
    fn json_has_many_names() {
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
