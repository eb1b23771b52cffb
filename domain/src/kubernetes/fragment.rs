//! Custom deserialization of object fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value, value::RawValue};

/// A part of an object that is shown as in Kubernetes, as JSON text with keys in `snake_case`.
#[derive(Debug, Clone)]
pub struct Fragment(Box<RawValue>);

impl Fragment {
    /// The JSON text.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.0
    }
}

impl PartialEq for Fragment {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl From<Fragment> for Box<RawValue> {
    fn from(fragment: Fragment) -> Self {
        fragment.0
    }
}

impl<'de> Deserialize<'de> for Fragment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = with_snake_keys(Value::deserialize(deserializer)?);
        serde_json::value::to_raw_value(&value).map(Self).map_err(D::Error::custom)
    }
}

/// A number or text: a port number or name, a count or a percentage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum IntOrText {
    /// A number.
    Int(i64),
    /// Text.
    Text(String),
}

/// A field that Kubernetes may omit or send as null, as Go encodes an empty list.
pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Annotations without `last-applied-configuration`, in which kubectl stores the whole object including the environment.
pub(super) fn without_last_applied<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let mut annotations = Option::<BTreeMap<String, String>>::deserialize(deserializer)?;
    if let Some(annotations) = &mut annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    Ok(annotations)
}

/// Objects whose keys are user data, not field names.
const DATA_MAPS: &[&str] = &[
    "annotations",
    "attributes",
    "capacity",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "requests",
    "volumeAttributes",
];

fn with_snake_keys(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let value = if DATA_MAPS.contains(&key.as_str()) { value } else { with_snake_keys(value) };
                    (snake(&key), value)
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(with_snake_keys).collect()),
        other => other,
    }
}

/// `hostPath` to `host_path`, `volumeID` to `volume_id`, `podIPs` to `pod_ips`.
fn snake(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let mut out = String::with_capacity(key.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        if letter.is_ascii_uppercase() {
            let after_small = index > 0 && !letters[index - 1].is_ascii_uppercase();
            let starts_word = letters.get(index + 1).is_some_and(|next| next.is_ascii_lowercase() && *next != 's');
            if index > 0 && (after_small || starts_word) {
                out.push('_');
            }
            out.push(letter.to_ascii_lowercase());
        } else {
            out.push(*letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_become_snake_case() {
        for (camel, expected) in [
            ("hostPath", "host_path"),
            ("volumeID", "volume_id"),
            ("podIPs", "pod_ips"),
            ("fsType", "fs_type"),
            ("httpGet", "http_get"),
            ("wwids", "wwids"),
            ("persistentVolumeClaim", "persistent_volume_claim"),
            ("runAsUser", "run_as_user"),
            ("name", "name"),
        ] {
            assert_eq!(snake(camel), expected);
        }
    }

    #[test]
    fn keys_that_are_data_are_unchanged() {
        let fragment: Fragment = serde_json::from_str(
            r#"[{"labelSelector": {"matchLabels": {"appName": "x", "a.b/cD": "y"}}, "emptyDir": {}, "topologyKey": null}]"#,
        )
        .unwrap();
        let expected =
            r#"[{"empty_dir":{},"label_selector":{"matchLabels":{"appName":"x","a.b/cD":"y"}},"topology_key":null}]"#;
        let expected = expected.replace("matchLabels", "match_labels");
        let same = |left: &str, right: &str| {
            serde_json::from_str::<Value>(left).unwrap() == serde_json::from_str::<Value>(right).unwrap()
        };
        assert!(same(fragment.raw().get(), &expected), "{}", fragment.raw().get());
    }
}
