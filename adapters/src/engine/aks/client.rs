//! Calls to Azure Resource Manager with a service principal's token.

use std::sync::Arc;

use http::{Method, StatusCode, header};
use kqueen_domain::{observation::EngineError, port::clock::Clock, reason::ReasonCode, secret::SecretMap};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{
    account::ServicePrincipal,
    failures::{self, CallError},
    wire::{Cluster, ClusterPage, Credentials, Document, Pool},
};
use crate::{
    engine::tokens::{CredentialKey, TokenCache},
    outbound::{Address, Outbound, Reply, below},
};

/// The version of the API of managed clusters.
const AKS_VERSION: &str = "2026-08-01";
/// The version of the API of resource providers.
const PROVIDERS_VERSION: &str = "2021-04-01";
/// The resource provider of managed clusters.
const NAMESPACE: &str = "Microsoft.ContainerService";
/// Maximum bytes of a response: a page of a list has some ten kilobytes for each cluster.
const MOST: usize = 32 << 20;
/// Maximum pages of a list.
const PAGES: usize = 100;

/// The addresses of Azure's services.
#[derive(Debug, Clone)]
pub struct Urls {
    /// Azure Resource Manager.
    pub arm: Url,
    /// The login service, without a tenant.
    pub login: Url,
}

impl Default for Urls {
    #[expect(clippy::expect_used, reason = "these are addresses")]
    fn default() -> Self {
        let url = |text: &str| Url::parse(text).expect("an address");
        Self { arm: url("https://management.azure.com/"), login: url("https://login.microsoftonline.com/") }
    }
}

/// What all sessions share.
pub(super) struct Azure {
    outbound: Outbound,
    urls: Urls,
    pub(super) clock: Arc<dyn Clock>,
    tokens: TokenCache,
}

impl Azure {
    pub(super) fn new(outbound: Outbound, urls: Urls, clock: Arc<dyn Clock>) -> Self {
        Self { outbound, urls, clock, tokens: TokenCache::default() }
    }

    /// Reads a provisioner's parameters; sends nothing yet.
    pub(super) fn session(&self, parameters: &SecretMap) -> Result<Session<'_>, EngineError> {
        let principal = ServicePrincipal::read(parameters)?;
        // Other clouds have other addresses, and each issues tokens for its own.
        let scope = format!("{}/.default", self.urls.arm.origin().ascii_serialization());
        let key = principal.credential_key(&self.urls.login, &scope);
        Ok(Session { azure: self, principal, scope, key })
    }
}

/// A service principal that makes calls.
pub(super) struct Session<'a> {
    azure: &'a Azure,
    principal: ServicePrincipal,
    scope: String,
    key: CredentialKey,
}

/// Where a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Parent<'a> {
    pub(super) subscription: &'a str,
    /// The resource group.
    pub(super) group: &'a str,
}

impl<'a> Parent<'a> {
    /// The path of its clusters, or of what is `below` them.
    fn clusters(self, below: &[&'a str]) -> Vec<&'a str> {
        let Self { subscription, group } = self;
        let mut path =
            vec!["subscriptions", subscription, "resourceGroups", group, "providers", NAMESPACE, "managedClusters"];
        path.extend(below);
        path
    }
}

/// When a PUT may take effect.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition<'a> {
    /// Nothing has the name.
    Absent,
    /// The resource has this ETag.
    Unchanged(&'a str),
}

/// A request, before it gets its token.
struct Prepared<'a> {
    method: Method,
    url: Url,
    body: Option<&'a Value>,
    condition: Option<Condition<'a>>,
}

impl Session<'_> {
    /// Where new clusters are created.
    pub(super) fn parent(&self) -> Parent<'_> {
        Parent { subscription: &self.principal.subscription, group: &self.principal.group }
    }

    /// A cluster by its name.
    pub(super) async fn cluster(&self, parent: Parent<'_>, name: &str) -> Result<Option<Document>, EngineError> {
        match self.send(Method::GET, &parent.clusters(&[name]), None, None).await {
            // A response that is something else must not count as a cluster that is not ours, or is gone.
            Ok(reply) => {
                let document = Document::read(&reply).filter(|it| it.cluster.name.eq_ignore_ascii_case(name));
                document.map(Some).ok_or_else(|| failures::of_unreadable(&reply))
            }
            Err(CallError::Missing) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// All clusters of a resource group. Later pages are read only from the host that the first one came from, which gets the token.
    pub(super) async fn clusters(&self, parent: Parent<'_>) -> Result<Vec<Cluster>, EngineError> {
        let mut url = self.url(&parent.clusters(&[]), AKS_VERSION);
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let prepared = Prepared { method: Method::GET, url, body: None, condition: None };
            let reply = self.call(&prepared).await.map_err(EngineError::from)?;
            let page: ClusterPage = reply.json().ok_or_else(|| failures::of_unreadable(&reply))?;
            found.extend(page.value);
            let Some(next) = page.next_link.filter(|next| !next.is_empty()) else { return Ok(found) };
            let next = Url::parse(&next).ok().filter(|next| next.origin() == self.azure.urls.arm.origin());
            url = next.ok_or_else(|| {
                EngineError::unreachable(
                    ReasonCode::UnexpectedAnswer,
                    "the list of clusters at Azure continues at another host, which is not followed",
                )
            })?;
        }
        Err(EngineError::unreachable(ReasonCode::UnexpectedAnswer, "the list of clusters at Azure has too many pages"))
    }

    /// Starts creating or changing a cluster.
    pub(super) async fn put_cluster(
        &self,
        parent: Parent<'_>,
        name: &str,
        condition: Condition<'_>,
        cluster: &Value,
    ) -> Result<(), CallError> {
        self.put(&parent.clusters(&[name]), condition, cluster).await
    }

    /// Starts deleting a cluster. It is a success if there is none.
    pub(super) async fn delete(&self, parent: Parent<'_>, name: &str) -> Result<(), CallError> {
        let reply = self.send(Method::DELETE, &parent.clusters(&[name]), None, None).await?;
        match reply.status {
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(CallError::Error(failures::of_unreadable(&reply))),
        }
    }

    /// An agent pool by its name.
    pub(super) async fn pool(&self, parent: Parent<'_>, name: &str, pool: &str) -> Result<Pool, CallError> {
        let reply = self.send(Method::GET, &parent.clusters(&[name, "agentPools", pool]), None, None).await?;
        Pool::read(&reply).ok_or_else(|| CallError::Error(failures::of_unreadable(&reply)))
    }

    /// Starts changing an agent pool.
    pub(super) async fn put_pool(
        &self,
        parent: Parent<'_>,
        name: &str,
        pool: &str,
        etag: &str,
        body: &Value,
    ) -> Result<(), CallError> {
        self.put(&parent.clusters(&[name, "agentPools", pool]), Condition::Unchanged(etag), body).await
    }

    /// The kubeconfig of a cluster's local account.
    pub(super) async fn admin_credentials(&self, parent: Parent<'_>, name: &str) -> Result<Credentials, CallError> {
        let path = parent.clusters(&[name, "listClusterAdminCredential"]);
        let reply = self.send(Method::POST, &path, None, None).await?;
        reply.json().ok_or_else(|| CallError::Error(failures::of_unreadable(&reply)))
    }

    /// Starts registering the resource provider of managed clusters in a subscription.
    pub(super) async fn register(&self, subscription: &str) -> Result<(), CallError> {
        let path = ["subscriptions", subscription, "providers", NAMESPACE, "register"];
        let url = self.url(&path, PROVIDERS_VERSION);
        self.call(&Prepared { method: Method::POST, url, body: None, condition: None }).await.map(drop)
    }

    async fn put(&self, path: &[&str], condition: Condition<'_>, body: &Value) -> Result<(), CallError> {
        let reply = self.send(Method::PUT, path, Some(condition), Some(body)).await?;
        // The response has the resource. Its Azure-AsyncOperation is not used: the resource itself shows what becomes of it.
        match reply.json::<Value>() {
            Some(Value::Object(_)) => Ok(()),
            _ => Err(CallError::Error(failures::of_unreadable(&reply))),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        condition: Option<Condition<'_>>,
        body: Option<&Value>,
    ) -> Result<Reply, CallError> {
        let url = self.url(path, AKS_VERSION);
        self.call(&Prepared { method, url, body, condition }).await
    }

    fn url(&self, path: &[&str], version: &str) -> Url {
        let mut url = below(&self.azure.urls.arm, path);
        url.query_pairs_mut().append_pair("api-version", version);
        url
    }

    async fn token(&self) -> Result<SecretString, CallError> {
        let Azure { outbound, urls, tokens, .. } = self.azure;
        let request = self.principal.request_token(outbound, &urls.login, &self.scope);
        Ok(tokens.get(self.key, request).await.map_err(CallError::Error)?.secret)
    }

    /// Makes a call. A token that is not accepted is replaced once: it may have been revoked since it was issued.
    async fn call(&self, prepared: &Prepared<'_>) -> Result<Reply, CallError> {
        let token = self.token().await?;
        match self.call_with(&token, prepared).await {
            Err(CallError::TokenRejected(_)) => {
                self.azure.tokens.forget(self.key, &token).await;
                let token = self.token().await?;
                self.call_with(&token, prepared).await
            }
            answered => answered,
        }
    }

    async fn call_with(&self, token: &SecretString, prepared: &Prepared<'_>) -> Result<Reply, CallError> {
        let outbound = &self.azure.outbound;
        let mut request = outbound.request(Address::Operator, prepared.method.clone(), prepared.url.clone());
        request = request.bearer_auth(token.expose_secret());
        request = match prepared.condition {
            Some(Condition::Absent) => request.header(header::IF_NONE_MATCH, "*"),
            Some(Condition::Unchanged(etag)) => request.header(header::IF_MATCH, etag),
            None => request,
        };
        request = match prepared.body {
            Some(body) => request.json(body),
            // Azure rejects a POST that does not say that it has no body.
            None if prepared.method == Method::POST => request.header(header::CONTENT_LENGTH, "0"),
            None => request,
        };
        let sent = outbound.send(Address::Operator, request, MOST).await;
        let reply = sent.map_err(|error| CallError::Error(error.engine_error("Azure")))?;
        if reply.status.is_success() { Ok(reply) } else { Err(failures::of(&reply)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_path_leads_elsewhere() {
        let base = Url::parse("https://arm.example/prefix/").unwrap();
        let parent = Parent { subscription: "s", group: "a/../b" };
        let url = below(&base, &parent.clusters(&["x?y#z", "agentPools"]));
        assert_eq!(
            url.as_str(),
            "https://arm.example/prefix/subscriptions/s/resourceGroups/a%2F..%2Fb/providers/Microsoft.ContainerService/\
             managedClusters/x%3Fy%23z/agentPools"
        );
    }
}
