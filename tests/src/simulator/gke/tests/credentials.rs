//! Assertions and tokens.

use super::*;
use crate::simulator::gke::account::sign;

impl Setup {
    async fn grant(&self, form: &[(&str, &str)]) -> Received {
        let body: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.client.post(self.gke.token_url());
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body.join("&"));
        let answer = request.send().await.unwrap();
        Received { status: answer.status().as_u16(), body: answer.json().await.unwrap() }
    }

    async fn present(&self, assertion: &str) -> Received {
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        self.grant(&[("grant_type", grant), ("assertion", assertion)]).await
    }

    /// Claims as they should be, changed.
    fn claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = self.gke.now().timestamp();
        let mut claims = json!({
            "iss": self.account.email, "aud": "https://oauth2.googleapis.com/token", "iat": now, "exp": now + 3_600,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
        });
        change(&mut claims);
        sign(&json!({"alg": "RS256", "typ": "JWT", "kid": self.account.key_id}), &claims)
    }
}

#[tokio::test]
async fn an_assertion_is_changed_for_a_token_that_ends() {
    let setup = Setup::new().await;
    let told = setup.present(&setup.account.assertion(setup.gke.now())).await.ok();
    assert_eq!((&told["token_type"], &told["expires_in"]), (&json!("Bearer"), &json!(3_599)));
    let token = told["access_token"].as_str().unwrap();
    let list = "/v1/projects/p/locations/-/clusters";
    assert_eq!(setup.ask_as(token, Method::GET, list, Value::Null).await.status, 200);
    setup.pass(60);
    let told = setup.ask_as(token, Method::GET, list, Value::Null).await;
    assert_eq!((told.status, &told.body["error"]["details"][0]["reason"]), (401, &json!("ACCESS_TOKEN_EXPIRED")));
    let told = setup.ask_as("", Method::GET, list, Value::Null).await;
    assert_eq!((told.status, &told.body["error"]["details"][0]["reason"]), (401, &json!("CREDENTIALS_MISSING")));
    assert_eq!(setup.ask_as("made-up", Method::GET, list, Value::Null).await.refused().1, "UNAUTHENTICATED");
    let journal = serde_json::to_string(&setup.gke.journal()).unwrap();
    assert!(!journal.contains(token) && !journal.contains("assertion=ey"), "secrets are written down");
    setup.clean();
}

#[tokio::test]
async fn both_audiences_are_good() {
    let setup = Setup::new().await;
    for audience in [setup.gke.token_url(), "https://oauth2.googleapis.com/token".to_owned()] {
        setup.present(&setup.claims(|claims| claims["aud"] = audience.into())).await.ok();
    }
    // Ahead and behind by less than minutes.
    for seconds in [-240, 240] {
        setup
            .present(&setup.claims(|claims| {
                for time in ["iat", "exp"] {
                    claims[time] = (claims[time].as_i64().unwrap() + seconds).into();
                }
            }))
            .await
            .ok();
    }
    setup.clean();
}

#[tokio::test]
async fn assertions_that_are_not_good_are_refused() {
    let setup = Setup::new().await;
    let shift = |seconds: i64| {
        setup.claims(|claims| {
            for time in ["iat", "exp"] {
                claims[time] = (claims[time].as_i64().unwrap() + seconds).into();
            }
        })
    };
    let good = setup.claims(|_| ());
    let (text, _) = good.rsplit_once('.').unwrap();
    let timeframe = "Invalid JWT: Token must be a short-lived token (60 minutes)";
    let header = |header: Value| {
        let claims = json!({"iss": setup.account.email});
        sign(&header, &claims)
    };
    for (assertion, error, words) in [
        (shift(-7_200), "invalid_grant", timeframe),
        (shift(1_200), "invalid_grant", timeframe),
        (
            setup.claims(|claims| claims["exp"] = (claims["exp"].as_i64().unwrap() + 60).into()),
            "invalid_grant",
            timeframe,
        ),
        (setup.claims(|claims| claims["iat"] = Value::Null), "invalid_grant", timeframe),
        (setup.claims(|claims| claims["aud"] = "https://example.com".into()), "invalid_grant", "Failed audience check"),
        (setup.claims(|claims| claims["iss"] = "nobody@p.iam".into()), "invalid_grant", "account not found"),
        (setup.claims(|claims| claims["scope"] = "email".into()), "invalid_scope", "Invalid OAuth scope"),
        (format!("{text}.AAAA"), "invalid_grant", "Invalid JWT Signature."),
        (header(json!({"alg": "RS256", "kid": "another"})), "invalid_grant", "Invalid JWT Signature."),
        (header(json!({"alg": "none"})), "invalid_grant", "Unsupported algorithm"),
        ("nonsense".to_owned(), "invalid_grant", "malformed"),
    ] {
        let told = setup.present(&assertion).await;
        assert_eq!((told.status, &told.body["error"]), (400, &json!(error)), "{}", told.body);
        assert!(told.body["error_description"].as_str().unwrap().contains(words), "{}", told.body);
    }
    let told = setup.grant(&[("grant_type", "password")]).await;
    assert_eq!(told.body["error"], "unsupported_grant_type");
    setup.clean();
}

#[tokio::test]
async fn keys_and_accounts_can_be_taken_back() {
    let setup = Setup::new().await;
    let (email, assertion) = (setup.account.email.clone(), setup.account.assertion(setup.gke.now()));
    setup.gke.happen(Event::Account { email: email.clone(), is_disabled: false, key_is_deleted: true });
    assert_eq!(setup.present(&assertion).await.body["error_description"], "Invalid JWT Signature.");
    // What was minted before stays good until it ends.
    assert_eq!(setup.get(&format!("{ZONE}/serverConfig")).await.status, 200);
    setup.gke.happen(Event::Account { email: email.clone(), is_disabled: true, key_is_deleted: false });
    assert_eq!(setup.present(&assertion).await.status, 400);
    assert_eq!(setup.get(&format!("{ZONE}/serverConfig")).await.status, 401);
    setup.gke.happen(Event::Account { email: email.clone(), is_disabled: false, key_is_deleted: false });
    setup.present(&assertion).await.ok();
    setup.gke.happen(Event::TokensExpire);
    assert_eq!(setup.get(&format!("{ZONE}/serverConfig")).await.status, 401);
    setup.gke.with(|gke, _| gke.accounts.remove(&email));
    assert_eq!(setup.present(&assertion).await.body["error_description"], "Invalid grant: account not found");
    setup.clean();
}

#[tokio::test]
async fn a_wrong_key_file_differs_in_nothing_but_its_key() {
    let setup = Setup::new().await;
    let (good, wrong) = (setup.account.key_file("x"), setup.account.wrong_key_file("x"));
    assert_ne!(good["private_key"], wrong["private_key"]);
    for (field, value) in good.as_object().unwrap().iter().filter(|(field, _)| *field != "private_key") {
        assert_eq!(value, &wrong[field]);
    }
}
