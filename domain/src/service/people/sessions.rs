//! Log-in, and authentication by token.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    access::Caller,
    catalog::Catalog,
    port::{
        clock::Clock,
        password::PasswordHasher,
        store::{ReadBarrier, UserStore},
        token::{Claims, TokenSigner},
    },
    secret::Password,
    service::{
        ServiceError,
        people::{
            bootstrap::{NO_USER_YET, no_user_exists},
            throttle::{LoginThrottle, Origin},
        },
        permission::SESSION_ENDED,
    },
    user::AuthMethod,
};

/// Logs users in and authenticates their tokens.
pub struct Sessions {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Stores password hashes.
    pub users: Arc<dyn UserStore>,
    /// Waits until the read model is up to date.
    pub read_barrier: Arc<dyn ReadBarrier>,
    /// Checks passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Signs and verifies tokens.
    pub tokens: Arc<dyn TokenSigner>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Limits log-in attempts.
    pub throttle: LoginThrottle,
    /// How long a token is valid.
    pub token_lifetime: TimeDelta,
}

/// An authenticated caller, with the claims of the token.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The caller.
    pub caller: Caller,
    claims: Claims,
}

impl Session {
    /// When the token expires.
    #[must_use]
    pub const fn expires_at(&self) -> DateTime<Utc> {
        self.claims.expires_at
    }
}

impl From<Session> for Caller {
    fn from(session: Session) -> Self {
        session.caller
    }
}

const WRONG_CREDENTIALS: ServiceError =
    ServiceError::Unauthenticated("the user name or password is incorrect, or the user is not active");

impl Sessions {
    /// Returns a token for the user if the password is right. An unknown user, an inactive user and a wrong password take the same time
    /// and get the same error. Only while no user exists at all there is another error, which discloses nothing about any user.
    ///
    /// # Errors
    /// `Unauthenticated`, `Throttled`, `Unavailable`.
    pub async fn log_in(&self, username: &str, password: Password, origin: Origin) -> Result<String, ServiceError> {
        self.throttle
            .attempt(username, origin, self.clock.now())
            .map_err(|retry_after| ServiceError::Throttled { retry_after })?;
        self.read_barrier.caught_up().await?;
        if !self.catalog.has_users() {
            return Err(ServiceError::Unauthenticated(NO_USER_YET));
        }
        let user = self.catalog.user_by_name(username);
        let hash = match &user {
            Some(user) if user.record.auth == AuthMethod::Local => self.users.password_hash(user.record.id).await?,
            _ => None,
        };
        let is_right = self.passwords.verify(password, hash.unwrap_or_else(|| self.passwords.decoy())).await?;
        let user = user.filter(|user| is_right && user.record.active).ok_or(WRONG_CREDENTIALS)?;
        self.throttle.succeeded(username, origin);
        let now = self.clock.now();
        let claims = Claims {
            identity: user.record.id,
            generation: user.record.token_generation,
            issued_at: now,
            expires_at: now + self.token_lifetime,
        };
        Ok(self.tokens.sign(&claims)?)
    }

    /// Whether no user exists on any replica, so that nobody can log in.
    ///
    /// # Errors
    /// `Unavailable` when this cannot be determined.
    pub async fn awaits_first_admin(&self) -> Result<bool, ServiceError> {
        Ok(no_user_exists(&self.catalog, &*self.read_barrier).await?)
    }

    /// The caller who sends `token`. Consistent with every earlier write: a user deactivated on any replica before this call is rejected.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub async fn recognise(&self, token: &str) -> Result<Caller, ServiceError> {
        Ok(self.open(token).await?.caller)
    }

    /// As [`Sessions::recognise`], with the expiry, for streaming answers.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub async fn open(&self, token: &str) -> Result<Session, ServiceError> {
        let claims = self.tokens.verify(token, self.clock.now())?;
        self.read_barrier.caught_up().await?;
        let caller = self.holder(&claims).ok_or(SESSION_ENDED)?;
        Ok(Session { caller, claims })
    }

    /// Whether a session is still valid: the token has not ended, and the user has the same role in the same organization. Only the local
    /// read model is checked; a stream is notified of changes that end its session.
    #[must_use]
    pub fn goes_on(&self, session: &Session) -> bool {
        self.clock.now() < session.claims.expires_at && self.holder(&session.claims) == Some(session.caller)
    }

    fn holder(&self, claims: &Claims) -> Option<Caller> {
        self.catalog
            .user(claims.identity)
            .filter(|user| user.record.active && user.record.token_generation == claims.generation)
            .map(|user| Caller::of(&user.record))
    }
}
