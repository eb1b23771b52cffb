//! An answer as it is read: bounded, with the few headers that are looked at.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;
use serde::de::DeserializeOwned;

use super::SendError;

/// The longest a provider is waited for because it asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A whole answer. `Debug` does not show the body, which may hold credentials.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    pub(super) async fn read(mut response: Response, most: usize) -> Result<Self, SendError> {
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(SendError::TooLarge);
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(SendError::of)? {
            if body.len() + chunk.len() > most {
                return Err(SendError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, body: body.freeze() })
    }

    /// The body as JSON; `None` if it is something else.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text.
    #[must_use]
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long the provider asks to wait, at most ten minutes.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.header(header::RETRY_AFTER)?, SystemTime::now())
    }

    /// The beginning of the body as one line of text, for what cannot be read otherwise: a maintenance page, a cut answer. Markup is
    /// left out.
    #[must_use]
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(16 * 1024)]).into_owned();
        let is_markup = text.trim_start().starts_with('<');
        let mut plain = String::new();
        let mut depth = 0_u32;
        for character in text.chars() {
            match character {
                '<' if is_markup => depth += 1,
                '>' if is_markup => {
                    depth = depth.saturating_sub(1);
                    plain.push(' ');
                }
                _ if depth > 0 => {}
                character if character.is_control() => plain.push(' '),
                character => plain.push(character),
            }
        }
        let words: Vec<_> = plain.split_whitespace().collect();
        words.join(" ").chars().take(300).collect()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What `Retry-After` says (RFC 9110, section 10.2.3): seconds, or a date. At most ten minutes; a date that is over means at once.
#[must_use]
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST_WAIT,
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}
