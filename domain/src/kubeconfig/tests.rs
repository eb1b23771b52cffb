//! Kubeconfigs from users, tools and attackers.

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

fn pem(label: &str) -> String {
    let mut der = vec![0x30_u8; 96];
    der[1] = 94;
    STANDARD.encode(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)))
}

fn with(cluster: Value, user: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "local",
        "clusters": [{"name": "local", "cluster": cluster}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "u"}}],
        "users": [{"name": "u", "user": user}],
    })
}

fn at(server: &str) -> Value {
    with(json!({"server": server}), json!({"token": "tok123"}))
}

fn lenient() -> AddressRules {
    AddressRules::denying(Vec::new())
}

fn parse(input: &Value, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    super::parse(&input.clone().into(), rules)
}

fn document(kubeconfig: &Kubeconfig) -> Value {
    serde_json::from_str(kubeconfig.expose()).unwrap()
}

#[track_caller]
fn accepted(input: &Value) -> Value {
    document(&parse(input, &lenient()).unwrap_or_else(|invalid| panic!("{invalid}")))
}

#[track_caller]
fn problems(input: &Value) -> Vec<String> {
    parse(input, &AddressRules::default()).expect_err("accepted").0.into_iter().map(|error| error.field).collect()
}

#[test]
fn a_kubeconfig_without_credentials_is_kept_unchanged() {
    let sent = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "local",
        "clusters": [{"name": "local", "cluster": {"server": "http://127.0.0.1:18080"}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": ""}}],
        "users": [],
    });
    assert_eq!(accepted(&sent), sent);
    assert_eq!(problems(&sent), ["kubeconfig.clusters[0].cluster.server"]);
}

#[test]
fn every_supported_credential_is_kept() {
    let sent = with(
        json!({
            "server": "https://10.0.0.1:6443/k8s/clusters/c-1",
            "certificate-authority-data": pem("CERTIFICATE"),
            "tls-server-name": "kubernetes.default",
            "disable-compression": true,
        }),
        json!({
            "token": "tok123", "username": "ann", "password": "pass word",
            "client-certificate-data": pem("CERTIFICATE"), "client-key-data": pem("EC PRIVATE KEY"),
        }),
    );
    assert_eq!(accepted(&sent), sent);
    let access = ApiAccess::of(&parse(&sent, &lenient()).unwrap()).unwrap();
    assert_eq!(access.server.as_str(), "https://10.0.0.1:6443/k8s/clusters/c-1");
    assert_eq!(access.tls_server_name.as_deref(), Some("kubernetes.default"));
    assert!(access.authorities.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(access.credentials.token.unwrap().expose_secret(), "tok123");
    assert_eq!(access.credentials.password.unwrap().0, "ann");
    assert!(access.credentials.certificate.is_some());
}

#[test]
fn yaml_is_read_like_json() {
    let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: b\nclusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1'}\n\
                contexts:\n- name: a\n  context: {cluster: c}\n- name: b\n  context: {cluster: c, user: u, namespace: n}\n\
                users:\n- name: u\n  user:\n    token: tok123\n";
    let kept = accepted(&Value::String(yaml.to_owned()));
    assert_eq!(kept["users"], json!([{"name": "u", "user": {"token": "tok123"}}]));
    assert_eq!(kept["contexts"][1]["context"], json!({"cluster": "c", "user": "u", "namespace": "n"}));
    assert_eq!(accepted(&Value::String(kept.to_string())), kept);
}

#[test]
fn a_single_context_becomes_the_current_one() {
    let mut sent = at("https://10.0.0.1");
    for absent in [json!(""), Value::Null] {
        sent["current-context"] = absent;
        assert_eq!(accepted(&sent)["current-context"], "local");
    }
}

#[test]
fn unused_fields_are_dropped() {
    let mut sent = at("https://10.0.0.1");
    sent["extensions"] = json!([{"name": "x", "extension": {"exec": 1}}]);
    sent["preferences"] = json!({"colors": true});
    sent["clusters"][0]["cluster"]["extensions"] = json!([{"name": "cluster_info"}]);
    sent["users"][0]["user"]["exec"] = Value::Null;
    sent["users"][0]["user"]["tokenFile"] = json!("");
    assert_eq!(accepted(&sent), at("https://10.0.0.1"));
}

#[test]
fn fields_that_would_act_on_this_server_are_refused() {
    for key in [
        "exec",
        "auth-provider",
        "tokenFile",
        "client-certificate",
        "client-key",
        "as",
        "as-uid",
        "as-groups",
        "as-user-extra",
    ] {
        for value in [json!("/etc/passwd"), json!({"command": "sh"}), json!(["x"]), json!(true)] {
            let sent = with(json!({"server": "https://10.0.0.1"}), json!({"token": "t", key: value}));
            assert_eq!(problems(&sent), [format!("kubeconfig.users[0].user.{key}")]);
        }
    }
    for key in ["certificate-authority", "proxy-url"] {
        let sent = with(json!({"server": "https://10.0.0.1", key: "http://10.0.0.2"}), json!({"token": "t"}));
        assert_eq!(problems(&sent), [format!("kubeconfig.clusters[0].cluster.{key}")]);
    }
}

#[test]
fn unused_entries_are_checked_too() {
    let mut sent = at("https://10.0.0.1");
    let users = sent["users"].as_array_mut().unwrap();
    users.push(json!({"name": "other", "user": {"exec": {"command": "sh"}}}));
    assert_eq!(problems(&sent), ["kubeconfig.users[1].user.exec"]);
}

#[test]
fn all_errors_are_reported_at_once() {
    let sent = json!({
        "apiVersion": "v2", "kind": "Pod", "current-context": "gone",
        "clusters": [{"name": "c", "cluster": {"certificate-authority-data": "x", "insecure-skip-tls-verify": "yes"}}],
        "contexts": [{"name": "a", "context": {}}, {"name": "a", "context": {"cluster": 7}}, "b"],
        "users": {"name": "u"},
    });
    assert_eq!(
        problems(&sent),
        [
            "kubeconfig.apiVersion",
            "kubeconfig.kind",
            "kubeconfig.clusters[0].cluster.server",
            "kubeconfig.clusters[0].cluster.certificate-authority-data",
            "kubeconfig.clusters[0].cluster.insecure-skip-tls-verify",
            "kubeconfig.users",
            "kubeconfig.contexts[0].context.cluster",
            "kubeconfig.contexts[1].name",
            "kubeconfig.contexts[1].context.cluster",
            "kubeconfig.contexts[2]",
            "kubeconfig.current-context",
        ]
    );
}

#[test]
fn a_context_must_refer_to_existing_entries() {
    let mut sent = at("https://10.0.0.1");
    sent["contexts"][0]["context"] = json!({"cluster": "gone", "user": "gone"});
    assert_eq!(problems(&sent), ["kubeconfig.contexts[0].context.cluster", "kubeconfig.contexts[0].context.user"]);
    sent["contexts"] = json!([]);
    sent["current-context"] = Value::Null;
    assert_eq!(problems(&sent), ["kubeconfig.contexts"]);
}

#[test]
fn servers_at_denied_addresses_are_refused_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
    ] {
        assert_eq!(problems(&at(&format!("https://{host}:6443"))), ["kubeconfig.clusters[0].cluster.server"], "{host}");
    }
}

#[test]
fn servers_must_be_plain_urls() {
    for server in [
        "10.0.0.1:6443",
        "ftp://10.0.0.1",
        "file:///etc/passwd",
        "https://",
        "https://user:pass@10.0.0.1",
        "https://10.0.0.1/?x",
        "https://10.0.0.1/#x",
        "https://10.0.0.1:0",
        "https://10.0.0.1:99999",
        " https://10.0.0.1",
        "https://10.0.0.1/\n",
        "javascript:alert(1)",
    ] {
        assert_eq!(problems(&at(server)), ["kubeconfig.clusters[0].cluster.server"], "{server}");
    }
    for server in ["https://10.0.0.1", "http://api.example.com:8080/", "https://[2001:db8::1]:6443/k8s/clusters/c-1"] {
        assert!(parse(&at(server), &AddressRules::default()).is_ok(), "{server}");
    }
}

#[test]
fn credentials_must_be_usable() {
    for (user, field) in [
        (json!({"token": "two\nlines"}), ".token"),
        (json!({"token": "two words"}), ".token"),
        (json!({"token": 12345}), ".token"),
        (json!({"username": "a:b", "password": "p"}), ".username"),
        (json!({"username": "ann"}), ""),
        (json!({"password": "p"}), ""),
        (json!({"client-certificate-data": pem("CERTIFICATE")}), ""),
        (json!({"client-key-data": pem("PRIVATE KEY")}), ""),
        (json!({"client-certificate-data": "###", "client-key-data": pem("PRIVATE KEY")}), ".client-certificate-data"),
        (
            json!({"client-certificate-data": pem("CERTIFICATE"), "client-key-data": pem("CERTIFICATE")}),
            ".client-key-data",
        ),
        (
            json!({"client-certificate-data": pem("CERTIFICATE"), "client-key-data": pem("ENCRYPTED PRIVATE KEY")}),
            ".client-key-data",
        ),
    ] {
        let sent = with(json!({"server": "https://10.0.0.1"}), user.clone());
        assert_eq!(problems(&sent), [format!("kubeconfig.users[0].user{field}")], "{user}");
    }
}

#[test]
fn skipping_verification_excludes_a_certificate_authority() {
    let cluster = json!({
        "server": "https://10.0.0.1", "insecure-skip-tls-verify": true, "certificate-authority-data": pem("CERTIFICATE"),
    });
    assert_eq!(problems(&with(cluster, json!({}))), ["kubeconfig.clusters[0].cluster.insecure-skip-tls-verify"]);
    let cluster = json!({"server": "https://10.0.0.1", "insecure-skip-tls-verify": true});
    assert!(ApiAccess::of(&parse(&with(cluster, json!({})), &lenient()).unwrap()).unwrap().skip_verification);
}

#[test]
fn invalid_input_is_refused_without_quoting_it() {
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    let deep = "[".repeat(10_000);
    let huge = format!("token: {}", "s3cret".repeat(MAX_BYTES / 6 + 1));
    for text in ["", "s3cret", "- s3cret", "a: [s3cret", "a: s3cret\na: s3cret", "---\n{}\n---\n{}", bomb, &deep, &huge]
    {
        let invalid = parse(&Value::String(text.to_owned()), &lenient()).expect_err("accepted");
        assert!(!invalid.to_string().contains("s3cret"), "{invalid}");
    }
    for value in [json!(null), json!(1), json!([]), json!({})] {
        assert!(parse(&value, &lenient()).is_err());
    }
    let mut large = at("https://10.0.0.1");
    large["users"][0]["user"]["token"] = json!("t".repeat(MAX_BYTES));
    assert_eq!(problems(&large), ["kubeconfig"]);
}

/// Every input gets an answer; an accepted kubeconfig can be used and is accepted again.
#[test]
fn arbitrary_input_never_panics() {
    let seeds = [at("https://10.0.0.1:6443").to_string(), at("https://[::1]").to_string().replace('"', "'")];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..3_000 {
        let mut bytes = seeds[round % 2].clone().into_bytes();
        for _ in 0..=random(6) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = u8::try_from(random(256)).unwrap(),
                1 => drop(bytes.drain(at..(at + random(9)).min(bytes.len()))),
                2 => bytes.insert(at, *b"{}[]:,'\"&*!|>-#%@`\n\t 0"[random(22)..].first().unwrap()),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(kubeconfig) = parse_yaml(&text, &AddressRules::default()) {
            assert!(ApiAccess::of(&kubeconfig).is_some(), "{text}");
            assert!(parse(&document(&kubeconfig), &AddressRules::default()).is_ok(), "{text}");
        }
    }
}
