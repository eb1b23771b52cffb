//! Calls of the GKE and the Compute Engine API with a service account's token.

use std::sync::Arc;

use chrono::TimeDelta;
use http::Method;
use kqueen_domain::{
    observation::EngineError,
    parameter::{Choice, Offer},
    port::{clock::Clock, engine::IssuedToken},
    secret::SecretMap,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{
    account::{ServiceAccount, TOKEN_URL},
    failures::{self, CallError},
    offers::{self, MachineType, ServerConfig, Zone},
    wire::{Cluster, ClusterList, Operation, OperationList, Page},
};
use crate::{
    engine::{
        offers::OfferCache,
        tokens::{CredentialKey, Token, TokenCache},
    },
    outbound::{Address, Outbound, below},
};

/// Most bytes of an answer: a list of clusters has some twenty kilobytes for each.
const MOST: usize = 32 << 20;

/// Maximum number of pages of a list that are read.
const MAX_PAGES: usize = 20;

/// Where Google's services are.
#[derive(Debug, Clone)]
pub struct Urls {
    /// The GKE API, without a version.
    pub api: Url,
    /// The Compute Engine API, up to and including its version.
    pub compute: Url,
    /// The token service.
    pub token: Url,
}

impl Default for Urls {
    #[expect(clippy::expect_used, reason = "these are addresses")]
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("an address");
        Self {
            api: url("https://container.googleapis.com/"),
            compute: url("https://compute.googleapis.com/compute/v1/"),
            token: url(TOKEN_URL),
        }
    }
}

/// What all sessions share.
pub(super) struct Google {
    pub(super) outbound: Outbound,
    pub(super) urls: Urls,
    pub(super) clock: Arc<dyn Clock>,
    tokens: TokenCache,
    offers: OfferCache,
}

impl Google {
    pub(super) fn new(outbound: Outbound, urls: Urls, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, urls, clock, tokens: TokenCache::default(), offers: OfferCache::default() }
    }

    /// Reads a provisioner's parameters; sends nothing yet.
    pub(super) fn session(&self, parameters: &SecretMap) -> Result<Session<'_>, EngineError> {
        let account = ServiceAccount::read(parameters, &self.urls.token)?;
        let key = account.credential_key();
        Ok(Session { google: self, account, key })
    }
}

/// A service account that makes calls.
pub(super) struct Session<'a> {
    google: &'a Google,
    pub(super) account: ServiceAccount,
    key: CredentialKey,
}

/// Where a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parent<'a> {
    pub(super) project: &'a str,
    /// A zone or a region.
    pub(super) location: &'a str,
}

impl Session<'_> {
    /// A token for the API of the project's clusters.
    pub(super) async fn issued_token(&self) -> Result<IssuedToken, EngineError> {
        let token = self.current().await?;
        let left = token.expires.saturating_duration_since(Instant::now());
        let left = TimeDelta::from_std(left).unwrap_or_default();
        Ok(IssuedToken { token: token.secret, expires_at: self.google.clock.now() + left })
    }

    /// An access token that is valid for a few more minutes at least.
    async fn token(&self) -> Result<SecretString, EngineError> {
        Ok(self.current().await?.secret)
    }

    async fn current(&self) -> Result<Token, EngineError> {
        let request = self.account.request_token(&self.google.outbound, self.google.clock.now());
        self.google.tokens.get(self.key, request).await
    }

    /// A cluster by its name.
    pub(super) async fn cluster(&self, parent: Parent<'_>, name: &str) -> Result<Option<Cluster>, EngineError> {
        let path = ["v1", "projects", parent.project, "locations", parent.location, "clusters", name];
        match self.get(&self.google.urls.api, &path).await {
            Ok(cluster) => Ok(Some(cluster)),
            Err(CallError::Missing) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// All clusters of a project.
    pub(super) async fn clusters(&self, project: &str) -> Result<ClusterList, EngineError> {
        let path = ["v1", "projects", project, "locations", "-", "clusters"];
        self.get(&self.google.urls.api, &path).await.map_err(EngineError::from)
    }

    /// What is under way, and what has ended lately, in a location; `-` for all.
    pub(super) async fn operations(&self, parent: Parent<'_>) -> Result<Vec<Operation>, EngineError> {
        let path = ["v1", "projects", parent.project, "locations", parent.location, "operations"];
        let list: OperationList = self.get(&self.google.urls.api, &path).await.map_err(EngineError::from)?;
        Ok(list.operations)
    }

    /// The zones that the project may use. Needs the Compute Engine API.
    pub(super) async fn zones(&self) -> Result<Vec<Zone>, EngineError> {
        self.compute_list(&["projects", &self.account.project, "zones"]).await
    }

    /// The machine types of a zone. Needs the Compute Engine API.
    pub(super) async fn machine_types(&self, zone: &str) -> Result<Vec<MachineType>, EngineError> {
        self.compute_list(&["projects", &self.account.project, "zones", zone, "machineTypes"]).await
    }

    /// The Kubernetes versions that are offered in a location.
    pub(super) async fn server_config(&self, location: &str) -> Result<ServerConfig, EngineError> {
        let path = ["v1", "projects", &self.account.project, "locations", location, "serverConfig"];
        self.get(&self.google.urls.api, &path).await.map_err(EngineError::from)
    }

    /// An offer about `subject` that was read in the last minutes, or else what `read` returns.
    pub(super) async fn offer(
        &self,
        subject: &[&str],
        read: impl Future<Output = Result<(Vec<Choice>, Option<String>), EngineError>>,
    ) -> Result<Offer, EngineError> {
        let key = self.key.with(&[&[self.account.project.as_str()], subject].concat());
        let read = async { Ok(offers::offer(read.await?, self.google.clock.now())) };
        self.google.offers.get(key, read).await
    }

    /// All pages of a list of the Compute Engine API.
    async fn compute_list<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>, EngineError> {
        let mut items = Vec::new();
        let mut url = below(&self.google.urls.compute, path);
        url.query_pairs_mut().append_pair("maxResults", "500");
        let first = url.clone();
        for _ in 0..MAX_PAGES {
            let page: Page<T> = self.call_url(Method::GET, url, None).await.map_err(EngineError::from)?;
            items.extend(page.items);
            if page.next_page_token.is_empty() {
                break;
            }
            url = first.clone();
            url.query_pairs_mut().append_pair("pageToken", &page.next_page_token);
        }
        Ok(items)
    }

    /// Begins to make a cluster.
    pub(super) async fn create(&self, parent: Parent<'_>, cluster: &Value) -> Result<Operation, CallError> {
        let path = ["v1", "projects", parent.project, "locations", parent.location, "clusters"];
        self.call(Method::POST, &self.google.urls.api, &path, Some(cluster)).await
    }

    /// Begins to delete a cluster.
    pub(super) async fn delete(&self, parent: Parent<'_>, name: &str) -> Result<Operation, CallError> {
        let path = ["v1", "projects", parent.project, "locations", parent.location, "clusters", name];
        self.call(Method::DELETE, &self.google.urls.api, &path, None).await
    }

    /// Changes one `desired…` field of a cluster.
    pub(super) async fn update(&self, parent: Parent<'_>, name: &str, update: &Value) -> Result<Operation, CallError> {
        let path = ["v1", "projects", parent.project, "locations", parent.location, "clusters", name];
        self.call(Method::PUT, &self.google.urls.api, &path, Some(update)).await
    }

    /// A method of a cluster, such as `setNetworkPolicy`.
    pub(super) async fn ask_cluster(
        &self,
        parent: Parent<'_>,
        name: &str,
        method: &str,
        body: &Value,
    ) -> Result<Operation, CallError> {
        let last = format!("{name}:{method}");
        let path = ["v1", "projects", parent.project, "locations", parent.location, "clusters", &last];
        self.call(Method::POST, &self.google.urls.api, &path, Some(body)).await
    }

    /// Changes the number of nodes of a pool, in each of its zones.
    pub(super) async fn set_size(
        &self,
        parent: Parent<'_>,
        name: &str,
        pool: &str,
        body: &Value,
    ) -> Result<Operation, CallError> {
        let last = format!("{pool}:setSize");
        let path =
            ["v1", "projects", parent.project, "locations", parent.location, "clusters", name, "nodePools", &last];
        self.call(Method::POST, &self.google.urls.api, &path, Some(body)).await
    }

    async fn get<T: DeserializeOwned>(&self, base: &Url, path: &[&str]) -> Result<T, CallError> {
        self.call(Method::GET, base, path, None).await
    }

    /// Makes a call. A token that is not accepted is replaced once: it may have been revoked since it was issued.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        base: &Url,
        path: &[&str],
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        self.call_url(method, below(base, path), body).await
    }

    async fn call_url<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        let token = self.token().await.map_err(CallError::Error)?;
        match self.call_with(&token, method.clone(), url.clone(), body).await {
            Err(CallError::TokenRejected(_)) => {
                self.google.tokens.forget(self.key, &token).await;
                let token = self.token().await.map_err(CallError::Error)?;
                self.call_with(&token, method, url, body).await
            }
            answered => answered,
        }
    }

    async fn call_with<T: DeserializeOwned>(
        &self,
        token: &SecretString,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        let mut request = self.google.outbound.request(Address::Operator, method, url);
        request = request.bearer_auth(token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = self.google.outbound.send(Address::Operator, request, MOST).await;
        let reply = sent.map_err(|error| CallError::Error(error.engine_error("Google")))?;
        if !reply.status.is_success() {
            return Err(failures::of(&reply));
        }
        reply.json().ok_or_else(|| CallError::Error(failures::of_unreadable(&reply)))
    }
}
