//! The password hash alone, two at once as the service is set.

use std::{sync::Arc, time::Duration};

use kqueen_adapters::password::Argon2id;
use kqueen_domain::{port::password::PasswordHasher, secret::Password};

use super::tasks;
use crate::bench::sample::Sample;

/// How many are computed at once: the default of `PASSWORD_HASHING_PARALLELISM`.
const AT_ONCE: usize = 2;

/// Measures `tasks` tasks that each check a password.
pub async fn measure(tasks: usize, span: Duration) -> Sample {
    let hasher = Arc::new(Argon2id::new(AT_ONCE).unwrap());
    let hash = hasher.hash(Password::new("a password".into())).await.unwrap();
    tasks::measure(tasks, span, move || {
        let (hasher, hash) = (hasher.clone(), hash.clone());
        async move { assert!(hasher.verify(Password::new("a password".into()), hash).await.unwrap()) }
    })
    .await
}
