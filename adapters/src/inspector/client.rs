//! The API of one cluster: requests with the stored credentials, responses of limited size.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use kqueen_domain::kubeconfig::{ApiAccess, Credentials};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt},
    config::AuthInfo,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Limits, connect::Connector, failure::ProbeError};

/// Maximum number of bytes that are read of an error response.
const ERROR_BYTES: usize = 64 * 1024;

/// A client for one cluster.
#[derive(Clone)]
pub(super) struct ApiClient {
    client: Client,
    authorization: Option<HeaderValue>,
    body_bytes: usize,
}

impl ApiClient {
    /// A client that reaches the cluster with `access`. It does not connect yet. It reads the system's certificates if the kubeconfig
    /// names no authority, so call it on a thread that may block.
    pub(super) fn new(access: &ApiAccess, connector: Connector, limits: &Limits) -> Result<Self, ProbeError> {
        let config = config(access)?;
        // Only TLS and headers are taken from the library: its full client would use a proxy from our environment, does not
        // limit the size of responses, and logs responses that it cannot read.
        let connector = config
            .rustls_https_connector_with_connector(connector)
            .map_err(|_| ProbeError::UnusableKubeconfig("its certificates or its client key cannot be used"))?;
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.idle)
            .pool_max_idle_per_host(2)
            .build::<_, Body>(connector);
        let client = ClientBuilder::new(http, "default").with_layer(&config.base_uri_layer()).build();
        let authorization = authorization(&access.credentials)?;
        Ok(Self { client, authorization, body_bytes: limits.body_bytes })
    }

    /// The response to a GET. Redirects are not followed.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, ProbeError> {
        let mut request = Request::get(path)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("kqueen/", env!("CARGO_PKG_VERSION")))
            .body(Body::empty())
            .map_err(|_| ProbeError::NotServed)?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        let response = self.client.send(request).await.map_err(|error| ProbeError::of(&error))?;
        let status = response.status();
        if status.is_success() {
            return read(response.into_body(), self.body_bytes).await;
        }
        match status {
            StatusCode::UNAUTHORIZED => Err(ProbeError::Unauthorized),
            StatusCode::FORBIDDEN => Err(ProbeError::Forbidden),
            StatusCode::NOT_FOUND => Err(ProbeError::NotServed),
            StatusCode::TOO_MANY_REQUESTS => Err(ProbeError::Busy),
            StatusCode::GONE => {
                Err(ProbeError::Expired(continuation(read(response.into_body(), ERROR_BYTES).await.ok())))
            }
            StatusCode::BAD_REQUEST => {
                // This is what Go's server answers to plain HTTP on its TLS port; other servers say the same in other words.
                let text = read(response.into_body(), ERROR_BYTES).await.unwrap_or_default();
                let text = String::from_utf8_lossy(&text).to_lowercase();
                let wants_tls = text.contains("https") && text.contains("http request") || text.contains("plain http");
                Err(if wants_tls { ProbeError::TlsRequired } else { ProbeError::NotKubernetes })
            }
            status if status.is_redirection() => Err(ProbeError::Redirect),
            status if status.is_server_error() => Err(ProbeError::Unavailable(status.as_u16())),
            _ => Err(ProbeError::NotKubernetes),
        }
    }
}

async fn read(mut body: Body, limit: usize) -> Result<Bytes, ProbeError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ProbeError::of(&error))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > limit {
                return Err(ProbeError::TooLarge);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

/// The token that continues an expired list.
fn continuation(body: Option<Bytes>) -> Option<String> {
    #[derive(Deserialize)]
    struct Status {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        r#continue: Option<String>,
    }
    serde_json::from_slice::<Status>(&body?).ok()?.metadata.r#continue.filter(|token| !token.is_empty())
}

/// Converts `access` for the library. Nothing else of a kubeconfig reaches it: no command, no file, no proxy.
fn config(access: &ApiAccess) -> Result<Config, ProbeError> {
    let server: Uri = access
        .server
        .as_str()
        .trim_end_matches('/')
        .parse()
        .map_err(|_| ProbeError::UnusableKubeconfig("its server address cannot be read"))?;
    let mut config = Config::new(server);
    config.proxy_url = None;
    config.accept_invalid_certs = access.skip_verification;
    config.tls_server_name.clone_from(&access.tls_server_name);
    if let Some(pem) = &access.authorities {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let certificates =
            certificates.map_err(|_| ProbeError::UnusableKubeconfig("its certificate authority cannot be read"))?;
        config.root_cert = Some(certificates.into_iter().map(|der| der.to_vec()).collect());
    }
    let credentials = &access.credentials;
    let mut auth = AuthInfo::default();
    if let Some((certificate, key)) = &credentials.certificate {
        auth.client_certificate_data = Some(without_breaks(certificate));
        auth.client_key_data = Some(SecretString::from(without_breaks(key.expose_secret())));
    }
    config.auth_info = auth;
    Ok(config)
}

/// The `Authorization` header, if there are credentials other than a client certificate. A token takes precedence over a password,
/// as in kubectl.
fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, ProbeError> {
    let text = match (&credentials.token, &credentials.password) {
        (Some(token), _) => Zeroizing::new(format!("Bearer {}", token.expose_secret())),
        (None, Some((name, password))) => {
            let pair = Zeroizing::new(format!("{name}:{}", password.expose_secret()));
            Zeroizing::new(format!("Basic {}", *Zeroizing::new(STANDARD.encode(&*pair))))
        }
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::try_from(text.as_str())
        .map_err(|_| ProbeError::UnusableKubeconfig("its credentials cannot be used"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn without_breaks(base64: &str) -> String {
    base64.split_ascii_whitespace().collect()
}
