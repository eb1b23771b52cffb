use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::*;

/// A reply of Azure, and what is expected of it.
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
        let failure = match self.call.as_str() {
            "token" => CallError::Error(of_token(&self.reply())),
            "failure" => return ("reason", of_provisioning(&serde_json::from_str(&self.body).unwrap())),
            _ => of(&self.reply()),
        };
        let outcome = match &failure {
            CallError::Missing => "missing",
            CallError::GroupMissing => "group_missing",
            CallError::AlreadyExists => "already_exists",
            CallError::Changed => "changed",
            CallError::NotRegistered(_) => "not_registered",
            CallError::TokenRejected(_) => "token_rejected",
            CallError::Error(EngineError::Rejected(_)) => "rejected",
            CallError::Error(EngineError::Denied(_)) => "denied",
            CallError::Error(EngineError::Busy(_)) => "busy",
            CallError::Error(EngineError::Throttled { .. }) => "throttled",
            CallError::Error(EngineError::Unreachable(_)) => "unreachable",
            CallError::Error(EngineError::Missing | EngineError::Unsupported(_) | EngineError::NotOffered) => "other",
        };
        (outcome, EngineError::from(failure).reason())
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("replies.json")).unwrap()
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.case == name).unwrap()
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
        if found != expected || !has_cause || reason.next_step.is_empty() {
            wrong.push(format!("{}: expected {expected:?}, found {found:?}: {reason}", case.case));
        }
    }
    println!("AKS: {} of {} error replies explained", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(cases.len() >= 50);
}

#[test]
fn the_provider_message_is_kept_and_no_cause_changes_with_ids() {
    for case in cases() {
        let (outcome, reason) = case.explained();
        assert!(!reason.cause.contains("0b5e9a7c"), "{}: {}", case.case, reason.cause);
        let has_message = case.body.contains("message") || case.body.contains("error_description");
        let keeps = ["rejected", "denied", "unreachable", "not_registered", "token_rejected", "reason"];
        if has_message && keeps.contains(&outcome) {
            assert!(reason.provider_message.is_some(), "{}", case.case);
        }
    }
}

#[test]
fn a_requested_delay_is_used() {
    for (name, seconds) in [("throttled with a delay", 17), ("throttled without a delay", THROTTLED.as_secs())] {
        let retry_after = Duration::from_secs(seconds);
        assert_eq!(of(&case(name).reply()), CallError::Error(EngineError::Throttled { retry_after }), "{name}");
    }
}

#[test]
fn truncated_tokens_and_kubeconfigs_are_not_quoted() {
    for name in ["login service answers with half of a token", "half of a kubeconfig"] {
        let shown = format!("{:?}", case(name).explained().1);
        assert!(!shown.contains("eyJ0eXAi") && !shown.contains("YXBpVmVyc2lvbjog"), "{shown}");
    }
}

#[test]
fn credentials_in_a_message_are_hidden() {
    let words = "PUT /x authorization: Bearer eyJ.a.b {\"keyData\":\"ssh-rsa AAAA me\",\"secret\":\"s\\\"} scope=y&client_secret=q~8&z=1";
    let shown = message::without_credentials(words);
    assert!(shown.starts_with("PUT /x authorization: Bearer *** {\"keyData\":\"***\",\"secret\":\"***"), "{shown}");
    for secret in ["eyJ", "AAAA", "q~8"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(message::without_credentials("no secret: Bearer "), "no secret: Bearer ***");
}

#[test]
fn fields_that_are_null_or_have_another_type_are_ignored() {
    let read = |value: Value| serde_json::from_value::<ProvisioningError>(value).unwrap();
    let plain = ProvisioningError { code: "A".into(), message: "m".into(), ..ProvisioningError::default() };
    assert_eq!(read(json!({"code": "A", "message": "m", "details": null, "target": 1})), plain);
    assert_eq!(read(json!({"Code": "A", "Message": "m", "details": {"x": 1}, "subcode": 7})), plain);
    let nested =
        json!({"code": "A", "message": "m", "details": [{"code": "B", "details": [{"code": "C", "message": "n"}]}]});
    let nested = read(nested);
    assert_eq!(nested.codes().into_iter().filter(|code| !code.is_empty()).collect::<Vec<_>>(), ["C", "B", "A"]);
    assert_eq!(nested.words(), "A: m; B; C: n");
}

#[test]
fn codes_in_messages_are_found() {
    let message = "Code=\"AllocationFailed\" Message=\"x\" SubCode: LinkedAuthorizationFailed; {\"code\":\"QuotaExceeded\"} node Ab, mode";
    let found: Vec<_> = message::codes_in(message).collect();
    assert_eq!(found, ["AllocationFailed", "LinkedAuthorizationFailed", "QuotaExceeded"]);
}
