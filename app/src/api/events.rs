//! The event stream.

use crate::api::State;
use kqueen_domain::service::people::sessions::Session;
use poem::{
    IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    web::sse::SSE,
};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Header, Query},
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use super::{Tag, security::Watching};
use crate::{error::ApiError, http::StreamingBody};

pub(super) struct EventsApi;

/// A response with an endless body.
struct EventStream(Response);

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Events")]
impl EventsApi {
    /// Watch clusters, operations and provisioners change, as server-sent events.
    ///
    /// The stream has all changes that the caller is allowed to see, committed by any replica, until the token expires. Events are called
    /// `cluster`, `operation` and `provisioner`. Their data is `{"action": "changed", "object": {…}}` with the object as its own route
    /// returns it, but without kubeconfig or resources, or `{"action": "gone", "object": {"id": …}}`. Changes of one object in quick
    /// succession are sent once. Observations and checks with an unchanged result are not sent.
    ///
    /// An event called `reset` means that changes may have been missed: read the lists again. It is the first event if the given event id
    /// is no longer known, and is also sent to clients that read too slowly. To miss nothing, open the stream before you read the lists.
    #[oai(path = "/events", method = "get", operation_id = "event_stream")]
    async fn stream(
        &self,
        api: State<'_>,
        watching: Watching,
        request: &Request,
        /// The id of the last event that was received. The stream continues after it, also on another replica. Browsers send it by
        /// themselves. Clients that cannot send this header send the id as the query parameter `last_event_id`; the header takes
        /// precedence.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// The same in the query. The document does not declare it, see `document`.
        #[oai(name = "last_event_id")]
        last_event: Query<Option<String>>,
    ) -> Result<EventStream, ApiError> {
        if !accepts_events(request.headers()) {
            return Err(ApiError::not_acceptable("text/event-stream"));
        }
        let last = last_event_id.0.filter(|id| !id.is_empty()).or(last_event.0.filter(|id| !id.is_empty()));
        let session: Session = watching.0;
        let events = api.events.watch(session, last.as_deref()).map_err(ApiError::too_many_streams)?;
        let mut response = SSE::new(events).keep_alive(api.events.heartbeat()).into_response();
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.set_data(StreamingBody);
        Ok(EventStream(response))
    }
}

/// Whether the client accepts server-sent events.
fn accepts_events(headers: &HeaderMap) -> bool {
    let mut named = false;
    for range in headers.get_all(header::ACCEPT).iter().flat_map(|value| value.to_str().unwrap_or_default().split(','))
    {
        let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
        let rejected = parameters.split(';').any(|parameter| match parameter.split_once('=') {
            Some((name, weight)) => name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0_f32),
            None => false,
        });
        named |= !range.trim().is_empty();
        let matches =
            ["text/event-stream", "text/*", "*/*"].iter().any(|accepted| range.trim().eq_ignore_ascii_case(accepted));
        if matches && !rejected {
            return true;
        }
    }
    !named
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for EventStream {
    fn meta() -> MetaResponses {
        let schema = MetaSchema {
            description: Some("Server-sent events: `id`, `event` and `data` of each, and comments in between."),
            ..MetaSchema::new("string")
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The stream of changes.",
                status: Some(StatusCode::OK.as_u16()),
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "text/event-stream",
                    schema: MetaSchemaRef::Inline(Box::new(schema)),
                }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_is_checked() {
        let table = [
            (&["text/event-stream"][..], true),
            (&["*/*"], true),
            (&["text/*"], true),
            (&["application/json, TEXT/Event-Stream;q=0.5"], true),
            (&["application/json", "text/event-stream"], true),
            (&[], true),
            (&[""], true),
            (&["application/json"], false),
            (&["application/json, text/html;q=0.9"], false),
            (&["text/event-stream;q=0"], false),
            (&["text/event-stream; q=0.000, application/json"], false),
        ];
        for (values, accepts) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(accepts_events(&headers), accepts, "{values:?}");
        }
    }
}
