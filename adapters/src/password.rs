//! Password hashing with argon2id, outside the async runtime, a limited number at a time.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash as Phc, PasswordHasher as _, PasswordVerifier, Version,
    password_hash::{SaltString, rand_core::OsRng},
};
use async_trait::async_trait;
use kqueen_domain::{
    port::password::{PasswordError, PasswordHasher},
    secret::{Password, PasswordHash},
};
use tokio::sync::Semaphore;

/// argon2id with the parameters OWASP's Password Storage Cheat Sheet recommends: 19 MiB, two passes, one lane.
pub struct Argon2id {
    argon2: Argon2<'static>,
    permits: Arc<Semaphore>,
    decoy: PasswordHash,
}

impl Argon2id {
    /// A hasher that runs up to `concurrency` computations in parallel; each uses one core and 19 MiB for about 40 ms.
    ///
    /// # Errors
    /// The library rejects the parameters, or no random numbers are available.
    pub fn new(concurrency: usize) -> Result<Self, PasswordError> {
        let params = Params::new(19 * 1024, 2, 1, None).map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // The hash of a password nobody knows.
        let unknown = SaltString::generate(&mut OsRng);
        let decoy = hash(&argon2, unknown.as_str())?;
        Ok(Self { argon2, permits: Arc::new(Semaphore::new(concurrency.max(1))), decoy })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|error| PasswordError(error.into()))?;
        let argon2 = self.argon2.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&argon2)
        })
        .await
        .map_err(|error| PasswordError(error.into()))
    }
}

fn failed(error: impl std::fmt::Display) -> PasswordError {
    PasswordError(error.to_string().into())
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<PasswordHash, PasswordError> {
    let salt = SaltString::generate(&mut OsRng);
    argon2.hash_password(password.as_bytes(), &salt).map(|hash| PasswordHash::new(hash.to_string())).map_err(failed)
}

#[async_trait]
impl PasswordHasher for Argon2id {
    async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError> {
        self.run(move |argon2| hash(argon2, password.expose())).await?
    }

    async fn verify(&self, password: Password, hash: PasswordHash) -> Result<bool, PasswordError> {
        self.run(move |argon2| {
            Phc::new(hash.expose())
                .is_ok_and(|hash| argon2.verify_password(password.expose().as_bytes(), &hash).is_ok())
        })
        .await
    }

    fn decoy(&self) -> PasswordHash {
        self.decoy.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(text.into())
    }

    #[tokio::test]
    async fn a_hash_matches_only_its_password() {
        let hasher = Argon2id::new(2).unwrap();
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(hasher.verify(password("correct horse"), hash.clone()).await.unwrap());
        assert!(!hasher.verify(password("wrong horse"), hash.clone()).await.unwrap());
        assert!(!hasher.verify(password("correct horse"), hasher.decoy()).await.unwrap());
        assert!(!hasher.verify(password("x"), PasswordHash::new("garbage".into())).await.unwrap());
        let again = hasher.hash(password("correct horse")).await.unwrap();
        assert_ne!(again.expose(), hash.expose());
    }
}
