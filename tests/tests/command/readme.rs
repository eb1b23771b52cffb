//! What the README says to type is typed here: every block of commands, in order, into one shell.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use kqueen_tests::fixture::{
    app::{App, Options},
    kubernetes::{ControlPlane, Options as PlaneOptions, Who},
};
use tokio::{io::AsyncWriteExt, process::Command};

/// Deploying takes 20 s, and all of it more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// Which block does what.
const FUNCTIONS: usize = 0;
const DEMO: usize = 1;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// The blocks of the README that are for a shell, in order.
fn blocks() -> Vec<String> {
    let readme = file("README.md");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("a block ends").0.to_owned());
    blocks.collect()
}

/// Those that call the API. What else there is are targets of the Makefile.
fn walk() -> Vec<String> {
    blocks().into_iter().filter(|block| !block.starts_with("make ")).collect()
}

/// What a shell says.
struct Said {
    output: String,
    errors: String,
    success: bool,
}

/// Types `blocks` into one shell as they are. It ends with an error if any command did, and with the last word if it lived that long.
async fn paste(app: &App, blocks: &[String]) -> Said {
    // Only watches: what fails is noted, and nothing is done otherwise than in anybody's shell.
    let watch = "trap 'echo \"failed: $BASH_COMMAND\" >&2; FAILED=1' ERR";
    let script = format!("{watch}\n{}\necho 'the shell lives'\nexit \"${{FAILED:-0}}\"\n", blocks.join("\n"));
    let mut bash = Command::new("bash");
    bash.args(["-o", "pipefail"]).current_dir(&app.folder).env("KQUEEN", &app.origin).kill_on_drop(true);
    let mut bash = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut typed = bash.stdin.take().unwrap();
    let typing = async move { typed.write_all(script.as_bytes()).await.unwrap() };
    let (_, done) = tokio::time::timeout(PATIENCE, async { tokio::join!(typing, bash.wait_with_output()) })
        .await
        .unwrap_or_else(|_| panic!("the shell does not end\n{}", app.log()));
    let Output { status, stdout, stderr } = done.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let said = Said { output: text(stdout), errors: text(stderr), success: status.success() };
    assert!(said.output.ends_with("the shell lives\n"), "a pasted block ended the shell: {}", said.errors);
    said
}

/// As `make run` starts it.
async fn newcomers_app() -> App {
    App::start_with(Options::bare().with("DEV_MODE", "true")).await
}

#[tokio::test]
async fn all_commands_work_pasted_one_after_the_other() {
    let Some(plane) = ControlPlane::start(PlaneOptions::bare()).await else { return };
    let app = newcomers_app().await;
    std::fs::write(app.folder.join("kubeconfig.yaml"), plane.kubeconfig(Who::Token).to_string()).unwrap();
    let said = paste(&app, &walk()).await;
    assert!(said.success, "{}\n{}\n{}", said.output, said.errors, app.log());
    let pods: BTreeMap<String, u64> = serde_json::from_str(said.output.lines().next().unwrap()).unwrap();
    assert_eq!(pods.keys().filter(|node| node.starts_with("demo-")).count(), 3, "{}", said.output);
    assert!(said.errors.contains("Deploying: ") && said.errors.contains("(simulated)"), "{}", said.errors);
    for expected in [r#""state": "OK""#, r#""total":1"#, "kube-system", r#""state":"deleted""#] {
        assert!(said.output.contains(expected), "{expected} is missing in:\n{}", said.output);
    }
    let kubeconfig = std::fs::read_to_string(app.folder.join("from-kqueen.json")).unwrap();
    assert!(kubeconfig.contains(&plane.server), "{kubeconfig}");
}

#[tokio::test]
async fn waiting_ends_when_the_cluster_fails_and_shows_why() {
    let app = newcomers_app().await;
    let mut blocks = walk()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#""name": "first""#, r#""name": "fail-first""#);
    let said = paste(&app, &blocks).await;
    assert!(!said.success && said.errors.contains("failed: return 1"), "{}\n{}", said.output, said.errors);
    let last = said.errors.lines().rfind(|line| line.starts_with("Error: ")).unwrap_or_default();
    assert!(last.contains("quota"), "{}", said.errors);
    assert!(!said.errors.contains("still not OK"), "it ends at once: {}", said.errors);
}

#[tokio::test]
async fn waiting_ends_when_time_is_up() {
    let app = newcomers_app().await;
    let mut blocks = walk()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#"wait_until_ok "$CLUSTER""#, r#"wait_until_ok "$CLUSTER" 1"#);
    let said = paste(&app, &blocks).await;
    assert!(!said.success && said.errors.contains("failed: return 1"), "{}\n{}", said.output, said.errors);
    assert!(said.errors.contains("Deploying: ") && said.errors.contains("still not OK after 1 "), "{}", said.errors);
}

#[tokio::test]
async fn errors_are_shown_and_the_shell_goes_on() {
    let mut app = newcomers_app().await;
    let mut blocks = walk()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#""password": "default""#, r#""password": "wrong""#);
    let said = paste(&app, &blocks).await;
    assert!(!said.success && said.errors.contains("user name or password is wrong"), "{}", said.errors);
    assert!(said.errors.contains("failed: return 1"), "waiting ends without a cluster: {}", said.errors);
    app.kill();
    let said = paste(&app, &walk()[FUNCTIONS..=DEMO]).await;
    assert!(!said.success && said.errors.contains("curl: (7)"), "{}", said.errors);
}

#[test]
fn all_other_commands_are_targets_of_the_makefile() {
    let makefile = file("Makefile");
    let blocks = blocks();
    let commands: Vec<&str> =
        blocks.iter().filter(|block| block.starts_with("make ")).flat_map(|block| block.lines()).collect();
    assert!(commands.len() > 3, "{commands:?}");
    for command in commands {
        let target = command.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
        assert!(makefile.lines().any(|line| line.starts_with(&format!("{target}:"))), "{command}");
    }
}
