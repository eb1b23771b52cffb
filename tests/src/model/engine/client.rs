//! The engine's HTTP calls, and how their failures are classified.

use std::{borrow::Cow, time::Duration};

use kqueen_domain::{
    ledger::{OwnershipTag, ProviderResource, ResourceRef},
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use reqwest::{Method, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::wire::{ErrorDetails, ErrorResponse, Page, ProvisionerParameters, Resource};
use crate::model::{Kind, Patience};

/// When to retry if the provider does not say, and the maximum that is accepted from it.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Why a call failed, as far as the engine's next step depends on it.
#[derive(Debug)]
pub(super) enum CallError {
    /// The resource does not exist in the project.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Resources with these ids depend on it.
    InUse(Vec<String>),
    /// Any other failure.
    Other(EngineError),
}

impl From<CallError> for EngineError {
    fn from(failure: CallError) -> Self {
        match failure {
            CallError::NotFound => Self::Missing,
            CallError::AlreadyExists => {
                Self::Busy("the name is taken, but no resource is visible under it yet".to_owned())
            }
            CallError::InUse(_) => Self::Busy("another resource still depends on it".to_owned()),
            CallError::Other(error) => error,
        }
    }
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        Self::Other(error)
    }
}

/// A connection to the provider with a provisioner's credentials.
pub(super) struct Session<'a> {
    http: &'a reqwest::Client,
    patience: &'a Patience,
    base: Url,
    token: SecretString,
    /// Where new resources are created.
    pub(super) project: String,
    /// What must not appear in any message.
    secrets: Vec<SecretString>,
}

impl<'a> Session<'a> {
    /// Creates a session from a provisioner's parameters. Nothing is sent yet.
    pub(super) fn new(
        http: &'a reqwest::Client,
        patience: &'a Patience,
        parameters: &SecretMap,
    ) -> Result<Self, EngineError> {
        let incomplete = || {
            let cause = "the provisioner's parameters are incomplete";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Admin,
                "fill in url, project and token",
            ))
        };
        let ProvisionerParameters { url, token, project } = parameters.read().ok_or_else(incomplete)?;
        let base = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
            let cause = "the provisioner's url is not a valid HTTP address";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Admin,
                "correct the provisioner's url",
            ))
        })?;
        Ok(Self { http, patience, base, secrets: vec![token.clone()], token, project })
    }

    /// Keeps a secret out of all messages.
    pub(super) fn redact(&mut self, secret: Option<&SecretString>) {
        self.secrets.extend(secret.cloned());
    }

    /// Sends a call.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, CallError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", "projects"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let id = Uuid::new_v4().to_string();
        let timeout = self.patience.timed_out(&id);
        let mut request = self.http.request(method, url).header("x-call", &id).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = async {
            let response = request.send().await.map_err(no_answer)?;
            let (status, retry_after) = (response.status(), retry_after(&response));
            let body = response.bytes().await.map_err(no_answer)?;
            Ok::<_, CallError>((status, retry_after, body))
        };
        let (status, retry_after, body) = tokio::select! {
            response = response => response?,
            () = timeout => return Err(timed_out().into()),
        };
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| unexpected_answer("the provider's answer cannot be read").into());
        }
        let error: ErrorResponse = serde_json::from_slice(&body).unwrap_or_default();
        Err(self.failure(status, retry_after, error.error))
    }

    /// Classifies an error response.
    fn failure(&self, status: StatusCode, retry_after: Option<Duration>, error: ErrorDetails) -> CallError {
        let message = self.without_secrets(&error.message);
        let reason = |code, cause: &str, responsible, next: &str| {
            Reason::new(code, cause, responsible, next).with_provider_message(message.as_ref())
        };
        let rejected = |code, cause: &str, responsible, next: &str| {
            CallError::Other(EngineError::Rejected(reason(code, cause, responsible, next)))
        };
        let busy = || CallError::Other(EngineError::Busy(message.clone().into_owned()));
        match (status.as_u16(), error.code.as_str()) {
            (401, _) => CallError::Other(EngineError::Denied(reason(
                ReasonCode::CredentialsRejected,
                "the provider does not accept the token",
                Responsible::Admin,
                "give the provisioner a token that is valid",
            ))),
            (403, _) => {
                let right = if error.right.is_empty() { "a right" } else { &error.right };
                let cause = format!("the token lacks the right {right}");
                let next = "give the token that right";
                CallError::Other(EngineError::Denied(reason(
                    ReasonCode::PermissionDenied,
                    &cause,
                    Responsible::Admin,
                    next,
                )))
            }
            (404, "not_found") => CallError::NotFound,
            (404, "project_not_found") => rejected(
                ReasonCode::NotFound,
                "the provider does not have the project",
                Responsible::Admin,
                "correct the provisioner's project, or create it at the provider",
            ),
            (404 | 405, _) => rejected(
                ReasonCode::WrongEndpoint,
                "there is no such provider at the provisioner's address",
                Responsible::Admin,
                "correct the provisioner's url",
            ),
            (409, "already_exists") => CallError::AlreadyExists,
            (409, "in_use") => CallError::InUse(error.used_by),
            (409, "never_ran") => rejected(
                ReasonCode::InvalidState,
                "it has never been running and cannot be changed",
                Responsible::Requester,
                "destroy the cluster, and deploy another one",
            ),
            (409 | 412, _) => busy(),
            (422, "quota_exceeded") => rejected(
                ReasonCode::QuotaExceeded,
                "the project's quota is used up",
                Responsible::Admin,
                "raise the quota at the provider, or ask for less",
            ),
            (429, _) => {
                let retry_after = retry_after.unwrap_or(RETRY_AFTER).min(MAX_RETRY_AFTER);
                CallError::Other(EngineError::Throttled { retry_after })
            }
            (408, _) => {
                EngineError::unreachable(ReasonCode::ProviderTimedOut, "the provider did not wait for the request")
                    .into()
            }
            (400..=499, _) => rejected(
                ReasonCode::InvalidParameter,
                "the provider does not accept the request",
                Responsible::Requester,
                "check the cluster's parameters",
            ),
            // The call may have taken effect.
            (status, _) => {
                let cause = format!("the provider failed with status {status}");
                EngineError::unreachable(ReasonCode::ProviderUnavailable, cause).into()
            }
        }
    }

    fn without_secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let secrets = self.secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
        secrets.fold(Cow::Borrowed(text), |text, secret| Cow::Owned(text.replace(secret, "*******")))
    }

    /// The resource of that name, whoever created it.
    pub(super) async fn find(&self, name: &ResourceRef) -> Result<Option<Resource>, EngineError> {
        let path = [name.location.as_str(), plural(&name.kind)?, &name.name];
        match self.call::<Resource>(Method::GET, &path, &[], None).await {
            Ok(resource) => Ok(Some(identified(resource, name)?)),
            Err(CallError::NotFound) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The resource of that name, which must have the ownership tag.
    pub(super) async fn find_owned(&self, name: &ResourceRef, tag: &OwnershipTag) -> Result<Resource, EngineError> {
        match self.find(name).await? {
            None => Err(EngineError::Missing),
            Some(resource) if resource.carries(tag) => Ok(resource),
            Some(_) => Err(name_taken(name)),
        }
    }

    /// All resources in a project that have these labels.
    pub(super) async fn list(&self, project: &str, labels: &[(&str, String)]) -> Result<Vec<Resource>, EngineError> {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (mut resources, mut page) = (Vec::new(), None::<String>);
        loop {
            let mut query: Vec<(&str, &str)> = labels.iter().map(|label| ("label", label.as_str())).collect();
            query.extend(page.as_deref().map(|page| ("page", page)));
            let Page { items, next } = self.call(Method::GET, &[project, "things"], &query, None).await?;
            resources.extend(items);
            match next {
                // A page that names itself as the next one would never end.
                Some(next) if page.as_ref() != Some(&next) => page = Some(next),
                Some(_) => return Err(unexpected_answer("the provider's list does not end")),
                None => return Ok(resources),
            }
        }
    }

    /// Sends a call that applies only to this resource, not to another one that has taken its name in the meantime.
    pub(super) async fn send(
        &self,
        method: Method,
        name: &ResourceRef,
        resource: &Resource,
        verb: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Resource, CallError> {
        let mut path = vec![name.location.as_str(), plural(&name.kind)?, &name.name];
        path.extend(verb);
        let changed: Resource = self.call(method, &path, &[("id", &resource.id)], body).await?;
        Ok(identified(changed, name)?)
    }
}

/// The kind's name in paths.
pub(super) fn plural(kind: &str) -> Result<&'static str, EngineError> {
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    kind.map(Kind::plural).ok_or(EngineError::Unsupported("handle a resource of that kind"))
}

/// Checks that the answer is about the requested resource.
pub(super) fn identified(resource: Resource, name: &ResourceRef) -> Result<Resource, EngineError> {
    if resource.kind == name.kind && resource.name == name.name {
        Ok(resource)
    } else {
        Err(unexpected_answer("the provider answered about another resource"))
    }
}

/// A resource as it is recorded.
pub(super) fn provider_resource(resource: &Resource, location: &str) -> ProviderResource {
    let name = ResourceRef { kind: resource.kind.clone(), name: resource.name.clone(), location: location.to_owned() };
    ProviderResource { name, provider_id: Some(resource.id.clone()) }
}

/// The name is taken by a resource that is not ours.
pub(super) fn name_taken(name: &ResourceRef) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::NameTaken,
        format!("the provider has a {name} that was not created for this cluster"),
        Responsible::Admin,
        "remove or rename it at the provider; KQueen does not touch it",
    ))
}

/// The provider answers, but not as the API says.
pub(super) fn unexpected_answer(cause: &str) -> EngineError {
    EngineError::unreachable(ReasonCode::UnexpectedAnswer, cause)
}

fn timed_out() -> EngineError {
    EngineError::unreachable(ReasonCode::ProviderTimedOut, "the provider did not answer")
}

fn no_answer(error: reqwest::Error) -> CallError {
    if error.is_timeout() {
        return timed_out().into();
    }
    let cause =
        if error.is_connect() { "the provider cannot be reached" } else { "the connection to the provider was closed" };
    EngineError::unreachable(ReasonCode::ProviderUnreachable, cause).into()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
