//! The kubeconfig of a cluster: that of its local account, whose client certificate lasts for years. It is stored encrypted, as that of
//! an attached cluster.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kqueen_domain::{
    observation::EngineError,
    reason::{ReasonCode, Responsible},
    secret::SecretValue,
};
use secrecy::ExposeSecret;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{rejected, wire::Credentials};

/// The kubeconfig in a response. Its server is used as it is.
pub(super) fn of(credentials: &Credentials) -> Result<SecretValue, EngineError> {
    let unreadable = || {
        EngineError::unreachable(ReasonCode::UnexpectedAnswer, "the response of Azure does not contain a kubeconfig")
    };
    let encoded = credentials.kubeconfigs.first().ok_or_else(unreadable)?.value.expose_secret();
    let decoded = Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| unreadable())?);
    let text = std::str::from_utf8(&decoded).map_err(|_| unreadable())?;
    Ok(Value::from(text).into())
}

/// Why there is no kubeconfig for a cluster without local accounts.
pub(super) fn no_local_accounts() -> EngineError {
    rejected(
        ReasonCode::KubeconfigUnusable,
        "local accounts are disabled in the cluster, so Azure does not issue a kubeconfig that works without kubelogin",
        Responsible::Admin,
        "enable local accounts with az aks update --enable-local-accounts and retry, or attach the cluster with the token of a \
         service account",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kubeconfigs: &Value) -> Result<SecretValue, EngineError> {
        of(&serde_json::from_value(json!({"kubeconfigs": kubeconfigs})).unwrap())
    }

    #[test]
    fn it_is_decoded_or_the_response_is_unusable() {
        let yaml = "apiVersion: v1\nkind: Config\n";
        let given = read(&json!([{"name": "clusterAdmin", "value": STANDARD.encode(yaml)}])).unwrap();
        assert_eq!(given.expose(), yaml);
        for broken in [json!([]), json!([{"value": "%"}]), json!([{"value": STANDARD.encode([0xff_u8])}])] {
            assert!(matches!(read(&broken), Err(EngineError::Unreachable(_))), "{broken}");
        }
    }
}
