//! What the README says to type is typed here.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "test code: a failure is a panic")]

use kqueen_tests::fixture::{
    app::{App, Options},
    kubernetes::{ControlPlane, Options as PlaneOptions, Who},
};
use tokio::process::Command;

/// The script between the two markers.
fn walk() -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- walk: begin -->").expect("the README has a walk");
    let (walk, _) = rest.split_once("<!-- walk: end -->").expect("the walk ends");
    let (_, script) = walk.split_once("```sh\n").expect("it is a script");
    script.split_once("```").expect("the script ends").0.to_owned()
}

#[tokio::test]
async fn the_walk_with_curl_works_as_written() {
    let Some(plane) = ControlPlane::start(PlaneOptions::bare()).await else { return };
    // As `make run` starts it: with the first superadmin of the development configuration.
    let app = App::start_with(Options::bare().with("DEV_MODE", "true")).await;
    std::fs::write(app.folder.join("kubeconfig.yaml"), plane.kubeconfig(Who::Token).to_string()).unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &walk()]).current_dir(&app.folder).env("KQUEEN", &app.origin);
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), bash.output()).await;
    let done = done.expect("the walk takes seconds").unwrap();
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{errors}\n{}", app.log());
    for expected in [r#""state": "OK""#, r#""total":1"#, "kube-system", r#""state":"deleted""#] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    let kubeconfig = std::fs::read_to_string(app.folder.join("from-kqueen.json")).unwrap();
    assert!(kubeconfig.contains(&plane.server), "{kubeconfig}");
}
