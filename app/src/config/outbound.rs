//! Requests to providers: how they get out, and where the providers are.

use std::{net::IpAddr, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{settings::Settings, value};

/// How requests to providers get out.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// Certificate authorities that are trusted in addition to the system's, as a PEM file.
    pub ca_file: Option<PathBuf>,
    /// The proxy. Its address may contain a user name and a password.
    pub proxy: Option<SecretString>,
    /// Hosts, domains and networks that are reached without the proxy.
    pub no_proxy: Vec<String>,
}

impl Outbound {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let ca_file = settings.get("outbound.ca_file", value::optional_path);
        if let Some(Some(path)) = &ca_file
            && !path.is_file()
        {
            let wrong = format!("{} is not a file", path.display());
            settings.reject("outbound.ca_file", wrong, "use the path of a PEM file");
        }
        let proxy = settings.secret("outbound.proxy");
        if let Some(Some(address)) = &proxy
            && !Url::parse(address.expose_secret()).is_ok_and(|url| url.scheme() == "http" && url.has_host())
        {
            let accepted = "use an address like http://proxy.example:3128, with user:password@ before the host if the proxy \
                            requires them";
            settings.reject("outbound.proxy", "has a value that is not accepted", accepted);
        }
        let no_proxy = settings.get("outbound.no_proxy", value::list(value::text));
        Some(Self { ca_file: ca_file?, proxy: proxy?, no_proxy: no_proxy? })
    }
}

/// Where Google Kubernetes Engine is.
#[derive(Debug, Clone)]
pub struct Gke {
    /// The Kubernetes Engine API.
    pub api_url: Url,
    /// The Compute Engine API, with its version.
    pub compute_url: Url,
    /// The token service.
    pub token_url: Url,
}

impl Gke {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let api_url = provider_url(settings, "gke.api_url");
        let compute_url = provider_url(settings, "gke.compute_url");
        let token_url = provider_url(settings, "gke.token_url");
        Some(Self { api_url: api_url?, compute_url: compute_url?, token_url: token_url? })
    }
}

/// Where Azure is.
#[derive(Debug, Clone)]
pub struct Aks {
    /// Azure Resource Manager.
    pub arm_url: Url,
    /// The login service of Microsoft Entra ID.
    pub login_url: Url,
}

impl Aks {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let arm_url = provider_url(settings, "aks.arm_url");
        let login_url = provider_url(settings, "aks.login_url");
        Some(Self { arm_url: arm_url?, login_url: login_url? })
    }
}

/// The address of a provider, to which credentials are sent: without encryption only on this machine, where simulators are.
fn provider_url(settings: &mut Settings, key: &str) -> Option<Url> {
    let url = settings.get(key, value::optional_url(&["https", "http"]))?;
    let Some(url) = url else {
        settings.reject(key, "is empty", "use an address like https://host.example");
        return None;
    };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || is_loopback {
        return Some(url);
    }
    settings.reject(key, "is not encrypted", "use https:// (http:// is accepted only for this machine)");
    None
}
