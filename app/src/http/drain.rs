//! What is left of a request's body when it was answered without it. If it is not read, the connection is closed on somebody who still
//! sends, who then sees a broken connection and never the answer that says why.

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

/// How many bytes are read that nobody wants.
const MOST: usize = 16 << 20;

type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A body that is read on when it is dropped, until it ends or is too long. How long that may take is up to the connection's pace.
struct DrainBody(Option<Pieces>);

/// `body`, with what is left of it taken off the connection in any case.
#[must_use]
pub fn read_to_its_end(body: Body, headers: &HeaderMap) -> Body {
    let has_body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    // Who waits to be asked for the body has not sent it.
    if !has_body || headers.contains_key(header::EXPECT) {
        return body;
    }
    Body::from_bytes_stream(DrainBody(Some(Box::pin(body.into_bytes_stream()))))
}

impl Stream for DrainBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(pieces) = &mut self.0 else { return Poll::Ready(None) };
        let piece = pieces.poll_next_unpin(cx);
        if matches!(piece, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        piece
    }
}

impl Drop for DrainBody {
    fn drop(&mut self) {
        let (Some(mut pieces), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        runtime.spawn(async move {
            let mut read = 0;
            while let Some(Ok(piece)) = pieces.next().await {
                read += piece.len();
                if read > MOST {
                    break;
                }
            }
        });
    }
}
