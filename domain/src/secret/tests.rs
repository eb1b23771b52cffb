use std::{collections::BTreeSet, fs::File, os::unix::fs::FileExt};

use serde_json::{Map, Value, json};

use super::{json::each_text, *};

fn map(value: Value) -> SecretMap {
    match value {
        Value::Object(map) => map.into(),
        _ => panic!("not an object"),
    }
}

/// Lets tests compare shown objects with secret ones.
impl PartialEq<SecretMap> for Map<String, Value> {
    fn eq(&self, other: &SecretMap) -> bool {
        self == other.expose()
    }
}

#[test]
fn debug_output_hides_the_value() {
    let value = || json!({"k": {"password": "hunter2"}});
    let shown = [
        format!("{:?}", Password::new("hunter2".into())),
        format!("{:?}", PasswordHash::new("hunter2".into())),
        format!("{:?}", Kubeconfig::new("hunter2".into())),
        format!("{:?}", SecretDocument::new("hunter2".into())),
        format!("{:?}", map(value())),
        format!("{:?}", SecretValue::from(value())),
    ];
    for shown in shown {
        assert!(shown.ends_with("(hidden)") && !shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn each_text_visits_every_string_and_every_key() {
    let value = json!({
        "a": "1", "b": ["2", ["3", {"c": "4"}], null, true, 7], "d": {"e": {"f": "5", "": ""}}, "g": {}, "h": [],
    });
    let mut found = Vec::new();
    each_text(value, &mut |text| found.push(text));
    let count = found.len();
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(["", "1", "2", "3", "4", "5", "a", "b", "c", "d", "e", "f", "g", "h"]));
    assert_eq!(count, 15, "the empty key and the empty string count separately");
}

/// Reads our memory through the kernel, so that freed memory can be read too.
struct Memory {
    file: File,
    seen: Vec<u8>,
}

/// Short enough that the thread's allocator leaves freed memory unchanged, except for the first bytes, where it keeps its free list.
const LENGTH: usize = 900;
const LIST: usize = 16;

impl Memory {
    fn new() -> Self {
        Self { file: File::open("/proc/self/mem").unwrap(), seen: vec![0; LENGTH] }
    }

    /// Counts the letters `x` at an address, from the byte at offset `LIST` on.
    fn letters_at(&mut self, address: *const u8) -> usize {
        self.file.read_exact_at(&mut self.seen, address as u64).unwrap();
        self.seen[LIST..].iter().filter(|byte| **byte == b'x').count()
    }

    /// Counts the letters left in the memory of a string after the value that `wrap` made of it is dropped.
    fn left_of<T>(&mut self, wrap: impl FnOnce(String) -> T, address: impl FnOnce(&T) -> *const u8) -> usize {
        let value = wrap("x".repeat(LENGTH));
        let at = address(&value);
        assert_eq!(self.letters_at(at), LENGTH - LIST, "the string is at this address");
        drop(value);
        self.letters_at(at)
    }
}

fn text_in(value: &Value) -> *const u8 {
    value["a"][0].as_str().unwrap().as_ptr()
}

#[test]
fn dropped_secrets_are_overwritten() {
    let mut memory = Memory::new();
    let plain = memory.left_of(|text| json!({"a": [Value::String(text)]}), text_in);
    assert!(plain > LENGTH / 2, "the check finds a plain string: {plain}");
    let secret = |text| SecretValue::from(json!({"a": [Value::String(text)]}));
    assert_eq!(memory.left_of(secret, |value| text_in(value.expose())), 0);
    let object = |text| map(json!({"a": [Value::String(text)]}));
    assert_eq!(memory.left_of(object, |value| value.get("a").unwrap()[0].as_str().unwrap().as_ptr()), 0);
    let key = |text: String| map(json!({ text: 1 }));
    assert_eq!(memory.left_of(key, |value| value.expose().keys().next().unwrap().as_ptr()), 0);
    assert_eq!(memory.left_of(Password::new, |value| value.expose().as_ptr()), 0);
}

#[test]
fn removed_and_replaced_values_are_overwritten() {
    let mut memory = Memory::new();
    let left = memory.left_of(
        |text| map(json!({"a": [Value::String(text)]})).remove("a").unwrap(),
        |value| value.expose()[0].as_str().unwrap().as_ptr(),
    );
    assert_eq!(left, 0);

    let mut object = map(json!({"a": "x".repeat(LENGTH)}));
    let at = object.get("a").unwrap().as_str().unwrap().as_ptr();
    object.insert("a", json!(1));
    assert_eq!(memory.letters_at(at), 0);
}

#[test]
fn a_string_with_spare_capacity_is_overwritten() {
    let mut memory = Memory::new();
    let mut text = String::with_capacity(LENGTH);
    text.push_str(&"x".repeat(LENGTH - 1));
    let at = text.as_ptr();
    let password = Password::new(text);
    assert_eq!(memory.letters_at(at), 0);
    assert_eq!(password.expose().len(), LENGTH - 1);
}

#[test]
fn conversions_keep_the_value() {
    let value = json!({"a": [1, {"b": null}], "ä": "\u{1F600}\n"});
    let object = map(value.clone());
    assert_eq!(SecretMap::from_json(object.to_document().expose()), Some(object.clone()));
    assert_eq!(serde_json::from_str::<Value>(object.to_document().expose()).unwrap(), value);
    assert_eq!(SecretValue::from(object.clone()), SecretValue::from(value.clone()));
    assert_eq!(SecretValue::from(value.clone()).into_map(), Ok(object.clone()));
    assert_eq!(Value::Object(object.clone().into_exposed()), value);
    assert_eq!(SecretMap::from_json("[]"), None);
    assert_eq!(SecretValue::from(json!(5)).into_text(), Err(json!(5).into()));
    assert_eq!(SecretValue::from(json!("t")).into_text(), Ok("t".to_owned()));
    let mut same = SecretMap::new();
    for (key, value) in object.clone().into_entries() {
        same.insert(key, value);
    }
    assert_eq!(same, object);
}
