//! Tests of the layers, the defaults and the checks across several settings.

use std::{fs, time::Duration};

use secrecy::ExposeSecret;

use super::*;

const KEY: (&str, &str) = ("KQUEEN_SECRET_KEY", "0rTqb3o2mX8yW1uKf9sLz7");
/// Ignores a `config/dev.toml` in the working directory.
const NO_FILE: (&str, &str) = (CONFIG_FILE, "");

fn variables(given: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    [NO_FILE].iter().chain(given).map(|(name, text)| (name.into(), text.into())).collect()
}

fn load(given: &[(&str, &str)]) -> Result<Config, Problems> {
    Config::load(variables(given), MissingKey::Temporary)
}

fn problems(given: &[(&str, &str)]) -> Vec<String> {
    let mut all: Vec<_> = load(given).unwrap_err().0.iter().map(ToString::to_string).collect();
    all.sort();
    all
}

#[test]
fn all_listed_settings_are_read() {
    let mut settings = Settings::gather(variables(&[KEY]));
    Config::read(&mut settings, MissingKey::Temporary).unwrap();
    assert_eq!(settings.unread(), [""; 0]);
}

#[test]
fn the_defaults() {
    let config = load(&[KEY]).unwrap();
    assert_eq!(format!("{}:{}", config.server.host, config.server.port), "127.0.0.1:5000");
    assert_eq!(config.storage.kind, StorageKind::Sled);
    assert_eq!(config.etcd.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(), ["http://localhost:2379/"]);
    assert_eq!(config.jwt.expiration, Duration::from_secs(3600));
    assert_eq!(config.provisioners.timeout, Duration::from_secs(3600));
    assert_eq!(config.provisioners.engine_whitelist, None);
    assert!(config.bootstrap.is_none() && !config.demo_enabled && !config.dev_mode);
    let denied = |address: &str| {
        let address: std::net::IpAddr = address.parse().unwrap();
        config.clusters.address_deny.iter().any(|net| net.contains(&address))
    };
    assert!(denied("127.0.0.1") && denied("::1") && denied("169.254.169.254") && !denied("10.0.0.1"));
}

#[test]
fn layers_override_each_other_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kqueen.toml");
    fs::write(&file, "port = 1\nhost = '::1'\n[etcd]\nhost = 'from-file'\nport = 7\n").unwrap();
    let file = file.to_str().unwrap();
    let config = load(&[KEY, (CONFIG_FILE, file), ("KQUEEN_PORT", "2"), ("KQUEEN_ETCD_PORT", "8")]).unwrap();
    assert_eq!((config.server.port, config.server.host.to_string().as_str()), (2, "::1"));
    assert_eq!(config.etcd.endpoints[0].as_str(), "http://from-file:8/");
}

#[test]
fn dev_mode_has_defaults_that_can_be_overridden() {
    let config = load(&[("KQUEEN_DEV_MODE", "true")]).unwrap();
    let bootstrap = config.bootstrap.unwrap();
    assert_eq!(bootstrap.password.expose(), "default");
    assert_eq!(bootstrap.namespace.as_str(), "demoorg");
    assert!(config.demo_enabled);
    assert!(!config.clusters.address_deny.iter().any(|net| net.contains(&std::net::IpAddr::from([127, 0, 0, 1]))));

    let config =
        load(&[("KQUEEN_DEV_MODE", "true"), ("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "x"), ("KQUEEN_DEMO_ENABLED", "no")]);
    let config = config.unwrap();
    assert_eq!(config.bootstrap.unwrap().password.expose(), "x");
    assert!(!config.demo_enabled);
}

#[test]
fn addresses_of_providers_have_to_be_encrypted_outside_of_this_machine() {
    let config = load(&[KEY]).unwrap();
    assert_eq!(config.aks.arm_url.as_str(), "https://management.azure.com/");
    assert_eq!(config.aks.login_url.as_str(), "https://login.microsoftonline.com/");
    for name in ["KQUEEN_AKS_ARM_URL", "KQUEEN_AKS_LOGIN_URL", "KQUEEN_GKE_API_URL", "KQUEEN_GKE_COMPUTE_URL"] {
        for accepted in ["https://cloud.example", "http://127.0.0.1:8701", "http://[::1]:8701", "http://localhost"] {
            assert!(load(&[KEY, (name, accepted)]).is_ok(), "{name}={accepted}");
        }
        for (rejected, why) in [("http://cloud.example", "is not encrypted"), ("", "is empty"), ("cloud.example", "")] {
            let found = problems(&[KEY, (name, rejected)]);
            assert_eq!(found.len(), 1, "{name}={rejected}: {found:?}");
            assert!(found[0].starts_with(&format!("{name}: {why}")), "{found:?}");
        }
    }
}

#[test]
fn dev_mode_listens_only_on_loopback() {
    for host in ["0.0.0.0", "::", "192.0.2.1"] {
        let found = problems(&[("KQUEEN_DEV_MODE", "1"), ("KQUEEN_HOST", host)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("KQUEEN_HOST: is not a loopback address"), "{found:?}");
    }
    assert!(load(&[("KQUEEN_DEV_MODE", "1"), ("KQUEEN_HOST", "::1")]).is_ok());
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(&[
        ("KQUEEN_PORT", "http"),
        ("KQUEEN_STORAGE_KIND", "mysql"),
        ("KQUEEN_JWT_EXPIRATION_DELTA", "soon"),
        ("KQUEEN_ETCD_USERNAME", "root"),
        ("KQUEEN_AUTH_MODULES", "ldap"),
        ("KQUEEN_PROT", "1"),
    ]);
    let names: Vec<_> = found.iter().map(|problem| problem.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "KQUEEN_ETCD_PASSWORD",
            "KQUEEN_JWT_EXPIRATION_DELTA",
            "KQUEEN_LDAP_DN",
            "KQUEEN_LDAP_PASSWORD",
            "KQUEEN_LDAP_URI",
            "KQUEEN_PORT",
            "KQUEEN_PROT",
            "KQUEEN_SECRET_KEY",
            "KQUEEN_STORAGE_KIND",
        ]
    );
    assert!(
        found.contains(&"KQUEEN_STORAGE_KIND: \"mysql\" is not accepted; use one of sled, etcd, memory".to_owned())
    );
}

#[test]
fn weak_keys_are_rejected_outside_of_dev_mode() {
    let weak = ("KQUEEN_SECRET_KEY", "SecretSecretSecret123");
    assert!(problems(&[weak])[0].starts_with("KQUEEN_SECRET_KEY: consists of well-known words"));
    assert!(load(&[weak, ("KQUEEN_DEV_MODE", "true")]).is_ok());
    let short = ("KQUEEN_SECRET_KEY", "x9K2mQ");
    assert!(problems(&[short, ("KQUEEN_DEV_MODE", "true")])[0].starts_with("KQUEEN_SECRET_KEY: has 6 characters"));
    let default = ("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "default");
    assert!(problems(&[KEY, default])[0].starts_with("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD: is short or easy to guess"));
}

#[test]
fn secrets_can_be_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let (key, old) = (folder.path().join("key"), folder.path().join("old"));
    fs::write(&key, "  9s8d7f6g5h4j3k2l1q\n").unwrap();
    fs::write(&old, "first-old-key\n\nsecond-old-key\n").unwrap();
    let (key, old) = (key.to_str().unwrap(), old.to_str().unwrap());
    let files = [("KQUEEN_SECRET_KEY_FILE", key), ("KQUEEN_SECRET_KEY_PREVIOUS_FILE", old)];
    let keys = load(&files).unwrap().secret_keys;
    assert_eq!(keys.current.expose_secret(), "9s8d7f6g5h4j3k2l1q");
    assert_eq!(
        keys.previous.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(),
        ["first-old-key", "second-old-key"]
    );

    assert!(
        problems(&[KEY, files[0]])[0].starts_with("KQUEEN_SECRET_KEY_FILE: is set together with KQUEEN_SECRET_KEY")
    );
    assert!(problems(&[("KQUEEN_SECRET_KEY_FILE", "/nowhere")])[0].contains("/nowhere cannot be read"));
    let config = folder.path().join("kqueen.toml");
    fs::write(&config, "secret_key_file = '/nowhere'").unwrap();
    assert!(load(&[(CONFIG_FILE, config.to_str().unwrap()), KEY]).is_ok(), "the environment overrides the file");
}

#[test]
fn an_invalid_file_is_reported_without_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kqueen.toml");
    fs::write(&path, "port = 1\n\nsecret_key = \"hunter2hunter2hunter2\n").unwrap();
    let found = problems(&[KEY, (CONFIG_FILE, path.to_str().unwrap())]);
    assert!(found[0].contains("is not TOML") && found[0].contains("line 3"), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");

    fs::write(&path, "etcd_port = 1\nprot = 5\n[etcd]\nhots = 'x'\n").unwrap();
    let found = problems(&[KEY, (CONFIG_FILE, path.to_str().unwrap())]).join("\n");
    for guess in
        ["did you mean port in [etcd]?", "did you mean port above the first section?", "did you mean host in [etcd]?"]
    {
        assert!(found.contains(guess), "{guess}: {found}");
    }
    assert!(problems(&[KEY, (CONFIG_FILE, "/nowhere.toml")])[0].contains("/nowhere.toml: cannot be read"));
}

#[test]
fn secrets_are_hidden_in_debug_and_description() {
    let given = [
        ("KQUEEN_SECRET_KEY", "hidden-0rTqb3o2mX8y"),
        ("KQUEEN_SECRET_KEY_PREVIOUS", "hidden-1,hidden-2"),
        ("KQUEEN_ETCD_USERNAME", "root"),
        ("KQUEEN_ETCD_PASSWORD", "hidden-3"),
        ("KQUEEN_LDAP_PASSWORD", "hidden-4"),
        ("KQUEEN_JENKINS_PASSWORD", "hidden-5"),
        ("KQUEEN_JENKINS_PROVISION_JOB_CTX", r#"{"TOKEN": "hidden-6"}"#),
        ("KQUEEN_BOOTSTRAP_ADMIN_PASSWORD", "hidden-7-ajq"),
    ];
    let config = load(&given).unwrap();
    assert_eq!(config.jenkins.provision.context.get("TOKEN").unwrap(), "hidden-6");
    assert!(!format!("{config:?}").contains("hidden-"));
    let shown = Config::describe(variables(&given)).unwrap();
    assert!(!shown.contains("hidden-"), "{shown}");
    assert!(shown.contains("secret_key = \"*******\""), "{shown}");
    assert!(shown.contains("# KQUEEN_ETCD_USERNAME") && shown.contains("# default"), "{shown}");
    toml::from_str::<toml::Table>(&shown).unwrap();
}

#[test]
fn the_example_files_have_no_unknown_settings() {
    for name in ["dev", "production"] {
        let path = format!("{}/../config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let found = Config::load(variables(&[(CONFIG_FILE, &path)]), MissingKey::Temporary).err();
        let unknown: Vec<_> =
            found.iter().flat_map(|all| &all.0).filter(|problem| problem.wrong.contains("setting")).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn the_production_file_disables_demo_and_dev_mode() {
    let path = format!("{}/../config/production.toml", env!("CARGO_MANIFEST_DIR"));
    let mut settings = Settings::gather(variables(&[(CONFIG_FILE, &path)]));
    for name in ["demo.enabled", "dev_mode"] {
        assert_eq!(settings.get(name, value::boolean), Some(false), "{name}");
    }
}
