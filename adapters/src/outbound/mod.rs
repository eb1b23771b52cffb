//! The one way out to providers: HTTP with bounded times and sizes, through the operator's proxy if there is one.
//!
//! Redirects are never followed: a provider that answers with one is misconfigured, and following it could carry credentials
//! elsewhere. Some addresses come from people who may use the service but not its network: a token URI in an uploaded file, the
//! address of a Jenkins. Those are [`Address::Tenant`] and must not lead where `KQUEEN_CLUSTER_ADDRESS_DENY` forbids, judged by
//! what the name resolves to, in the same look-up that the connection is made with.

mod error;
mod path;
mod reply;
mod resolver;

use std::{net::IpAddr, sync::Arc, time::Duration};

use kqueen_domain::kubeconfig::AddressRules;
use reqwest::{Certificate, Client, NoProxy, Proxy, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use self::error::DeniedAddress;
pub(crate) use self::path::below;
pub(crate) use self::resolver::Resolver;
pub use self::{
    error::SendError,
    reply::{Reply, retry_after},
};

/// How long a connection may take, name look-up and TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take as a whole.
const WHOLE: Duration = Duration::from_secs(25);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// How requests get out.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Certificates that are trusted in addition to the system's, in PEM form.
    pub certificates: Option<Vec<u8>>,
    /// The proxy for all requests; its address may hold a user name and a password.
    pub proxy: Option<SecretString>,
    /// What is reached without the proxy: host names, domains that begin with a dot, addresses and networks, separated by commas.
    pub no_proxy: Option<String>,
    /// Where addresses that tenants write may lead.
    pub addresses: AddressRules,
}

/// Who has written the address a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The operator of this installation, in the settings: it may lead anywhere.
    Operator,
    /// Somebody who uses it, in the parameters of a provisioner: the address rules apply.
    Tenant,
}

/// Why there is no way out.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The certificates cannot be used.
    #[error("the certificates in KQUEEN_OUTBOUND_CA_FILE cannot be used")]
    Certificates(#[source] reqwest::Error),
    /// The file holds no certificate.
    #[error("KQUEEN_OUTBOUND_CA_FILE holds no certificate in PEM form")]
    NoCertificate,
    /// The address of the proxy cannot be used. Not quoted: it may hold a password.
    #[error("KQUEEN_OUTBOUND_PROXY is not the address of a proxy")]
    Proxy,
    /// No HTTP client can be made.
    #[error("the HTTP client cannot be created")]
    Client(#[source] reqwest::Error),
}

/// Sends requests to providers. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Outbound {
    operator: Client,
    tenant: Client,
    resolver: Resolver,
    rules: Arc<AddressRules>,
    has_proxy: bool,
}

impl Outbound {
    /// Clients that get out as `settings` say.
    ///
    /// # Errors
    /// Certificates or proxy cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let rules = Arc::new(settings.addresses.clone());
        let resolver = Resolver::default();
        let certificates = match &settings.certificates {
            Some(pem) => Certificate::from_pem_bundle(pem).map_err(SetupError::Certificates)?,
            None => Vec::new(),
        };
        if settings.certificates.is_some() && certificates.is_empty() {
            return Err(SetupError::NoCertificate);
        }
        let proxy = match &settings.proxy {
            Some(address) => {
                let proxy = Proxy::all(address.expose_secret()).map_err(|_| SetupError::Proxy)?;
                Some(proxy.no_proxy(settings.no_proxy.as_deref().and_then(NoProxy::from_string)))
            }
            None => None,
        };
        let has_proxy = proxy.is_some();
        let builder = || {
            let builder = Client::builder()
                // Only the settings name a proxy, not whatever is in this process's environment.
                .no_proxy()
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("kqueen/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .timeout(WHOLE)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(8)
                .tls_certs_merge(certificates.clone());
            match &proxy {
                Some(proxy) => builder.proxy(proxy.clone()),
                None => builder,
            }
        };
        let operator = builder().dns_resolver(resolver.clone()).build().map_err(SetupError::Client)?;
        // With a proxy it is the proxy's name that is looked up by the client, and that may be anywhere.
        let judging = if has_proxy { resolver.clone() } else { resolver.judging(rules.clone()) };
        let tenant = builder().dns_resolver(judging).build().map_err(SetupError::Client)?;
        Ok(Self { operator, tenant, resolver, rules, has_proxy })
    }

    /// Begins a request; [`Outbound::send`] sends it.
    pub fn request(&self, address: Address, method: http::Method, url: Url) -> reqwest::RequestBuilder {
        match address {
            Address::Operator => self.operator.request(method, url),
            Address::Tenant => self.tenant.request(method, url),
        }
    }

    /// Sends a request and reads the whole answer, whatever its status, unless it is longer than `most` bytes.
    ///
    /// # Errors
    /// Nothing that can be read was answered. Only [`SendError::was_not_sent`] tells that the request took no effect.
    pub async fn send(
        &self,
        address: Address,
        request: reqwest::RequestBuilder,
        most: usize,
    ) -> Result<Reply, SendError> {
        let (client, request) = request.build_split();
        let request = request.map_err(SendError::of)?;
        if address == Address::Tenant {
            self.judge(request.url()).await?;
        }
        let response = client.execute(request).await.map_err(SendError::of)?;
        Reply::read(response, most).await
    }

    /// Refuses an address that leads where tenants may not reach. Without a proxy, names are judged when they are looked up for the
    /// connection. With one, they are looked up here: what this machine does not know cannot be judged and is refused.
    async fn judge(&self, url: &Url) -> Result<(), SendError> {
        let allowed = |address: IpAddr| self.rules.allows(address);
        let is_allowed = match url.host() {
            Some(Host::Ipv4(address)) => allowed(address.into()),
            Some(Host::Ipv6(address)) => allowed(address.into()),
            Some(Host::Domain(name)) if self.has_proxy => {
                let found = self.resolver.look_up(name.to_owned()).await?;
                found.into_iter().all(|address| allowed(address.ip()))
            }
            Some(Host::Domain(_)) => true,
            None => false,
        };
        if is_allowed { Ok(()) } else { Err(DeniedAddress.into()) }
    }
}

#[cfg(test)]
mod tests;
