//! The login host: OpenID configuration and token endpoint, and their refusals, each with a number.

use chrono::SecondsFormat;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    account::{AKS_SERVER, ARM, Accounts},
    provider::{Aks, retried},
};
use crate::simulator::{
    call::{Call, Reply, Request},
    fault::Trouble,
    provider::Moment,
};

/// A refusal. Every one has an id of its own, a time, and the number among its words.
fn refusal(status: u16, error: &str, number: u32, words: &str, moment: &Moment) -> Reply {
    let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
    let time = moment.now.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ");
    let description =
        format!("AADSTS{number}: {words} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}");
    let mut body = json!({
        "error": error, "error_description": description, "error_codes": [number], "timestamp": time,
        "trace_id": trace, "correlation_id": correlation,
    });
    // Not every number has a page.
    if number > 70_000 {
        body["error_uri"] = format!("https://login.microsoftonline.com/error?code={number}").into();
    }
    Reply::json(status, body)
}

fn no_tenant(tenant: &str, error: &str, moment: &Moment) -> Reply {
    if Uuid::try_parse(tenant).is_err() {
        let words =
            format!("Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain.");
        return refusal(400, error, 900_023, &words, moment);
    }
    let words = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct \
         cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the \
         tenant."
    );
    refusal(400, error, 90_002, &words, moment)
}

fn wrong_secret(client: &str, moment: &Moment) -> Reply {
    let words = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
         client secret ID, for a secret added to app '{client}'."
    );
    refusal(401, "invalid_client", 7_000_215, &words, moment)
}

fn disabled(client: &str, moment: &Moment) -> Reply {
    let words = format!("Application '{client}'(kqueen) is disabled.");
    refusal(400, "unauthorized_client", 7_000_112, &words, moment)
}

impl Aks {
    pub(super) fn openid_configuration(&self, call: &Call, moment: &Moment) -> Reply {
        let (tenant, origin) = (call.parameter("tenant"), &call.request.origin);
        if !self.is_tenant(tenant) {
            return no_tenant(tenant, "invalid_tenant", moment);
        }
        let base = format!("{origin}/{tenant}");
        Reply::ok(json!({
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": format!("{base}/discovery/v2.0/keys"), "issuer": format!("{base}/v2.0"),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
            "response_modes_supported": ["query", "fragment", "form_post"], "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"], "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }))
    }

    pub(super) fn token(&self, call: &Call, moment: &Moment) -> Reply {
        let tenant = call.parameter("tenant");
        if !self.is_tenant(tenant) {
            return no_tenant(tenant, "invalid_request", moment);
        }
        match audience(&self.accounts, tenant, &call.request, moment) {
            Err(refusal) => refusal,
            Ok((client, audience)) => {
                let token = self.accounts.mint_for(&client, audience);
                let body = json!({
                    "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token,
                });
                Reply::ok(body)
            }
        }
    }
}

/// Who asks for a token for what, if it may have one.
fn audience(
    accounts: &Accounts,
    tenant: &str,
    request: &Request,
    moment: &Moment,
) -> Result<(String, &'static str), Reply> {
    let form = request.form();
    let given = |name: &str| form.get(name).filter(|value| !value.is_empty()).map(String::as_str);
    let needed = |name: &str| {
        let words = format!("The request body must contain the following parameter: '{name}'.");
        given(name).ok_or_else(|| refusal(400, "invalid_request", 900_144, &words, moment))
    };
    let (grant, client) = (needed("grant_type")?, needed("client_id")?);
    if grant != "client_credentials" {
        let words = format!("The app requested an unsupported grant type '{grant}'.");
        return Err(refusal(400, "unsupported_grant_type", 70_003, &words, moment));
    }
    let scope = needed("scope")?;
    let known = accounts.get(client).filter(|principal| principal.tenant.eq_ignore_ascii_case(tenant));
    let principal = known.ok_or_else(|| {
        let words = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the \
             application has not been installed by the administrator of the tenant or consented to by any user in the \
             tenant. You may have sent your authentication request to the wrong tenant."
        );
        refusal(400, "unauthorized_client", 700_016, &words, moment)
    })?;
    let secret = given("client_secret").ok_or_else(|| {
        let words =
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.";
        refusal(401, "invalid_client", 7_000_216, words, moment)
    })?;
    if secret != principal.secret {
        return Err(wrong_secret(client, moment));
    }
    if principal.secret_is_expired {
        let words = format!(
            "The provided client secret keys for app '{client}' are expired. Visit the Azure portal to create new keys \
             for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: \
             https://aka.ms/certCreds."
        );
        return Err(refusal(401, "invalid_client", 7_000_222, &words, moment));
    }
    if principal.is_disabled {
        return Err(disabled(client, moment));
    }
    let Some(resource) = scope.strip_suffix("/.default") else {
        let words = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
             /.default suffixed to the resource identifier (application ID URI)."
        );
        return Err(refusal(400, "invalid_scope", 1_002_012, &words, moment));
    };
    let resource = resource.trim_end_matches('/');
    let audience = match resource {
        // A simulator may be asked for tokens for itself, as other clouds have other addresses.
        _ if resource == ARM || resource == "https://management.core.windows.net" || resource == request.origin => ARM,
        AKS_SERVER => AKS_SERVER,
        _ => {
            let words = format!(
                "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen if \
                 the application has not been installed by the administrator of the tenant or consented to by any user \
                 in the tenant."
            );
            return Err(refusal(400, "invalid_resource", 500_011, &words, moment));
        }
    };
    Ok((client.to_owned(), audience))
}

/// What goes wrong at the login host, which has errors of its own.
pub(super) fn trouble(call: &Call, moment: &Moment, trouble: &Trouble) -> Reply {
    let form = call.request.form();
    let client = form.get("client_id").map_or("00000000-0000-0000-0000-00000000000c", String::as_str);
    match trouble {
        Trouble::BadRequest => {
            let told: Value = json!(String::from_utf8_lossy(&call.request.body));
            let words = format!("Invalid request. Request is malformed or invalid: {told}");
            refusal(400, "invalid_request", 9_002_313, &words, moment)
        }
        Trouble::Forbidden => disabled(client, moment),
        Trouble::ParentMissing => no_tenant(call.parameter("tenant"), "invalid_request", moment),
        Trouble::TooManyRequests(after) => {
            let words = "TenantThrottlingError - There are too many incoming requests.";
            retried(refusal(429, "temporarily_unavailable", 90_055, words, moment), *after, moment)
        }
        Trouble::Internal => {
            let words = "A transient error has occurred. Please try again.";
            refusal(500, "server_error", 90_033, words, moment)
        }
        Trouble::Unavailable => {
            let words = "A transient error has occurred. Please try again.";
            refusal(503, "temporarily_unavailable", 90_033, words, moment)
        }
        _ => wrong_secret(client, moment),
    }
}
