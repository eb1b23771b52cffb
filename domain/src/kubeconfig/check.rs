//! Validates a kubeconfig and makes the copy that is stored.

use std::{collections::BTreeSet, net::IpAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use serde_json::{Map, Value};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::AddressRules;
use crate::{
    invalid::{Findings, Invalid},
    secret::{Kubeconfig, SecretMap, SecretValue},
};

const COMMAND: &str = "would run a command on this server and is not accepted: use a token or a client certificate, for \
                       example those of a service account";
const FILE: &str = "refers to a file that exists only on your machine: send the output of `kubectl config view --minify \
                    --flatten --raw`";
const PROXY: &str = "is not accepted: this server connects to clusters directly";
const IMPERSONATION: &str = "is not accepted: use the credentials of that user instead";

/// Keys of a cluster entry that are always refused.
const REFUSED_OF_CLUSTER: &[(&str, &str)] = &[("certificate-authority", FILE), ("proxy-url", PROXY)];
/// Keys of a user entry that are always refused.
const REFUSED_OF_USER: &[(&str, &str)] = &[
    ("exec", COMMAND),
    ("auth-provider", COMMAND),
    ("tokenFile", FILE),
    ("client-certificate", FILE),
    ("client-key", FILE),
    ("as", IMPERSONATION),
    ("as-uid", IMPERSONATION),
    ("as-groups", IMPERSONATION),
    ("as-user-extra", IMPERSONATION),
];

/// Validates `document` and makes the copy that is stored.
pub(super) fn check(document: &Map<String, Value>, rules: &AddressRules) -> Result<Kubeconfig, Invalid> {
    let mut validator = Validator { findings: Findings::default(), rules };
    let root = Node { object: document, path: "kubeconfig".to_owned() };
    validator.constant(&root, "apiVersion", "v1");
    validator.constant(&root, "kind", "Config");
    let clusters = validator.entries(&root, "clusters", "cluster", Validator::cluster);
    let users = validator.entries(&root, "users", "user", Validator::user);
    let contexts = validator.entries(&root, "contexts", "context", Validator::context);
    let current = validator.current(&root, &contexts).map(str::to_owned);
    if let Some(context) = current.as_ref().and_then(|name| contexts.iter().find(|context| context.name == *name)) {
        validator.check_references(context, &clusters, &users);
    }
    let mut kept = SecretMap::new();
    kept.insert("apiVersion", Value::from("v1"));
    kept.insert("kind", Value::from("Config"));
    kept.insert("preferences", SecretMap::new());
    kept.insert("clusters", listed("cluster", clusters));
    kept.insert("contexts", listed("context", contexts));
    kept.insert("users", listed("user", users));
    kept.insert("current-context", Value::from(current));
    validator.findings.finish(Some(Kubeconfig::new(kept.to_text())))
}

/// Decodes text from Base64, if it is valid.
pub(super) fn text_of(data: &str) -> Option<Zeroizing<String>> {
    // Some tools put line breaks into long values: ignore them.
    let mut base64 = Zeroizing::new(Vec::with_capacity(data.len()));
    base64.extend(data.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let text = String::from_utf8(STANDARD.decode(&*base64).ok()?);
    text.map(Zeroizing::new).map_err(|error| drop(Zeroizing::new(error.into_bytes()))).ok()
}

/// An object of the input and its path.
struct Node<'a> {
    object: &'a Map<String, Value>,
    path: String,
}

impl Node<'_> {
    fn field(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The value of `key`; null and empty text count as absent, as they do for kubectl.
    fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }
}

/// A named entry of the stored copy.
struct NamedEntry {
    name: String,
    path: String,
    kept: SecretMap,
}

fn listed(key: &str, entries: Vec<NamedEntry>) -> SecretValue {
    let named = |NamedEntry { name, kept, .. }: NamedEntry| {
        let mut entry = SecretMap::new();
        entry.insert("name", name);
        entry.insert(key, kept);
        Value::Object(entry.into_exposed())
    };
    entries.into_iter().map(named).collect::<Value>().into()
}

struct Validator<'a> {
    findings: Findings,
    rules: &'a AddressRules,
}

impl Validator<'_> {
    fn constant(&mut self, root: &Node<'_>, key: &str, expected: &str) {
        if root.get(key).is_some_and(|value| value != expected) {
            self.findings.add(root.field(key), format!("must be `{expected}`"));
        }
    }

    fn entries(
        &mut self,
        root: &Node<'_>,
        list: &str,
        key: &str,
        read: fn(&mut Self, &Node<'_>) -> SecretMap,
    ) -> Vec<NamedEntry> {
        let empty = Vec::new();
        let items = match root.get(list) {
            None => &empty,
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.findings.add(root.field(list), "must be a list");
                &empty
            }
        };
        let mut names = BTreeSet::new();
        let mut entries = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", root.field(list));
            let (Some(name), Some(object)) =
                (item.get("name").and_then(Value::as_str), item.get(key).and_then(Value::as_object))
            else {
                self.findings.add(path, format!("must have a `name` (string) and a `{key}` (object)"));
                continue;
            };
            if !names.insert(name) {
                self.findings.add(format!("{path}.name"), "is not unique");
            }
            let path = format!("{path}.{key}");
            let kept = read(self, &Node { object, path: path.clone() });
            entries.push(NamedEntry { name: name.to_owned(), path, kept });
        }
        entries
    }

    /// The name of the context to use: `current-context`, or the only one.
    fn current<'e>(&mut self, root: &'e Node<'_>, contexts: &'e [NamedEntry]) -> Option<&'e str> {
        let key = "current-context";
        match (root.get(key), contexts) {
            (Some(Value::String(name)), _) if contexts.iter().any(|context| context.name == *name) => Some(name),
            (Some(Value::String(_)), _) => {
                self.findings.add(root.field(key), "must be the name of a context in this kubeconfig");
                None
            }
            (Some(_), _) => {
                self.findings.add(root.field(key), "must be a string");
                None
            }
            (None, [only]) => Some(&only.name),
            (None, []) => {
                self.findings.add(root.field("contexts"), "must contain at least one context");
                None
            }
            (None, _) => {
                self.findings.add(root.field(key), "is required when there are several contexts");
                None
            }
        }
    }

    /// Checks that the context refers to an existing cluster and user; the user may be omitted.
    fn check_references(&mut self, context: &NamedEntry, clusters: &[NamedEntry], users: &[NamedEntry]) {
        let name_of = |key: &str| context.kept.get(key).and_then(Value::as_str).unwrap_or_default();
        let cluster = name_of("cluster");
        if !cluster.is_empty() && !clusters.iter().any(|entry| entry.name == cluster) {
            self.findings.add(format!("{}.cluster", context.path), "must be the name of a cluster in this kubeconfig");
        }
        let user = name_of("user");
        if !user.is_empty() && !users.iter().any(|entry| entry.name == user) {
            self.findings.add(format!("{}.user", context.path), "must be the name of a user in this kubeconfig");
        }
    }

    fn context(&mut self, node: &Node<'_>) -> SecretMap {
        let mut kept = SecretMap::new();
        match self.text(node, "cluster") {
            Some(cluster) => kept.insert("cluster", cluster),
            None if node.get("cluster").is_none() => {
                self.findings.add(node.field("cluster"), "must be the name of a cluster");
            }
            None => {}
        }
        // In a context without credentials, the user's name may be empty.
        let user = self.text(node, "user").or_else(|| node.object.contains_key("user").then(String::new));
        for (key, value) in [("user", user), ("namespace", self.text(node, "namespace"))] {
            if let Some(value) = value {
                kept.insert(key, value);
            }
        }
        kept
    }

    fn cluster(&mut self, node: &Node<'_>) -> SecretMap {
        let mut kept = SecretMap::new();
        self.refuse(node, REFUSED_OF_CLUSTER);
        match self.text(node, "server") {
            Some(server) => {
                self.server(node, &server);
                kept.insert("server", server);
            }
            None if node.get("server").is_none() => {
                self.findings.add(node.field("server"), "must be the address of the API server");
            }
            None => {}
        }
        let key = "certificate-authority-data";
        if let Some(data) = self.text(node, key) {
            let certificates = text_of(&data).map(|pem| certificates(&pem));
            if !matches!(certificates, Some(Some(_))) {
                self.findings.add(node.field(key), "must be PEM certificates in Base64");
            }
            kept.insert(key, data);
        }
        let key = "tls-server-name";
        if let Some(name) = self.text(node, key) {
            if ServerName::try_from(name.as_str()).is_err() {
                self.findings.add(node.field(key), "must be a host name or an IP address");
            }
            kept.insert(key, name);
        }
        for key in ["insecure-skip-tls-verify", "disable-compression"] {
            match node.get(key) {
                None => {}
                Some(Value::Bool(value)) => kept.insert(key, Value::from(*value)),
                Some(_) => self.findings.add(node.field(key), "must be true or false"),
            }
        }
        if kept.get("insecure-skip-tls-verify") == Some(&Value::Bool(true))
            && kept.contains_key("certificate-authority-data")
        {
            self.findings.add(
                node.field("insecure-skip-tls-verify"),
                "contradicts `certificate-authority-data`: remove one of them",
            );
        }
        kept
    }

    fn server(&mut self, node: &Node<'_>, server: &str) {
        let mut wrong = |message: &str| self.findings.add(node.field("server"), message);
        // The parser would ignore some of these.
        if server.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
            return wrong("must not contain spaces or control characters");
        }
        let Ok(url) = Url::parse(server) else { return wrong("must be a URL such as https://10.0.0.1:6443") };
        if !matches!(url.scheme(), "https" | "http") {
            return wrong("must start with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            wrong("must not contain a user name or password: set them in the user entry");
        }
        if url.query().is_some() || url.fragment().is_some() {
            wrong("must not contain `?` or `#`");
        }
        if url.port() == Some(0) {
            wrong("must not have port 0");
        }
        // The parser has normalized decimal, octal and hexadecimal forms of addresses.
        let allowed = match url.host() {
            Some(Host::Ipv4(address)) => self.rules.allows(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.rules.allows(IpAddr::V6(address)),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                !(name == "localhost" || name.ends_with(".localhost")) || self.rules.allows_loopback()
            }
            None => return wrong("must contain a host"),
        };
        if !allowed {
            wrong(
                "is an address that this installation does not connect to (by default loopback, link-local and cloud metadata \
                 addresses): use an address at which the cluster can be reached from other machines",
            );
        }
    }

    fn user(&mut self, node: &Node<'_>) -> SecretMap {
        let mut kept = SecretMap::new();
        self.refuse(node, REFUSED_OF_USER);
        for key in ["token", "username", "password"] {
            if let Some(value) = self.text(node, key) {
                // They are sent in an HTTP header.
                if value.chars().any(char::is_control)
                    || (key == "token" && !value.chars().all(|c| c.is_ascii_graphic()))
                {
                    self.findings.add(node.field(key), "must be one line of printable characters");
                } else if key == "username" && value.contains(':') {
                    self.findings.add(node.field(key), "must not contain a colon");
                }
                kept.insert(key, value);
            }
        }
        if node.get("username").is_some() != node.get("password").is_some() {
            self.findings.add(node.path.clone(), "must have `username` and `password` together");
        }
        let (certificate, key) = ("client-certificate-data", "client-key-data");
        if let Some(data) = self.text(node, certificate) {
            if text_of(&data).and_then(|pem| certificates(&pem)).is_none() {
                self.findings.add(node.field(certificate), "must be PEM certificates in Base64");
            }
            kept.insert(certificate, data);
        }
        if let Some(data) = self.text(node, key) {
            let readable = |pem: Zeroizing<String>| PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok();
            if !text_of(&data).is_some_and(readable) {
                self.findings.add(node.field(key), "must be a PEM private key, not encrypted, in Base64");
            }
            kept.insert(key, data);
        }
        if node.get(certificate).is_some() != node.get(key).is_some() {
            self.findings.add(node.path.clone(), format!("must have `{certificate}` and `{key}` together"));
        }
        kept
    }

    fn refuse(&mut self, node: &Node<'_>, keys: &[(&str, &str)]) {
        for (key, message) in keys {
            if node.get(key).is_some() {
                self.findings.add(node.field(key), *message);
            }
        }
    }

    fn text(&mut self, node: &Node<'_>, key: &str) -> Option<String> {
        match node.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.findings.add(node.field(key), "must be a string (in YAML, put numbers in quotes)");
                None
            }
        }
    }
}

/// The certificates in `pem`, if there are any and all of them look valid.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    let is_sequence = |der: &CertificateDer<'_>| der.len() > 64 && der.first() == Some(&0x30);
    (!certificates.is_empty() && certificates.iter().all(is_sequence)).then_some(certificates)
}
