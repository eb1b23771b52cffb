//! Validates one value against its field.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{
    field::{Choice, Field, FieldKind, Parity},
    file,
};
use crate::secret::{SecretMap, SecretValue};

/// Maximum characters of one line, and of a text with several lines.
const LINE_LENGTH: usize = 4096;
const AREA_LENGTH: usize = 32 * 1024;

impl Field {
    /// The normalized value; `None` if nothing is given and nothing is required.
    pub(super) fn check(&self, input: Option<SecretValue>) -> Result<Option<SecretValue>, String> {
        let Some(value) = input.filter(|value| !self.is_blank(value.expose())) else {
            return match self.default.as_ref().map(Value::from).filter(|default| !default.is_null()) {
                Some(default) => Ok(Some(default.into())),
                None if self.required == Some(true) => Err("is required".into()),
                None => Ok(None),
            };
        };
        match &self.kind {
            FieldKind::Text => self.text(value, LINE_LENGTH),
            FieldKind::Password => self.text(value, LINE_LENGTH),
            FieldKind::TextArea => self.text(value, AREA_LENGTH),
            FieldKind::Integer => self.integer(value.expose()).map(|number| Value::from(number).into()),
            FieldKind::Select(choices) => select(value, choices),
            FieldKind::Checkbox => checkbox(value.expose()).map(|flag| Value::from(flag).into()),
            FieldKind::JsonFile | FieldKind::Parameters => self.object(value, "JSON", file::json),
            FieldKind::YamlFile => self.object(value, "YAML", file::yaml),
        }
        .map(Some)
    }

    /// Whether the value means "not given". Forms send an empty string for every untouched field; in a text field, which may be empty, it
    /// is a value.
    fn is_blank(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => match self.kind {
                FieldKind::Text | FieldKind::Password | FieldKind::TextArea => false,
                _ => text.trim().is_empty(),
            },
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        }
    }

    fn text(&self, mut value: SecretValue, most: usize) -> Result<SecretValue, String> {
        let text = value.text_mut().ok_or("must be a string")?;
        if self.kind == FieldKind::Text {
            // White space may belong to a password or a text with several lines, but not to a pasted identifier.
            text.truncate(text.trim_end().len());
            text.drain(..text.len() - text.trim_start().len());
        }
        if text.trim().is_empty() {
            return if self.required == Some(true) { Err("must not be empty".into()) } else { Ok(value) };
        }
        if text.chars().count() > most {
            return Err(format!("must not be longer than {most} characters"));
        }
        if text
            .chars()
            .any(|c| c.is_control() && (self.kind != FieldKind::TextArea || !matches!(c, '\n' | '\r' | '\t')))
        {
            return Err("must not contain control characters".into());
        }
        self.check_format(text)?;
        Ok(value)
    }

    fn check_format(&self, text: &str) -> Result<(), String> {
        if self.number {
            let number =
                text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or("must be a number")?;
            self.range(number)?;
        }
        // The library accepts other formats (without hyphens, in braces) that providers reject.
        if self.uuid && (text.len() != 36 || Uuid::try_parse(text).is_err()) {
            return Err("must be a UUID such as 0f8fad5b-d9cb-469f-a165-70867728950e".into());
        }
        if self.url {
            let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            let url = url.ok_or("must be a URL that starts with https:// or http://")?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err("must not contain a user name or password".into());
            }
        }
        if self.cidr && text.parse::<IpNet>().is_err() {
            return Err("must be a network in CIDR notation, such as 10.0.0.0/14".into());
        }
        if self.ip_list && !text.split(',').all(|address| address.trim().parse::<IpAddr>().is_ok()) {
            return Err("must be a comma-separated list of IP addresses".into());
        }
        Ok(())
    }

    fn integer(&self, value: &Value) -> Result<i64, String> {
        let number = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole_number(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or("must be a whole number")?;
        if self.min.is_some_and(|min| number < min) || self.max.is_some_and(|max| number > max) {
            return Err(self.bounds());
        }
        match self.parity {
            Some(Parity::Odd) if number % 2 == 0 => Err("must be an odd number".into()),
            Some(Parity::Even) if number % 2 != 0 => Err("must be an even number".into()),
            _ => Ok(number),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "bounds are small numbers")]
    fn range(&self, number: f64) -> Result<(), String> {
        let low = self.min.is_some_and(|min| number < min as f64);
        if low || self.max.is_some_and(|max| number > max as f64) { Err(self.bounds()) } else { Ok(()) }
    }

    fn bounds(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("must be from {min} to {max}"),
            (Some(min), None) => format!("must be at least {min}"),
            (None, Some(max)) => format!("must be at most {max}"),
            (None, None) => "is out of range".into(),
        }
    }

    fn object(
        &self,
        value: SecretValue,
        language: &str,
        read: fn(&str) -> Result<SecretMap, String>,
    ) -> Result<SecretValue, String> {
        let map = match value.expose() {
            Value::String(text) => read(text)?,
            _ => value.into_map().map_err(|_| format!("must be an object, or an object as {language} text"))?,
        };
        let missing: Vec<_> = self
            .keys
            .iter()
            .filter(|key| map.get(key).is_none_or(|value| value.is_null() || value == ""))
            .map(AsRef::<str>::as_ref)
            .collect();
        if missing.is_empty() { Ok(map.into()) } else { Err(format!("must contain {}", missing.join(", "))) }
    }
}

/// A float that is a whole number, in the range where floats are exact.
#[expect(clippy::cast_possible_truncation, reason = "within the range that the guard leaves")]
fn whole_number(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

fn select(value: SecretValue, choices: &[Choice]) -> Result<SecretValue, String> {
    if choices.iter().any(|choice| value.expose() == choice.value.as_ref()) {
        return Ok(value);
    }
    let known: Vec<_> = choices.iter().map(|choice| choice.value.as_ref()).collect();
    Err(format!("must be one of {}", known.join(", ")))
}

fn checkbox(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "y" | "1" => Some(true),
            "false" | "off" | "no" | "n" | "0" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
    .ok_or_else(|| "must be true or false".into())
}
