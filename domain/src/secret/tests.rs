use std::{collections::BTreeSet, fs::File, os::unix::fs::FileExt};

use serde_json::{Map, Value, json};

use super::{json::each_text, *};

fn map(value: Value) -> SecretMap {
    match value {
        Value::Object(map) => map.into(),
        _ => panic!("not an object"),
    }
}

/// In tests objects are compared with what is shown of them.
impl PartialEq<SecretMap> for Map<String, Value> {
    fn eq(&self, other: &SecretMap) -> bool {
        self == other.expose()
    }
}

#[test]
fn debug_shows_nothing() {
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
fn the_walk_finds_every_text_at_any_depth_and_every_key() {
    let value = json!({
        "a": "1", "b": ["2", ["3", {"c": "4"}], null, true, 7], "d": {"e": {"f": "5", "": ""}}, "g": {}, "h": [],
    });
    let mut found = Vec::new();
    each_text(value, &mut |text| found.push(text));
    let count = found.len();
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(["", "1", "2", "3", "4", "5", "a", "b", "c", "d", "e", "f", "g", "h"]));
    assert_eq!(count, 15, "the empty key and the empty text are two");
}

/// What our memory holds at an address. The system reads it for us, so that it may have been given back.
struct Memory {
    file: File,
    seen: Vec<u8>,
}

/// So short that the allocator of this thread keeps what is given back as it is, but for its first bytes, where it keeps its own list.
const LENGTH: usize = 900;
const LIST: usize = 16;

impl Memory {
    fn new() -> Self {
        Self { file: File::open("/proc/self/mem").unwrap(), seen: vec![0; LENGTH] }
    }

    /// How many letters `x` there are, from `LIST` letters after an address on.
    fn letters_at(&mut self, address: *const u8) -> usize {
        self.file.read_exact_at(&mut self.seen, address as u64).unwrap();
        self.seen[LIST..].iter().filter(|byte| **byte == b'x').count()
    }

    /// How many letters are left where a text was, once what `hold` made of it is dropped.
    fn left_of<T>(&mut self, hold: impl FnOnce(String) -> T, address: impl FnOnce(&T) -> *const u8) -> usize {
        let held = hold("x".repeat(LENGTH));
        let at = address(&held);
        assert_eq!(self.letters_at(at), LENGTH - LIST, "this is where it is");
        drop(held);
        self.letters_at(at)
    }
}

fn text_in(value: &Value) -> *const u8 {
    value["a"][0].as_str().unwrap().as_ptr()
}

#[test]
fn nothing_is_left_in_memory() {
    let mut memory = Memory::new();
    let plain = memory.left_of(|text| json!({"a": [Value::String(text)]}), text_in);
    assert!(plain > LENGTH / 2, "this way of looking finds what is left: {plain}");
    let value = |text| SecretValue::from(json!({"a": [Value::String(text)]}));
    assert_eq!(memory.left_of(value, |held| text_in(held.expose())), 0);
    let object = |text| map(json!({"a": [Value::String(text)]}));
    assert_eq!(memory.left_of(object, |held| held.get("a").unwrap()[0].as_str().unwrap().as_ptr()), 0);
    let key = |text: String| map(json!({ text: 1 }));
    assert_eq!(memory.left_of(key, |held| held.expose().keys().next().unwrap().as_ptr()), 0);
    assert_eq!(memory.left_of(Password::new, |held| held.expose().as_ptr()), 0);
}

#[test]
fn what_is_taken_out_or_replaced_is_overwritten() {
    let mut memory = Memory::new();
    let left = memory.left_of(
        |text| map(json!({"a": [Value::String(text)]})).remove("a").unwrap(),
        |held| held.expose()[0].as_str().unwrap().as_ptr(),
    );
    assert_eq!(left, 0);

    let mut holder = map(json!({"a": "x".repeat(LENGTH)}));
    let at = holder.get("a").unwrap().as_str().unwrap().as_ptr();
    holder.insert("a", json!(1));
    assert_eq!(memory.letters_at(at), 0);
}

#[test]
fn a_text_with_room_to_grow_is_not_left_behind() {
    let mut memory = Memory::new();
    let mut text = String::with_capacity(LENGTH);
    text.push_str(&"x".repeat(LENGTH - 1));
    let at = text.as_ptr();
    let password = Password::new(text);
    assert_eq!(memory.letters_at(at), 0);
    assert_eq!(password.expose().len(), LENGTH - 1);
}

#[test]
fn an_object_is_what_it_was_made_of() {
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
