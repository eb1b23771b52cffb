//! Parses JSON from clients, more strictly than `serde_json`: duplicate fields are rejected, because a proxy that has checked the request
//! may have read the other one.

use std::fmt;

use kqueen_domain::secret::{SecretMap, SecretValue};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value, error::Category};

/// Prefix of names with a special meaning to `serde_json` when stored JSON is read.
const RESERVED: &str = "$serde_json::private::";

/// Also when parsing fails, the part read so far is treated as secret.
struct Strict(SecretValue);

/// Parses JSON.
///
/// # Errors
/// The problem and its position, as the rest of a sentence. The text is not repeated, because it may contain secrets.
pub(super) fn read(text: &[u8]) -> Result<SecretValue, String> {
    let strict: Strict = serde_json::from_slice(text).map_err(|error| {
        let (line, column, whole) = (error.line(), error.column(), error.to_string());
        let what = match error.classify() {
            Category::Eof => "unexpected end of input",
            // A message of `StrictVisitor`, followed by the position.
            Category::Data => whole.split(" at line ").next().unwrap_or_default(),
            Category::Syntax if whole.starts_with("recursion limit") => "the nesting is too deep",
            Category::Syntax if whole.starts_with("number out of range") => "a number is too large",
            Category::Syntax | Category::Io => "syntax error",
        };
        format!("{what} at line {line} column {column}")
    })?;
    Ok(strict.0)
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = SecretValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<SecretValue, E> {
        Ok(Value::Null.into())
    }

    fn visit_bool<E>(self, value: bool) -> Result<SecretValue, E> {
        Ok(Value::Bool(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<SecretValue, E> {
        Ok(Value::Number(value.into()).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<SecretValue, E> {
        Ok(Value::Number(value.into()).into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<SecretValue, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<SecretValue, E> {
        Ok(value.to_owned().into())
    }

    fn visit_string<E>(self, value: String) -> Result<SecretValue, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SecretValue, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(array.into_iter().map(SecretValue::into_exposed).collect::<Value>().into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<SecretValue, A::Error> {
        let mut object = SecretMap::new();
        while let Some(name) = fields.next_key::<String>()? {
            if name.starts_with(RESERVED) {
                return Err(A::Error::custom("reserved field name"));
            }
            if object.contains_key(&name) {
                return Err(A::Error::custom("duplicate field"));
            }
            let Strict(value) = fields.next_value()?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn valid_json_is_parsed() {
        let text = r#"{"a": [null, true, -1, 18446744073709551615, 1.5e3, "\u00e4\ud83d\ude00", {}], "b": {"a": 1}}"#;
        let expected = json!({"a": [null, true, -1, u64::MAX, 1500.0, "ä😀", {}], "b": {"a": 1}});
        assert_eq!(read(text.as_bytes()), Ok(expected.into()));
    }

    #[test]
    fn errors_have_a_position_and_do_not_repeat_the_text() {
        for (text, expected) in [
            ("", "unexpected end of input at line 1 column 0"),
            ("{\"a\": \"secret", "unexpected end of input at line 1 column 13"),
            ("{\"a\":\n secret}", "syntax error at line 2 column 2"),
            ("{\"a\": 1, \"a\": \"secret\"}", "duplicate field at line 1 column 12"),
            ("[{\"a\": {\"b\": 1, \"\\u0062\": 2}}]", "duplicate field at line 1 column 24"),
            ("{\"$serde_json::private::RawValue\": \"1\"}", "reserved field name at line 1 column 33"),
        ] {
            assert_eq!(read(text.as_bytes()), Err(expected.to_owned()), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
        assert!(read(deep.as_bytes()).unwrap_err().starts_with("the nesting is too deep"));
        assert!(read(b"1e400").unwrap_err().starts_with("a number is too large"));
    }
}
