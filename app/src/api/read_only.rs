//! The read-only fields of each kind, so that an object that was read can be sent back whole in a PATCH.
//!
//! A read-only field is held against what a GET would answer to the same caller at this moment. A value that is the same is ignored;
//! any other is refused, as it asks for something that will not happen. Some fields change without anybody changing the object, though,
//! and a client that sends back what it read a while ago did nothing wrong: see [`ReadOnly::observed`].

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use super::body::Fields;

/// What is said of a read-only field with another value.
const REFUSED: &str = "is read-only";

/// When an object was observed, for kinds that are.
const OBSERVED_WHEN: [&str; 2] = ["observed_at", "state_changed_at"];

/// The fields of a kind that answers have and requests cannot set.
#[derive(Debug)]
pub struct ReadOnly {
    /// They never change, or only with the object itself.
    pub fixed: &'static [&'static str],
    /// They change on their own. They are ignored, whatever they say, where the body was read at another time than now: it has the
    /// `id` of the object, and `observed_at` or `state_changed_at` differ from those shown now.
    pub observed: &'static [&'static str],
}

/// Those of clusters.
pub const CLUSTER: ReadOnly = ReadOnly {
    fixed: &["id", "created_at", "provisioner", "_namespace"],
    observed: &[
        "state",
        "phase",
        "status_reason",
        "status_message",
        "state_changed_at",
        "observed_at",
        "version",
        "progress",
        "operation",
        "node_count",
        "network_policy",
        "failure",
    ],
};

/// Those of provisioners.
pub const PROVISIONER: ReadOnly = ReadOnly {
    fixed: &["id", "created_at", "engine", "verbose_name", "_namespace"],
    observed: &["state", "phase", "status_reason", "status_message", "state_changed_at", "observed_at"],
};

/// Those of users.
pub const USER: ReadOnly = ReadOnly { fixed: &["id", "created_at", "auth"], observed: &[] };

/// Those of organizations.
pub const ORGANIZATION: ReadOnly = ReadOnly { fixed: &["id", "created_at", "namespace"], observed: &[] };

impl ReadOnly {
    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fixed.iter().chain(self.observed).copied()
    }

    /// Takes them out of a body, and notes those that are not as they are `shown`; there is nothing to compare with where the caller
    /// does not see the object, which is answered later.
    pub fn take(&self, fields: &mut Fields, shown: impl FnOnce() -> Option<Value>) {
        let sent: Vec<_> = self.names().filter_map(|name| Some((name, fields.nullable(name)?))).collect();
        if sent.is_empty() {
            return;
        }
        let Some(shown) = shown() else { return };
        let sent_as = |name: &str| sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.expose());
        let names_it = sent_as("id").is_some_and(|id| is_same("id", id, &shown["id"]));
        let was_read_then = OBSERVED_WHEN.iter().any(|name| {
            sent_as(name).is_some_and(|at| (at.is_null() || time(at).is_some()) && !is_same(name, at, &shown[*name]))
        });
        let is_outdated = names_it && was_read_then;
        for (name, value) in &sent {
            let may_differ = is_outdated && self.observed.contains(name);
            if !may_differ && !is_same(name, value.expose(), &shown[*name]) {
                fields.wrong(name, REFUSED);
            }
        }
    }
}

/// Whether a field is read-only in answers of some kind.
pub fn is_known(name: &str) -> bool {
    [CLUSTER, PROVISIONER, USER, ORGANIZATION].iter().any(|kind| kind.names().any(|known| known == name))
}

/// Whether a field says what is shown: times as instants, numbers by value, and what is nested by its id.
fn is_same(name: &str, sent: &Value, shown: &Value) -> bool {
    match (sent, shown) {
        (Value::Number(sent), Value::Number(shown)) => sent.as_f64() == shown.as_f64(),
        (Value::String(reference), Value::Object(nested)) => {
            let kind = reference.split_once(':');
            kind.is_some_and(|(kind, id)| kind.eq_ignore_ascii_case(name) && nested.get("id") == Some(&id.into()))
        }
        (Value::Object(sent), Value::Object(shown)) if shown.contains_key("id") => sent.get("id") == shown.get("id"),
        _ if sent == shown => true,
        _ => time(sent).zip(time(shown)).is_some_and(|((sent, precision), (shown, _))| {
            // A client may keep fewer digits of a second than are shown.
            (sent - shown).abs() < precision
        }),
    }
}

/// A time, and the length of the last digit it is written with. Without an offset, as clients of 2018 write it, it is in UTC.
fn time(value: &Value) -> Option<(DateTime<Utc>, TimeDelta)> {
    let text = value.as_str()?;
    let naive = || Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc());
    let at = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok().or_else(naive)?;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(9);
    let digits = u32::try_from(digits).unwrap_or_default();
    Some((at, TimeDelta::nanoseconds(1_000_000_000 / 10_i64.pow(digits))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(kind: &ReadOnly, body: Value) -> Vec<String> {
        let mut fields = Fields::of(body);
        kind.take(&mut fields, || {
            Some(json!({
                "id": "a", "state": "OK", "progress": 100, "version": null, "created_at": "2026-11-28T03:04:05.678901Z",
                "observed_at": "2026-11-28T04:00:00Z", "state_changed_at": "2026-11-28T03:05:00.5Z",
                "provisioner": {"id": "p", "name": "here"},
            }))
        });
        let found = fields.finish(Some(())).map_or_else(|invalid| invalid.0, |()| Vec::new());
        found.into_iter().map(|error| error.field).collect()
    }

    #[test]
    fn the_same_in_other_words_is_the_same() {
        let nothing: [&str; 0] = [];
        for body in [
            json!({"id": "a", "state": "OK", "progress": 100.0, "version": null}),
            json!({"provisioner": {"id": "p", "name": "here"}}),
            json!({"provisioner": {"id": "p"}}),
            json!({"provisioner": "Provisioner:p"}),
            json!({"created_at": "2026-11-28T03:04:05.678901+00:00"}),
            json!({"created_at": "2026-11-28T05:34:05.678901000+02:30"}),
            json!({"created_at": "2026-11-28T03:04:05.678Z"}),
            json!({"created_at": "2026-11-28T03:04:05.679Z"}),
            json!({"created_at": "2026-11-28T03:04:05"}),
            json!({"observed_at": "2026-11-28T04:00:00.000Z"}),
        ] {
            assert_eq!(wrong(&CLUSTER, body.clone()), nothing, "{body}");
        }
    }

    #[test]
    fn another_value_is_named() {
        for (body, fields) in [
            (json!({"id": "b", "state": "Error", "progress": 99}), vec!["id", "state", "progress"]),
            (json!({"id": null, "version": "1.30"}), vec!["id", "version"]),
            (json!({"provisioner": "Provisioner:q"}), vec!["provisioner"]),
            (json!({"provisioner": "User:p"}), vec!["provisioner"]),
            (json!({"provisioner": {"name": "here"}}), vec!["provisioner"]),
            (json!({"created_at": "2026-11-28T03:04:05.677Z"}), vec!["created_at"]),
            (json!({"created_at": "2026-11-28T03:04:05.678902Z"}), vec!["created_at"]),
            (json!({"created_at": "yesterday", "observed_at": 5}), vec!["created_at", "observed_at"]),
            (json!({"observed_at": "2026-11-28T03:59:00Z"}), vec!["observed_at"]),
        ] {
            assert_eq!(wrong(&CLUSTER, body.clone()), fields, "{body}");
        }
    }

    #[test]
    fn what_was_read_at_another_time_may_say_otherwise_of_what_changes_on_its_own() {
        let then = json!({
            "id": "a", "observed_at": "2026-11-28T03:59:00Z", "state": "Unknown", "progress": null, "version": "1.29",
        });
        assert!(wrong(&CLUSTER, then.clone()).is_empty());
        let mut other = then.clone();
        other["observed_at"] = Value::Null;
        assert!(wrong(&CLUSTER, other).is_empty(), "before it was first looked at");
        let mut other = then.clone();
        other["created_at"] = json!("2026-11-28T03:59:00Z");
        assert_eq!(wrong(&CLUSTER, other), ["created_at"], "what never changes is no older");
        let mut other = then.clone();
        other["id"] = json!("b");
        assert_eq!(wrong(&CLUSTER, other).len(), 5, "of something else");
        let mut other = then;
        other["observed_at"] = json!("2026-11-28T04:00:00Z");
        assert_eq!(wrong(&CLUSTER, other), ["state", "version", "progress"], "read just now");
    }
}
