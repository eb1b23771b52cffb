//! The commands that use a store or a server, run as operators run them.

use std::path::Path;

use kqueen_tests::fixture::{
    app::{App, Options},
    binary::{self, Run},
    etcd::shared_etcd,
};

const OLD_KEY: &str = "0rTqb3o2mX8yW1uKf9sLz7";
const NEW_KEY: &str = "q5Zc8Vn1Lw0Tg7RbXy4HjD";
const PASSWORD: &str = "correct horse battery";

fn create_admin(folder: &Path, username: &str, variables: &[(&str, &str)]) -> Run {
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    let arguments = ["create-admin", "--username", username, "--organization", "Operators", "--namespace", "operators"];
    binary::run(folder, &[&arguments[..], &["--password-file", "password"]].concat(), variables)
}

/// The settings the service was started with, for a command beside it.
fn settings_of(options: &Options) -> Vec<(String, String)> {
    options.settings.iter().map(|(name, value)| (format!("KQUEEN_{name}"), value.clone())).collect()
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn healthcheck_succeeds_on_a_running_server() {
    let app = App::start().await;
    let address = app.origin.trim_start_matches("http://").to_owned();
    for arguments in [&["healthcheck"][..], &["healthcheck", "--ready"]] {
        let run = binary::run(&app.folder, &[arguments, &["--address", &address]].concat(), &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains("ready"), "{run:?}");
    }
}

#[tokio::test]
async fn create_admin_works_on_sled_once_the_server_has_stopped() {
    let options = Options::default();
    let mut app = App::start_with(options.clone()).await;
    let store = app.folder.join("store");
    let mut settings = settings_of(&options);
    settings.push(("KQUEEN_SLED_PATH".to_owned(), store.to_str().unwrap().to_owned()));
    let settings = borrowed(&settings);

    let busy = create_admin(&app.folder, "ann", &settings);
    assert!(busy.code == Some(1) && busy.stderr.contains("another process has"), "{busy:?}");
    app.kill();
    let created = create_admin(&app.folder, "ann", &settings);
    assert!(created.code == Some(0) && created.stdout.contains("ann is a superadmin"), "{created:?}");
    let again = create_admin(&app.folder, "ann", &settings);
    assert!(again.code == Some(1) && again.stderr.contains("already in use"), "{again:?}");
    app.restart().await;
    app.log_in("ann", PASSWORD).await;
}

#[tokio::test]
async fn create_admin_works_on_etcd_beside_a_running_server() {
    let Some(etcd) = shared_etcd().await else { return };
    let options = Options::default().on_etcd(&etcd, "/commands");
    let app = App::start_with(options.clone()).await;
    let settings = settings_of(&options);
    let created = create_admin(&app.folder, "ann", &borrowed(&settings));
    assert_eq!(created.code, Some(0), "{created:?}");
    app.log_in("ann", PASSWORD).await;
}

#[test]
fn after_rotate_keys_the_old_key_is_not_needed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let old = [("KQUEEN_SECRET_KEY", OLD_KEY)];
    let both = [("KQUEEN_SECRET_KEY", NEW_KEY), ("KQUEEN_SECRET_KEY_PREVIOUS", OLD_KEY)];
    let new = [("KQUEEN_SECRET_KEY", NEW_KEY)];
    let created = create_admin(folder, "ann", &old);
    assert_eq!(created.code, Some(0), "{created:?}");

    let refused = binary::run(folder, &["rotate-keys"], &new);
    assert!(refused.code == Some(1) && refused.stderr.contains("key"), "{refused:?}");
    let rotated = binary::run(folder, &["rotate-keys"], &both);
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    assert!(!rotated.stdout.starts_with("0 "), "{rotated:?}");
    let again = binary::run(folder, &["rotate-keys"], &both);
    assert!(again.code == Some(0) && again.stdout.starts_with("0 "), "{again:?}");

    let created = create_admin(folder, "bob", &new);
    assert_eq!(created.code, Some(0), "{created:?}");
    let refused = create_admin(folder, "eve", &old);
    assert_eq!(refused.code, Some(1), "{refused:?}");
}
