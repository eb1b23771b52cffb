//! The ways of authenticating in answers.

use std::collections::BTreeMap;

use kqueen_domain::user::AuthMethod;
use poem_openapi::{Object, types::Any};
use serde::Serialize;
use serde_json::json;

use super::Free;
use crate::config::Auth;

/// A way of authenticating, with the fields an invitation asks for.
#[derive(Debug, Serialize, Object)]
pub struct AuthModule {
    /// Name for people.
    pub name: String,
    /// The code of 2018 that did this.
    pub engine: String,
    /// How it is set up, without anything secret.
    pub parameters: Free,
    /// Fields of the invitation form.
    pub ui_parameters: Free,
}

/// The enabled ways of authenticating by name, in the shape of 2018.
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
        // Server and account of a directory are the operators' business, not every member's.
        parameters: Any(json!({})),
        ui_parameters: Any(json!({ "username": username })),
    }
}
