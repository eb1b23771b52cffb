//! Merges the layers: for each setting the effective value, its origin, and how it is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use toml::{Table, Value};
use zeroize::{Zeroize, Zeroizing};

use super::{
    environment::{self, Environment},
    problem::Problem,
    value::{self, Parsed},
};

/// All settings with their defaults and comments.
pub const DEFAULTS: &str = include_str!("../../../config/default.toml");
/// Defaults in development mode, which a file or the environment can override.
const DEV_MODE_DEFAULTS: &str = r#"
[cluster]
address_deny = ["169.254.0.0/16", "fe80::/10", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128"]
[demo]
enabled = true
[bootstrap]
admin_username = "admin"
admin_password = "default"
admin_email = "admin@kqueen.net"
admin_organization = "DemoOrg"
admin_namespace = "demoorg"
"#;
const DEFAULT_FILE: &str = "config/dev.toml";
/// Maximum size of a file with a secret in bytes.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Settings whose values are never shown. All but the job contexts, which may contain passwords, can also be given as `<name>_file`.
const HIDDEN: [&str; 9] = [
    "secret_key",
    "secret_key_previous",
    "etcd.password",
    "ldap.password",
    "jenkins.password",
    "outbound.proxy",
    "jenkins.provision_job_ctx",
    "jenkins.deprovision_job_ctx",
    "bootstrap.admin_password",
];

/// The origin of a value, lowest precedence first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    BuiltIn,
    DevMode,
    File(PathBuf),
    /// The name of the variable.
    Environment(String),
}

impl Origin {
    const fn layer(&self) -> u8 {
        match self {
            Self::BuiltIn => 0,
            Self::DevMode => 1,
            Self::File(_) => 2,
            Self::Environment(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("default"),
            Self::DevMode => f.write_str("default of KQUEEN_DEV_MODE"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
        }
    }
}

struct Setting {
    value: Value,
    origin: Origin,
}

/// Overwrites the value: secrets live on only in their own types.
impl Drop for Setting {
    fn drop(&mut self) {
        overwrite(&mut self.value);
    }
}

fn overwrite(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(overwrite),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| overwrite(value)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// All settings, and the problems found so far.
pub(super) struct Settings {
    values: BTreeMap<String, Setting>,
    pub(super) problems: Vec<Problem>,
    /// The settings that were read; a test checks that none is unused.
    read: BTreeSet<String>,
}

impl Settings {
    /// Merges the layers: defaults, file, environment.
    pub(super) fn gather(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut values = BTreeMap::new();
        for (key, value) in flatten(built_in(DEFAULTS)) {
            values.insert(key, Setting { value, origin: Origin::BuiltIn });
        }
        let environment = Environment::read(variables, values.keys().map(String::as_str));
        let mut settings = Self { values, problems: environment.problems, read: BTreeSet::new() };
        settings.merge_file(environment.config_file.as_deref());
        for (key, (variable, text)) in environment.values {
            settings.put(key, Value::String(text), Origin::Environment(variable));
        }
        // An invalid value is reported when `Config` reads the setting.
        if value::boolean(&settings.values["dev_mode"].value) == Ok(true) {
            for (key, value) in flatten(built_in(DEV_MODE_DEFAULTS)) {
                settings.put(key, value, Origin::DevMode);
            }
        }
        settings
    }

    /// Sets a value, unless a layer of higher precedence has set it.
    fn put(&mut self, key: String, value: Value, origin: Origin) {
        let weaker = self.values.get(&key).is_none_or(|present| present.origin.layer() <= origin.layer());
        if weaker {
            self.values.insert(key, Setting { value, origin });
        }
    }

    fn merge_file(&mut self, named: Option<&str>) {
        let path = match named {
            Some("") => return,
            Some(path) => Path::new(path),
            None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            None => return,
        };
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                let advice = format!("name a readable TOML file with {}", environment::CONFIG_FILE);
                self.problems.push(Problem::new(name, format!("cannot be read: {error}"), advice));
                return;
            }
        };
        let table: Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(error) => {
                // The full error text quotes the line, which may contain a secret.
                let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
                let wrong = format!("is not TOML: {} (line {line})", error.message());
                self.problems.push(Problem::new(name, wrong, "put text in quotes, one `key = value` per line"));
                return;
            }
        };
        for (key, value) in flatten(table) {
            if self.values.contains_key(&key) {
                self.put(key, value, Origin::File(path.to_owned()));
                continue;
            }
            let candidates = self.values.keys().map(String::as_str);
            let by_name = self.values.keys().find(|known| environment::name_of(known) == environment::name_of(&key));
            let advice = match by_name.map(String::as_str).or_else(|| environment::similar(&key, candidates)) {
                Some(candidate) => format!("did you mean {}?", location_of(candidate)),
                None => "remove it; config/default.toml lists all settings".to_owned(),
            };
            self.problems.push(Problem::new(format!("{key} in {name}"), "is not a setting", advice));
        }
    }

    /// The name of a setting in problems, by its origin.
    pub(super) fn name(&self, key: &str) -> String {
        match &self.values[key].origin {
            Origin::Environment(variable) => variable.clone(),
            Origin::File(path) => format!("{key} in {}", path.display()),
            Origin::BuiltIn | Origin::DevMode => format!("KQUEEN_{}", environment::name_of(key)),
        }
    }

    /// Adds a problem with a setting.
    pub(super) fn reject(
        &mut self,
        key: &str,
        wrong: impl Into<std::borrow::Cow<'static, str>>,
        accepted: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        let problem = Problem::new(self.name(key), wrong, accepted);
        self.problems.push(problem);
    }

    /// Whether a file or the environment sets it.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.values[key].origin.layer() >= 2
    }

    /// The value of a setting. An invalid value adds a problem and returns `None`.
    pub(super) fn get<T>(&mut self, key: &str, parser: impl Fn(&Value) -> Parsed<T>) -> Option<T> {
        debug_assert!(self.values.contains_key(key), "{key} is missing in default.toml");
        self.read.insert(key.to_owned());
        match parser(&self.values[key].value) {
            Ok(value) => Some(value),
            Err(accepted) => {
                let wrong = self.described(key);
                self.reject(key, wrong, accepted);
                None
            }
        }
    }

    /// Describes a rejected value, without repeating values that may contain secrets.
    fn described(&self, key: &str) -> String {
        match &self.values[key].value {
            _ if HIDDEN.contains(&key) => "has a value that is not accepted".to_owned(),
            Value::String(text) if text.is_empty() => "is empty".to_owned(),
            Value::String(text) if text.contains('@') => "has a value that is not accepted".to_owned(),
            Value::String(text) => format!("{:?} is not accepted", text.chars().take(60).collect::<String>()),
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {
                format!("{} is not accepted", self.values[key].value)
            }
            other => format!("has a value that is not accepted ({})", other.type_str()),
        }
    }

    /// A secret, given directly or as a file; the layer with higher precedence wins. Empty means none.
    pub(super) fn secret(&mut self, key: &str) -> Option<Option<SecretString>> {
        match self.secret_source(key)? {
            Some(path) => self.secret_file(key, &path).map(Some),
            None => Some(self.get(key, value::optional_text)?.map(SecretString::from)),
        }
    }

    /// Several secrets, given as a list or as a file with one per line.
    pub(super) fn secrets(&mut self, key: &str) -> Option<Vec<SecretString>> {
        match self.secret_source(key)? {
            Some(path) => {
                use secrecy::ExposeSecret;
                let file = self.secret_file(key, &path)?;
                let lines = file.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
                Some(lines.map(SecretString::from).collect())
            }
            None => Some(self.get(key, value::list(value::text))?.into_iter().map(SecretString::from).collect()),
        }
    }

    /// The file to read a secret from, if it is given as a file.
    fn secret_source(&mut self, key: &str) -> Option<Option<PathBuf>> {
        let file_key = format!("{key}_file");
        self.read.insert(key.to_owned());
        let Some(path) = self.get(&file_key, value::optional_path)? else { return Some(None) };
        let (here, there) = (&self.values[key], &self.values[&file_key]);
        let given = !matches!(&here.value, Value::String(text) if text.trim().is_empty())
            && !matches!(&here.value, Value::Array(items) if items.is_empty());
        if !given || here.origin.layer() < there.origin.layer() {
            return Some(Some(path));
        }
        if here.origin.layer() > there.origin.layer() {
            return Some(None);
        }
        let wrong = format!("is set together with {}", self.name(key));
        self.reject(&file_key, wrong, "set either the secret or the file that holds it");
        None
    }

    fn secret_file(&mut self, key: &str, path: &Path) -> Option<SecretString> {
        let read = || {
            let length = std::fs::metadata(path)?.len();
            if length > MAX_SECRET_FILE {
                return Err(std::io::Error::other("it is larger than 64 KiB"));
            }
            std::fs::read_to_string(path).map(Zeroizing::new)
        };
        let file_key = format!("{key}_file");
        match read() {
            Ok(text) if text.trim().is_empty() => {
                self.reject(&file_key, format!("{} is empty", path.display()), "put the secret into the file");
                None
            }
            Ok(text) => Some(SecretString::from(text.trim())),
            Err(error) => {
                let wrong = format!("{} cannot be read: {error}", path.display());
                self.reject(&file_key, wrong, "name a file that KQueen may read");
                None
            }
        }
    }

    /// All settings with their origins, in the format of a configuration file; secrets are hidden.
    pub(super) fn shown(&self) -> String {
        let mut lines = Vec::new();
        let mut section = "";
        // Keys without a section come first, as TOML requires.
        let (top, rest): (Vec<_>, Vec<_>) = self.values.iter().partition(|(key, _)| !key.contains('.'));
        for (key, setting) in top.into_iter().chain(rest) {
            let (of, name) = key.split_once('.').unwrap_or(("", key));
            if of != section {
                section = of;
                lines.push(format!("\n[{section}]"));
            }
            let empty = match &setting.value {
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Table(table) => table.is_empty(),
                _ => false,
            };
            let hide = !empty && HIDDEN.contains(&key.as_str());
            let value = if hide { "\"*******\"".to_owned() } else { setting.value.to_string() };
            lines.push(format!("{:<60} # {}", format!("{name} = {value}"), setting.origin));
        }
        lines.join("\n")
    }

    /// Settings that were never read.
    #[cfg(test)]
    pub(super) fn unread(&self) -> Vec<&str> {
        self.values.keys().filter(|key| !self.read.contains(*key)).map(String::as_str).collect()
    }
}

/// `[section]` with `key` becomes `section.key`; deeper tables are values.
fn flatten(table: Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(section) => {
                flat.extend(section.into_iter().map(|(name, value)| (format!("{key}.{name}"), value)))
            }
            value => flat.push((key, value)),
        }
    }
    flat
}

#[expect(clippy::expect_used, reason = "the text is part of the program, and a test reads it")]
fn built_in(text: &str) -> Table {
    toml::from_str(text).expect("the built-in settings are TOML")
}

fn location_of(key: &str) -> String {
    match key.split_once('.') {
        Some((section, name)) => format!("{name} in [{section}]"),
        None => format!("{key} above the first section"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_one_name_in_the_environment() {
        let keys = flatten(built_in(DEFAULTS));
        let names: BTreeSet<_> = keys.iter().map(|(key, _)| environment::name_of(key)).collect();
        assert_eq!(names.len(), keys.len());
        for (key, _) in flatten(built_in(DEV_MODE_DEFAULTS)) {
            assert!(keys.iter().any(|(known, _)| *known == key), "{key}");
        }
    }

    #[test]
    fn every_secret_can_come_from_a_file() {
        let keys: Vec<_> = flatten(built_in(DEFAULTS)).into_iter().map(|(key, _)| key).collect();
        for secret in HIDDEN {
            assert!(keys.iter().any(|key| key == secret), "{secret}");
            assert!(secret.ends_with("_ctx") || keys.contains(&format!("{secret}_file")), "{secret}");
        }
        let passwords = keys.iter().filter(|key| key.ends_with("password"));
        assert!(passwords.into_iter().all(|key| HIDDEN.contains(&key.as_str())));
    }
}
