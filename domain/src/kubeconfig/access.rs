//! Access to a cluster from its stored kubeconfig: the current context, resolved.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::secret::{Kubeconfig, SecretMap};

/// How to access a cluster.
#[derive(Debug, Clone)]
pub struct ApiAccess {
    /// URL of the API server, with a path if a gateway serves several clusters.
    pub server: Url,
    /// Certificates of the trusted authorities, in PEM. `None` for those that the system trusts.
    pub authorities: Option<String>,
    /// Whether to accept any certificate.
    pub skip_verification: bool,
    /// The name that the server's certificate must contain, if not the host's.
    pub tls_server_name: Option<String>,
    /// The credentials.
    pub credentials: Credentials,
}

/// Credentials for a cluster. A client certificate may be combined with a token or a password.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// A bearer token.
    pub token: Option<SecretString>,
    /// A user name and password.
    pub password: Option<(String, SecretString)>,
    /// A client certificate and its key, as in the kubeconfig: PEM in Base64.
    pub certificate: Option<(String, SecretString)>,
}

impl ApiAccess {
    /// The access in `kubeconfig`. `None` if it does not come from [`super::parse`].
    #[must_use]
    pub fn of(kubeconfig: &Kubeconfig) -> Option<Self> {
        let document: Document = serde_json::from_str(kubeconfig.expose()).ok()?;
        let context = document.contexts.into_iter().find(|named| named.name == document.current)?.context;
        let cluster = document.clusters.into_iter().find(|named| named.name == context.cluster)?.cluster;
        let user = document.users.into_iter().find(|named| Some(&named.name) == context.user.as_ref());
        Some(Self {
            server: Url::parse(&cluster.server).ok()?,
            authorities: match cluster.authorities {
                Some(data) => Some(super::check::text_of(&data)?.as_str().to_owned()),
                None => None,
            },
            skip_verification: cluster.skip_verification,
            tls_server_name: cluster.tls_server_name,
            credentials: user.map(|named| named.user.into()).unwrap_or_default(),
        })
    }
}

/// `kubeconfig` with `token` as the only credentials of its current context. `None` if it does not come from [`super::parse`], or if
/// its context has no user.
#[must_use]
pub fn with_token(kubeconfig: &Kubeconfig, token: &SecretString) -> Option<Kubeconfig> {
    let read: Document = serde_json::from_str(kubeconfig.expose()).ok()?;
    let context = read.contexts.into_iter().find(|named| named.name == read.current)?.context;
    let mut user = SecretMap::new();
    user.insert("token", token.expose_secret().to_owned());
    let mut named = SecretMap::new();
    named.insert("name", context.user?);
    named.insert("user", user);
    let mut document = SecretMap::from_json(kubeconfig.expose())?;
    document.insert("users", Value::Array(vec![Value::Object(named.into_exposed())]));
    Some(Kubeconfig::new(document.to_text()))
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "current-context")]
    current: String,
    clusters: Vec<NamedCluster>,
    contexts: Vec<NamedContext>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    #[serde(rename = "certificate-authority-data")]
    authorities: Option<String>,
    #[serde(rename = "insecure-skip-tls-verify", default)]
    skip_verification: bool,
    tls_server_name: Option<String>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    client_certificate_data: Option<String>,
    client_key_data: Option<SecretString>,
}

impl From<User> for Credentials {
    fn from(user: User) -> Self {
        Self {
            token: user.token,
            password: user.username.zip(user.password),
            certificate: user.client_certificate_data.zip(user.client_key_data),
        }
    }
}
