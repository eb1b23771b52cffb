//! Looking names up, and leaving out the addresses that a request may not go to.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use kqueen_domain::kubeconfig::AddressRules;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::error::{DeniedAddress, UnknownName};

/// Most names looked up at once. The system's resolver blocks a thread, for half a minute where a name server does not answer.
const LOOKUPS: usize = 32;
/// Most addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// The system's resolver, with a bound on the threads it blocks.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    lookups: Arc<Semaphore>,
    rules: Option<Arc<AddressRules>>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)), rules: None }
    }
}

impl Resolver {
    /// The same resolver, which finds only addresses that `rules` allow.
    pub(super) fn judging(&self, rules: Arc<AddressRules>) -> Self {
        Self { lookups: self.lookups.clone(), rules: Some(rules) }
    }

    /// The addresses of a name, with port 0.
    pub(crate) async fn look_up(&self, name: String) -> Result<Vec<SocketAddr>, UnknownName> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await.map_err(|_| UnknownName)?;
        // The permit is held until the look-up has ended, even if its caller has given up, so that the threads stay bounded.
        let lookup = spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs().map(|found| found.take(ADDRESSES).collect::<Vec<_>>());
            drop(permit);
            found
        });
        match lookup.await {
            Ok(Ok(found)) if !found.is_empty() => Ok(found),
            _ => Err(UnknownName),
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let mut found = this.look_up(name.as_str().to_owned()).await?;
            if let Some(rules) = &this.rules {
                found.retain(|address| rules.allows(address.ip()));
                if found.is_empty() {
                    return Err(DeniedAddress.into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
