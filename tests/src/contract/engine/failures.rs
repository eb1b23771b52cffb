//! Promises about providers that reject the credentials or do not answer.

use kqueen_domain::{
    document::MASK,
    observation::EngineError,
    port::engine::Engine,
    reason::{ReasonCode, Responsible},
};
use serde_json::Value;

use super::{Case, Stage};

pub async fn rejected_credentials_are_reported(engine: &dyn Engine, stage: &dyn Stage) {
    let case = Case { credentials: stage.rejected(), ..Case::new(engine, stage) };
    for (call, error) in case.call_everything().await {
        let Some(EngineError::Denied(reason)) = error else { panic!("{call}: {error:?}") };
        assert_eq!(reason.responsible, Responsible::Admin, "{call}: {reason}");
        let codes = [ReasonCode::CredentialsRejected, ReasonCode::PermissionDenied, ReasonCode::AccountDisabled];
        assert!(codes.contains(&reason.code), "{call}: {} {reason}", reason.code);
        assert!(!reason.next_step.is_empty(), "{call}: {reason}");
    }
}

pub async fn an_unreachable_provider_is_reported(engine: &dyn Engine, stage: &dyn Stage) {
    let case = Case { credentials: stage.unreachable(), ..Case::new(engine, stage) };
    for (call, error) in case.call_everything().await {
        let Some(EngineError::Unreachable(reason)) = error else { panic!("{call}: {error:?}") };
        let codes = [
            ReasonCode::ProviderUnreachable,
            ReasonCode::ProviderTimedOut,
            ReasonCode::ProviderUnavailable,
            ReasonCode::UnexpectedAnswer,
        ];
        assert!(codes.contains(&reason.code), "{call}: {} {reason}", reason.code);
    }
}

pub async fn errors_contain_no_secrets(engine: &dyn Engine, stage: &dyn Stage) {
    let descriptor = engine.descriptor();
    for credentials in [stage.rejected(), stage.unreachable()] {
        let case = Case { credentials, ..Case::new(engine, stage) };
        let parameters = case.credentials.parameters.expose().iter().map(|given| (&descriptor.provisioner, given));
        let metadata = case.spec.parameters.expose().iter().map(|given| (&descriptor.cluster, given));
        let secrets: Vec<&str> = parameters
            .chain(metadata)
            .filter(|(form, (name, _))| form.is_secret(&[name.as_str()]))
            .flat_map(|(_, (_, value))| texts(value))
            .collect();
        assert!(!secrets.is_empty() && !secrets.contains(&MASK), "the stage has no secrets to search for");
        for (call, error) in case.call_everything().await {
            let text = error.map(|error| format!("{error} {error:?} {}", error.reason())).unwrap_or_default();
            assert!(secrets.iter().all(|secret| !text.contains(secret)), "{call}: {text}");
        }
    }
}

/// A secret text, or the secret texts of a credentials file: what is long and neither an address nor the name of an account.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Object(file) => {
            let is_secret = |text: &&str| text.len() >= 32 && !text.contains('@') && !text.starts_with("http");
            file.values().filter_map(Value::as_str).filter(is_secret).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => Vec::new(),
    }
}
