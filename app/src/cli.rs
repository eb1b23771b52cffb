//! The command line: what each subcommand takes, does and prints. Exit codes are 0 for done, 1 for failed, 2 for a command
//! line or a configuration that cannot be used.

use std::{
    error::Error,
    fmt::Display,
    io::{self, IsTerminal, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, CommandFactory, Parser, Subcommand};
use kqueen_domain::{
    name::{EmailAddress, Namespace, OrganizationName, Username},
    secret::Password,
};

use crate::{
    api, compose,
    config::{self, Bootstrap, Config, MissingKey},
    healthcheck, telemetry,
};

const FAILED: u8 = 1;
const UNUSABLE: u8 = 2;
const LONGEST_PASSWORD_FILE: u64 = 64 * 1024;

/// Provisions, imports, operates and observes Kubernetes clusters for many organizations.
#[derive(Debug, Parser)]
#[command(
    name = "kqueen",
    version,
    after_help = "\
Exit codes: 0 done, 1 failed, 2 the command line or the configuration cannot be used.

Settings come from the file named by KQUEEN_CONFIG_FILE (or --config, else config/dev.toml) and from KQUEEN_* \
variables, which win. `kqueen check-config` shows all of them."
)]
struct Arguments {
    /// Configuration file, instead of the one KQUEEN_CONFIG_FILE names
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or Ctrl-C
    #[command(after_help = "\
Examples:
  KQUEEN_DEV_MODE=true kqueen serve            try it out on this machine
  kqueen --config /etc/kqueen.toml serve

Exit codes: 0 stopped as asked, 1 failed while starting or running, 2 the configuration cannot be used.")]
    Serve,
    /// Print the OpenAPI document of the REST API
    #[command(after_help = "Example: kqueen openapi > kqueen.json\n\nExit codes: 0 printed, 1 it cannot be written.")]
    Openapi,
    /// Print the settings in effect with where each comes from, or everything that is wrong with them
    #[command(after_help = "\
Secrets are shown as \"*******\". Nothing is started, contacted or written.

Exit codes: 0 the configuration can be used, 2 it cannot; every problem is listed on standard error.")]
    CheckConfig,
    /// Make a superadmin, and their organization if the namespace is new
    #[command(after_help = "\
The password is asked for when neither --password-file nor --password-stdin is given. A store in a sled folder \
belongs to one process: stop the server first. With etcd it may run on.

Examples:
  kqueen create-admin --username ann --organization Example --namespace example
  kqueen create-admin --username bob --organization Example --namespace example --password-file bob.txt

Exit codes: 0 made, 1 not made (the name is taken, the store is away or in use), 2 the configuration cannot \
be used.")]
    CreateAdmin(CreateAdmin),
    /// Ask the server that runs with this configuration how it is
    #[command(after_help = "\
Examples:
  kqueen healthcheck              is it alive? (GET /api/v1/health)
  kqueen healthcheck --ready      can it serve? (GET /api/v1/ready)

Exit codes: 0 it is well, 1 it is not or does not answer, 2 the configuration cannot be used.")]
    Healthcheck(Healthcheck),
    /// Seal all secrets in the store anew with the newest key
    #[command(after_help = "\
To change the key: move the old one to secret_key_previous, set a new secret_key, restart all replicas, run this, \
and then remove the old key. Running it again does no harm. A store in a sled folder belongs to one process: stop the \
server first.

Exit codes: 0 everything is sealed with secret_key, 1 failed (what was sealed stays readable), 2 the \
configuration cannot be used.")]
    RotateKeys,
}

#[derive(Debug, Args)]
struct CreateAdmin {
    /// What the superadmin logs in with
    #[arg(long, value_parser = name::<Username>)]
    username: Username,
    /// E-mail address
    #[arg(long, value_parser = name::<EmailAddress>)]
    email: Option<EmailAddress>,
    /// The organization's name, should it have to be made
    #[arg(long, value_parser = name::<OrganizationName>)]
    organization: OrganizationName,
    /// The organization's namespace: lower-case letters, digits, - and _
    #[arg(long, value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// File with the password
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Args)]
struct Healthcheck {
    /// Ask whether it can serve, not only whether it is alive
    #[arg(long)]
    ready: bool,
    /// Ask there, instead of where the configuration says that it listens
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// How many seconds to wait for the answer
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

fn name<T>(text: &str) -> Result<T, String>
where
    T: for<'t> TryFrom<&'t str>,
    for<'t> <T as TryFrom<&'t str>>::Error: Display,
{
    T::try_from(text).map_err(|error| error.to_string())
}

/// Why a command ended without having done its work.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn unusable(error: &dyn Display) -> Self {
        Self { code: UNUSABLE, message: error.to_string() }
    }

    /// With all causes, outermost first.
    fn of(error: &dyn Error) -> Self {
        let mut words = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            words.push(error.to_string());
            cause = error.source();
        }
        words.dedup();
        Self { code: FAILED, message: words.join(": ") }
    }
}

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything can speak TLS. The only possible failure is that it is chosen already.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            // When even this cannot be written there is nobody to tell.
            drop(writeln!(io::stderr(), "kqueen: {message}"));
            ExitCode::from(code)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let file = arguments.config.as_deref();
    match arguments.command {
        None => say(&Arguments::command().render_help().to_string()),
        Some(Command::Serve) => {
            let config = load(file, MissingKey::Make)?;
            let _log = telemetry::init(&config.log);
            wait_for(compose::run(config))
        }
        Some(Command::Openapi) => say(&api::document()),
        Some(Command::CheckConfig) => {
            say(&Config::describe(config::variables(file)).map_err(|problems| Failure::unusable(&problems))?)
        }
        Some(Command::CreateAdmin(asked)) => create_admin(file, asked),
        Some(Command::Healthcheck(asked)) => ask_health(file, &asked),
        Some(Command::RotateKeys) => {
            let config = load(file, MissingKey::Make)?;
            let _log = telemetry::init(&config.log);
            let sealed = wait_for(compose::rotate_keys(config))?;
            say(&format!("{sealed} records were sealed anew; older keys are not needed any more"))
        }
    }
}

fn load(file: Option<&Path>, missing: MissingKey) -> Result<Config, Failure> {
    Config::load(config::variables(file), missing).map_err(|problems| Failure::unusable(&problems))
}

fn wait_for<T, E: Error>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::of(&error))?;
    let done = runtime.block_on(work).map_err(|error| Failure::of(&error));
    // Work that blocks (a last write to disk) is waited for, but not for ever.
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

fn create_admin(file: Option<&Path>, asked: CreateAdmin) -> Result<(), Failure> {
    let config = load(file, MissingKey::Make)?;
    let _log = telemetry::init(&config.log);
    let password = password(&asked)
        .map_err(|error| Failure { code: FAILED, message: format!("the password cannot be read: {error}") })?;
    let CreateAdmin { username, email, organization, namespace, .. } = asked;
    let done = format!("{username} is a superadmin in the namespace {namespace}");
    let admin = Bootstrap { username, password, email, organization, namespace };
    wait_for(compose::create_admin(config, admin))?;
    say(&done)
}

fn password(asked: &CreateAdmin) -> io::Result<Password> {
    let text = if let Some(path) = &asked.password_file {
        limited(std::fs::File::open(path)?)?
    } else if asked.password_stdin {
        limited(io::stdin().lock())?
    } else if io::stdin().is_terminal() {
        let first = rpassword::prompt_password("Password: ")?;
        if first != rpassword::prompt_password("The same again: ")? {
            return Err(io::Error::other("the two differ"));
        }
        first
    } else {
        return Err(io::Error::other("there is no terminal to ask on; use --password-file or --password-stdin"));
    };
    // Editors and echo end a file with a line break; no password does.
    let text = text.trim_end_matches(['\r', '\n']);
    if Password::LENGTH.contains(&text.chars().count()) {
        Ok(Password::new(text.to_owned()))
    } else {
        let (least, most) = (Password::LENGTH.start(), Password::LENGTH.end());
        Err(io::Error::other(format!("it must have {least} to {most} characters")))
    }
}

fn limited(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    source.take(LONGEST_PASSWORD_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn ask_health(file: Option<&Path>, asked: &Healthcheck) -> Result<(), Failure> {
    let address = match asked.address {
        Some(address) => address,
        None => {
            let server = load(file, MissingKey::Pretend)?.server;
            healthcheck::reachable(server.host, server.port)
        }
    };
    let path = if asked.ready { "/api/v1/ready" } else { "/api/v1/health" };
    let failed = |message| Err(Failure { code: FAILED, message });
    match healthcheck::ask(address, path, Duration::from_secs(asked.timeout)) {
        Ok(answer) if answer.status == 200 => say(&answer.body),
        Ok(answer) => failed(format!("http://{address}{path} answers {}: {}", answer.status, answer.body)),
        Err(error) => failed(format!("http://{address}{path} does not answer: {error}")),
    }
}

/// Writes to standard output; a reader that has gone away (`| head`) is no failure worth a word.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.trim_end().as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::of(&error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
