//! Service accounts: the uploaded key file, and the access token it is exchanged for (RFC 7523, as Google's OAuth 2.0 for server to
//! server applications describes it).

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::failures;
use crate::{
    engine::tokens::{CredentialKey, Token},
    outbound::{Address, Outbound, Reply},
};

/// Google's token service.
pub(super) const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Everything the engine does, and the e-mail address by which the account is known in the clusters it makes.
const SCOPES: &str = "https://www.googleapis.com/auth/cloud-platform https://www.googleapis.com/auth/userinfo.email";
/// The longest an assertion may be valid.
const LIFETIME: i64 = 3600;
/// A token answer is a few kilobytes.
const MOST: usize = 64 * 1024;
/// What is called in messages.
const SERVICE: &str = "Google's token service";

/// A service account with its private key.
pub(super) struct ServiceAccount {
    /// The project that clusters are made in.
    pub(super) project: String,
    /// Its e-mail address.
    pub(super) email: String,
    key_id: String,
    private_key: SecretString,
    token_url: Url,
    is_ours: bool,
}

#[derive(Deserialize)]
struct Parameters {
    service_account_info: KeyFile,
    #[serde(default)]
    project: Option<String>,
}

/// The file that Google makes for a key of a service account.
#[derive(Deserialize)]
struct KeyFile {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    project_id: Option<String>,
    client_email: String,
    private_key_id: String,
    private_key: SecretString,
    token_uri: String,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: u64,
}

impl ServiceAccount {
    /// Reads a provisioner's parameters. `token_url` is the token service that the settings name, if they name one: keys may name only
    /// that one or Google's, so that an uploaded file cannot make this service send a signed assertion somewhere else.
    pub(super) fn read(parameters: &SecretMap, token_url: &Url) -> Result<Self, EngineError> {
        let read: Option<Parameters> = parameters.read();
        let Parameters { service_account_info: file, project } =
            read.ok_or_else(|| unusable("the service account file is incomplete", "upload the key file again"))?;
        if file.r#type.as_deref().is_some_and(|kind| kind != "service_account") {
            return Err(unusable(
                "the uploaded file is not the key of a service account",
                "create a service account key in JSON format and upload it",
            ));
        }
        let named = Url::parse(&file.token_uri).ok();
        let is_known = named.as_ref().is_some_and(|named| named.as_str() == TOKEN_URL || named == token_url);
        if !is_known {
            return Err(unusable(
                "the token_uri in the service account file is not the address of Google's token service",
                "download the key from Google again; to use another token service, the operator of this installation can set \
                 KQUEEN_GKE_TOKEN_URL",
            ));
        }
        let project = project.filter(|project| !project.trim().is_empty()).or(file.project_id);
        let project = project.ok_or_else(|| {
            unusable("neither the service account file nor the parameters contain a project", "specify the project")
        })?;
        if !is_project(&project) {
            return Err(unusable("the project ID is not a valid Google Cloud project ID", "correct the project ID"));
        }
        Ok(Self {
            project,
            email: file.client_email,
            key_id: file.private_key_id,
            private_key: file.private_key,
            token_url: token_url.clone(),
            is_ours: token_url.as_str() == TOKEN_URL,
        })
    }

    /// What its tokens are kept by.
    pub(super) fn credential_key(&self) -> CredentialKey {
        let parts = [self.token_url.as_str(), &self.email, &self.key_id, self.private_key.expose_secret()];
        CredentialKey::of(&parts)
    }

    /// Asks for an access token.
    pub(super) async fn request_token(&self, outbound: &Outbound, now: DateTime<Utc>) -> Result<Token, EngineError> {
        let assertion = self.assertion(now)?;
        let form = [("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", assertion.as_str())];
        let request = outbound.request(Address::Operator, http::Method::POST, self.token_url.clone()).form(&form);
        let reply: Reply = outbound
            .send(Address::Operator, request, MOST)
            .await
            .map_err(|error| error.engine_error(if self.is_ours { SERVICE } else { "the token service" }))?;
        match reply.json::<Issued>().filter(|_| reply.status.is_success()) {
            Some(issued) => Ok(Token::new(issued.access_token, Duration::from_secs(issued.expires_in))),
            None => Err(failures::of_token(&reply)),
        }
    }

    /// The signed statement that this account asks for a token.
    fn assertion(&self, now: DateTime<Utc>) -> Result<Zeroizing<String>, EngineError> {
        let wrong = || {
            unusable("the private key in the service account file cannot be read", "download a new key and upload it")
        };
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(self.private_key.expose_secret().as_bytes()).map_err(|_| wrong())?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| wrong())?;
        let issued = now.timestamp();
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": self.email, "scope": SCOPES, "aud": self.token_url.as_str(), "iat": issued, "exp": issued + LIFETIME,
        });
        let mut text = Zeroizing::new(URL_SAFE_NO_PAD.encode(header.to_string()));
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| wrong())?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(text)
    }
}

/// Ids of projects: 6 to 30 lower-case letters, digits and hyphens, in old domains' projects with the domain in front.
fn is_project(id: &str) -> bool {
    (4..=63).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':'))
}

fn unusable(cause: &str, next_step: &str) -> EngineError {
    EngineError::Rejected(Reason::new(ReasonCode::InvalidParameter, cause, Responsible::Admin, next_step))
}
