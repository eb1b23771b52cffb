//! The read-only fields of each kind, so that an object that was read can be sent back as a whole in a PATCH.
//!
//! A read-only field is compared with what a GET would currently return to the same caller. The same value is ignored; another value is
//! rejected, because the change would have no effect. Observed fields can change without a change of the object, so a client may
//! send back older values of them: see [`ReadOnly::observed`].

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

use super::body::Fields;

/// The message for a read-only field with another value.
const MESSAGE: &str = "is read-only";

/// The fields with times of observation.
const OBSERVATION_TIMES: [&str; 2] = ["observed_at", "state_changed_at"];

/// The fields of a kind that responses have and requests cannot set.
#[derive(Debug)]
pub struct ReadOnly {
    /// Fields that never change, or only with the object itself.
    pub fixed: &'static [&'static str],
    /// Fields that another request changes, with that request. Another value is rejected even if the body is outdated: it may be
    /// a change.
    pub elsewhere: &'static [(&'static str, &'static str)],
    /// Fields that change by observation. They are ignored, whatever their value, if the body is outdated: it has the `id` of the object, and
    /// an `observed_at` or `state_changed_at` that differs from the current one.
    pub observed: &'static [&'static str],
}

/// Read-only fields of clusters.
pub const CLUSTER: ReadOnly = ReadOnly {
    fixed: &["id", "created_at", "provisioner", "_namespace"],
    elsewhere: &[
        ("node_count", "PATCH /clusters/{id}/resize"),
        ("network_policy", "PATCH /clusters/{id}/set_network_policy"),
    ],
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
        "failure",
    ],
};

/// Read-only fields of provisioners.
pub const PROVISIONER: ReadOnly = ReadOnly {
    fixed: &["id", "created_at", "engine", "verbose_name", "_namespace"],
    elsewhere: &[],
    observed: &["state", "phase", "status_reason", "status_message", "state_changed_at", "observed_at"],
};

/// Read-only fields of users.
pub const USER: ReadOnly = ReadOnly { fixed: &["id", "created_at", "auth"], elsewhere: &[], observed: &[] };

/// Read-only fields of organizations.
pub const ORGANIZATION: ReadOnly =
    ReadOnly { fixed: &["id", "created_at", "namespace"], elsewhere: &[], observed: &[] };

impl ReadOnly {
    /// All read-only fields.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let elsewhere = self.elsewhere.iter().map(|(name, _)| *name);
        self.fixed.iter().copied().chain(elsewhere).chain(self.observed.iter().copied())
    }

    /// Removes the read-only fields from a body, and adds an error for each that differs from `shown`. If the caller may not see the object,
    /// there is nothing to compare with; the handler returns that error later.
    pub fn take(&self, fields: &mut Fields, shown: impl FnOnce() -> Option<Value>) {
        let sent: Vec<_> = self.names().filter_map(|name| Some((name, fields.nullable(name)?))).collect();
        if sent.is_empty() {
            return;
        }
        let Some(shown) = shown() else { return };
        let sent_as = |name: &str| sent.iter().find(|(sent, _)| *sent == name).map(|(_, value)| value.expose());
        let has_same_id = sent_as("id").is_some_and(|id| is_same("id", id, &shown["id"]));
        let has_other_time = OBSERVATION_TIMES.iter().any(|name| {
            sent_as(name).is_some_and(|at| (at.is_null() || time(at).is_some()) && !is_same(name, at, &shown[*name]))
        });
        let is_outdated = has_same_id && has_other_time;
        for (name, value) in &sent {
            let may_differ = is_outdated && self.observed.contains(name);
            if !may_differ && !is_same(name, value.expose(), &shown[*name]) {
                match self.elsewhere.iter().find(|(elsewhere, _)| elsewhere == name) {
                    Some((_, request)) => fields.wrong(name, format!("cannot be changed here: use {request}")),
                    None => fields.wrong(name, MESSAGE),
                }
            }
        }
    }
}

/// Whether a field is read-only in any kind.
pub fn is_known(name: &str) -> bool {
    [CLUSTER, PROVISIONER, USER, ORGANIZATION].iter().any(|kind| kind.names().any(|known| known == name))
}

/// Whether a field has the value that is shown: times are compared as instants, numbers by value, and nested objects by id.
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
            // A client may store a lower precision.
            (sent - shown).abs() < precision
        }),
    }
}

/// A time, and its precision: the unit of its last digit. A time without an offset, as clients of 2018 send it, is in UTC.
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
    fn equivalent_values_are_accepted() {
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
    fn different_values_are_rejected() {
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
    fn what_another_request_changes_is_never_outdated() {
        let messages = |body: Value| {
            let mut fields = Fields::of(body);
            let shown = json!({
                "id": "a", "observed_at": "2026-11-28T04:00:00Z", "node_count": 3,
                "network_policy": {"provider": "CALICO", "enabled": true},
            });
            CLUSTER.take(&mut fields, || Some(shown));
            let found = fields.finish(Some(())).map_or_else(|invalid| invalid.0, |()| Vec::new());
            found.into_iter().map(|error| format!("{} {}", error.field, error.message)).collect::<Vec<_>>()
        };
        let then = |node_count: u8, provider: &str| {
            let policy = json!({"provider": provider, "enabled": true});
            json!({"id": "a", "observed_at": "2026-11-28T03:59:00Z", "node_count": node_count, "network_policy": policy})
        };
        assert!(messages(then(3, "CALICO")).is_empty());
        let resize = "node_count cannot be changed here: use PATCH /clusters/{id}/resize";
        let switch = "network_policy cannot be changed here: use PATCH /clusters/{id}/set_network_policy";
        assert_eq!(messages(then(5, "CALICO")), [resize]);
        assert_eq!(messages(then(5, "CILIUM")), [resize, switch]);
        assert_eq!(messages(json!({"node_count": null})), [resize]);
    }

    #[test]
    fn outdated_bodies_may_differ_in_observed_fields() {
        let then = json!({
            "id": "a", "observed_at": "2026-11-28T03:59:00Z", "state": "Unknown", "progress": null, "version": "1.29",
        });
        assert!(wrong(&CLUSTER, then.clone()).is_empty());
        let mut other = then.clone();
        other["observed_at"] = Value::Null;
        assert!(wrong(&CLUSTER, other).is_empty(), "before the first observation");
        let mut other = then.clone();
        other["created_at"] = json!("2026-11-28T03:59:00Z");
        assert_eq!(wrong(&CLUSTER, other), ["created_at"], "fixed fields are never outdated");
        let mut other = then.clone();
        other["id"] = json!("b");
        assert_eq!(wrong(&CLUSTER, other).len(), 5, "of another object");
        let mut other = then;
        other["observed_at"] = json!("2026-11-28T04:00:00Z");
        assert_eq!(wrong(&CLUSTER, other), ["state", "version", "progress"], "read just now");
    }
}
