//! Authentication methods in responses.

use std::collections::BTreeMap;

use kqueen_domain::user::AuthMethod;
use poem_openapi::{Object, types::Any};
use serde::Serialize;
use serde_json::json;

use super::Free;
use crate::config::Auth;

/// An authentication method, with the fields of its invitation form.
#[derive(Debug, Serialize, Object)]
pub struct AuthModule {
    /// The display name.
    pub name: String,
    /// The name of the corresponding module in the 2018 release.
    pub engine: String,
    /// Its configuration. Always empty: it is not disclosed.
    pub parameters: Free,
    /// The fields of its invitation form.
    pub ui_parameters: Free,
}

/// The enabled authentication methods by name, in the format of 2018.
#[must_use]
pub fn auth_modules(auth: &Auth) -> BTreeMap<String, AuthModule> {
    auth.modules.iter().map(|method| (method.as_str().to_owned(), auth_module(*method, auth))).collect()
}

fn auth_module(method: AuthMethod, auth: &Auth) -> AuthModule {
    let (name, engine, username) = match method {
        AuthMethod::Local => (
            "Local",
            "LocalAuth",
            json!({
                "type": "email",
                "label": "User Email",
                "description": "E-mail address of the person to invite to the organization",
                "notify": true,
                "active": false,
                "validators": {"required": true},
            }),
        ),
        AuthMethod::Ldap => (
            "LDAP",
            "LDAPAuth",
            json!({
                "type": "text",
                "label": "User CN",
                "description": "Common name of the person in the directory",
                "notify": auth.ldap.as_ref().is_some_and(|ldap| ldap.notify),
                "generate_password": false,
                "validators": {"required": true},
            }),
        ),
    };
    AuthModule {
        name: name.to_owned(),
        engine: engine.to_owned(),
        // The server and account of a directory are shown only to operators, in the settings.
        parameters: Any(json!({})),
        ui_parameters: Any(json!({ "username": username })),
    }
}
