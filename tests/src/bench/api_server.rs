//! The API server of the model provider's clusters: the part of the Kubernetes API that a probe reads, over TLS.

use std::{convert::Infallible, sync::Arc};

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::fixture::kubernetes::Authority;

const VERSION: &str = r#"{"major":"1","minor":"37","gitVersion":"v1.37.2"}"#;
const LIST: &str = r#"{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[]}"#;

/// A running API server. Dropping it stops it.
pub struct ApiServer {
    /// `https://127.0.0.1:<port>`
    pub url: String,
    /// The certificate of its authority, in PEM.
    pub authority: String,
    task: JoinHandle<()>,
}

impl ApiServer {
    /// Starts an API server.
    pub async fn start() -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::new();
        let identity = authority.server(&["127.0.0.1"]);
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let _undelayed = stream.set_nodelay(true);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let _end = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                });
            }
        });
        Self { url, authority: authority.certificate, task }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = if request.uri().path() == "/version" { VERSION } else { LIST };
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap())
}
