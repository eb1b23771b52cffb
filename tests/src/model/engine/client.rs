//! The engine's HTTP calls, and what their outcomes mean.

use std::{borrow::Cow, time::Duration};

use kqueen_domain::{
    ledger::{OwnershipTag, ProviderResource as Made, ResourceRef},
    observation::EngineError,
    reason::{Reason, ReasonCode, Responsible},
    secret::SecretMap,
};
use reqwest::{Method, Response, StatusCode, Url, header};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::wire::{Explanation, Page, ProvisionerParameters, Refusal, Thing};
use crate::model::{Kind, Patience};

/// When to come back if the provider does not say, and the longest that it is believed.
const RETRY_AFTER: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

/// Why a call was not successful, as far as it matters to what the engine does next.
#[derive(Debug)]
pub(super) enum Failure {
    /// The thing is not there, though its project is.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Things with these ids stand on it.
    InUse(Vec<String>),
    /// There is nothing more to it than its meaning.
    Other(EngineError),
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound => Self::Missing,
            Failure::AlreadyExists => Self::Busy("the name is taken, and nothing is seen under it yet".to_owned()),
            Failure::InUse(_) => Self::Busy("something still stands on it".to_owned()),
            Failure::Other(error) => error,
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Other(error)
    }
}

/// The provider with somebody's credentials.
pub(super) struct Session<'a> {
    http: &'a reqwest::Client,
    patience: &'a Patience,
    base: Url,
    token: SecretString,
    /// Where new things are made.
    pub(super) project: String,
    /// What must not be in anything that is said.
    secrets: Vec<SecretString>,
}

impl<'a> Session<'a> {
    /// With a provisioner's parameters. Nothing is sent yet.
    pub(super) fn new(
        http: &'a reqwest::Client,
        patience: &'a Patience,
        parameters: &SecretMap,
    ) -> Result<Self, EngineError> {
        let incomplete = || {
            let cause = "the provisioner's parameters are not complete";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Admin,
                "fill in address, project and token",
            ))
        };
        let ProvisionerParameters { url, token, project } = parameters.read().ok_or_else(incomplete)?;
        let base = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https")).ok_or_else(|| {
            let cause = "the provisioner's address is not that of a provider";
            EngineError::Rejected(Reason::new(
                ReasonCode::InvalidParameter,
                cause,
                Responsible::Admin,
                "correct the provisioner's url",
            ))
        })?;
        Ok(Self { http, patience, base, secrets: vec![token.clone()], token, project })
    }

    /// Keeps a secret out of everything that is said.
    pub(super) fn hide(&mut self, secret: Option<&SecretString>) {
        self.secrets.extend(secret.cloned());
    }

    /// One call.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["v1", "projects"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let id = Uuid::new_v4().to_string();
        let runs_out = self.patience.runs_out(&id);
        let mut request = self.http.request(method, url).header("x-call", &id).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answered = async {
            let response = request.send().await.map_err(unanswered)?;
            let (status, retry_after) = (response.status(), retry_after(&response));
            let body = response.bytes().await.map_err(unanswered)?;
            Ok::<_, Failure>((status, retry_after, body))
        };
        let (status, retry_after, body) = tokio::select! {
            answered = answered => answered?,
            () = runs_out => return Err(timed_out().into()),
        };
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|_| nonsense("the provider answers with something that makes no sense").into());
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        Err(self.refused(status, retry_after, refusal.error))
    }

    /// What a refusal means.
    fn refused(&self, status: StatusCode, retry_after: Option<Duration>, why: Explanation) -> Failure {
        let words = self.without_secrets(&why.message);
        let reason = |code, cause: &str, responsible, next: &str| {
            Reason::new(code, cause, responsible, next).with_words(words.as_ref())
        };
        let rejected = |code, cause: &str, responsible, next: &str| {
            Failure::Other(EngineError::Rejected(reason(code, cause, responsible, next)))
        };
        let busy = || Failure::Other(EngineError::Busy(words.clone().into_owned()));
        match (status.as_u16(), why.code.as_str()) {
            (401, _) => Failure::Other(EngineError::Denied(reason(
                ReasonCode::CredentialsRejected,
                "the provider does not accept the token",
                Responsible::Admin,
                "give the provisioner a token that is valid",
            ))),
            (403, _) => {
                let right = if why.right.is_empty() { "a right" } else { &why.right };
                let cause = format!("the token lacks the right {right}");
                let next = "give the token that right";
                Failure::Other(EngineError::Denied(reason(
                    ReasonCode::PermissionDenied,
                    &cause,
                    Responsible::Admin,
                    next,
                )))
            }
            (404, "not_found") => Failure::NotFound,
            (404, "project_not_found") => rejected(
                ReasonCode::NotFound,
                "the provider does not have the project",
                Responsible::Admin,
                "correct the provisioner's project, or make it at the provider",
            ),
            (404 | 405, _) => rejected(
                ReasonCode::WrongEndpoint,
                "there is no such provider at the provisioner's address",
                Responsible::Admin,
                "correct the provisioner's url",
            ),
            (409, "already_exists") => Failure::AlreadyExists,
            (409, "in_use") => Failure::InUse(why.used_by),
            (409, "never_ran") => rejected(
                ReasonCode::InvalidState,
                "it has never run, so that it cannot be changed",
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
                let retry_after = retry_after.unwrap_or(RETRY_AFTER).min(LONGEST);
                Failure::Other(EngineError::Throttled { retry_after })
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
            // It may have been done all the same.
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

    /// The thing of that name, whoever made it.
    pub(super) async fn find(&self, name: &ResourceRef) -> Result<Option<Thing>, EngineError> {
        let path = [name.location.as_str(), plural(&name.kind)?, &name.name];
        match self.call::<Thing>(Method::GET, &path, &[], None).await {
            Ok(thing) => Ok(Some(named(thing, name)?)),
            Err(Failure::NotFound) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The thing of that name, which must carry the ownership tag.
    pub(super) async fn ours(&self, name: &ResourceRef, tag: &OwnershipTag) -> Result<Thing, EngineError> {
        match self.find(name).await? {
            None => Err(EngineError::Missing),
            Some(thing) if thing.carries(tag) => Ok(thing),
            Some(_) => Err(taken(name)),
        }
    }

    /// Everything in a project that carries these labels.
    pub(super) async fn list(&self, project: &str, labels: &[(&str, String)]) -> Result<Vec<Thing>, EngineError> {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (mut things, mut page) = (Vec::new(), None::<String>);
        loop {
            let mut query: Vec<(&str, &str)> = labels.iter().map(|label| ("label", label.as_str())).collect();
            query.extend(page.as_deref().map(|page| ("page", page)));
            let Page { items, next } = self.call(Method::GET, &[project, "things"], &query, None).await?;
            things.extend(items);
            match next {
                // Pages that lead back to where they began would never end.
                Some(next) if page.as_ref() != Some(&next) => page = Some(next),
                Some(_) => return Err(nonsense("the provider's list does not end")),
                None => return Ok(things),
            }
        }
    }

    /// Asks for something to be done to that very thing, and no other that has taken its name meanwhile.
    pub(super) async fn ask(
        &self,
        method: Method,
        name: &ResourceRef,
        thing: &Thing,
        verb: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Thing, Failure> {
        let mut path = vec![name.location.as_str(), plural(&name.kind)?, &name.name];
        path.extend(verb);
        let done: Thing = self.call(method, &path, &[("id", &thing.id)], body).await?;
        Ok(named(done, name)?)
    }
}

/// The kind's place in paths.
pub(super) fn plural(kind: &str) -> Result<&'static str, EngineError> {
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    kind.map(Kind::plural).ok_or(EngineError::Unsupported("handle a thing of that kind"))
}

/// The answer is about what was asked.
pub(super) fn named(thing: Thing, name: &ResourceRef) -> Result<Thing, EngineError> {
    if thing.kind == name.kind && thing.name == name.name {
        Ok(thing)
    } else {
        Err(nonsense("the provider answers about something else"))
    }
}

/// A thing in the terms of the ledger.
pub(super) fn made(thing: &Thing, place: &str) -> Made {
    let name = ResourceRef { kind: thing.kind.clone(), name: thing.name.clone(), location: place.to_owned() };
    Made { name, provider_id: Some(thing.id.clone()) }
}

/// Somebody else has the name.
pub(super) fn taken(name: &ResourceRef) -> EngineError {
    EngineError::Rejected(Reason::new(
        ReasonCode::NameTaken,
        format!("the provider has a {name} that was not made for this cluster"),
        Responsible::Admin,
        "remove or rename it at the provider; it is not touched from here",
    ))
}

/// The provider answers, and not as it should.
pub(super) fn nonsense(what: &str) -> EngineError {
    EngineError::unreachable(ReasonCode::UnexpectedAnswer, what)
}

fn timed_out() -> EngineError {
    EngineError::unreachable(ReasonCode::ProviderTimedOut, "the provider does not answer")
}

fn unanswered(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return timed_out().into();
    }
    let cause =
        if error.is_connect() { "the provider cannot be reached" } else { "the connection to the provider was cut" };
    EngineError::unreachable(ReasonCode::ProviderUnreachable, cause).into()
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
