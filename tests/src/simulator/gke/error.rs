//! Refusals in Google's words: the form of all errors, and one function per matter.

use serde_json::{Value, json};

use crate::simulator::call::Reply;

/// The canonical codes with their numbers, HTTP statuses and the reasons of the older form.
const CODES: [(&str, i64, u16, &str); 14] = [
    ("CANCELLED", 1, 499, "cancelled"),
    ("UNKNOWN", 2, 500, "backendError"),
    ("INVALID_ARGUMENT", 3, 400, "badRequest"),
    ("DEADLINE_EXCEEDED", 4, 504, "backendError"),
    ("NOT_FOUND", 5, 404, "notFound"),
    ("ALREADY_EXISTS", 6, 409, "alreadyExists"),
    ("PERMISSION_DENIED", 7, 403, "forbidden"),
    ("RESOURCE_EXHAUSTED", 8, 429, "rateLimitExceeded"),
    ("FAILED_PRECONDITION", 9, 400, "failedPrecondition"),
    ("ABORTED", 10, 409, "conflict"),
    ("UNIMPLEMENTED", 12, 501, "notImplemented"),
    ("INTERNAL", 13, 500, "backendError"),
    ("UNAVAILABLE", 14, 503, "backendError"),
    ("UNAUTHENTICATED", 16, 401, "authError"),
];

/// The number of a canonical code, as operations carry it.
pub(super) fn number(code: &str) -> i64 {
    CODES.iter().find(|(name, ..)| *name == code).map_or(13, |(_, number, ..)| *number)
}

/// A refusal with what belongs to it.
pub(super) fn refusal(code: &str, message: impl Into<String>, details: Vec<Value>) -> Reply {
    let (_, _, status, reason) = *CODES.iter().find(|(name, ..)| *name == code).unwrap_or(&CODES[11]);
    let message = message.into();
    let mut error = json!({
        "code": status, "message": message, "status": code,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    });
    if !details.is_empty() {
        error["details"] = details.into();
    }
    Reply::json(status, json!({"error": error}))
}

/// A refusal with the id of the request, as most carry it. The id differs with every answer.
pub(super) fn plain(code: &str, message: impl Into<String>) -> Reply {
    let id = format!("0x{:x}", uuid::Uuid::new_v4().as_u128() >> 64);
    refusal(code, message, vec![json!({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": id})])
}

fn info(reason: &str, domain: &str, metadata: Value) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain, "metadata": metadata})
}

/// No token was sent.
pub(super) fn no_token(method: &str) -> Reply {
    let message = "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or \
                   other valid authentication credential. See \
                   https://developers.google.com/identity/sign-in/web/devconsole-project.";
    refusal("UNAUTHENTICATED", message, vec![info("CREDENTIALS_MISSING", "googleapis.com", json!({"method": method}))])
}

/// The token is not known, or no longer good.
pub(super) fn bad_token(method: &str) -> Reply {
    let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other \
                   valid authentication credential. See \
                   https://developers.google.com/identity/sign-in/web/devconsole-project.";
    let details = info("ACCESS_TOKEN_TYPE_UNSUPPORTED", "googleapis.com", json!({"method": method}));
    refusal("UNAUTHENTICATED", message, vec![details])
}

/// The token was good until recently.
pub(super) fn expired_token(method: &str) -> Reply {
    let mut body = bad_token(method).value().cloned().unwrap_or_default();
    body["error"]["details"] = json!([info("ACCESS_TOKEN_EXPIRED", "googleapis.com", json!({"method": method}))]);
    Reply::json(401, body)
}

/// The project is not there, or not for this caller: Google does not say which.
pub(super) fn no_project(project: &str) -> Reply {
    let details = info("CONSUMER_INVALID", "googleapis.com", json!({"consumer": format!("projects/{project}")}));
    let message = format!("Permission denied on resource project {project}.");
    refusal("PERMISSION_DENIED", message, vec![details])
}

/// The caller lacks a permission.
pub(super) fn lacks(permission: &str, resource: &str) -> Reply {
    let message = format!("Required \"{permission}\" permission(s) for \"{resource}\".");
    plain("PERMISSION_DENIED", message)
}

/// An API is not switched on in the project.
pub(super) fn disabled(service: &str, title: &str, project: &str, number: u64) -> Reply {
    let address = format!("https://console.developers.google.com/apis/api/{service}/overview?project={number}");
    let message = format!(
        "{title} has not been used in project {number} before or it is disabled. Enable it by visiting {address} then \
         retry. If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    );
    let help = json!({
        "@type": "type.googleapis.com/google.rpc.Help",
        "links": [{"description": "Google developers console API activation", "url": address}],
    });
    let metadata = json!({"service": service, "consumer": format!("projects/{number}"), "containerInfo": project});
    refusal("PERMISSION_DENIED", message, vec![help, info("SERVICE_DISABLED", "googleapis.com", metadata)])
}

/// Nobody pays for the project.
pub(super) fn no_billing(service: &str, number: u64) -> Reply {
    let address = format!("https://console.developers.google.com/billing/enable?project={number}");
    let message = format!(
        "This API method requires billing to be enabled. Please enable billing on project #{number} by visiting {address} \
         then retry. If you enabled billing for this project recently, wait a few minutes for the action to propagate to \
         our systems and retry."
    );
    let metadata = json!({"service": service, "consumer": format!("projects/{number}")});
    refusal("PERMISSION_DENIED", message, vec![info("BILLING_DISABLED", "googleapis.com", metadata)])
}

/// The quota of calls in a minute is used up.
pub(super) fn too_many(service: &str, number: u64) -> Reply {
    let message = format!(
        "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service '{service}' for consumer \
         'project_number:{number}'."
    );
    let metadata = json!({
        "service": service, "consumer": format!("projects/{number}"), "quota_location": "global",
        "quota_limit": "DefaultRequestsPerMinutePerProject", "quota_limit_value": "3000",
        "quota_metric": format!("{service}/default_requests"), "quota_unit": "1/min/{project}",
    });
    refusal("RESOURCE_EXHAUSTED", message, vec![info("RATE_LIMIT_EXCEEDED", "googleapis.com", metadata)])
}

/// A quota of a region is used up.
pub(super) fn quota(project: &str, metric: &str, wanted: f64, limit: f64, used: f64) -> Reply {
    let available = (limit - used).max(0.0);
    let short = wanted - available;
    let message = format!(
        "Insufficient regional quota to satisfy request: resource \"{metric}\": request requires '{wanted:.1}' and is \
         short '{short:.1}'. project has a quota of '{limit:.1}' with '{available:.1}' available. View and manage quotas \
         at https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={project}."
    );
    plain("PERMISSION_DENIED", message)
}

/// Something else is under way.
pub(super) fn busy(operation: &str) -> Reply {
    plain("FAILED_PRECONDITION", format!("Cluster is running incompatible operation {operation}."))
}

pub(super) fn not_found(what: &str) -> Reply {
    plain("NOT_FOUND", format!("Not found: {what}."))
}

pub(super) fn exists(what: &str) -> Reply {
    plain("ALREADY_EXISTS", format!("Already exists: {what}."))
}

pub(super) fn invalid(message: impl Into<String>) -> Reply {
    plain("INVALID_ARGUMENT", message)
}

/// The body is not what the schema says.
pub(super) fn bad_body(violations: &[String]) -> Reply {
    let message = format!("Invalid JSON payload received. {}", violations.join("\n"));
    let violations: Vec<Value> = violations.iter().map(|what| json!({"description": what})).collect();
    let details = json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations});
    refusal("INVALID_ARGUMENT", message, vec![details])
}

/// What the token endpoint refuses, in OAuth's form.
pub(super) fn grant(error: &str, description: &str) -> Reply {
    Reply::json(
        if error == "invalid_client" { 401 } else { 400 },
        json!({"error": error, "error_description": description}),
    )
}
