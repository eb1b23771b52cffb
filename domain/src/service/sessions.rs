//! Logging in, and telling from a token who is calling.

use std::{net::IpAddr, sync::Arc};

use chrono::TimeDelta;

use super::{ServiceError, throttle::LoginThrottle};
use crate::{
    access::Caller,
    catalog::Catalog,
    port::{
        clock::Clock,
        password::PasswordHasher,
        store::{Freshness, UserStore},
        token::{Claims, TokenSigner},
    },
    secret::Password,
    user::AuthMethod,
};

/// Logs users in and recognises them afterwards.
pub struct Sessions {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Holds password hashes.
    pub users: Arc<dyn UserStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn Freshness>,
    /// Checks passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Makes tokens.
    pub tokens: Arc<dyn TokenSigner>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Slows down guessing.
    pub throttle: LoginThrottle,
    /// How long a token lasts.
    pub token_lifetime: TimeDelta,
}

const WRONG: ServiceError = ServiceError::Unauthenticated("user name or password is wrong, or the user is not active");

impl Sessions {
    /// A token for the user, if the password is right. Takes the same time and says the same for an unknown user, an inactive one and a
    /// wrong password.
    ///
    /// # Errors
    /// `Unauthenticated`, `Throttled`, `Unavailable`.
    pub async fn log_in(&self, username: &str, password: Password, address: IpAddr) -> Result<String, ServiceError> {
        self.throttle
            .attempt(username, address, self.clock.now())
            .map_err(|retry_after| ServiceError::Throttled { retry_after })?;
        self.freshness.caught_up().await?;
        let user = self.catalog.user_by_name(username);
        let hash = match &user {
            Some(user) if user.record.auth == AuthMethod::Local => self.users.password_hash(user.record.id).await?,
            _ => None,
        };
        let right = self.passwords.verify(password, hash.unwrap_or_else(|| self.passwords.decoy())).await?;
        let user = user.filter(|user| right && user.record.active).ok_or(WRONG)?;
        self.throttle.succeeded(username, address);
        let now = self.clock.now();
        let claims = Claims {
            identity: user.record.id,
            generation: user.record.token_generation,
            issued_at: now,
            expires_at: now + self.token_lifetime,
        };
        Ok(self.tokens.sign(&claims)?)
    }

    /// Who holds `token`. As fresh as a list: somebody who was deactivated on any replica before this call is out.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub async fn recognise(&self, token: &str) -> Result<Caller, ServiceError> {
        let claims = self.tokens.verify(token, self.clock.now())?;
        self.freshness.caught_up().await?;
        let user = self.catalog.user(claims.identity);
        user.filter(|user| user.record.active && user.record.token_generation == claims.generation)
            .map(|user| Caller { user: user.record.id, organization: user.record.organization, role: user.record.role })
            .ok_or(ServiceError::Unauthenticated("the session has ended; log in again"))
    }
}
