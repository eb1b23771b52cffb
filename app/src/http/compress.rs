//! Compresses responses with gzip for clients that accept it. Every client that accepts any compression accepts gzip; better encodings
//! cost more time than they save for API responses.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Response,
    http::{HeaderMap, HeaderValue, header},
};

/// Minimum size of a body to compress: a smaller one fits into one packet anyway.
const MIN_SIZE: usize = 1024;
/// Minimum size of a body to compress on a blocking thread.
const MIN_BLOCKING_SIZE: usize = 64 * 1024;

/// Whether the client accepts gzip and does not prefer an uncompressed response.
#[must_use]
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    for item in values.flat_map(|value| value.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = match parameters.trim().split_once('=') {
            Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => weight.trim().parse().unwrap_or(0.0),
            _ => 1.0_f32,
        };
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "*" => any = Some(weight),
            "identity" => identity = Some(weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The response, compressed if the client accepts gzip and the body is large enough.
pub async fn compressed(mut response: Response, accepts_gzip: bool) -> Response {
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    if body.len() < MIN_SIZE {
        response.set_body(body);
        return response;
    }
    // Also when it is not compressed: for another client it would be.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let compressed = match accepts_gzip {
        false => None,
        true if body.len() < MIN_BLOCKING_SIZE => Some(gzip(&body)),
        true => {
            let body = body.clone();
            tokio::task::spawn_blocking(move || gzip(&body)).await.ok()
        }
    };
    match compressed {
        Some(compressed) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.set_body(compressed);
        }
        None => response.set_body(body),
    }
    response
}

fn gzip(body: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        let table = [
            ("gzip", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=0.5", true),
            ("deflate, gzip ; q = 0.2", true),
            ("br;q=0, gzip", true),
            ("*", true),
            ("identity;q=0.5, *", true),
            ("", false),
            ("br", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=nonsense", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("identity, gzip;q=0.5", false),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{accept}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
