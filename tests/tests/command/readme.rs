//! The commands of the README work: every block is pasted, in order, into one shell.

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

/// Deploying takes 20 s, and everything takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// The indices of blocks.
const FUNCTIONS: usize = 0;
const DEMO: usize = 1;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// The shell blocks of the README, in order.
fn blocks() -> Vec<String> {
    let readme = file("README.md");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split_once("```").expect("a block ends").0.to_owned());
    blocks.collect()
}

/// The blocks that call the API. All others run targets of the Makefile.
fn api_blocks() -> Vec<String> {
    blocks().into_iter().filter(|block| !block.starts_with("make ")).collect()
}

/// What a shell printed, and whether it succeeded.
struct ShellOutput {
    output: String,
    errors: String,
    success: bool,
}

/// Pastes `blocks` into one shell. It exits with an error if any command failed; its last line shows that it reached the end.
async fn paste(app: &App, blocks: &[String]) -> ShellOutput {
    // The trap only records failures; apart from that it is an ordinary shell.
    let watch = "trap 'echo \"failed: $BASH_COMMAND\" >&2; FAILED=1' ERR";
    let script = format!("{watch}\n{}\necho 'end of the script'\nexit \"${{FAILED:-0}}\"\n", blocks.join("\n"));
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
    let shell = ShellOutput { output: text(stdout), errors: text(stderr), success: status.success() };
    assert!(shell.output.ends_with("end of the script\n"), "a pasted block ended the shell: {}", shell.errors);
    shell
}

/// As `make run` starts it.
async fn dev_app() -> App {
    App::start_with(Options::bare().with("DEV_MODE", "true")).await
}

#[tokio::test]
async fn all_commands_work_when_pasted_in_order() {
    let Some(plane) = ControlPlane::start(PlaneOptions::bare()).await else { return };
    let app = dev_app().await;
    std::fs::write(app.folder.join("kubeconfig.yaml"), plane.kubeconfig(Who::Token).to_string()).unwrap();
    let shell = paste(&app, &api_blocks()).await;
    assert!(shell.success, "{}\n{}\n{}", shell.output, shell.errors, app.log());
    let pods: BTreeMap<String, u64> = serde_json::from_str(shell.output.lines().next().unwrap()).unwrap();
    assert_eq!(pods.keys().filter(|node| node.starts_with("demo-")).count(), 3, "{}", shell.output);
    assert!(shell.errors.contains("Deploying: ") && shell.errors.contains("(simulated)"), "{}", shell.errors);
    for expected in [r#""state": "OK""#, r#""total":1"#, "kube-system", r#""state":"deleted""#] {
        assert!(shell.output.contains(expected), "{expected} is missing in:\n{}", shell.output);
    }
    let kubeconfig = std::fs::read_to_string(app.folder.join("from-kqueen.json")).unwrap();
    assert!(kubeconfig.contains(&plane.server), "{kubeconfig}");
}

#[tokio::test]
async fn waiting_ends_when_the_cluster_fails_and_shows_why() {
    let app = dev_app().await;
    let mut blocks = api_blocks()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#""name": "first""#, r#""name": "fail-first""#);
    let shell = paste(&app, &blocks).await;
    assert!(!shell.success && shell.errors.contains("failed: return 1"), "{}\n{}", shell.output, shell.errors);
    let last = shell.errors.lines().rfind(|line| line.starts_with("Error: ")).unwrap_or_default();
    assert!(last.contains("quota"), "{}", shell.errors);
    assert!(!shell.errors.contains("still not OK"), "it ends at once: {}", shell.errors);
}

#[tokio::test]
async fn waiting_ends_at_its_timeout() {
    let app = dev_app().await;
    let mut blocks = api_blocks()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#"wait_until_ok "$CLUSTER""#, r#"wait_until_ok "$CLUSTER" 1"#);
    let shell = paste(&app, &blocks).await;
    assert!(!shell.success && shell.errors.contains("failed: return 1"), "{}\n{}", shell.output, shell.errors);
    assert!(shell.errors.contains("Deploying: ") && shell.errors.contains("still not OK after 1 "), "{}", shell.errors);
}

#[tokio::test]
async fn errors_are_shown_and_the_shell_continues() {
    let mut app = dev_app().await;
    let mut blocks = api_blocks()[..=DEMO].to_vec();
    blocks[DEMO] = blocks[DEMO].replace(r#""password": "default""#, r#""password": "wrong""#);
    let shell = paste(&app, &blocks).await;
    assert!(!shell.success && shell.errors.contains("user name or password is incorrect"), "{}", shell.errors);
    assert!(shell.errors.contains("failed: return 1"), "waiting ends without a cluster: {}", shell.errors);
    app.kill();
    let shell = paste(&app, &api_blocks()[FUNCTIONS..=DEMO]).await;
    assert!(!shell.success && shell.errors.contains("curl: (7)"), "{}", shell.errors);
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
