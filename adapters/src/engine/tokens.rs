//! Access tokens of providers, kept in memory only, so that not every call asks for one.

use std::{fmt, time::Duration};

use kqueen_domain::observation::EngineError;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::slots::Slots;

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(300);
/// Most credentials whose tokens are kept.
const KEPT: usize = 10_000;

/// A token as its provider has issued it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// What goes behind `Bearer`.
    pub(crate) secret: SecretString,
    /// When it ends.
    pub(crate) expires: Instant,
}

impl Token {
    /// One that was issued just now.
    pub(crate) fn new(secret: impl Into<SecretString>, lifetime: Duration) -> Self {
        Self { secret: secret.into(), expires: Instant::now() + lifetime }
    }

    fn is_fresh(&self) -> bool {
        self.expires.saturating_duration_since(Instant::now()) > EARLY
    }
}

/// What a token is for: a digest of the whole credential, so that a changed secret never gets the token of the one before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CredentialKey([u8; 32]);

impl CredentialKey {
    /// The key of a credential that consists of these parts.
    pub(crate) fn of(parts: &[&str]) -> Self {
        Self::of_bytes(&[], parts)
    }

    /// The key of something that was read with this credential.
    pub(crate) fn with(&self, parts: &[&str]) -> Self {
        Self::of_bytes(&self.0, parts)
    }

    fn of_bytes(first: &[u8], parts: &[&str]) -> Self {
        let mut all = zeroize::Zeroizing::new(first.to_vec());
        for part in parts {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &all).as_ref());
        Self(key)
    }
}

impl fmt::Debug for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialKey(hidden)")
    }
}

/// The tokens in use, by credential.
pub(crate) struct TokenCache(Slots<Token>);

impl Default for TokenCache {
    fn default() -> Self {
        Self(Slots::new(KEPT))
    }
}

impl TokenCache {
    /// A token that is good for some minutes: the one that is kept, or a new one. Calls for one credential that come together share one
    /// request. A failed request leaves nothing behind.
    pub(crate) async fn get(
        &self,
        key: CredentialKey,
        request: impl Future<Output = Result<Token, EngineError>>,
    ) -> Result<Token, EngineError> {
        let slot = self.0.get(key);
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.is_fresh()) {
            return Ok(token.clone());
        }
        *kept = None;
        let token = request.await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that the provider does not accept any more, unless another one has taken its place already.
    pub(crate) async fn forget(&self, key: CredentialKey, rejected: &SecretString) {
        let slot = self.0.get(key);
        let mut kept = slot.lock().await;
        if kept.as_ref().is_some_and(|token| token.secret.expose_secret() == rejected.expose_secret()) {
            *kept = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use kqueen_domain::reason::ReasonCode;

    use super::*;

    fn key(secret: &str) -> CredentialKey {
        CredentialKey::of(&["account", secret])
    }

    async fn get(cache: &TokenCache, key: CredentialKey, issued: &AtomicU32, lifetime: u64) -> String {
        let request = async {
            tokio::task::yield_now().await;
            let number = issued.fetch_add(1, SeqCst);
            Ok(Token::new(format!("token-{number}"), Duration::from_secs(lifetime)))
        };
        cache.get(key, request).await.unwrap().secret.expose_secret().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_shared_until_five_minutes_before_its_end() {
        let (cache, issued) = (TokenCache::default(), AtomicU32::new(0));
        let both = tokio::join!(get(&cache, key("a"), &issued, 3600), get(&cache, key("a"), &issued, 3600));
        assert_eq!(both, ("token-0".to_owned(), "token-0".to_owned()), "one request for both");
        tokio::time::advance(Duration::from_secs(3299)).await;
        assert_eq!(get(&cache, key("a"), &issued, 3600).await, "token-0");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(get(&cache, key("a"), &issued, 3600).await, "token-1");
    }

    #[tokio::test]
    async fn another_secret_gets_another_token() {
        let (cache, issued) = (TokenCache::default(), AtomicU32::new(0));
        assert_eq!(get(&cache, key("old"), &issued, 3600).await, "token-0");
        assert_eq!(get(&cache, key("new"), &issued, 3600).await, "token-1");
        assert!(CredentialKey::of(&["ab", "c"]) != CredentialKey::of(&["a", "bc"]), "parts do not run together");
    }

    #[tokio::test]
    async fn a_rejected_token_is_forgotten_once() {
        let (cache, issued) = (TokenCache::default(), AtomicU32::new(0));
        let first = SecretString::from(get(&cache, key("a"), &issued, 3600).await);
        cache.forget(key("a"), &first).await;
        assert_eq!(get(&cache, key("a"), &issued, 3600).await, "token-1");
        cache.forget(key("a"), &first).await;
        assert_eq!(get(&cache, key("a"), &issued, 3600).await, "token-1", "the new one stays");
    }

    #[tokio::test]
    async fn a_failed_request_is_made_again() {
        let (cache, issued) = (TokenCache::default(), AtomicU32::new(0));
        let failed = async { Err(EngineError::unreachable(ReasonCode::ProviderUnreachable, "no answer")) };
        assert!(cache.get(key("a"), failed).await.is_err());
        assert_eq!(get(&cache, key("a"), &issued, 3600).await, "token-0");
    }
}
