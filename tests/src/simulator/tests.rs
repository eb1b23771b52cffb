//! What all simulators have in common, on a provider that keeps words.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{
    kubernetes::{ClusterApi, Node},
    schema::Schemas,
    *,
};

/// Keeps words: `PUT /words/{word}`, `GET /words`. A word is kept a minute after it was put.
struct Words {
    kept: BTreeSet<String>,
    before: BTreeSet<String>,
    due: BTreeMap<String, DateTime<Utc>>,
    changes: u64,
    schemas: Schemas,
}

impl Words {
    fn new() -> Self {
        let schemas = Schemas::new(json!({"$defs": {
            "Words": {"type": "object", "required": ["words"], "additionalProperties": false, "properties": {
                "words": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
            }},
        }}));
        Self { kept: BTreeSet::new(), before: BTreeSet::new(), due: BTreeMap::new(), changes: 0, schemas }
    }
}

impl Provider for Words {
    fn route(&self, request: &Request) -> Option<Route> {
        let segments = request.segments();
        match (request.method.as_str(), segments.iter().map(String::as_str).collect::<Vec<_>>().as_slice()) {
            ("GET", ["words"]) => Some(Route::new("words.list", true)),
            ("PUT", ["words", word]) => Some(Route::new("words.put", false).with("word", *word)),
            _ => None,
        }
    }

    fn unknown(&self, _: &Request) -> Reply {
        Reply::json(404, json!({"error": "nothing is here"}))
    }

    fn pass(&mut self, moment: &Moment) {
        let due: Vec<String> =
            self.due.iter().filter(|(_, at)| **at <= moment.now).map(|(word, _)| word.clone()).collect();
        for word in due {
            self.due.remove(&word);
            self.before = self.kept.clone();
            self.kept.insert(word);
        }
    }

    fn act(&mut self, call: &Call, moment: &Moment, twist: &Twist) -> Reply {
        if call.kind() == "words.put" {
            if twist.doom.is_none() {
                self.due.insert(call.parameter("word").to_owned(), moment.after(TimeDelta::minutes(1)));
            }
            self.changes += 1;
            return Reply::empty(202);
        }
        Reply::ok(json!({"words": if twist.is_stale { &self.before } else { &self.kept }}))
    }

    fn trouble(&self, call: &Call, _: &Moment, trouble: &Trouble) -> Reply {
        let reply = Reply::json(if matches!(trouble, Trouble::TooManyRequests(_)) { 429 } else { 400 }, json!({}));
        match trouble {
            Trouble::TooManyRequests(RetryAfter::Seconds(wait)) => reply.header("retry-after", wait.to_string()),
            _ => reply.header("kind", call.kind()),
        }
    }

    fn limits(&self, call: &Call) -> Vec<RateLimit> {
        vec![RateLimit::new(call.kind(), 3.0, 0.5)]
    }

    fn check(&self, exchange: &Exchange) -> Option<Vec<String>> {
        let answer = exchange.answer.as_ref().filter(|answer| answer.status == 200 && exchange.is_genuine)?;
        Some(self.schemas.violations("Words", &answer.body))
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    fn control(&mut self, event: &Value, _: &Moment) -> Result<Value, String> {
        let word = event["forget"].as_str().ok_or("forget is missing")?;
        Ok(json!(self.kept.remove(word)))
    }

    fn save(&self) -> Value {
        json!(self.kept)
    }

    fn load(&mut self, state: Value, _: &Moment) -> Result<(), String> {
        self.kept = serde_json::from_value(state).map_err(|error| error.to_string())?;
        Ok(())
    }
}

struct Setup {
    simulator: Simulator<Words>,
    client: Client,
}

impl Setup {
    async fn start() -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let options = Options { hanging: TimeDelta::seconds(1), ..Options::default() };
        let simulator = Simulator::start(Words::new(), SimulatedClock::set(), None, options);
        let client = Client::builder().no_proxy().build().unwrap();
        Self { simulator: simulator.await.unwrap(), client }
    }

    async fn ask(&self, method: Method, path: &str) -> reqwest::Result<(StatusCode, String)> {
        let answer = self.client.request(method, format!("{}{path}", self.simulator.url)).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn put(&self, word: &str) -> Option<u16> {
        let answer = self.ask(Method::PUT, &format!("/words/{word}")).await;
        answer.ok().map(|(status, _)| status.as_u16())
    }

    async fn words(&self) -> String {
        self.ask(Method::GET, "/words").await.unwrap().1
    }

    async fn tell(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}/_simulator{path}", self.simulator.url));
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

#[tokio::test]
async fn things_take_their_time_and_are_written_down() {
    let setup = Setup::start().await;
    assert_eq!(setup.put("early").await, Some(202));
    assert_eq!(setup.words().await, r#"{"words":[]}"#);
    setup.simulator.pass(TimeDelta::minutes(1));
    assert_eq!(setup.words().await, r#"{"words":["early"]}"#);
    assert_eq!(setup.ask(Method::GET, "/other").await.unwrap().0, StatusCode::NOT_FOUND);
    let checked = setup.simulator.check();
    checked.assert_clean();
    assert_eq!((checked.exchanges, checked.checked), (4, 2));
    assert_eq!(setup.simulator.counts()["words.list"], 2);
    assert_eq!((setup.simulator.calls(), setup.simulator.changes()), (4, 1));
    assert_eq!(setup.simulator.journal()[0].effect, Some(202));
}

#[tokio::test]
async fn what_differs_from_the_schema_is_told() {
    let setup = Setup::start().await;
    setup.put("LOUD").await;
    setup.simulator.pass(TimeDelta::minutes(1));
    setup.words().await;
    let violations = setup.simulator.check().violations;
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].what.contains("/words/0") && violations[0].exchange == 2, "{violations:?}");
}

#[tokio::test]
async fn every_fault_happens_at_the_call_it_is_for() {
    for fault in Fault::all().into_iter().filter(|fault| fault.fits(false)) {
        let setup = Setup::start().await;
        let (mut hung, mut deaths) = (setup.simulator.hung(), setup.simulator.deaths());
        setup.simulator.inject(Injection::on("put", fault.clone()).nth(2));
        assert_eq!(setup.put("first").await, Some(202), "{fault:?}");
        assert!(setup.words().await.contains("words"));
        let answer = tokio::select! {
            answer = setup.ask(Method::PUT, "/words/second") => Some(answer),
            _ = hung.changed() => None,
            _ = deaths.changed() => None,
        };
        match &fault {
            Fault::Hang(_) | Fault::CallerDies(_) => assert!(answer.is_none(), "{fault:?}"),
            Fault::Cut(_) => assert!(answer.unwrap().is_err(), "{fault:?}"),
            Fault::Answers(Trouble::HalfABody, _) => assert!(answer.unwrap().is_err(), "{fault:?}"),
            Fault::Stale | Fault::Doomed(_) => assert_eq!(answer.unwrap().unwrap().0, StatusCode::ACCEPTED),
            Fault::Answers(..) => assert_ne!(answer.unwrap().unwrap().0, StatusCode::ACCEPTED, "{fault:?}"),
        }
        assert_eq!(setup.put("third").await, Some(202), "{fault:?}");
        // A late call takes effect a minute later, and what it began takes another.
        let is_late = matches!(fault.acts(), Acts::Later(_));
        setup.simulator.pass(TimeDelta::seconds(61));
        let acted = matches!(fault.acts(), Acts::First) && !matches!(fault, Fault::Doomed(_));
        assert_eq!(setup.words().await.contains("second"), acted, "{fault:?}");
        setup.simulator.pass(TimeDelta::seconds(61));
        assert_eq!(setup.words().await.contains("second"), acted || is_late, "{fault:?}");
        assert!(setup.words().await.contains("third"));
    }
}

#[tokio::test]
async fn what_is_read_may_be_as_it_was_before() {
    let setup = Setup::start().await;
    setup.put("word").await;
    setup.simulator.pass(TimeDelta::minutes(1));
    setup.simulator.inject(Injection::any(Fault::Stale));
    assert_eq!(setup.words().await, r#"{"words":[]}"#);
    assert_eq!(setup.words().await, r#"{"words":["word"]}"#);
}

#[tokio::test]
async fn published_limits_are_enforced() {
    let setup = Setup::start().await;
    for _ in 0..3 {
        assert_eq!(setup.ask(Method::GET, "/words").await.unwrap().0, StatusCode::OK);
    }
    let refused = setup.client.get(format!("{}/words", setup.simulator.url)).send().await.unwrap();
    assert_eq!(
        (refused.status(), &refused.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap())
    );
    assert_eq!(setup.put("other").await, Some(202));
    setup.simulator.pass(TimeDelta::seconds(2));
    assert_eq!(setup.ask(Method::GET, "/words").await.unwrap().0, StatusCode::OK);
}

#[tokio::test]
async fn people_tell_it_the_same_over_http() {
    let setup = Setup::start().await;
    let cut = json!({"call": "words.put", "fault": {"cut": "first"}});
    assert_eq!(setup.tell(Method::POST, "/faults", cut).await.0, 200);
    assert_eq!(setup.put("word").await, None);
    let (status, told) = setup.tell(Method::POST, "/faults", json!({"fault": "none"})).await;
    assert_eq!(status, 400, "{told}");
    for fault in Fault::all() {
        let injection = json!({"fault": fault, "path": "/nowhere"});
        assert_eq!(setup.tell(Method::POST, "/faults", injection).await.0, 200, "{fault:?}");
    }
    let faults = setup.tell(Method::GET, "/faults", Value::Null).await.1;
    assert_eq!(faults.as_array().unwrap().len(), Fault::all().len() + 1);
    assert_eq!(setup.tell(Method::DELETE, "/faults", Value::Null).await, (200, json!([])));
    assert_eq!(setup.tell(Method::POST, "/time", json!({"seconds": 60})).await.0, 200);
    assert_eq!(setup.tell(Method::GET, "/state", Value::Null).await, (200, json!(["word"])));
    assert_eq!(setup.tell(Method::POST, "/control", json!({"forget": "word"})).await, (200, json!(true)));
    assert_eq!(setup.tell(Method::POST, "/control", json!({})).await.0, 400);
    assert_eq!(setup.tell(Method::GET, "/counts", Value::Null).await, (200, json!({"words.put": 1})));
    let (_, journal) = setup.tell(Method::GET, "/journal", Value::Null).await;
    assert_eq!(journal[0]["fault"], json!({"cut": "first"}), "{journal}");
    assert_eq!(setup.tell(Method::GET, "/check", Value::Null).await.1["violations"], json!([]));
    let help = setup.ask(Method::GET, "/_simulator/help").await.unwrap();
    assert!(help.1.contains("/_simulator/time"), "{help:?}");
    // Nothing of this counts as a call of the provider.
    assert_eq!(setup.simulator.calls(), 1);
}

#[tokio::test]
async fn a_simulator_may_speak_tls() {
    let tls = Tls::on_loopback();
    let simulator = Simulator::start(Words::new(), SimulatedClock::set(), Some(tls), Options::default());
    let simulator = simulator.await.unwrap();
    let authority = reqwest::Certificate::from_pem(simulator.authority.as_ref().unwrap().as_bytes()).unwrap();
    let trusting = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let url = format!("{}/words", simulator.url);
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), StatusCode::OK);
    let other = reqwest::Certificate::from_pem(Tls::on_loopback().authority.as_bytes()).unwrap();
    let doubting = Client::builder().tls_certs_only([other]).no_proxy().build().unwrap();
    assert!(doubting.get(&url).send().await.is_err());
}

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        version: "v1.34.1".to_owned(),
        zone: "a-1".to_owned(),
        region: "a".to_owned(),
        instance_type: "small".to_owned(),
        pool: ("pool".to_owned(), "one".to_owned()),
        cpus: 2,
        memory_mib: 4_096,
        is_ready: true,
    }
}

#[tokio::test]
async fn a_cluster_knows_its_nodes_and_whom_to_let_in() {
    let tls = Tls::on_loopback();
    let api = ClusterApi::start(tls, "1.34.1", Arc::new(|token| token == "good")).unwrap();
    api.set_nodes((0..5).map(|number| node(&format!("node-{number}"))).collect());
    let authority = reqwest::Certificate::from_pem(api.authority.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap();
    let ask = async |method: Method, path: &str, token: &str, body: Value| {
        let request = client.request(method, format!("{}{path}", api.url())).bearer_auth(token);
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    assert_eq!(ask(Method::GET, "/version", "", Value::Null).await.1["gitVersion"], "v1.34.1");
    assert_eq!(ask(Method::GET, "/api/v1/nodes", "bad", Value::Null).await.0, 401);
    let (_, nodes) = ask(Method::GET, "/api/v1/nodes?limit=3", "good", Value::Null).await;
    assert_eq!((nodes["items"].as_array().unwrap().len(), &nodes["metadata"]["continue"]), (3, &json!("3")));
    let (_, rest) = ask(Method::GET, "/api/v1/nodes?limit=3&continue=3", "good", Value::Null).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["metadata"]["continue"]), (2, &Value::Null));
    assert_eq!(ask(Method::GET, "/apis/apps/v1/deployments", "good", Value::Null).await.1["items"], json!([]));
    let (_, namespaces) = ask(Method::GET, "/api/v1/namespaces", "good", Value::Null).await;
    assert_eq!(namespaces["items"][3]["metadata"]["name"], "kube-system");

    // A lasting token: an account, a secret for it. It is good as long as both are there.
    let accounts = "/api/v1/namespaces/kube-system/serviceaccounts";
    let secrets = "/api/v1/namespaces/kube-system/secrets";
    let account = json!({"metadata": {"name": "kqueen"}});
    assert_eq!(ask(Method::POST, accounts, "good", account.clone()).await.0, 201);
    assert_eq!(ask(Method::POST, accounts, "good", account).await.0, 409);
    let secret = json!({
        "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "kqueen"}},
        "type": "kubernetes.io/service-account-token",
    });
    assert_eq!(ask(Method::POST, secrets, "good", secret).await.0, 201);
    let (_, secret) = ask(Method::GET, &format!("{secrets}/token"), "good", Value::Null).await;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let token = String::from_utf8(STANDARD.decode(secret["data"]["token"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(ask(Method::GET, "/api/v1/nodes", &token, Value::Null).await.0, 200);
    let (status, minted) = ask(Method::POST, &format!("{accounts}/kqueen/token"), "good", json!({"spec": {}})).await;
    assert_eq!(status, 201, "{minted}");
    let short = minted["status"]["token"].as_str().unwrap();
    assert_eq!(ask(Method::DELETE, &format!("{secrets}/token"), "good", Value::Null).await.0, 200);
    assert_eq!(ask(Method::GET, "/api/v1/nodes", &token, Value::Null).await.0, 401);
    assert_eq!(ask(Method::GET, "/api/v1/nodes", short, Value::Null).await.0, 200);
    assert_eq!(ask(Method::DELETE, &format!("{accounts}/kqueen"), "good", Value::Null).await.0, 200);
    assert_eq!(ask(Method::GET, "/api/v1/nodes", short, Value::Null).await.0, 401);
    assert_eq!(ask(Method::DELETE, &format!("{accounts}/kqueen"), "good", Value::Null).await.0, 404);
    assert_eq!(api.names("/api/v1/namespaces/kube-system/secrets"), Vec::<String>::new());
}
