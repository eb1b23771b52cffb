//! Secrets and tokens.

use super::*;
use crate::simulator::aks::account::AKS_SERVER;

impl Setup {
    async fn login(&self, tenant: &str, change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Received {
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.principal.client_id.clone()),
            ("client_secret", self.principal.secret.clone()),
            ("scope", "https://management.azure.com/.default".to_owned()),
        ];
        change(&mut form);
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.aks.url);
        let escaped = |value: &str| value.replace(':', "%3A").replace('/', "%2F").replace('~', "%7E");
        let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(pairs.join("&")).send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Received { status, headers, body: answer.json().await.unwrap() }
    }
}

fn set(form: &mut [(&'static str, String)], name: &str, value: &str) {
    let field = form.iter_mut().find(|(field, _)| *field == name).unwrap();
    value.clone_into(&mut field.1);
}

#[tokio::test]
async fn a_secret_is_changed_for_a_token_that_ends() {
    let setup = Setup::new().await;
    let openid = format!("{}/{}/v2.0/.well-known/openid-configuration", setup.aks.url, setup.principal.tenant);
    let openid = setup.ask_with(Method::GET, &openid, &[], Value::Null).await.ok();
    let at = format!("{}/{}/oauth2/v2.0/token", setup.aks.url, setup.principal.tenant);
    assert_eq!(openid["token_endpoint"], at);
    let told = setup.login(&setup.principal.tenant, |_| ()).await.ok();
    assert_eq!((&told["token_type"], &told["expires_in"]), (&json!("Bearer"), &json!(3_599)));
    let token = told["access_token"].as_str().unwrap();
    let group = setup.path("/resourcegroups/rg");
    assert_eq!(setup.ask_as(token, Method::GET, &group, Value::Null).await.status, 200);
    setup.pass(60);
    let told = setup.ask_as(token, Method::GET, &group, Value::Null).await;
    assert!(told.header("www-authenticate").contains(&setup.principal.tenant));
    assert_eq!(told.refused().1, "ExpiredAuthenticationToken");
    assert_eq!(setup.ask_as("", Method::GET, &group, Value::Null).await.refused().1, "AuthenticationFailed");
    let (status, code, _) = setup.ask_as("made-up", Method::GET, &group, Value::Null).await.refused();
    assert_eq!((status, code.as_str()), (401, "InvalidAuthenticationToken"));
    let journal = serde_json::to_string(&setup.aks.journal()).unwrap();
    assert!(!journal.contains(token) && !journal.contains(&setup.principal.secret), "secrets are written down");
    setup.clean();
}

#[tokio::test]
async fn logins_that_are_not_good_are_refused_with_their_numbers() {
    let setup = Setup::new().await;
    let tenant = setup.principal.tenant.clone();
    let nobody = "00000000-0000-4000-8000-0000000000ff";
    let cases = [
        (setup.login(&tenant, |form| set(form, "client_secret", "wrong")).await, 401, "invalid_client", 7_000_215),
        (setup.login(&tenant, |form| set(form, "client_secret", "")).await, 401, "invalid_client", 7_000_216),
        (setup.login(&tenant, |form| set(form, "client_id", nobody)).await, 400, "unauthorized_client", 700_016),
        (setup.login(&tenant, |form| set(form, "client_id", "")).await, 400, "invalid_request", 900_144),
        (setup.login(nobody, |_| ()).await, 400, "invalid_request", 90_002),
        (setup.login("tenant", |_| ()).await, 400, "invalid_request", 900_023),
        (setup.login(&tenant, |form| set(form, "grant_type", "password")).await, 400, "unsupported_grant_type", 70_003),
        (
            setup.login(&tenant, |form| set(form, "scope", "https://graph.microsoft.com")).await,
            400,
            "invalid_scope",
            1_002_012,
        ),
        (setup.login(&tenant, |form| set(form, "scope", "https://x/.default")).await, 400, "invalid_resource", 500_011),
    ];
    for (told, status, error, number) in cases {
        assert_eq!((told.status, &told.body["error"]), (status, &json!(error)), "{}", told.body);
        let description = told.body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{number}: ")), "{description}");
        assert!(description.contains("Trace ID: ") && !description.contains(&setup.principal.secret), "{description}");
        assert_eq!(told.body["error_codes"], json!([number]));
    }
    // A tenant that is there, and an application of another one.
    let other = setup.aks.principal(2, "rg");
    let told = setup.login(&other.tenant, |_| ()).await;
    assert_eq!(told.body["error_codes"], json!([700_016]));
    let client_id = setup.principal.client_id.clone();
    let happen = |is_disabled, secret_is_expired, secret: Option<&str>| {
        let (client_id, secret) = (client_id.clone(), secret.map(str::to_owned));
        setup.aks.happen(Event::Principal { client_id, is_disabled, secret_is_expired, secret });
    };
    happen(false, true, None);
    assert_eq!(setup.login(&tenant, |_| ()).await.body["error_codes"], json!([7_000_222]));
    happen(true, false, None);
    assert_eq!(setup.login(&tenant, |_| ()).await.body["error_codes"], json!([7_000_112]));
    assert_eq!(setup.get(&setup.path("")).await.status, 401);
    happen(false, false, Some("another"));
    assert_eq!(setup.login(&tenant, |_| ()).await.body["error_codes"], json!([7_000_215]));
    // What was minted before stays good until it ends.
    assert_eq!(setup.get(&setup.path("")).await.status, 200);
    setup.aks.happen(Event::TokensExpire);
    assert_eq!(setup.get(&setup.path("")).await.status, 401);
    setup.aks.with(|aks, _| aks.accounts.remove(&client_id));
    assert_eq!(setup.login(&tenant, |_| ()).await.body["error_codes"], json!([700_016]));
    setup.clean();
}

#[tokio::test]
async fn a_cluster_lets_in_its_local_account_and_with_entra_those_of_its_tenant() {
    let setup = Setup::new().await;
    setup.running(2).await;
    let mut with_entra = asked(1);
    with_entra["properties"]["aadProfile"] = json!({"managed": true, "enableAzureRBAC": true});
    with_entra["properties"]["disableLocalAccounts"] = true.into();
    setup.put(&setup.at("entra"), with_entra).await.ok();
    setup.pass(5);
    let admin = setup.kubeconfig("c", "listClusterAdminCredential").await;
    let user = setup.kubeconfig("c", "listClusterUserCredential?format=exec").await;
    assert_eq!(entry(&admin, "current-context"), "c-admin");
    assert!(admin.contains("client-certificate-data: ") && !user.contains("exec:"), "{user}");
    for config in [&admin, &user] {
        assert_eq!(nodes(config, entry(config, "token")).await, Ok(2));
    }
    let told = setup.login(&setup.principal.tenant, |form| set(form, "scope", &format!("{AKS_SERVER}/.default"))).await;
    let own = told.ok()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(nodes(&admin, &own).await, Err(401));
    assert_eq!(nodes(&admin, &setup.token).await, Err(401));

    let refused = setup.post(&format!("{}/listClusterAdminCredential", setup.at("entra"))).await.refused();
    assert_eq!((refused.0, refused.1.as_str()), (400, "BadRequest"));
    assert!(refused.2.contains("Getting static credential is not allowed"), "{}", refused.2);
    let exec = setup.kubeconfig("entra", "listClusterUserCredential?format=exec").await;
    assert!(exec.contains("command: kubelogin") && exec.contains(&setup.principal.tenant), "{exec}");
    let azure = setup.kubeconfig("entra", "listClusterUserCredential?format=azure").await;
    assert!(azure.contains("auth-provider"), "{azure}");
    assert_eq!(nodes(&exec, &own).await, Ok(1));
    assert_eq!(nodes(&exec, &setup.token).await, Err(401), "a token for Resource Manager is none for a cluster");
    let token = setup.aks.with(|aks, _| aks.clusters[&setup.name("entra")].token.clone());
    assert_eq!(nodes(&exec, &token).await, Err(401), "local accounts are disabled");
    // A token for a cluster is none for Resource Manager.
    assert_eq!(setup.ask_as(&own, Method::GET, &setup.at("c"), Value::Null).await.status, 401);
    // Rotated certificates end what was handed out.
    setup.aks.happen(Event::Rotates { cluster: setup.name("c") });
    assert_eq!(nodes(&admin, entry(&admin, "token")).await, Err(401));
    let admin = setup.kubeconfig("c", "listClusterAdminCredential").await;
    assert_eq!(nodes(&admin, entry(&admin, "token")).await, Ok(2));
    setup.clean();
}
