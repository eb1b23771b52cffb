//! Answers whose bytes are put together from parts that were rendered before; the document still declares their shape.

use std::marker::PhantomData;

use bytes::Bytes;
use kqueen_domain::revision::Revision;
use poem::{
    IntoResponse, Response,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
    types::Type,
};

/// How many headers an answer has, and a few more.
const HEADERS: usize = 12;

/// How many digits a revision has at most.
const MAX_DIGITS: usize = 20;

/// JSON bytes of the shape `T`.
#[derive(Debug)]
pub struct Rendered<T> {
    body: Bytes,
    etag: Option<Revision>,
    shape: PhantomData<fn() -> T>,
}

/// The same answer for several who asked for it together; the bytes are shared.
impl<T> Clone for Rendered<T> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), etag: self.etag, shape: PhantomData }
    }
}

impl<T> Rendered<T> {
    /// An answer with that body.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Self {
        Self { body: body.into(), etag: None, shape: PhantomData }
    }

    /// An answer that tells the revision of the record it shows.
    #[must_use]
    pub fn at(body: Vec<u8>, revision: Revision) -> Self {
        Self { body: body.into(), etag: Some(revision), shape: PhantomData }
    }

    /// An answer made by serde, which renders what `T` declares.
    #[must_use]
    pub fn of(value: &impl serde::Serialize) -> Self {
        // Everything we serialize has text keys, the one thing that could fail.
        Self::new(serde_json::to_vec(value).unwrap_or_default())
    }

    /// An answer made by serde of a value that may be large: both are made on a thread that may take its time.
    pub async fn aside<V: serde::Serialize>(make: impl FnOnce() -> V + Send + 'static) -> Self {
        let rendered = tokio::task::spawn_blocking(move || serde_json::to_vec(&make()).unwrap_or_default()).await;
        // It is not aborted, so a panic is the one thing that ends it early.
        Self::new(rendered.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())))
    }
}

/// The value of an `ETag` header, and of the `If-Match` that answers it.
fn etag(revision: Revision) -> HeaderValue {
    let mut text = [b'"'; MAX_DIGITS + 2];
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(revision.0).as_bytes();
    text[1..=digits.len()].copy_from_slice(digits);
    // Digits between quotation marks.
    HeaderValue::from_bytes(&text[..digits.len() + 2]).unwrap_or(HeaderValue::from_static("\"0\""))
}

impl<T: Send> IntoResponse for Rendered<T> {
    fn into_response(self) -> Response {
        let mut response = Response::builder().body(self.body);
        // Room for those that every answer is given later, too.
        response.headers_mut().reserve(HEADERS);
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        // Revision 0 stands for an answer that is repeated; it names no stored revision.
        if let Some(revision) = self.etag.filter(|revision| revision.0 > 0) {
            response.headers_mut().insert(header::ETAG, etag(revision));
        }
        response
    }
}

impl<T: Type> ApiResponse for Rendered<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The answer.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json; charset=utf-8",
                    schema: T::schema_ref(),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// Shape of a list: an array, or with `offset` a part of it with the total.
#[derive(Debug)]
pub struct Listed<T>(PhantomData<fn() -> T>);

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
            let items = || {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    description: Some("All of them."),
                    items: Some(Box::new(T::schema_ref())),
                    ..MetaSchema::new("array")
                }))
            };
            let total = MetaSchema {
                description: Some("How many there are that the caller may see and that pass the filters."),
                minimum: Some(0.0),
                ..MetaSchema::new_with_format("integer", "int64")
            };
            let page = MetaSchema {
                description: Some("A part of them, as asked for by `offset` and `limit`."),
                properties: vec![("items", items()), ("total", MetaSchemaRef::Inline(Box::new(total)))],
                required: vec!["items", "total"],
                ..MetaSchema::new("object")
            };
            MetaSchema {
                description: Some("An array, or with `offset` a part of it with the total."),
                one_of: vec![items(), MetaSchemaRef::Inline(Box::new(page))],
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

    #[test]
    fn an_entity_tag_is_the_revision_between_quotation_marks() {
        for revision in [0, 7, 4711, u64::MAX] {
            assert_eq!(etag(Revision(revision)), format!("\"{revision}\""));
        }
    }
}
