//! Configuration and command line, from outside: what the program prints and how it exits.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
};

use kqueen_tests::fixture::binary::{self, Run};
use tempfile::TempDir;

const KEY: &str = "0rTqb3o2mX8yW1uKf9sLz7";
const COMMANDS: [&str; 6] = ["serve", "openapi", "check-config", "create-admin", "healthcheck", "rotate-keys"];

/// A folder to run the program in.
struct WorkingDirectory(TempDir);

impl WorkingDirectory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        binary::run(self.0.path(), arguments, variables)
    }
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    WorkingDirectory::new().run(arguments, variables)
}

#[test]
fn all_problems_are_reported_at_once() {
    let bad = [
        ("KQUEEN_PORT", "http"),
        ("KQUEEN_HOST", "example.org"),
        ("KQUEEN_STORAGE_KIND", "mysql"),
        ("KQUEEN_JWT_EXPIRATION_DELTA", "soon"),
        ("KQUEEN_CLUSTER_ADDRESS_DENY", "10.0.0.0/99"),
        ("KQUEEN_HTTP_BODY_LIMIT", "0"),
        ("KQUEEN_ETCD_CA_FILE", "/nowhere/ca.pem"),
        ("KQUEEN_NO_SUCH_THING", "1"),
        ("KQUEENUI_MAIL_PORT", "smtp"),
    ];
    for command in ["serve", "check-config", "rotate-keys"] {
        let run = run(&[command], &bad);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{command}: {run:?}");
        for (name, _) in bad {
            let line = run.stderr.lines().find(|line| line.contains(&format!("- {name}: ")));
            let line = line.unwrap_or_else(|| panic!("{command}: {name} is missing in {}", run.stderr));
            assert!(line.contains("; "), "says what is accepted: {line}");
        }
        assert!(run.stderr.contains("- KQUEEN_SECRET_KEY: is missing"), "{}", run.stderr);
        assert!(run.stderr.contains(&format!("has {} problems", bad.len() + 1)), "{}", run.stderr);
    }
}

#[test]
fn the_service_does_not_start_without_a_secret_key() {
    let run = run(&["serve"], &[]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("has 1 problem\n") && run.stderr.contains("KQUEEN_SECRET_KEY: is missing"), "{run:?}");
}

#[test]
fn the_default_file_is_used_if_it_exists() {
    let place = WorkingDirectory::new();
    place.write("config/dev.toml", &format!("secret_key = '{KEY}'\nport = 5050\n"));
    let run = place.run(&["check-config"], &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let line = run.stdout.lines().find(|line| line.starts_with("port = ")).unwrap();
    assert!(line.contains("5050") && line.ends_with("# config/dev.toml"), "{line}");

    let named = place.write("other.toml", &format!("secret_key = '{KEY}'\nport = 6060\n"));
    for (arguments, variables) in [
        (vec!["check-config"], vec![("KQUEEN_CONFIG_FILE", named.as_str())]),
        (vec!["check-config", "--config", &named], vec![("KQUEEN_CONFIG_FILE", "/nowhere.toml")]),
    ] {
        let run = place.run(&arguments, &variables);
        assert!(run.stdout.contains("port = 6060"), "{run:?}");
    }
    let run = place.run(&["check-config"], &[("KQUEEN_CONFIG_FILE", "/nowhere.toml")]);
    assert!(run.code == Some(2) && run.stderr.contains("/nowhere.toml: cannot be read"), "{run:?}");
}

#[test]
fn service_links_of_kubernetes_are_ignored() {
    let links = [
        ("KQUEEN_SECRET_KEY", KEY),
        ("KQUEEN_SERVICE_HOST", "10.0.0.1"),
        ("KQUEEN_SERVICE_PORT", "5000"),
        ("KQUEEN_SERVICE_PORT_HTTP", "5000"),
        ("KQUEEN_PORT", "tcp://10.0.0.1:5000"),
        ("KQUEEN_PORT_5000_TCP", "tcp://10.0.0.1:5000"),
        ("KQUEEN_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("KQUEEN_ETCD_SERVICE_HOST", "10.0.0.2"),
        ("KQUEEN_ETCD_PORT", "tcp://10.0.0.2:2379"),
    ];
    let run = run(&["check-config"], &links);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("\nport = 5000 ") && run.stdout.contains("\nport = 2379 "), "{}", run.stdout);
}

#[test]
fn check_config_shows_settings_and_no_secret() {
    let place = WorkingDirectory::new();
    let file = place.write("password", "hidden-file-5hq2\n");
    let variables = [
        ("KQUEEN_SECRET_KEY", "hidden-key-0rTqb3o2mX8y"),
        ("KQUEEN_SECRET_KEY_PREVIOUS", "hidden-old-1, hidden-old-2"),
        ("KQUEEN_ETCD_USERNAME", "kqueen-on-etcd"),
        ("KQUEEN_ETCD_PASSWORD_FILE", &file),
        ("KQUEEN_LDAP_PASSWORD", "hidden-ldap"),
        ("KQUEEN_JENKINS_PASSWORD", "hidden-jenkins"),
        ("KQUEEN_JENKINS_PROVISION_JOB_CTX", r#"{"TOKEN": "hidden-ctx"}"#),
        ("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "hidden-admin-x7"),
        ("KQUEENUI_MAIL_SERVER", "mail.example"),
    ];
    let run = place.run(&["check-config"], &variables);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(!run.stdout.contains("hidden-") && !run.stderr.contains("hidden-"), "{run:?}");
    for shown in ["kqueen-on-etcd", "# KQUEEN_ETCD_USERNAME", "mail.example", "# KQUEENUI_MAIL_SERVER", "# default"] {
        assert!(run.stdout.contains(shown), "{shown}: {}", run.stdout);
    }
}

#[test]
fn problems_do_not_repeat_secrets() {
    let place = WorkingDirectory::new();
    let weak = place.write("weak", "SecretSecretSecret123");
    let bad = place.write("bad.toml", "dev_mode = false\njenkins = 'hidden-1'\nsecret_key = \"hidden-2\n");
    for variables in [
        vec![("KQUEEN_SECRET_KEY", "hidden-short")],
        vec![("KQUEEN_SECRET_KEY_FILE", weak.as_str())],
        vec![("KQUEEN_SECRET_KYE", "hidden-3")],
        vec![("KQUEEN_ETCD_ENDPOINTS", "https://root:hidden-4@etcd:2379"), ("KQUEEN_SECRET_KEY", KEY)],
        vec![("KQUEEN_JENKINS_PROVISION_JOB_CTX", "{hidden-5"), ("KQUEEN_SECRET_KEY", KEY)],
        vec![("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "hidden"), ("KQUEEN_SECRET_KEY", KEY)],
        vec![("KQUEEN_CONFIG_FILE", bad.as_str()), ("KQUEEN_SECRET_KEY", KEY)],
    ] {
        let run = place.run(&["check-config"], &variables);
        assert_eq!(run.code, Some(2), "{variables:?}: {run:?}");
        let output = format!("{}{}", run.stdout, run.stderr);
        assert!(!output.contains("hidden") && !output.contains("SecretSecret"), "{output}");
    }
}

#[test]
fn secrets_can_come_from_files() {
    let place = WorkingDirectory::new();
    let key = place.write("key", &format!("{KEY}\n"));
    let run = place.run(&["check-config"], &[("KQUEEN_SECRET_KEY_FILE", &key)]);
    assert_eq!(run.code, Some(0), "{run:?}");

    let both = [("KQUEEN_SECRET_KEY_FILE", key.as_str()), ("KQUEEN_SECRET_KEY", KEY)];
    let run = place.run(&["check-config"], &both);
    assert!(run.code == Some(2) && run.stderr.contains("KQUEEN_SECRET_KEY_FILE: is set together with"), "{run:?}");

    let secrets = ["SECRET_KEY", "SECRET_KEY_PREVIOUS", "ETCD_PASSWORD", "LDAP_PASSWORD", "JENKINS_PASSWORD"];
    for name in secrets.into_iter().chain(["BOOTSTRAP_ADMIN_PASSWORD"]) {
        let name = format!("KQUEEN_{name}_FILE");
        let run = place.run(&["check-config"], &[(&name, "/nowhere/secret")]);
        assert!(run.stderr.contains(&format!("{name}: /nowhere/secret cannot be read")), "{run:?}");
    }
}

#[test]
fn dev_mode_listens_on_loopback_only() {
    let place = WorkingDirectory::new();
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let run = place.run(&["serve"], &[("KQUEEN_DEV_MODE", "true"), ("KQUEEN_HOST", host)]);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("KQUEEN_HOST: is not a loopback address"), "{run:?}");
    }
    assert!(!place.0.path().join("var").exists(), "a rejected configuration creates no key");
    for host in ["127.0.0.1", "::1", "localhost", "127.9.9.9"] {
        let run = place.run(&["check-config"], &[("KQUEEN_DEV_MODE", "true"), ("KQUEEN_HOST", host)]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert!(!place.0.path().join("var").exists(), "check-config creates no key");
}

#[test]
fn the_key_of_dev_mode_is_created_once() {
    let place = WorkingDirectory::new();
    let key = place.0.path().join("var/secret_key");
    let dev = [("KQUEEN_DEV_MODE", "true")];
    place.run(&["rotate-keys"], &dev);
    let first = fs::read_to_string(&key).expect("the key is kept");
    assert!(first.len() >= 32, "{} characters", first.len());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    place.run(&["rotate-keys"], &dev);
    assert_eq!(fs::read_to_string(&key).unwrap(), first);
}

#[test]
fn help_explains_every_command() {
    for arguments in [&[][..], &["--help"], &["help"]] {
        let run = run(arguments, &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        for command in COMMANDS {
            let listed = run.stdout.lines().any(|line| line.trim_start().starts_with(command));
            assert!(listed, "{command}: {}", run.stdout);
        }
        assert!(run.stdout.contains("Exit codes:"), "{}", run.stdout);
    }
    for command in COMMANDS {
        let run = run(&[command, "--help"], &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("Exit codes:"), "{command}: {}", run.stdout);
    }
    let run = run(&["no-such-command"], &[]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn create_admin_rejects_what_it_cannot_use() {
    let place = WorkingDirectory::new();
    let admin = ["create-admin", "--username", "ann", "--organization", "Example"];
    let dev = [("KQUEEN_DEV_MODE", "true")];
    let run = place.run(&[&admin[..], &["--namespace", "Not A Slug"]].concat(), &dev);
    assert!(run.code == Some(2) && run.stderr.contains("must consist of lower-case letters"), "{run:?}");
    // Standard input is not a terminal here.
    let run = place.run(&[&admin[..], &["--namespace", "example"]].concat(), &dev);
    assert!(run.code == Some(1) && run.stderr.contains("--password-stdin"), "{run:?}");
    let empty = place.write("empty", "\n");
    let run = place.run(&[&admin[..], &["--namespace", "example", "--password-file", &empty]].concat(), &dev);
    assert!(run.code == Some(1) && run.stderr.contains("must have 1 to"), "{run:?}");
}

/// Answers one request with `status`, and returns its request line.
fn one_answer(status: &'static str) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap();
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}").unwrap();
        String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
    });
    (port, server)
}

#[test]
fn healthcheck_reports_by_its_exit_code() {
    for (status, arguments, code, request) in [
        ("200 OK", &["healthcheck"][..], 0, "GET /api/v1/health HTTP/1.1"),
        ("200 OK", &["healthcheck", "--ready"], 0, "GET /api/v1/ready HTTP/1.1"),
        ("503 Service Unavailable", &["healthcheck", "--ready"], 1, "GET /api/v1/ready HTTP/1.1"),
    ] {
        let (port, server) = one_answer(status);
        // A server that listens on all addresses is checked on loopback.
        let variables = [("KQUEEN_SECRET_KEY", KEY), ("KQUEEN_HOST", "0.0.0.0"), ("KQUEEN_PORT", &port.to_string())];
        let run = run(arguments, &variables);
        assert_eq!(run.code, Some(code), "{run:?}");
        assert_eq!(server.join().unwrap(), request);
    }
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let run = run(&["healthcheck", "--address", &closed.to_string()], &[]);
    assert!(run.code == Some(1) && run.stderr.contains("does not respond"), "{run:?}");
}

/// A file of the repository.
fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// All settings, as they are named in a configuration file: `etcd.host`.
fn settings() -> BTreeSet<String> {
    let defaults: toml::Table = toml::from_str(&source("config/default.toml")).unwrap();
    let of_section = |(key, value): (String, toml::Value)| match value {
        toml::Value::Table(section) => section.keys().map(|name| format!("{key}.{name}")).collect(),
        _ => vec![key],
    };
    defaults.into_iter().flat_map(of_section).collect()
}

/// All settings, as they are named in the environment, without prefix.
fn variables() -> BTreeSet<String> {
    settings().iter().map(|key| key.replace('.', "_").to_ascii_uppercase()).collect()
}

/// What people read: documentation, and the code with its messages.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "openapi/kqueen.json"].map(|name| root.join(name)).to_vec();
    let mut folders: Vec<PathBuf> =
        ["config", "app/src", "adapters/src", "domain/src"].map(|name| root.join(name)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs" || it == "toml") {
                paths.push(path);
            }
        }
    }
    paths.into_iter().map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// The words in capitals, like names of variables.
fn capitals(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| !it.is_ascii_uppercase() && !it.is_ascii_digit() && it != '_')
}

#[test]
fn settings_are_named_with_their_prefix_everywhere() {
    let variables = variables();
    for (path, text) in texts() {
        // A one-word name may be any word.
        let bare = capitals(&text).find(|word| word.contains('_') && variables.contains(*word));
        assert_eq!(bare, None, "{path} names a setting without its prefix");
    }
}

#[test]
fn settings_that_documents_name_exist() {
    let variables = variables();
    let documents = texts().into_iter().filter(|(path, _)| !path.ends_with(".rs"));
    let mut named = 0;
    for (path, text) in documents {
        for word in capitals(&text) {
            let Some(name) = word.strip_prefix("KQUEEN_").or_else(|| word.strip_prefix("KQUEENUI_")) else { continue };
            let placeholder = ["", "CONFIG_FILE", "SECTION_KEY", "KEY"].contains(&name);
            assert!(placeholder || variables.contains(name), "{path} names {word}, which is not a setting");
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}

#[test]
fn problems_name_settings_as_they_can_be_set() {
    let place = WorkingDirectory::new();
    let key = place.write("key", KEY);
    let certificate = place.write("cert.pem", "");
    let mut output = String::new();
    for variables in [
        vec![("KQUEEN_SECRET_KEY", KEY), ("KQUEEN_SECRET_KEY_FILE", &key)],
        vec![("KQUEEN_DEV_MODE", "true"), ("KQUEEN_HOST", "0.0.0.0")],
        vec![
            ("KQUEEN_AUTH_MODULES", "ldap"),
            ("KQUEEN_ETCD_USERNAME", "root"),
            ("KQUEEN_ETCD_CERT_FILE", &certificate),
        ],
        vec![("KQUEEN_ETCD_PASSWORD", "x7Kq"), ("KQUEEN_ETCD_KEY_FILE", &certificate), ("KQUEEN_AUTH_MODULES", "")],
        vec![("KQUEEN_HOST", "::1"), ("KQUEEN_KQUEEN_HOST", "::2"), ("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "x")],
    ] {
        let run = place.run(&["check-config"], &variables);
        assert_eq!(run.code, Some(2), "{run:?}");
        output.push_str(&run.stderr);
    }
    assert!(output.lines().filter(|line| line.starts_with("  - KQUEEN_")).count() > 10, "{output}");
    // A one-word name may be any word, and no problem here comes from a file.
    for setting in settings().iter().filter(|key| key.contains(['.', '_'])) {
        let name = setting.rsplit('.').next().filter(|name| name.contains('_')).unwrap_or(setting);
        assert!(!output.contains(setting), "{setting}: {output}");
        assert!(!output.contains(name), "{name}: {output}");
    }
}
