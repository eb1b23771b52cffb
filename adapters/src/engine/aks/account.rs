//! Service principals: the account that calls Azure, and the access token for it (OAuth 2.0 client credentials, as the Microsoft identity
//! platform describes them).

use std::time::Duration;

use kqueen_domain::{
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use uuid::Uuid;

use super::failures;
use crate::{
    engine::tokens::{CredentialKey, Token},
    outbound::{Address, Outbound, below},
};

/// A token response is a few kilobytes.
const MOST: usize = 64 * 1024;
/// The name of the login service in messages.
const SERVICE: &str = "the Microsoft identity platform";

/// A service principal with its client secret, and where its clusters are created.
pub(super) struct ServicePrincipal {
    /// The subscription, in lower case.
    pub(super) subscription: String,
    /// The resource group, in lower case: Azure compares names without regard to case, and writes them differently in different responses.
    pub(super) group: String,
    tenant: String,
    client: String,
    secret: SecretString,
}

#[derive(Deserialize)]
struct Parameters {
    client_id: String,
    secret: SecretString,
    tenant: String,
    subscription_id: String,
    resource_group_name: String,
}

#[derive(Deserialize)]
struct Issued {
    access_token: SecretString,
    expires_in: u64,
}

impl ServicePrincipal {
    /// Reads a provisioner's parameters.
    pub(super) fn read(parameters: &SecretMap) -> Result<Self, EngineError> {
        let read: Option<Parameters> = parameters.read();
        let given = read.ok_or_else(|| {
            unusable(
                "the parameters of the service principal are incomplete",
                "specify the application ID, the secret, the directory ID, the subscription ID and the resource group",
            )
        })?;
        let group = given.resource_group_name.trim();
        if !is_group(group) {
            return Err(unusable(
                "the resource group name is not a valid name of a resource group",
                "correct the resource group name",
            ));
        }
        Ok(Self {
            subscription: uuid(&given.subscription_id, "subscription ID")?,
            group: group.to_lowercase(),
            tenant: uuid(&given.tenant, "directory ID")?,
            client: uuid(&given.client_id, "application ID")?,
            secret: given.secret,
        })
    }

    /// The key of its tokens in the cache.
    pub(super) fn credential_key(&self, login: &Url, scope: &str) -> CredentialKey {
        CredentialKey::of(&[login.as_str(), scope, &self.tenant, &self.client, self.secret.expose_secret()])
    }

    /// Requests an access token.
    pub(super) async fn request_token(
        &self,
        outbound: &Outbound,
        login: &Url,
        scope: &str,
    ) -> Result<Token, EngineError> {
        let url = below(login, &[&self.tenant, "oauth2", "v2.0", "token"]);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.client.as_str()),
            ("client_secret", self.secret.expose_secret()),
            ("scope", scope),
        ];
        let request = outbound.request(Address::Operator, http::Method::POST, url).form(&form);
        let sent = outbound.send(Address::Operator, request, MOST).await;
        let reply = sent.map_err(|error| error.engine_error(SERVICE))?;
        match reply.json::<Issued>().filter(|_| reply.status.is_success()) {
            Some(issued) => Ok(Token::new(issued.access_token, Duration::from_secs(issued.expires_in))),
            None => Err(failures::of_token(&reply)),
        }
    }
}

/// An id in the form in which Azure writes ids.
fn uuid(given: &str, what: &str) -> Result<String, EngineError> {
    let parsed = Uuid::try_parse(given.trim());
    parsed
        .map(|id| id.to_string())
        .map_err(|_| unusable(&format!("the {what} is not a UUID"), &format!("correct the {what}")))
}

/// Names of resource groups: at most 90 letters, digits, underscores, hyphens, parentheses and periods, but no period at the end.
fn is_group(name: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '(' | ')' | '.');
    (1..=90).contains(&name.chars().count()) && name.chars().all(fits) && !name.ends_with('.')
}

fn unusable(cause: &str, next_step: &str) -> EngineError {
    EngineError::Rejected(Reason::new(ReasonCode::InvalidParameter, cause, Responsible::Admin, next_step))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(field: &str, value: &str) -> Result<ServicePrincipal, EngineError> {
        let mut parameters = json!({
            "client_id": "00000001-0000-4000-8000-00000000000c", "secret": "s",
            "tenant": "00000001-0000-4000-8000-00000000000a",
            "subscription_id": "00000001-0000-4000-8000-000000000001", "resource_group_name": "rg",
        });
        parameters[field] = Value::from(value);
        ServicePrincipal::read(&SecretMap::from_json(&parameters.to_string()).unwrap())
    }

    #[test]
    fn ids_and_names_are_written_in_one_way() {
        let principal = read("subscription_id", " 0000000A-0000-4000-8000-00000000000B ").unwrap();
        assert_eq!(principal.subscription, "0000000a-0000-4000-8000-00000000000b");
        assert_eq!(read("resource_group_name", "My-Group_(1).x").unwrap().group, "my-group_(1).x");
    }

    #[test]
    fn nothing_else_gets_into_an_address() {
        for (field, value) in [
            ("tenant", "common"),
            ("tenant", "../x"),
            ("subscription_id", "1/resourceGroups/other"),
            ("client_id", ""),
            ("resource_group_name", "a/b"),
            ("resource_group_name", ".."),
            ("resource_group_name", "a?b"),
            ("resource_group_name", ""),
        ] {
            let Err(EngineError::Rejected(reason)) = read(field, value) else { panic!("{field} {value}") };
            assert_eq!(reason.code, ReasonCode::InvalidParameter, "{field} {value}");
        }
    }
}
