use serde_json::{Map, Value, json};

use super::*;

fn map(value: Value) -> SecretMap {
    match value {
        Value::Object(map) => map.into(),
        other => panic!("not an object: {other}"),
    }
}

fn nothing(_: &[&str]) -> bool {
    false
}

/// A linear congruential generator, so that a failure can be reproduced from its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Generates documents with canaries wherever a secret may be, and numbered public values elsewhere.
struct DocumentGenerator {
    dice: Dice,
    canaries: usize,
    public: usize,
}

impl DocumentGenerator {
    const HIDDEN: [&str; 12] = [
        "password",
        "Password",
        "db_passwd",
        "clientSecret",
        "X-Auth-Token",
        "private_key",
        "API-KEY",
        "apikey",
        "credentials",
        "kubeconfig",
        "pass",
        "client-key-data",
    ];
    const PLAIN: [&str; 6] = ["name", "zone", "nested", "list", "passenger", "ключ"];

    fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), canaries: 0, public: 0 }
    }

    fn object(&mut self, hidden: bool, depth: usize) -> Map<String, Value> {
        let mut out = Map::new();
        for _ in 0..1 + self.dice.roll(4) {
            let (key, hidden) = match self.dice.roll(3) {
                0 => (Self::HIDDEN[self.dice.roll(12) as usize], true),
                1 if depth == 0 => ("declared", true),
                _ => (Self::PLAIN[self.dice.roll(6) as usize], hidden),
            };
            if !out.contains_key(key) {
                out.insert(key.to_owned(), self.value(hidden, depth + 1));
            }
        }
        out
    }

    fn value(&mut self, hidden: bool, depth: usize) -> Value {
        match self.dice.roll(if depth > 5 { 3 } else { 6 }) {
            3 | 4 => Value::Object(self.object(hidden, depth)),
            5 => (0..self.dice.roll(4)).map(|_| self.value(hidden, depth + 1)).collect(),
            kind if hidden => {
                self.canaries += 1;
                // A number can be a secret as well.
                if kind == 0 { json!(777_000_000 + self.canaries) } else { json!(format!("canary-{}", self.canaries)) }
            }
            kind => {
                self.public += 1;
                if kind == 0 { json!(555_000_000 + self.public) } else { json!(format!("public-{}", self.public)) }
            }
        }
    }
}

#[test]
fn only_secrets_are_masked() {
    let declared = |path: &[&str]| path == ["declared"];
    let (mut canaries, mut public) = (0, 0);
    for seed in 0..2000 {
        let mut generator = DocumentGenerator::new(seed);
        let full = SecretMap::from(generator.object(false, 0));
        let Split { shown, sealed } = split(&full, &declared);

        let text = shown.as_str();
        assert!(!text.contains("canary") && !text.contains("777000"), "seed {seed}: {text}");
        assert_eq!(
            text.matches("public-").count() + text.matches("555000").count(),
            generator.public,
            "seed {seed}: {text}"
        );
        assert!(generator.canaries == 0 || sealed.is_some(), "seed {seed}");
        assert_eq!(shown.reveal(sealed.as_ref()), Ok(full.clone()), "seed {seed}");

        let sent = SecretMap::from(shown.to_map());
        let again = split(&sent, &declared);
        assert_eq!(again.shown, shown, "seed {seed}: masking twice is masking once");

        let mut merged = full.clone();
        merge_patch("parameters", &mut merged, sent.clone()).unwrap();
        assert_eq!(merged, full, "seed {seed}: sending back what was shown changes nothing");

        let masked = text.matches(MASK).count();
        let refused = refuse_masks("parameters", &sent, &declared).err().map_or(0, |invalid| invalid.0.len());
        assert_eq!(refused, masked, "seed {seed}: every mask is refused on create");
        (canaries, public) = (canaries + generator.canaries, public + generator.public);
    }
    assert!(canaries > 2000 && public > 2000, "too few values: {canaries} and {public}");
}

#[test]
fn secret_values_are_masked() {
    let table = [
        (json!({}), json!({}), false),
        (json!({"username": "u", "password": "topsecret"}), json!({"username": "u", "password": MASK}), true),
        (json!({"nested": {"secret": "s", "ok": 1}}), json!({"nested": {"secret": MASK, "ok": 1}}), true),
        (
            json!({"list": [{"password": "in-list"}, [{"token": 7}]]}),
            json!({"list": [{"password": MASK}, [{"token": MASK}]]}),
            true,
        ),
        // A secret object is masked as a whole: its keys may reveal as much as its values.
        (json!({"credentials": {"user": "u", "n": null}}), json!({"credentials": MASK}), true),
        (json!({"tokens": ["a", "b"], "secret": false}), json!({"tokens": MASK, "secret": MASK}), true),
        // An empty value is not masked.
        (json!({"password": null, "token": ""}), json!({"password": null, "token": ""}), false),
        (
            json!({"ssh_key_name": "k", "passenger": 1, "key": "k"}),
            json!({"ssh_key_name": "k", "passenger": 1, "key": "k"}),
            false,
        ),
        (
            json!({"env": [{"name": "DB_PASSWORD", "value": "v"}, {"name": "ZONE", "value": "z"}]}),
            json!({"env": [{"name": "DB_PASSWORD", "value": MASK}, {"name": "ZONE", "value": "z"}]}),
            true,
        ),
        (
            json!({"notes": ["-----BEGIN RSA PRIVATE KEY-----\nMII…", "-----BEGIN CERTIFICATE-----"]}),
            json!({"notes": [MASK, "-----BEGIN CERTIFICATE-----"]}),
            true,
        ),
        (
            json!({"declared": {"a": {"b": 1}}, "a": {"b": {"c": 2, "d": 3}}}),
            json!({"declared": MASK, "a": {"b": {"c": MASK, "d": 3}}}),
            true,
        ),
        (json!({"a": [{"b": [{"c": 2}]}]}), json!({"a": [{"b": [{"c": MASK}]}]}), true),
    ];
    let declared = |path: &[&str]| path == ["declared"] || path == ["a", "b", "c"];
    for (full, expected, masked) in table {
        let Split { shown, sealed } = split(&map(full.clone()), &declared);
        assert_eq!(Value::Object(shown.to_map()), expected, "{full}");
        assert_eq!(sealed.is_some(), masked, "{full}");
        if let Some(sealed) = sealed {
            assert_eq!(serde_json::from_str::<Value>(sealed.expose()).unwrap(), full);
        }
    }
}

#[test]
fn debug_shows_no_secret() {
    let split = split(&map(json!({"password": "hunter2"})), &nothing);
    assert!(!format!("{split:?}").contains("hunter2"));
}

#[test]
fn masks_are_refused_on_create() {
    let declared = |path: &[&str]| path[0] == "account";
    let given = map(json!({
        "password": MASK, "account": {"key": MASK, "list": ["x", MASK]}, "users": [{"token": MASK, "name": "ann"}],
        "title": MASK, "env": [{"name": "API_KEY", "value": MASK}], "secret": "real",
    }));
    let invalid = refuse_masks("parameters", &given, &declared).unwrap_err();
    let fields: Vec<_> = invalid.0.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "parameters.account.key",
            "parameters.account.list.1",
            "parameters.env.0.value",
            "parameters.password",
            "parameters.users.0.token"
        ]
    );
    refuse_masks("parameters", &map(json!({"title": MASK, "password": "p"})), &nothing).unwrap();
}

#[test]
fn merge_patch_follows_rfc_7386() {
    // The examples of the RFC's appendix in which both sides are objects.
    let table = [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        (json!({"a": "foo"}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}})),
        (json!({"a": [1, 2]}), json!({"a": [null, {"b": null}]}), json!({"a": [null, {"b": null}]})),
    ];
    for (stored, patch, expected) in table {
        let mut target = map(stored.clone());
        merge_patch("metadata", &mut target, map(patch.clone())).unwrap();
        assert_eq!(target, map(expected), "{stored} + {patch}");
    }
}

#[test]
fn a_mask_keeps_the_stored_value() {
    let table = [
        (json!({"password": "p", "n": 1}), json!({"password": MASK, "n": 2}), json!({"password": "p", "n": 2})),
        (json!({"account": {"k": "v"}}), json!({"account": MASK}), json!({"account": {"k": "v"}})),
        (json!({"a": {"token": 7}}), json!({"a": {"token": MASK, "x": 1}}), json!({"a": {"token": 7, "x": 1}})),
        (json!({"l": ["a", "b"]}), json!({"l": [MASK, "c"]}), json!({"l": ["a", "c"]})),
        (json!({"l": ["a"]}), json!({"l": [MASK, "new"]}), json!({"l": ["a", "new"]})),
        (
            json!({"l": [{"name": "a", "password": "p", "old": 1}]}),
            json!({"l": [{"name": "a", "password": MASK, "role": "r"}, {"name": "b", "password": "q"}]}),
            json!({"l": [{"name": "a", "password": "p", "role": "r"}, {"name": "b", "password": "q"}]}),
        ),
        (json!({"l": [["x", ["y"]]]}), json!({"l": [["z", [MASK]]]}), json!({"l": [["z", ["y"]]]})),
        // Without a mask an array is replaced, however long it was.
        (json!({"l": ["a", "b"]}), json!({"l": []}), json!({"l": []})),
        (
            json!({"l": [{"name": {"pass": "p"}}]}),
            json!({"l": [{"name": {"pass": MASK}}]}),
            json!({"l": [{"name": {"pass": "p"}}]}),
        ),
        (
            json!({"v": {"name": "TOKEN", "value": "t"}}),
            json!({"v": {"name": "ZONE", "value": "z"}}),
            json!({"v": {"name": "ZONE", "value": "z"}}),
        ),
        (json!({"title": MASK}), json!({"title": MASK}), json!({"title": MASK})),
    ];
    for (stored, patch, expected) in table {
        let mut target = map(stored.clone());
        merge_patch("parameters", &mut target, map(patch.clone())).unwrap();
        assert_eq!(target, map(expected), "{stored} + {patch}");
    }
}

#[test]
fn a_mask_without_a_stored_value_is_refused() {
    let table = [
        (json!({}), json!({"password": MASK}), vec!["parameters.password"]),
        (json!({"password": null}), json!({"password": MASK}), vec!["parameters.password"]),
        (json!({"password": ""}), json!({"password": MASK}), vec!["parameters.password"]),
        (json!({"a": 1}), json!({"a": {"b": MASK}, "c": MASK}), vec!["parameters.a.b", "parameters.c"]),
        (json!({"l": ["a"]}), json!({"l": ["a", MASK]}), vec!["parameters.l.1"]),
        (json!({"l": {"0": "a"}}), json!({"l": [MASK]}), vec!["parameters.l.0"]),
        (json!({"l": [{"p": 1}]}), json!({"l": [[MASK]]}), vec!["parameters.l.0.0"]),
        // It is unclear which of the two was removed: the secret of one must not become that of the other.
        (json!({"l": ["a", "b"]}), json!({"l": [MASK]}), vec!["parameters.l"]),
        (
            json!({"l": [{"name": "a", "password": "p"}, {"name": "b", "password": "q"}]}),
            json!({"l": [{"name": "b", "password": MASK}, {"name": "a", "password": MASK}]}),
            vec!["parameters.l.0.password", "parameters.l.1.password"],
        ),
        // A new name that does not mark a secret would reveal it.
        (json!({"v": {"name": "TOKEN", "value": "t"}}), json!({"v": {"name": "ZONE"}}), vec!["parameters.v.value"]),
        (
            json!({"name": "TOKEN", "value": {"a": 1, "b": 2}}),
            json!({"name": "ZONE", "value": {"b": 3}}),
            vec!["parameters.value"],
        ),
        (
            json!({"v": [{"name": "TOKEN", "value": "t"}]}),
            json!({"v": [{"name": "ZONE", "value": MASK}]}),
            vec!["parameters.v.0.value"],
        ),
    ];
    for (stored, patch, expected) in table {
        let mut target = map(stored.clone());
        let invalid = merge_patch("parameters", &mut target, map(patch.clone())).unwrap_err();
        let fields: Vec<_> = invalid.0.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, expected, "{stored} + {patch}");
        assert_eq!(target, map(stored.clone()), "the stored document is unchanged");
    }
}

fn nested(levels: usize) -> SecretMap {
    let mut value = json!({});
    for _ in 1..levels {
        value = json!({ "a": value });
    }
    map(value)
}

#[test]
fn size_and_depth_are_limited() {
    check_limits("metadata", &nested(MAX_DEPTH)).unwrap();
    let deep = check_limits("metadata", &nested(MAX_DEPTH + 1)).unwrap_err();
    assert_eq!(deep, Invalid::field("metadata", "must not be nested deeper than 32 levels"));
    assert!(merge_patch("metadata", &mut SecretMap::new(), nested(100)).is_err());

    let frame = json!({ "a": "" }).to_string().len();
    check_limits("metadata", &map(json!({ "a": "x".repeat(MAX_BYTES - frame) }))).unwrap();
    let long = check_limits("metadata", &map(json!({ "a": "x".repeat(MAX_BYTES - frame + 1) }))).unwrap_err();
    assert_eq!(long, Invalid::field("metadata", "must not be longer than 64 kB"));

    // Each part is short enough, both together are not.
    let mut stored = map(json!({ "a": "x".repeat(40_000) }));
    let before = stored.clone();
    assert!(merge_patch("metadata", &mut stored, map(json!({ "b": "x".repeat(40_000) }))).is_err());
    assert_eq!(stored, before);
}

#[test]
fn stored_text_must_be_an_object() {
    for text in ["", "[]", "null", "{", "{\"a\":1", "{} {}", "\"{}\""] {
        assert_eq!(Document::from_stored(text), Err(NotAnObject), "{text}");
    }
    let document = Document::from_stored(r#"{"a":[1]}"#).unwrap();
    assert_eq!(document.to_map(), map(json!({"a": [1]})));
    assert!(Document::default().is_empty() && Document::default().to_map().is_empty());
    assert_eq!(document.reveal(Some(&SecretDocument::new("[]".into()))), Err(NotAnObject));
    assert_eq!(document.reveal(None), Ok(document.to_map().into()));
}
