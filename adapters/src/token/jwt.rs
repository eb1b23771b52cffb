//! JSON Web Tokens (RFC 7519) signed with HS256, with the claims of 2018 and the user's token generation.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use kqueen_domain::port::token::{Claims, TokenError, TokenSigner};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Maximum number of verified tokens in the cache.
const CACHE_SIZE: usize = 10_000;
/// Maximum length of a token in bytes; longer ones are rejected unread.
const MAX_BYTES: usize = 1024;
/// How far the clocks of replicas may differ.
const SKEW: TimeDelta = TimeDelta::seconds(60);

/// The payload of a token. Times are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    identity: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(rename = "gen")]
    generation: u64,
}

/// A digest that identifies a token, so that no token is kept.
type Fingerprint = [u8; 32];

fn fingerprint(token: &str) -> Fingerprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    Fingerprint::try_from(digest.as_ref()).unwrap_or_default()
}

/// Signs and verifies tokens with one secret key. A limited number of verified tokens is cached; what depends on the time or on the
/// user is checked every time.
pub struct JwtSigner {
    header: Header,
    validation: Validation,
    encoding: EncodingKey,
    decoding: DecodingKey,
    verified: Cache<Fingerprint, Claims>,
}

impl JwtSigner {
    /// A signer with that key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        super::hmac::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked below, against the time that is passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            header: Header::new(Algorithm::HS256),
            validation,
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            verified: Cache::new(CACHE_SIZE),
        }
    }

    fn claims(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let fingerprint = fingerprint(token);
        if let Some(claims) = self.verified.get(&fingerprint) {
            return Ok(claims);
        }
        let payload =
            decode::<Payload>(token, &self.decoding, &self.validation).map_err(|_| TokenError::Invalid)?.claims;
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or(TokenError::Invalid);
        let claims = Claims {
            identity: payload.identity.into(),
            generation: payload.generation,
            issued_at: time(payload.iat)?,
            expires_at: time(payload.exp)?,
        };
        self.verified.insert(fingerprint, claims);
        Ok(claims)
    }
}

impl TokenSigner for JwtSigner {
    fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        let payload = Payload {
            identity: claims.identity.uuid(),
            iat: claims.issued_at.timestamp(),
            nbf: claims.issued_at.timestamp(),
            exp: claims.expires_at.timestamp(),
            generation: claims.generation,
        };
        encode(&self.header, &payload, &self.encoding).map_err(|error| TokenError::Signing(Box::new(error)))
    }

    fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let claims = self.claims(token)?;
        if claims.expires_at <= now {
            self.verified.remove(&fingerprint(token));
            return Err(TokenError::Expired);
        }
        if claims.issued_at > now + SKEW {
            return Err(TokenError::Invalid);
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use kqueen_domain::id::UserId;

    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            identity: UserId::random(),
            generation: 3,
            issued_at: noon(),
            expires_at: noon() + TimeDelta::hours(1),
        }
    }

    #[test]
    fn a_token_returns_its_claims_until_it_expires() {
        let signer = JwtSigner::new(&[7; 32]);
        let claims = claims();
        let token = signer.sign(&claims).unwrap();
        for _ in 0..2 {
            assert_eq!(signer.verify(&token, noon()).unwrap(), claims);
        }
        assert!(matches!(signer.verify(&token, claims.expires_at), Err(TokenError::Expired)));
    }

    #[test]
    fn the_claims_are_those_of_2018() {
        let token = JwtSigner::new(&[7; 32]).sign(&claims()).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        for claim in ["identity", "iat", "nbf", "exp"] {
            assert!(!payload[claim].is_null(), "{claim}");
        }
    }

    #[test]
    fn tokens_of_another_key_without_signature_or_with_other_claims_are_rejected() {
        let signer = JwtSigner::new(&[7; 32]);
        let token = signer.sign(&claims()).unwrap();
        let other = JwtSigner::new(&[8; 32]).sign(&claims()).unwrap();
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let other_payload = other.split('.').nth(1).unwrap();
        let long = "x".repeat(5000);
        for bad in [
            other.as_str(),
            "",
            "a.b.c",
            &format!("{none}.{payload}."),
            &format!("{none}.{payload}.{signature}"),
            &format!("{header}.{payload}."),
            &format!("{header}.{other_payload}.{signature}"),
            &long,
        ] {
            assert!(matches!(signer.verify(bad, noon()), Err(TokenError::Invalid)), "{bad}");
        }
    }

    #[test]
    fn a_token_from_the_future_is_rejected() {
        let signer = JwtSigner::new(&[7; 32]);
        let token = signer.sign(&claims()).unwrap();
        assert!(signer.verify(&token, noon() - TimeDelta::minutes(5)).is_err());
    }
}
