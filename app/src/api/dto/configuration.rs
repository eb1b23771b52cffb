//! The ways of authenticating in answers.

use poem_openapi::Object;
use serde_json::{Map, Value, json};

use super::Free;
use crate::config::Auth;

/// A way of authenticating, with the fields an invitation asks for.
#[derive(Debug, Object)]
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
pub fn auth_modules(auth: &Auth) -> Value {
    let mut modules = Map::new();
    for method in &auth.modules {
        let module = match method {
            kqueen_domain::user::AuthMethod::Local => json!({
                "name": "Local",
                "engine": "LocalAuth",
                "parameters": {},
                "ui_parameters": {"username": {
                    "type": "email",
                    "label": "User Email",
                    "description": "E-mail address of the person to invite to the organization",
                    "notify": true,
                    "active": false,
                    "validators": {"required": true},
                }},
            }),
            kqueen_domain::user::AuthMethod::Ldap => json!({
                "name": "LDAP",
                "engine": "LDAPAuth",
                // Server and account of the directory are the operators' business, not every member's.
                "parameters": {},
                "ui_parameters": {"username": {
                    "type": "text",
                    "label": "User CN",
                    "description": "Common name of the person in the directory",
                    "notify": auth.ldap.as_ref().is_some_and(|ldap| ldap.notify),
                    "generate_password": false,
                    "validators": {"required": true},
                }},
            }),
        };
        modules.insert(method.as_str().to_owned(), module);
    }
    Value::Object(modules)
}
