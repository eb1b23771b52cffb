//! What providers offer, kept in memory for some minutes, so that a form that is drawn again and again does not ask each time.

use std::time::Duration;

use kqueen_domain::{observation::EngineError, parameter::Offer};
use tokio::time::Instant;

use super::{slots::Slots, tokens::CredentialKey};

/// How long an offer is used.
const LIFETIME: Duration = Duration::from_secs(300);
/// Maximum number of offers that are kept.
const MAX_OFFERS: usize = 2_000;

/// An offer, and until when it is used.
type Kept = (Offer, Instant);

/// The offers of a provider, by the credentials they were read with and what they are about.
pub(crate) struct OfferCache(Slots<Kept>);

impl Default for OfferCache {
    fn default() -> Self {
        Self(Slots::new(MAX_OFFERS))
    }
}

impl OfferCache {
    /// The offer that is kept, or else the one that `read` returns. Concurrent calls for the same offer share one request. A failed request
    /// leaves nothing behind.
    pub(crate) async fn get(
        &self,
        key: CredentialKey,
        read: impl Future<Output = Result<Offer, EngineError>>,
    ) -> Result<Offer, EngineError> {
        let slot = self.0.get(key);
        let mut kept = slot.lock().await;
        if let Some((offer, until)) = kept.as_ref()
            && Instant::now() < *until
        {
            return Ok(offer.clone());
        }
        *kept = None;
        let offer = read.await?;
        *kept = Some((offer.clone(), Instant::now() + LIFETIME));
        Ok(offer)
    }
}
