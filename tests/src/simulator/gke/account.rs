//! Service accounts and what they prove themselves with: signed assertions for short-lived tokens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::{
    rand::SystemRandom,
    signature::{self, RsaKeyPair, UnparsedPublicKey},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error;
use crate::simulator::call::{Reply, Request};

/// The key pairs of all accounts: the first is theirs, the second that of somebody else.
const PEMS: [&str; 2] =
    [include_str!("../../../data/simulator/gke/key_1.pem"), include_str!("../../../data/simulator/gke/key_2.pem")];

static KEYS: LazyLock<[RsaKeyPair; 2]> = LazyLock::new(|| {
    PEMS.map(|pem| {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
    })
});

/// How far the clocks of callers may be off.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// How long a token is good, and an assertion at most.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// What Google's own clients write as audience, whatever the key file says.
const AUDIENCES: [&str; 3] = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
];
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email"];

/// A service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceAccount {
    pub email: String,
    pub project: String,
    pub key_id: String,
    /// Everything without it.
    pub permissions: Option<BTreeSet<String>>,
    /// Its key was deleted.
    pub key_is_deleted: bool,
    pub is_disabled: bool,
}

impl ServiceAccount {
    /// The key file that people download and upload.
    #[must_use]
    pub fn key_file(&self, token_url: &str) -> Value {
        self.file(token_url, 0)
    }

    /// A key file with a key that is not this account's.
    #[must_use]
    pub fn wrong_key_file(&self, token_url: &str) -> Value {
        self.file(token_url, 1)
    }

    fn file(&self, token_url: &str, key: usize) -> Value {
        json!({
            "type": "service_account", "project_id": self.project, "private_key_id": self.key_id,
            "private_key": PEMS[key], "client_email": self.email, "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": token_url,
            "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
            "client_x509_cert_url": format!("https://www.googleapis.com/robot/v1/metadata/x509/{}", self.email),
            "universe_domain": "googleapis.com",
        })
    }

    /// An assertion as clients make them: of that moment, for an hour.
    #[must_use]
    pub fn assertion(&self, now: DateTime<Utc>) -> String {
        let claims = json!({
            "iss": self.email, "scope": SCOPES.join(" "), "aud": AUDIENCES[0],
            "iat": now.timestamp(), "exp": (now + HOUR).timestamp(),
        });
        sign(&json!({"alg": "RS256", "typ": "JWT", "kid": self.key_id}), &claims)
    }
}

/// A JWT signed with the key that accounts have.
#[must_use]
pub fn sign(header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = &KEYS[0];
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signed).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed))
}

/// What a token is good for.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grant {
    email: String,
    until: DateTime<Utc>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    Missing,
    Unknown,
    Expired,
}

/// Everybody who may call. The Kubernetes API of clusters looks tokens up as well, which is why it is shared.
#[derive(Debug, Clone, Default)]
pub struct Accounts(Arc<Mutex<Inner>>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Inner {
    accounts: BTreeMap<String, ServiceAccount>,
    tokens: BTreeMap<String, Grant>,
    /// What the server says the time is; tokens end by it.
    #[serde(skip)]
    now: DateTime<Utc>,
    /// Handed out as the token of everybody, where a given API server accepts no other.
    #[serde(skip)]
    fixed_token: Option<String>,
}

impl Accounts {
    fn with<T>(&self, ask: impl FnOnce(&mut Inner) -> T) -> T {
        ask(&mut self.0.lock().unwrap())
    }

    pub(super) fn set_now(&self, now: DateTime<Utc>) {
        self.with(|inner| inner.now = now);
    }

    pub(super) fn set_fixed_token(&self, token: Option<String>) {
        self.with(|inner| inner.fixed_token = token);
    }

    /// Makes an account with every permission.
    pub fn add(&self, name: &str, project: &str) -> ServiceAccount {
        let email = format!("{name}@{project}.iam.gserviceaccount.com");
        let key_id = format!("{:x}", uuid::Uuid::new_v4().as_u128());
        let account = ServiceAccount {
            email: email.clone(),
            project: project.to_owned(),
            key_id,
            permissions: None,
            key_is_deleted: false,
            is_disabled: false,
        };
        self.with(|inner| inner.accounts.insert(email, account.clone()));
        account
    }

    #[must_use]
    pub fn get(&self, email: &str) -> Option<ServiceAccount> {
        self.with(|inner| inner.accounts.get(email).cloned())
    }

    /// Everybody.
    #[must_use]
    pub fn all(&self) -> Vec<ServiceAccount> {
        self.with(|inner| inner.accounts.values().cloned().collect())
    }

    /// Changes an account.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn change(&self, email: &str, change: impl FnOnce(&mut ServiceAccount)) {
        self.with(|inner| change(inner.accounts.get_mut(email).unwrap_or_else(|| panic!("there is no {email}"))));
    }

    /// Takes an account away; what it has minted is no good any more.
    pub fn remove(&self, email: &str) {
        self.with(|inner| drop(inner.accounts.remove(email)));
    }

    /// Ends every token, as when their hour is over.
    pub fn expire_tokens(&self) {
        self.with(|inner| {
            let now = inner.now;
            inner.tokens.values_mut().for_each(|grant| grant.until = grant.until.min(now));
        });
    }

    /// A token without an assertion, for tests that are about something else.
    #[must_use]
    pub fn mint(&self, email: &str) -> String {
        self.with(|inner| inner.mint(email))
    }

    /// Who a token belongs to.
    pub(super) fn holder(&self, token: Option<&str>) -> Result<ServiceAccount, Rejected> {
        self.with(|inner| {
            let grant = inner.tokens.get(token.ok_or(Rejected::Missing)?).ok_or(Rejected::Unknown)?;
            if grant.until <= inner.now {
                return Err(Rejected::Expired);
            }
            let account = inner.accounts.get(&grant.email).filter(|account| !account.is_disabled);
            account.cloned().ok_or(Rejected::Unknown)
        })
    }

    /// Whether a token opens a cluster of that project.
    pub(super) fn may_enter(&self, token: &str, project: &str) -> bool {
        self.holder(Some(token)).is_ok_and(|account| {
            let may = |permissions: &BTreeSet<String>| permissions.contains("container.clusters.getCredentials");
            account.project == project && account.permissions.as_ref().is_none_or(may)
        })
    }

    /// Answers the token endpoint.
    pub(super) fn grant(&self, request: &Request, token_url: &str) -> Reply {
        self.with(|inner| match inner.check(request, token_url) {
            Err(refusal) => refusal,
            Ok(email) => {
                let token = inner.mint(&email);
                Reply::ok(json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer"}))
            }
        })
    }

    pub(super) fn save(&self) -> Value {
        self.with(|inner| json!(inner))
    }

    pub(super) fn load(&self, state: Value) -> Result<(), String> {
        let loaded: Inner = serde_json::from_value(state).map_err(|error| error.to_string())?;
        self.with(|inner| *inner = Inner { fixed_token: inner.fixed_token.clone(), now: inner.now, ..loaded });
        Ok(())
    }
}

impl Inner {
    fn mint(&mut self, email: &str) -> String {
        let minted = || format!("ya29.{}", uuid::Uuid::new_v4().simple());
        let token = self.fixed_token.clone().unwrap_or_else(minted);
        let until = self.now + HOUR;
        self.tokens.retain(|_, grant| grant.until > self.now - HOUR);
        self.tokens.insert(token.clone(), Grant { email: email.to_owned(), until });
        token
    }

    /// Whose assertion it is.
    fn check(&self, request: &Request, token_url: &str) -> Result<String, Reply> {
        let form = request.form();
        let grant_type = form.get("grant_type").map_or("", String::as_str);
        if grant_type != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            return Err(error::grant("unsupported_grant_type", &format!("Invalid grant_type: {grant_type}")));
        }
        let no_jwt = || error::grant("invalid_grant", "Invalid JWT: malformed assertion.");
        let assertion =
            form.get("assertion").ok_or_else(|| error::grant("invalid_request", "Missing parameter: assertion"))?;
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signed] = parts.as_slice() else { return Err(no_jwt()) };
        let read = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
        };
        let (Some(header_json), Some(claims_json)) = (read(header), read(claims)) else { return Err(no_jwt()) };
        if header_json["alg"] != "RS256" {
            return Err(error::grant("invalid_grant", "Invalid JWT: Unsupported algorithm, only RS256 is supported."));
        }
        let email = claims_json["iss"].as_str().unwrap_or_default();
        let account = self.accounts.get(email);
        let account = account.ok_or_else(|| error::grant("invalid_grant", "Invalid grant: account not found"))?;
        let bad_signature = || error::grant("invalid_grant", "Invalid JWT Signature.");
        let signed = URL_SAFE_NO_PAD.decode(signed.trim_end_matches('=')).map_err(|_| no_jwt())?;
        let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, KEYS[0].public().as_ref());
        let verified = public.verify(format!("{header}.{claims}").as_bytes(), &signed).is_ok();
        let is_its_key = header_json["kid"].as_str().is_none_or(|key| key == account.key_id);
        if account.key_is_deleted || !verified || !is_its_key {
            return Err(bad_signature());
        }
        if account.is_disabled {
            return Err(error::grant("invalid_grant", "Invalid grant: account disabled"));
        }
        let audience = claims_json["aud"].as_str().unwrap_or_default();
        if audience != token_url && !AUDIENCES.contains(&audience) {
            let message = format!("Invalid JWT: Failed audience check. The right audience is {}", AUDIENCES[0]);
            return Err(error::grant("invalid_grant", &message));
        }
        let time = |name: &str| claims_json[name].as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let in_time = time("iat").zip(time("exp")).is_some_and(|(issued, expires)| {
            issued <= self.now + SKEW && expires > self.now && expires - issued <= HOUR && issued <= expires
        });
        if !in_time {
            let message = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. \
                           Check your iat and exp values in the JWT claim.";
            return Err(error::grant("invalid_grant", message));
        }
        let scopes = claims_json["scope"].as_str().unwrap_or_default();
        if !scopes.split(' ').any(|scope| scope == SCOPES[0]) {
            return Err(error::grant("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
        }
        Ok(email.to_owned())
    }
}
