//! Answers in gzip for those who take it. Every client that takes anything takes gzip; what is better costs more time than it saves
//! between a client and an API.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use poem::{
    Response,
    http::{HeaderMap, HeaderValue, header},
};

/// From how many bytes it is worth it: less fits into one packet anyway.
const WORTH_IT: usize = 1024;
/// From how many bytes it is done on a thread that may take its time.
const ASIDE: usize = 64 * 1024;

/// Whether the client that sent these headers takes gzip, and does not like it less than what is not compressed.
#[must_use]
pub fn is_welcome(headers: &HeaderMap) -> bool {
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

/// The answer, compressed if that is `welcome` and worth it.
pub async fn compressed(mut response: Response, welcome: bool) -> Response {
    let body = response.take_body().into_bytes().await.unwrap_or_default();
    if body.len() < WORTH_IT {
        response.set_body(body);
        return response;
    }
    // Also of what was not compressed: it would have been, for another client.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let packed = match welcome {
        false => None,
        true if body.len() < ASIDE => Some(gzip(&body)),
        true => {
            let body = body.clone();
            tokio::task::spawn_blocking(move || gzip(&body)).await.ok()
        }
    };
    match packed {
        Some(packed) => {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response.set_body(packed);
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
    fn gzip_is_sent_to_those_who_take_it() {
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
        for (accept, welcome) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            assert_eq!(is_welcome(&headers), welcome, "{accept}");
        }
        assert!(!is_welcome(&HeaderMap::new()));
    }
}
