//! Drains the rest of a request body when the response was sent without reading it. Otherwise the connection is closed while the client
//! is still sending, and the client sees a broken connection instead of the response.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use poem::{
    Body,
    http::{HeaderMap, header},
};

/// Maximum number of bytes drained.
const MAX_DRAINED: usize = 16 << 20;

type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that is drained when it is dropped, until it ends or is too long. The connection's deadlines limit the time.
struct DrainBody(Option<Chunks>);

/// `body`, whose unread rest is drained from the connection.
#[must_use]
pub fn drained(body: Body, headers: &HeaderMap) -> Body {
    let has_body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    // A client that waits for 100 Continue has not sent the body.
    if !has_body || headers.contains_key(header::EXPECT) {
        return body;
    }
    Body::from_bytes_stream(DrainBody(Some(Box::pin(body.into_bytes_stream()))))
}

impl Stream for DrainBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(chunks) = &mut self.0 else { return Poll::Ready(None) };
        let chunk = chunks.poll_next_unpin(cx);
        if matches!(chunk, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        chunk
    }
}

impl Drop for DrainBody {
    fn drop(&mut self) {
        let (Some(mut chunks), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            let mut read = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                read += chunk.len();
                if read > MAX_DRAINED {
                    break;
                }
            }
        });
    }
}
