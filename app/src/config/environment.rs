//! The environment as a layer of settings: maps variables to settings.

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use super::problem::Problem;

/// The variable that names the configuration file; it is not a setting itself.
pub const CONFIG_FILE: &str = "KQUEEN_CONFIG_FILE";
const PREFIX: &str = "KQUEEN_";
/// The prefix of the 2018 console's settings, some of which are read as well.
const CONSOLE_PREFIX: &str = "KQUEENUI_";
/// Alternative names of settings: name without prefix -> canonical name.
const ALIASES: [(&str, &str); 2] = [("KQUEEN_HOST", "HOST"), ("KQUEEN_PORT", "PORT")];

/// The environment of this process; `file` replaces the configuration file it names.
#[must_use]
pub fn variables(file: Option<&Path>) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> = std::env::vars_os().collect();
    if let Some(file) = file {
        variables.retain(|(name, _)| name != CONFIG_FILE);
        variables.push((CONFIG_FILE.into(), file.into()));
    }
    variables
}

/// The settings in the environment.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// The configuration file, if one is named.
    pub(super) config_file: Option<String>,
    /// Setting -> (variable, text).
    pub(super) values: BTreeMap<String, (String, String)>,
    pub(super) problems: Vec<Problem>,
}

/// The variable name of a setting without its prefix, as in `KQUEEN_ETCD_HOST` for `etcd.host`.
pub(super) fn name_of(key: &str) -> String {
    key.replace('.', "_").to_ascii_uppercase()
}

impl Environment {
    /// Reads `variables`; `known` lists all settings.
    pub(super) fn read<'k>(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        known: impl IntoIterator<Item = &'k str>,
    ) -> Self {
        let keys: BTreeMap<String, &str> = known.into_iter().map(|key| (name_of(key), key)).collect();
        let mut read = Self::default();
        let mut variables: Vec<_> =
            variables.into_iter().filter_map(|(name, text)| Some((name.into_string().ok()?, text))).collect();
        variables.sort();
        for (variable, text) in variables {
            let (rest, from_console) = match (variable.strip_prefix(PREFIX), variable.strip_prefix(CONSOLE_PREFIX)) {
                (Some(rest), _) => (rest, false),
                (None, Some(rest)) => (rest, true),
                (None, None) => continue,
            };
            if is_service_link(&variable, &text) {
                continue;
            }
            let Ok(text) = text.into_string() else {
                read.problems.push(Problem::new(variable, "is not UTF-8 text", "set it to plain text"));
                continue;
            };
            if variable == CONFIG_FILE {
                read.config_file = Some(text);
                continue;
            }
            let name = ALIASES.iter().find(|(alias, _)| *alias == rest && !from_console).map_or(rest, |(_, name)| name);
            let key = keys.get(name).filter(|key| !from_console || is_of_console(key));
            let Some(key) = key else {
                read.problems.push(unknown(&variable, name, &keys, from_console));
                continue;
            };
            if let Some((other, earlier)) = read.values.get(*key)
                && *earlier != text
            {
                let wrong = format!("differs from {other}, which is the same setting");
                read.problems.push(Problem::new(variable, wrong, "set only one of them"));
                continue;
            }
            read.values.insert((*key).to_owned(), (variable, text));
        }
        read
    }
}

/// Whether a setting may be given with `KQUEENUI_`: settings of the 2018 console that the server has now.
fn is_of_console(key: &str) -> bool {
    key.starts_with("mail.") || key == "ldap.auth_notify"
}

fn unknown(variable: &str, name: &str, keys: &BTreeMap<String, &str>, from_console: bool) -> Problem {
    let candidates = keys.iter().filter(|(_, key)| !from_console || is_of_console(key)).map(|(name, _)| name.as_str());
    let prefix = if from_console { CONSOLE_PREFIX } else { PREFIX };
    let advice = match similar(name, candidates) {
        Some(candidate) => format!("did you mean {prefix}{candidate}?"),
        None if from_console && keys.contains_key(name) => format!("this setting is called {PREFIX}{name}"),
        None => "unset it; config/default.toml lists all settings".to_owned(),
    };
    Problem::new(variable, "is not a setting", advice)
}

/// The candidate that is most similar to `name`.
pub(super) fn similar<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.9)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// Whether Kubernetes added the variable for a Service whose name starts with `kqueen`.
fn is_service_link(variable: &str, text: &OsString) -> bool {
    let names_port = |marker: &str, rest_ok: fn(&str) -> bool| {
        variable.match_indices(marker).any(|(at, _)| rest_ok(&variable[at + marker.len()..]))
    };
    let numbered = |rest: &str| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with('_')
    };
    let address =
        text.to_str().is_some_and(|text| ["tcp://", "udp://", "sctp://"].iter().any(|it| text.starts_with(it)));
    variable.ends_with("_SERVICE_HOST")
        || names_port("_SERVICE_PORT", |rest| rest.is_empty() || rest.starts_with('_'))
        || (variable.ends_with("_PORT") && address)
        || names_port("_PORT_", numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["host", "port", "etcd.port", "mail.server", "ldap.auth_notify"];

    fn read(variables: &[(&str, &str)]) -> Environment {
        Environment::read(variables.iter().map(|(name, text)| (name.into(), text.into())), KNOWN)
    }

    #[test]
    fn a_variable_name_is_a_section_and_a_key() {
        let found = read(&[
            ("KQUEEN_ETCD_PORT", "1"),
            ("KQUEEN_KQUEEN_HOST", "::1"),
            ("KQUEENUI_MAIL_SERVER", "m"),
            ("PATH", "x"),
        ]);
        assert_eq!(found.problems, []);
        let values: Vec<_> = found.values.iter().map(|(key, (_, text))| (key.as_str(), text.as_str())).collect();
        assert_eq!(values, [("etcd.port", "1"), ("host", "::1"), ("mail.server", "m")]);
    }

    #[test]
    fn service_links_are_ignored() {
        let links = [
            ("KQUEEN_SERVICE_HOST", "10.0.0.1"),
            ("KQUEEN_SERVICE_PORT", "5000"),
            ("KQUEEN_SERVICE_PORT_HTTP", "5000"),
            ("KQUEEN_PORT", "tcp://10.0.0.1:5000"),
            ("KQUEEN_PORT_5000_TCP", "tcp://10.0.0.1:5000"),
            ("KQUEEN_PORT_5000_TCP_PROTO", "tcp"),
            ("KQUEEN_PORT_5000_TCP_ADDR", "10.0.0.1"),
            ("KQUEEN_ETCD_PORT", "tcp://10.0.0.1:2379"),
            ("KQUEENUI_SERVICE_HOST", "10.0.0.1"),
        ];
        let found = read(&links);
        assert_eq!((found.problems, found.values), (vec![], BTreeMap::new()));
    }

    #[test]
    fn variables_similar_to_service_links_are_not_ignored() {
        for (name, text) in
            [("KQUEEN_SERVICE_HOSTS", "x"), ("KQUEEN_PORT_", "1"), ("KQUEEN_PORT_X_TCP", "1"), ("KQUEEN_X_PORT", "1")]
        {
            assert_eq!(read(&[(name, text)]).problems.len(), 1, "{name}");
        }
    }

    #[test]
    fn unknown_names_are_reported_with_a_suggestion_and_without_the_value() {
        let problem = read(&[("KQUEEN_ETCD_PROT", "s3cret")]).problems.remove(0).to_string();
        assert_eq!(problem, "KQUEEN_ETCD_PROT: is not a setting; did you mean KQUEEN_ETCD_PORT?");
        assert!(read(&[("KQUEENUI_HOST", "x")]).problems[0].to_string().contains("is called KQUEEN_HOST"));
    }

    #[test]
    fn two_names_of_one_setting_must_agree() {
        assert_eq!(read(&[("KQUEEN_HOST", "a"), ("KQUEEN_KQUEEN_HOST", "a")]).problems, []);
        assert_eq!(read(&[("KQUEEN_HOST", "a"), ("KQUEEN_KQUEEN_HOST", "b")]).problems.len(), 1);
    }
}
