//! Checks query parameters against those that the OpenAPI document declares for the operation. Unknown ones are rejected, so that a
//! misspelled filter does not silently return everything.

use std::{borrow::Cow, collections::HashSet};

use kqueen_domain::invalid::{Findings, Invalid};
use serde_json::Value;
use url::form_urlencoded;

/// Other names for a parameter that are common elsewhere, in lower case and without `_` and `-`.
const SYNONYMS: &[(&str, &str)] = &[
    ("page", "offset"),
    ("skip", "offset"),
    ("start", "offset"),
    ("perpage", "limit"),
    ("pagesize", "limit"),
    ("size", "limit"),
    ("count", "limit"),
    ("sort", "sortby"),
    ("orderby", "sortby"),
    ("direction", "order"),
    ("status", "state"),
];

/// Maximum length of an unknown name in an error message.
const MAX_SHOWN: usize = 100;

/// Query parameters that the document mentions only in descriptions, by operation: if declared, they would clash with a header of the same
/// name in generated clients.
const DESCRIBED: &[(&str, &str)] = &[("event_stream", "last_event_id")];

/// The query parameters of one operation.
#[derive(Debug, Default)]
pub struct Parameters {
    names: Vec<String>,
    /// Whether there may be others, which the operation checks itself: the document declares an object whose properties are parameters.
    is_open: bool,
}

impl Parameters {
    /// The parameters that the document declares for `operation`.
    #[must_use]
    pub fn declared(document: &Value, operation: &Value) -> Self {
        let all = operation["parameters"].as_array().into_iter().flatten();
        let resolved = all.map(|parameter| match parameter["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
            None => parameter,
        });
        let in_query: Vec<_> = resolved.filter(|parameter| parameter["in"] == "query").collect();
        let is_object = |parameter: &&&Value| parameter["schema"]["additionalProperties"].is_object();
        let is_open = in_query.iter().any(|parameter| is_object(&parameter));
        let names = in_query.iter().filter(|parameter| !is_object(parameter)).map(|parameter| &parameter["name"]);
        let described = DESCRIBED.iter().filter(|(id, _)| operation["operationId"] == *id).map(|(_, name)| *name);
        Self { names: names.filter_map(Value::as_str).chain(described).map(str::to_owned).collect(), is_open }
    }

    /// The query without empty parameters, which count as absent.
    ///
    /// # Errors
    /// Lists every parameter that is not declared or given more than once.
    pub fn read<'q>(&self, query: &'q str) -> Result<Cow<'q, str>, Invalid> {
        let mut findings = Findings::default();
        let mut names = HashSet::new();
        let mut kept = Vec::new();
        let mut has_empty = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = form_urlencoded::parse(pair.as_bytes()).next() else { continue };
            if name.is_empty() {
                continue;
            }
            if !self.is_open && !self.names.iter().any(|known| *known == *name) {
                findings.add(shortened(&name), self.unknown(&name));
            } else if names.contains(&name) {
                findings.add(name.clone(), "is given more than once");
            }
            if value.is_empty() {
                has_empty = true;
            } else {
                kept.push(pair);
            }
            names.insert(name);
        }
        findings.finish(Some(if has_empty { Cow::Owned(kept.join("&")) } else { Cow::Borrowed(query) }))
    }

    fn unknown(&self, name: &str) -> String {
        let advice = match (self.similar(name), &self.names[..]) {
            (Some(meant), _) => format!("did you mean {meant}?"),
            (None, []) => "it supports none".to_owned(),
            (None, known) => format!("it supports {}", known.join(", ")),
        };
        format!("is not a query parameter of this request; {advice}")
    }

    /// The declared parameter that `name` is another name of, or else the one that it is a misspelling of: a letter is wrong, missing or
    /// added, or two are exchanged; two such mistakes in a name of six letters or more.
    fn similar(&self, name: &str) -> Option<&str> {
        let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
        let wanted = plain(&shortened(name));
        let synonym = SYNONYMS.iter().find(|(other, _)| *other == wanted).map(|(_, known)| *known);
        if let Some(known) = self.names.iter().find(|known| Some(known.as_str()) == synonym) {
            return Some(known);
        }
        let mistakes = if wanted.chars().count() < 6 { 1 } else { 2 };
        let distances = self.names.iter().map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known));
        let likely = distances.filter(|(distance, _)| *distance <= mistakes);
        likely.min_by_key(|(distance, _)| *distance).map(|(_, known)| known.as_str())
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list() -> Parameters {
        let document = json!({"components": {"parameters": {"list.limit": {"name": "limit", "in": "query"}}}});
        let parameters = json!([
            {"name": "id", "in": "path"},
            {"$ref": "#/components/parameters/list.limit"},
            {"name": "sortby", "in": "query"},
            {"name": "all_namespaces", "in": "query"},
            {"name": "If-Match", "in": "header"},
        ]);
        Parameters::declared(&document, &json!({ "parameters": parameters }))
    }

    #[test]
    fn parameters_are_read_from_the_document() {
        assert_eq!(list().names, ["limit", "sortby", "all_namespaces"]);
        assert!(Parameters::declared(&json!({}), &json!({})).names.is_empty());
    }

    #[test]
    fn empty_parameters_count_as_absent() {
        for (query, left) in [
            ("", ""),
            ("limit=5&sortby=name", "limit=5&sortby=name"),
            ("limit=&sortby=a%20b", "sortby=a%20b"),
            ("limit&sortby=name&all_namespaces=", "sortby=name"),
            ("sortby=", ""),
            ("&&limit=5&", "&&limit=5&"),
            ("==", "=="),
        ] {
            assert_eq!(list().read(query).unwrap(), left, "{query}");
        }
    }

    #[test]
    fn only_a_likely_name_is_suggested() {
        let names = ["name", "engine", "phase", "state", "sortby", "order", "offset", "limit", "namespace"];
        let list = Parameters { names: names.map(str::to_owned).to_vec(), is_open: false };
        for (given, meant) in [
            ("page", Some("offset")),
            ("per_page", Some("limit")),
            ("PageSize", Some("limit")),
            ("sort", Some("sortby")),
            ("order_by", Some("sortby")),
            ("status", Some("state")),
            ("nane", Some("name")),
            ("phsae", Some("phase")),
            ("Phase", Some("phase")),
            ("limits", Some("limit")),
            ("name_space", Some("namespace")),
            ("namspacee", Some("namespace")),
            ("owner", None),
            ("date", None),
            ("pace", None),
            ("range", None),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(list.similar(given), meant, "{given}");
        }
        let without_pages = Parameters { names: vec!["phase".to_owned()], is_open: false };
        assert_eq!(without_pages.similar("page"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_rejected() {
        let sortby = "is not a query parameter of this request; did you mean sortby?";
        let namespaces = "is not a query parameter of this request; did you mean all_namespaces?";
        let all = "is not a query parameter of this request; it supports limit, sortby, all_namespaces";
        for (query, field, message) in [
            ("sort_by=name", "sort_by", sortby),
            ("SortBy=name", "SortBy", sortby),
            ("sort=name", "sort", sortby),
            ("allNamespaces=1", "allNamespaces", namespaces),
            ("colour=red", "colour", all),
            ("colour", "colour", all),
            ("colour=", "colour", all),
            ("%63olour=red", "colour", all),
            ("limit=1&limit=2", "limit", "is given more than once"),
            ("limit=1&limit=", "limit", "is given more than once"),
        ] {
            assert_eq!(list().read(query).unwrap_err(), Invalid::field(field, message), "{query}");
        }
        let none = Parameters::default().read("colour=red").unwrap_err();
        assert_eq!(none, Invalid::field("colour", "is not a query parameter of this request; it supports none"));
        let both = list().read("colour=red&limit=1&shape=round").unwrap_err();
        assert_eq!(both.0.iter().map(|error| &*error.field).collect::<Vec<_>>(), ["colour", "shape"]);
        let long = list().read(&"x".repeat(20_000)).unwrap_err();
        assert_eq!(long.0[0].field.len(), MAX_SHOWN);
    }

    #[test]
    fn an_object_of_parameters_allows_any_name() {
        let schema = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let operation = json!({"parameters": [{"name": "values", "in": "query", "schema": schema}]});
        let form = Parameters::declared(&json!({}), &operation);
        assert_eq!(form.read("zone=a&size=").unwrap(), "zone=a");
        let twice = form.read("zone=a&zone=b").unwrap_err();
        assert_eq!(twice.0[0].field, "zone");
    }
}
