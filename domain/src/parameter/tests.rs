use serde_json::{Value, json};

use super::*;

fn map(value: Value) -> SecretMap {
    match value {
        Value::Object(map) => map.into(),
        other => panic!("not an object: {other}"),
    }
}

/// Validates a value with a schema of one field; the error is the message of the refusal.
fn validate_one(field: Field, given: Value) -> Result<Value, String> {
    let given = map(json!({ field.name.as_ref(): given }));
    match ParameterSchema::new(vec![field.clone()]).validate("metadata", &given) {
        Ok(mut valid) => Ok(valid.remove(&field.name).unwrap_or_default().into_exposed()),
        Err(invalid) => {
            assert_eq!(invalid.0.len(), 1, "{invalid}");
            assert_eq!(invalid.0[0].field, format!("metadata.{}", field.name));
            Err(invalid.0[0].message.clone())
        }
    }
}

#[track_caller]
fn table(field: Field, rows: &[(Value, Result<Value, &str>)]) {
    for (given, expected) in rows {
        assert_eq!(
            validate_one(field.clone(), given.clone()).as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|e| *e),
            "{given}"
        );
    }
}

fn text() -> Field {
    Field::new("f", "F", FieldKind::Text)
}

fn count() -> Field {
    Field::new("f", "F", FieldKind::Integer)
}

#[test]
fn text_is_validated() {
    table(
        text(),
        &[
            (json!("a b"), Ok(json!("a b"))),
            (json!(" a\n"), Ok(json!("a"))),
            (json!(""), Ok(json!(""))),
            (json!(null), Ok(json!(null))),
            (json!(1), Err("must be a string")),
            (json!(["a"]), Err("must be a string")),
            (json!("a\nb"), Err("must not contain control characters")),
            (json!("ü".repeat(4096)), Ok(json!("ü".repeat(4096)))),
            (json!("ü".repeat(4097)), Err("must not be longer than 4096 characters")),
        ],
    );
    let must = Field { required: Some(true), ..text() };
    table(must, &[(json!(" "), Err("must not be empty")), (json!(null), Err("is required"))]);
    table(
        Field::required("f", "F", FieldKind::Password),
        &[
            (json!(" p "), Ok(json!(" p "))),
            (json!("   "), Err("must not be empty")),
            (json!(0), Err("must be a string")),
        ],
    );
    table(
        Field::required("f", "F", FieldKind::TextArea),
        &[(json!("a\r\n\tb\n"), Ok(json!("a\r\n\tb\n"))), (json!("a\0"), Err("must not contain control characters"))],
    );
}

#[test]
fn integers_are_validated() {
    table(
        count().min(1).max(9),
        &[
            (json!(3), Ok(json!(3))),
            (json!("3"), Ok(json!(3))),
            (json!(" 3 "), Ok(json!(3))),
            (json!(3.0), Ok(json!(3))),
            (json!(""), Ok(json!(null))),
            (json!(0), Err("must be from 1 to 9")),
            (json!("10"), Err("must be from 1 to 9")),
            (json!(-1), Err("must be from 1 to 9")),
            (json!(1.5), Err("must be a whole number")),
            (json!("1.5"), Err("must be a whole number")),
            (json!("three"), Err("must be a whole number")),
            (json!("0x3"), Err("must be a whole number")),
            (json!(true), Err("must be a whole number")),
            (json!([3]), Err("must be a whole number")),
            (json!(u64::MAX), Err("must be a whole number")),
            (json!(1e300), Err("must be a whole number")),
            (json!("99999999999999999999"), Err("must be a whole number")),
        ],
    );
    table(count().min(1), &[(json!(0), Err("must be at least 1"))]);
    table(count().max(1), &[(json!(2), Err("must be at most 1"))]);
    table(
        count().parity(Parity::Odd),
        &[(json!("3"), Ok(json!(3))), (json!(-3), Ok(json!(-3))), (json!(2), Err("must be an odd number"))],
    );
    table(count().parity(Parity::Even), &[(json!(0), Ok(json!(0))), (json!(1), Err("must be an even number"))]);
}

#[test]
fn selects_and_checkboxes_are_validated() {
    let choice = Field::required("f", "F", FieldKind::select(&[("a", "A"), ("b", "B")]));
    table(
        choice,
        &[
            (json!("a"), Ok(json!("a"))),
            (json!("A"), Err("must be one of a, b")),
            (json!(1), Err("must be one of a, b")),
            (json!(""), Err("is required")),
        ],
    );
    let flag = Field::new("f", "F", FieldKind::Checkbox);
    for (given, expected) in [
        (json!(true), true),
        (json!("True"), true),
        (json!("on"), true),
        (json!(1), true),
        (json!("false"), false),
        (json!(0), false),
    ] {
        assert_eq!(validate_one(flag.clone(), given.clone()), Ok(json!(expected)), "{given}");
    }
    table(
        flag,
        &[
            (json!("maybe"), Err("must be true or false")),
            (json!(2), Err("must be true or false")),
            (json!(""), Ok(json!(null))),
        ],
    );
}

#[test]
fn text_formats_are_validated() {
    table(
        text().uuid(),
        &[
            (json!("0F8fad5b-d9cb-469f-a165-70867728950e"), Ok(json!("0F8fad5b-d9cb-469f-a165-70867728950e"))),
            (
                json!("0f8fad5bd9cb469fa16570867728950e"),
                Err("must be a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e"),
            ),
            (json!(""), Ok(json!(""))),
        ],
    );
    let http = "must be a URL that starts with https:// or http://";
    table(
        text().url(),
        &[
            (json!("https://keystone.example.com:5000/v3"), Ok(json!("https://keystone.example.com:5000/v3"))),
            (json!("http://[::1]/"), Ok(json!("http://[::1]/"))),
            (json!("ftp://example.com"), Err(http)),
            (json!("example.com"), Err(http)),
            (json!("file:///etc/passwd"), Err(http)),
            (json!("https://u:p@example.com"), Err("must not contain a user name or password")),
        ],
    );
    let network = "must be a network in CIDR notation, such as 10.0.0.0/14";
    table(
        text().cidr(),
        &[
            (json!("10.0.0.0/14"), Ok(json!("10.0.0.0/14"))),
            // The address of a bridge has host bits.
            (json!("172.17.0.1/16"), Ok(json!("172.17.0.1/16"))),
            (json!("fd00::/64"), Ok(json!("fd00::/64"))),
            (json!("10.0.0.0"), Err(network)),
            (json!("10.0.0.0/33"), Err(network)),
        ],
    );
    let addresses = "must be a comma-separated list of IP addresses";
    table(
        text().ip_list(),
        &[
            (json!("1.1.1.1,8.8.8.8"), Ok(json!("1.1.1.1,8.8.8.8"))),
            (json!("1.1.1.1, ::1"), Ok(json!("1.1.1.1, ::1"))),
            (json!("1.1.1.1,"), Err(addresses)),
            (json!("dns.example.com"), Err(addresses)),
        ],
    );
    table(
        text().number().min(1),
        &[
            (json!("1.5"), Ok(json!("1.5"))),
            (json!("0"), Err("must be at least 1")),
            (json!("inf"), Err("must be a number")),
            (json!("x"), Err("must be a number")),
        ],
    );
}

#[test]
fn files_are_validated() {
    let key_file = Field::required("f", "F", FieldKind::JsonFile).keys(&["client_email", "private_key"]);
    let account = json!({"client_email": "e", "private_key": "k", "more": [1]});
    table(
        key_file,
        &[
            (account.clone(), Ok(account.clone())),
            (json!(format!("\u{feff} {account}\n")), Ok(account)),
            (json!({"client_email": "e"}), Err("must contain private_key")),
            (json!({"client_email": "", "private_key": null}), Err("must contain client_email, private_key")),
            (json!("[1]"), Err("must be a JSON object")),
            (json!([1]), Err("must be an object, or an object as JSON text")),
            (json!("{\"a\": hunter2}"), Err("must be valid JSON: parsing failed at line 1 column 7")),
            (json!(""), Err("is required")),
        ],
    );
    let kubeconfig = Field::required("f", "F", FieldKind::YamlFile).keys(&["apiVersion", "kind"]);
    let config = json!({"apiVersion": "v1", "kind": "Config", "users": [{"name": "a"}], "port": 6443});
    table(
        kubeconfig,
        &[
            (config.clone(), Ok(config.clone())),
            (json!("apiVersion: v1\nkind: Config\nusers:\n- name: a\nport: 6443\n"), Ok(config.clone())),
            (json!(config.to_string()), Ok(config)),
            (json!("kind: Config"), Err("must contain apiVersion")),
            (json!("- a"), Err("must be a YAML mapping")),
            (json!("hunter2"), Err("must be a YAML mapping")),
            (json!("a: 1\n---\nb: 2"), Err("must be valid YAML within the limits: parsing failed at line 2")),
            (json!("a: 1\na: hunter2"), Err("must be valid YAML within the limits: parsing failed at line 2")),
            (json!(7), Err("must be an object, or an object as YAML text")),
        ],
    );
    table(
        Field::optional("f", "F", FieldKind::Parameters),
        &[
            (json!({"STACK": "x", "N": 1}), Ok(json!({"STACK": "x", "N": 1}))),
            (json!("{\"STACK\": \"x\"}"), Ok(json!({"STACK": "x"}))),
            (json!(""), Ok(json!(null))),
        ],
    );
}

#[test]
fn yaml_input_is_limited() {
    let field = Field::required("f", "F", FieldKind::YamlFile);
    let mut laughs = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (new, old) in ('b'..='i').zip('a'..) {
        laughs += &format!("{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n");
    }
    let deep = (0..60).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    let flow = format!("a: {}{}", "[".repeat(20_000), "]".repeat(20_000));
    let copies = format!("a: &a {}\nb: [{}]", "x".repeat(30_000), ["*a"; 100].join(", "));
    let huge = format!("a: {}", "x".repeat(crate::document::MAX_BYTES));
    for (name, text) in [("laughs", laughs), ("deep", deep), ("flow", flow), ("huge", huge)] {
        let given = map(json!({ "f": text }));
        assert!(ParameterSchema::new(vec![field.clone()]).validate("metadata", &given).is_err(), "{name}");
    }
    // Short as text, large once its aliases are expanded.
    let given = map(json!({ "f": copies }));
    assert!(ParameterSchema::new(vec![field.clone()]).validate("metadata", &given).is_err(), "copies");
}

#[test]
fn all_errors_are_reported_at_once_without_quoting_values() {
    let schema = ParameterSchema::new(vec![
        Field::required("zone", "Zone", FieldKind::select(&[("a", "A")])),
        Field::required("node_count", "Nodes", FieldKind::Integer).min(1),
        Field::required("account", "Account", FieldKind::JsonFile),
        Field::required("config", "Config", FieldKind::YamlFile),
        Field::required("secret", "Secret", FieldKind::Password),
        Field::new("tenant", "Tenant", FieldKind::Text).uuid(),
        Field::new("fine", "Fine", FieldKind::Text),
    ]);
    let given = json!({"zone": "canary", "node_count": "canary", "account": "{\"canary\"}", "config": "canary: [", "tenant": "canary",
        "fine": "canary"});
    let invalid = schema.validate("metadata", &map(given)).unwrap_err();
    let fields: Vec<_> = invalid.0.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "metadata.zone",
            "metadata.node_count",
            "metadata.account",
            "metadata.config",
            "metadata.secret",
            "metadata.tenant"
        ]
    );
    assert!(!invalid.to_string().contains("canary"), "{invalid}");
}

#[test]
fn defaults_are_filled_in_and_undeclared_fields_are_kept() {
    let schema = ParameterSchema::new(vec![
        Field::required("count", "Count", FieldKind::Integer).default(DefaultValue::Number(3)),
        Field::new("dns", "DNS", FieldKind::Text).default(DefaultValue::text("1.1.1.1")).ip_list(),
        Field::new("flag", "Flag", FieldKind::Checkbox).default(DefaultValue::Flag(false)),
        Field::new("bridge", "Bridge", FieldKind::Text).default(DefaultValue::Null),
        Field::new("other", "Other", FieldKind::Text),
    ]);
    let valid = schema.validate("metadata", &map(json!({"more": {"x": [1, null]}, "count": ""}))).unwrap();
    assert_eq!(
        Value::Object(valid.clone().into_exposed()),
        json!({"count": 3, "dns": "1.1.1.1", "flag": false, "more": {"x": [1, null]}})
    );
    assert_eq!(schema.validate("metadata", &valid).unwrap(), valid, "a valid object stays valid");
    // An empty value is not a missing one.
    let valid = schema.validate("metadata", &map(json!({"dns": "", "flag": true, "count": 5, "other": null}))).unwrap();
    assert_eq!(Value::Object(valid.into_exposed()), json!({"count": 5, "dns": "", "flag": true}));
}

#[test]
fn the_whole_document_is_limited_in_size_and_depth() {
    let schema = ParameterSchema::default();
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    assert!(schema.validate("metadata", &map(json!({ "a": deep }))).is_err());
    assert!(schema.validate("metadata", &map(json!({ "a": "x".repeat(70_000) }))).is_err());
}

#[test]
fn secret_fields_are_recognized() {
    let schema = ParameterSchema::new(vec![
        Field::required("password", "Password", FieldKind::Password),
        Field::required("account", "Account", FieldKind::JsonFile),
        Field::required("subscription", "Subscription", FieldKind::Text).secret(),
        Field::required("template", "Template", FieldKind::JsonFile).public(),
        Field::required("zone", "Zone", FieldKind::Text),
    ]);
    for path in [&["password"][..], &["account"], &["account", "private_key"], &["subscription"]] {
        assert!(schema.is_secret(path), "{path:?}");
    }
    for path in [&["template"][..], &["zone"], &["unknown"], &["zone", "password"], &[]] {
        assert!(!schema.is_secret(path), "{path:?}");
    }
    assert!(schema.clone().without("zone").field("zone").is_none());
    let split = document::split(&map(json!({"account": {"a": 1}, "zone": "z"})), &|path| schema.is_secret(path));
    assert_eq!(Value::Object(split.shown.to_map()), json!({"account": document::MASK, "zone": "z"}));
}

#[test]
fn a_field_is_accepted_under_its_other_name_but_not_under_both_with_different_values() {
    let schema =
        ParameterSchema::new(vec![Field::required("node_count", "Nodes", FieldKind::Integer).alias("node_count_gke")]);
    let normalized = |parameters: Value| {
        let mut parameters = map(parameters);
        schema.normalize("metadata", &mut parameters).map(|()| Value::Object(parameters.into_exposed()))
    };
    assert_eq!(normalized(json!({"node_count_gke": 3, "x": 1})).unwrap(), json!({"node_count": 3, "x": 1}));
    assert_eq!(normalized(json!({"node_count": 2})).unwrap(), json!({"node_count": 2}));
    assert_eq!(normalized(json!({"node_count": 2, "node_count_gke": 2})).unwrap(), json!({"node_count": 2}));
    let Invalid(errors) = normalized(json!({"node_count": 2, "node_count_gke": 3})).unwrap_err();
    assert_eq!(errors[0].field, "metadata.node_count_gke");
}
