//! Authentication: login methods and tokens.

use std::time::Duration;

use kqueen_domain::user::AuthMethod;
use secrecy::SecretString;
use url::Url;

use super::{settings::Settings, value};

/// Login settings.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Enabled login methods; at least one, without duplicates.
    pub modules: Vec<AuthMethod>,
    /// Maximum number of failed logins per minute and account; per address it is three times as many.
    pub login_attempts_per_minute: u32,
    /// Maximum number of passwords hashed at the same time.
    pub hashing_parallelism: usize,
    /// The LDAP directory, if `modules` includes it.
    pub ldap: Option<Ldap>,
}

/// The LDAP directory in which users are looked up.
#[derive(Debug, Clone)]
pub struct Ldap {
    /// `ldap` or `ldaps`.
    pub uri: Url,
    /// The DN that KQueen binds as to look up users.
    pub dn: String,
    /// The password of `dn`.
    pub password: SecretString,
    /// Whether users from the directory get an e-mail when they are invited.
    pub notify: bool,
}

impl Auth {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let method = value::choice(&[("local", AuthMethod::Local), ("ldap", AuthMethod::Ldap)]);
        let modules = settings.get("auth.modules", value::list(method)).map(|mut modules| {
            let mut seen = Vec::new();
            modules.retain(|module| {
                !seen.contains(module) && {
                    seen.push(*module);
                    true
                }
            });
            modules
        });
        if modules.as_ref().is_some_and(Vec::is_empty) {
            settings.reject("auth.modules", "is empty, so no user could log in", "use local, ldap or both");
        }
        let attempts = settings.get("login_attempts_per_minute", value::number(1..=1_000_000_u32));
        let parallelism = settings.get("password_hashing_parallelism", value::number(1..=64_u8));
        let needed = modules.as_ref().is_some_and(|modules| modules.contains(&AuthMethod::Ldap));
        let ldap = Ldap::read(settings, needed);
        Some(Self {
            modules: modules?,
            login_attempts_per_minute: attempts?,
            hashing_parallelism: usize::from(parallelism?),
            ldap: ldap?,
        })
    }
}

impl Ldap {
    fn read(settings: &mut Settings, needed: bool) -> Option<Option<Self>> {
        let uri = settings.get("ldap.uri", value::optional_url(&["ldaps", "ldap"]));
        let dn = settings.get("ldap.dn", value::optional_text);
        let password = settings.secret("ldap.password");
        let notify = settings.get("ldap.auth_notify", value::boolean);
        let (uri, dn, password, notify) = (uri?, dn?, password?, notify?);
        if !needed {
            return Some(None);
        }
        for (key, missing) in
            [("ldap.uri", uri.is_none()), ("ldap.dn", dn.is_none()), ("ldap.password", password.is_none())]
        {
            if missing {
                settings.reject(
                    key,
                    "is missing, but KQUEEN_AUTH_MODULES includes ldap",
                    "set it, or remove ldap from KQUEEN_AUTH_MODULES",
                );
            }
        }
        Some(Some(Self { uri: uri?, dn: dn?, password: password?, notify }))
    }
}

/// Token settings.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// The realm named in `WWW-Authenticate`.
    pub realm: String,
    /// A second path of the login operation.
    pub auth_url_rule: String,
    /// How long a token is valid.
    pub expiration: Duration,
}

impl Jwt {
    pub(super) fn read(settings: &mut Settings) -> Option<Self> {
        let realm = settings.get("jwt.default_realm", |value| {
            let realm = value::caption(value)?;
            // It is sent as a quoted string in a header.
            let plain = realm.bytes().all(|byte| (byte == b' ' || byte.is_ascii_graphic()) && !b"\"\\".contains(&byte));
            if plain { Ok(realm) } else { Err("use ASCII text without quotes and backslashes".into()) }
        });
        let auth_url_rule = settings.get("jwt.auth_url_rule", |value| {
            let path = value::text(value)?;
            let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte));
            if path.starts_with('/') && path.len() > 1 && plain {
                Ok(path.trim_end_matches('/').to_owned())
            } else {
                Err("use a path like /api/v1/auth".into())
            }
        });
        let most = Duration::from_secs(365 * 86400);
        let expiration = settings.get("jwt.expiration_delta", value::duration(Duration::from_secs(1)..=most));
        Some(Self { realm: realm?, auth_url_rule: auth_url_rule?, expiration: expiration? })
    }
}
