//! Logging in, and telling from a token who is calling.

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
    },
    user::AuthMethod,
};

/// Logs users in and recognises them afterwards.
pub struct Sessions {
    /// The read model.
    pub catalog: Arc<Catalog>,
    /// Holds password hashes.
    pub users: Arc<dyn UserStore>,
    /// How far the read model is.
    pub freshness: Arc<dyn ReadBarrier>,
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

/// Somebody who was recognised, and what that rests on.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Who.
    pub caller: Caller,
    claims: Claims,
}

impl Session {
    /// When it ends by itself.
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

const WRONG: ServiceError = ServiceError::Unauthenticated("user name or password is wrong, or the user is not active");

impl Sessions {
    /// A token for the user, if the password is right. Takes the same time and says the same for an unknown user, an inactive one and a
    /// wrong password. Only while there is no user at all it says so: that is how an installation begins, and gives nobody away.
    ///
    /// # Errors
    /// `Unauthenticated`, `Throttled`, `Unavailable`.
    pub async fn log_in(&self, username: &str, password: Password, origin: Origin) -> Result<String, ServiceError> {
        self.throttle
            .attempt(username, origin, self.clock.now())
            .map_err(|retry_after| ServiceError::Throttled { retry_after })?;
        self.freshness.caught_up().await?;
        if !self.catalog.has_users() {
            return Err(ServiceError::Unauthenticated(NO_USER_YET));
        }
        let user = self.catalog.user_by_name(username);
        let hash = match &user {
            Some(user) if user.record.auth == AuthMethod::Local => self.users.password_hash(user.record.id).await?,
            _ => None,
        };
        let right = self.passwords.verify(password, hash.unwrap_or_else(|| self.passwords.decoy())).await?;
        let user = user.filter(|user| right && user.record.active).ok_or(WRONG)?;
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

    /// Whether nobody can log in, as there is no user on any replica.
    ///
    /// # Errors
    /// `Unavailable` when that cannot be known.
    pub async fn awaits_first_admin(&self) -> Result<bool, ServiceError> {
        Ok(no_user_exists(&self.catalog, &*self.freshness).await?)
    }

    /// Who holds `token`. As fresh as a list: somebody who was deactivated on any replica before this call is out.
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub async fn recognise(&self, token: &str) -> Result<Caller, ServiceError> {
        Ok(self.open(token).await?.caller)
    }

    /// Who holds `token`, and until when: for answers that go on. Otherwise the same as [`Sessions::recognise`].
    ///
    /// # Errors
    /// `Unauthenticated`, `Unavailable`.
    pub async fn open(&self, token: &str) -> Result<Session, ServiceError> {
        let claims = self.tokens.verify(token, self.clock.now())?;
        self.freshness.caught_up().await?;
        let caller =
            self.holder(&claims).ok_or(ServiceError::Unauthenticated("the session has ended; log in again"))?;
        Ok(Session { caller, claims })
    }

    /// Whether a session goes on as it was opened: its token is still good, and its holder has the same role in the same organization.
    /// Nobody is asked: what is known here counts, and whoever waits for changes hears of those that end a session.
    #[must_use]
    pub fn goes_on(&self, session: &Session) -> bool {
        self.clock.now() < session.claims.expires_at && self.holder(&session.claims) == Some(session.caller)
    }

    fn holder(&self, claims: &Claims) -> Option<Caller> {
        self.catalog
            .user(claims.identity)
            .filter(|user| user.record.active && user.record.token_generation == claims.generation)
            .map(|user| Caller { user: user.record.id, organization: user.record.organization, role: user.record.role })
    }
}
