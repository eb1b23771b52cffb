use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::*;

/// A reply, and what has to become of it.
#[derive(Deserialize)]
struct Case {
    case: String,
    call: String,
    status: u16,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
    outcome: String,
    code: String,
    responsible: String,
    /// A part of the cause.
    cause: Option<String>,
}

impl Case {
    fn reply(&self) -> Reply {
        let header = |(name, value): (&String, &String)| {
            (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
        };
        let headers: HeaderMap = self.headers.iter().map(header).collect();
        Reply { status: StatusCode::from_u16(self.status).unwrap(), headers, body: self.body.clone().into() }
    }

    fn explained(&self) -> (&'static str, Reason) {
        let what = "the cluster";
        let error = match self.call.as_str() {
            "token" => of_token(&self.reply()),
            "condition" => return ("reason", of_condition(what, &serde_json::from_str::<Vec<_>>(&self.body).unwrap())),
            "operation" => return ("reason", of_operation(what, &serde_json::from_str(&self.body).unwrap())),
            _ => match of(&self.reply()) {
                failure @ (CallError::Missing | CallError::AlreadyExists | CallError::TokenRejected(_)) => {
                    let outcome = match failure {
                        CallError::Missing => "missing",
                        CallError::AlreadyExists => "already_exists",
                        CallError::TokenRejected(_) | CallError::Error(_) => "token_rejected",
                    };
                    return (outcome, EngineError::from(failure).reason());
                }
                CallError::Error(error) => error,
            },
        };
        let outcome = match &error {
            EngineError::Rejected(_) => "rejected",
            EngineError::Denied(_) => "denied",
            EngineError::Busy(_) => "busy",
            EngineError::Throttled { .. } => "throttled",
            EngineError::Unreachable(_) => "unreachable",
            EngineError::Missing => "missing",
            EngineError::Unsupported(_) | EngineError::NotOffered => "other",
        };
        (outcome, error.reason())
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("replies.json")).unwrap()
}

#[test]
fn every_reply_is_explained() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let (outcome, reason) = case.explained();
        let expected = (case.outcome.as_str(), case.code.as_str(), case.responsible.as_str());
        let found = (outcome, reason.code.as_str(), reason.responsible.as_str());
        let has_cause = case.cause.as_ref().is_none_or(|cause| reason.cause.contains(cause.as_str()));
        // A throttled call is tried again without anybody doing anything about it.
        let says_what_to_do = !reason.next_step.is_empty() || matches!(outcome, "busy" | "throttled" | "missing");
        if found != expected || !has_cause || !says_what_to_do {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}: {reason}", case.case));
        }
    }
    println!("GKE: {} of {} error replies explained", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 40);
}

#[test]
fn the_providers_words_are_kept_and_no_cause_changes_with_ids() {
    for case in cases() {
        let (outcome, reason) = case.explained();
        assert!(!reason.cause.contains("0x5f1f2a"), "{}: {}", case.case, reason.cause);
        let has_message = case.body.contains("message") || case.body.contains("error_description");
        if has_message && matches!(outcome, "rejected" | "denied" | "unreachable" | "reason") {
            assert!(reason.provider_message.is_some(), "{}", case.case);
        }
    }
}

#[test]
fn half_a_token_is_not_quoted() {
    let case = cases().into_iter().find(|case| case.case == "token service answers half a token").unwrap();
    assert!(!format!("{:?}", case.explained().1).contains("ya29"));
}

#[test]
fn a_time_to_wait_is_obeyed() {
    let case = cases().into_iter().find(|case| case.case == "throttled with a time to wait").unwrap();
    assert_eq!(of(&case.reply()), CallError::Error(EngineError::Throttled { retry_after: Duration::from_secs(17) }));
}
