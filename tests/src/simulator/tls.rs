//! TLS with an authority of the simulator's own.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::fixture::kubernetes::Authority;

/// What a server needs to speak TLS, and its callers to trust it.
#[derive(Clone)]
pub struct Tls {
    /// Who vouches for it, in PEM.
    pub authority: Arc<str>,
    pub(super) acceptor: TlsAcceptor,
}

impl Tls {
    /// A new authority, and a certificate by it for loopback.
    #[must_use]
    pub fn on_loopback() -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let authority = Authority::new();
        let identity = authority.server(&["127.0.0.1", "localhost"]);
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self { authority: authority.certificate.into(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}
