//! Only the password hash, two at a time as in the service.

use std::{sync::Arc, time::Duration};

use kqueen_adapters::password::Argon2id;
use kqueen_domain::{port::password::PasswordHasher, secret::Password};

use super::tasks;
use crate::bench::sample::Sample;

/// How many hashes are computed at a time: the default of `PASSWORD_HASHING_PARALLELISM`.
const PARALLELISM: usize = 2;

/// Measures `tasks` tasks that each check a password.
pub async fn measure(tasks: usize, span: Duration) -> Sample {
    let hasher = Arc::new(Argon2id::new(PARALLELISM).unwrap());
    let hash = hasher.hash(Password::new("a password".into())).await.unwrap();
    tasks::measure(tasks, span, move || {
        let (hasher, hash) = (hasher.clone(), hash.clone());
        async move { assert!(hasher.verify(Password::new("a password".into()), hash).await.unwrap()) }
    })
    .await
}
