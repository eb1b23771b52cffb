//! Responses. The type that documents a response is the type that is serialised, so that the two cannot differ.

use std::{
    io::{self, Write},
    marker::PhantomData,
    sync::Arc,
};

use bytes::Bytes;
use kqueen_domain::{catalog::Page, revision::Revision};
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};
use secrecy::zeroize::Zeroizing;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The media type of all JSON: it has no parameter `charset` (RFC 8259, section 11), and several clients accept only this text.
pub const JSON: &str = "application/json";

/// A `T`, serialised as JSON.
#[derive(Debug)]
pub struct Rendered<T> {
    body: Bytes,
    etag: Option<Revision>,
    shape: PhantomData<fn() -> T>,
}

/// Shares the bytes, for concurrent requests with the same response.
impl<T> Clone for Rendered<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), etag: self.etag, shape: PhantomData }
    }
}

impl<T: Serialize> Rendered<T> {
    /// A response.
    #[must_use]
    pub fn of(value: &T) -> Self {
        // Serialising fails only for maps whose keys are not text, and there are none.
        Self::with(serde_json::to_vec(value).unwrap_or_default().into())
    }

    /// A response with the revision of the record as its entity tag.
    #[must_use]
    pub fn at(value: &T, revision: Revision) -> Self {
        Self { etag: Some(revision), ..Self::of(value) }
    }

    /// A response with a secret: its memory is zeroed after it was sent.
    #[must_use]
    pub fn secret(value: &T) -> Self {
        let mut body = ZeroedBody::default();
        let _ = serde_json::to_writer(&mut body, value);
        Self::with(Bytes::from_owner(body.0))
    }

    /// As [`Rendered::secret`], with the revision of the record.
    #[must_use]
    pub fn secret_at(value: &T, revision: Revision) -> Self {
        Self { etag: Some(revision), ..Self::secret(value) }
    }

    /// A response that may be large: it is built on a blocking thread.
    pub async fn blocking(make: impl FnOnce() -> T + Send + 'static) -> Self
    where
        T: 'static,
    {
        let rendered = tokio::task::spawn_blocking(move || Self::of(&make())).await;
        // The task is never aborted, so the error is a panic.
        rendered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    const fn with(body: Bytes) -> Self {
        Self { body, etag: None, shape: PhantomData }
    }
}

/// A buffer that is zeroed when it is dropped or reallocated.
#[derive(Default)]
struct ZeroedBody(Zeroizing<Vec<u8>>);

impl Write for ZeroedBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity()).max(1024)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Send> IntoResponse for Rendered<T> {
    fn into_response(self) -> Response {
        let mut response = Response::builder().content_type(JSON).body(self.body);
        // A repeated response to an idempotent request has revision 0, which is not a stored revision.
        let revision = self.etag.filter(|revision| revision.0 > 0);
        if let Some(tag) = revision.and_then(|revision| HeaderValue::try_from(format!("\"{}\"", revision.0)).ok()) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// A `T` that is already serialised.
#[derive(Debug)]
pub struct Cached<T> {
    text: Arc<RawValue>,
    shape: PhantomData<fn() -> T>,
}

impl<T> Clone for Cached<T> {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), shape: PhantomData }
    }
}

impl<T: Serialize> Cached<T> {
    /// Serialises `value`.
    #[must_use]
    pub fn of(value: &T) -> Self {
        Self { text: to_raw_value(value).unwrap_or_default().into(), shape: PhantomData }
    }
}

impl<T> Cached<T> {
    /// The JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get()
    }
}

impl<T> Serialize for Cached<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(serializer)
    }
}

/// Documented as `T`.
impl<T: Type> Type for Cached<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> std::borrow::Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<T: Type> ApiResponse for Rendered<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The request succeeded.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A list: an array, or with `offset` one page and the total.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Listed<T> {
    /// All items.
    All(Vec<T>),
    /// One page.
    Part {
        /// The items of the page.
        items: Vec<T>,
        /// The total number of items.
        total: usize,
    },
}

impl<T> Listed<T> {
    /// A page, with each item converted by `item`.
    pub fn of<V>(page: &Page<V>, paged: bool, item: impl FnMut(&V) -> T) -> Self {
        let items = page.items.iter().map(item).collect();
        if paged { Self::Part { items, total: page.total } } else { Self::All(items) }
    }
}

impl<T: Type> Type for Listed<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> std::borrow::Cow<'static, str> {
        format!("Listed_{}", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let items = |description| {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    description: Some(description),
                    items: Some(Box::new(T::schema_ref())),
                    ..MetaSchema::new("array")
                }))
            };
            let total = MetaSchema {
                description: Some(
                    "The number of objects that the caller is allowed to see and that match the filters.",
                ),
                minimum: Some(0.0),
                ..MetaSchema::new_with_format("integer", "int64")
            };
            let page = MetaSchema {
                description: Some("The page that was requested with `offset` and `limit`."),
                properties: vec![
                    ("items", items("The items of the page.")),
                    ("total", MetaSchemaRef::Inline(Box::new(total))),
                ],
                required: vec!["items", "total"],
                ..MetaSchema::new("object")
            };
            MetaSchema {
                description: Some("All items as an array, or with `offset` one page and the total number of items."),
                one_of: vec![items("All items."), MetaSchemaRef::Inline(Box::new(page))],
                ..MetaSchema::ANY
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(revision: u64) -> Option<String> {
        let response = Rendered::at(&0, Revision(revision)).into_response();
        assert_eq!(response.content_type(), Some("application/json"));
        response.header(header::ETAG).map(str::to_owned)
    }

    #[test]
    fn the_entity_tag_is_the_quoted_revision() {
        for revision in [7, 4711, u64::MAX] {
            assert_eq!(head(revision), Some(format!("\"{revision}\"")));
        }
        assert_eq!(head(0), None, "a repeated response");
    }

    #[test]
    fn a_list_is_an_array_or_a_page_with_the_total() {
        let page = Page { items: vec![1, 2], total: 5 };
        let json = |paged| serde_json::to_string(&Listed::of(&page, paged, |item| item * 10)).unwrap();
        assert_eq!(json(false), "[10,20]");
        assert_eq!(json(true), r#"{"items":[10,20],"total":5}"#);
    }

    #[test]
    fn cached_items_are_written_unchanged() {
        let cached = Cached::of(&vec!["a", "\"b\""]);
        let all = Listed::of(&Page { items: vec![(), ()], total: 2 }, false, |()| cached.clone());
        assert_eq!(serde_json::to_string(&all).unwrap(), r#"[["a","\"b\""],["a","\"b\""]]"#);
    }

    #[test]
    fn secret_responses_have_the_same_bytes() {
        for length in [0, 10, 1023, 5_000, 100_000] {
            let value = vec!["\"x".repeat(length), "y".repeat(length)];
            assert_eq!(Rendered::secret(&value).body, Rendered::of(&value).body);
        }
    }
}
