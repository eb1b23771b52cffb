//! The command line. Exit codes are 0 for success, 1 for failure, 2 for an invalid command line or configuration.

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
use zeroize::Zeroizing;

use crate::{
    api, compose,
    config::{self, Bootstrap, Config, MissingKey},
    healthcheck, telemetry,
};

const FAILED: u8 = 1;
const INVALID: u8 = 2;
const MAX_PASSWORD_FILE: u64 = 64 * 1024;

/// Provisions, imports, operates and observes Kubernetes clusters for many organizations.
#[derive(Debug, Parser)]
#[command(
    name = "kqueen",
    version,
    after_help = "\
Exit codes: 0 done, 1 failed, 2 invalid command line or configuration.

Settings come from the file named by KQUEEN_CONFIG_FILE (or --config, else config/dev.toml) and from KQUEEN_* \
variables, which override the file. `kqueen check-config` shows all settings."
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
  KQUEEN_DEV_MODE=true kqueen serve            try KQueen out on this machine
  kqueen --config /etc/kqueen.toml serve

Exit codes: 0 stopped by a signal, 1 failed while starting or running, 2 invalid configuration.")]
    Serve,
    /// Print the OpenAPI document of the REST API
    #[command(after_help = "Example: kqueen openapi > kqueen.json\n\nExit codes: 0 printed, 1 cannot be written.")]
    Openapi,
    /// Print the effective settings and where each comes from, or everything that is wrong with them
    #[command(after_help = "\
Secrets are shown as \"*******\". Nothing is started, contacted or written.

Exit codes: 0 valid configuration, 2 invalid configuration; every problem is listed on standard error.")]
    CheckConfig,
    /// Create a superadmin, and the organization if its namespace does not exist yet
    #[command(after_help = "\
Prompts for the password unless --password-file or --password-stdin is given. A sled store can be used by one \
process only: stop the server first. With etcd the server can keep running.

Examples:
  kqueen create-admin --username ann --organization Example --namespace example
  kqueen create-admin --username bob --organization Example --namespace example --password-file bob.txt

Exit codes: 0 created, 1 not created (the name is taken, or the store cannot be reached or is in use), \
2 invalid configuration.")]
    CreateAdmin(CreateAdmin),
    /// Check the server that runs with this configuration
    #[command(after_help = "\
Examples:
  kqueen healthcheck              is it alive? (GET /api/v1/health)
  kqueen healthcheck --ready      can it serve requests? (GET /api/v1/ready)

Exit codes: 0 healthy, 1 unhealthy or no answer, 2 invalid configuration.")]
    Healthcheck(Healthcheck),
    /// Encrypt all secrets in the store again with the newest key
    #[command(after_help = "\
To change the key: set KQUEEN_SECRET_KEY_PREVIOUS to the old one and KQUEEN_SECRET_KEY to a new one, restart all \
replicas, run this command, and then unset KQUEEN_SECRET_KEY_PREVIOUS. It is safe to run it again. A sled store can be \
used by one process only: stop the server first.

Exit codes: 0 all secrets are encrypted with KQUEEN_SECRET_KEY, 1 failed (all secrets stay readable), 2 invalid \
configuration.")]
    RotateKeys,
}

#[derive(Debug, Args)]
struct CreateAdmin {
    /// User name of the superadmin
    #[arg(long, value_parser = name::<Username>)]
    username: Username,
    /// E-mail address
    #[arg(long, value_parser = name::<EmailAddress>)]
    email: Option<EmailAddress>,
    /// Name of the organization, used if it has to be created
    #[arg(long, value_parser = name::<OrganizationName>)]
    organization: OrganizationName,
    /// Namespace of the organization: lower-case letters, digits, - and _
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
    /// Check whether it can serve requests, not only whether it is alive
    #[arg(long)]
    ready: bool,
    /// Address to check, instead of the one in the configuration
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

/// Why a command failed.
struct CommandError {
    code: u8,
    message: String,
}

impl CommandError {
    fn invalid(error: &dyn Display) -> Self {
        Self { code: INVALID, message: error.to_string() }
    }

    /// The error with all its causes, outermost first.
    fn of(error: &dyn Error) -> Self {
        let mut messages = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            messages.push(error.to_string());
            cause = error.source();
        }
        messages.dedup();
        Self { code: FAILED, message: messages.join(": ") }
    }
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    // Before TLS is used. It can fail only if a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError { code, message }) => {
            // If standard error cannot be written, there is nowhere to report it.
            drop(writeln!(io::stderr(), "kqueen: {message}"));
            ExitCode::from(code)
        }
    }
}

fn run(arguments: Arguments) -> Result<(), CommandError> {
    let file = arguments.config.as_deref();
    match arguments.command {
        None => print(&Arguments::command().render_help().to_string()),
        Some(Command::Serve) => {
            let config = load(file, MissingKey::Make)?;
            let _log = telemetry::init(&config.log);
            block_on(compose::run(config))
        }
        Some(Command::Openapi) => print(&api::document()),
        Some(Command::CheckConfig) => {
            print(&Config::describe(config::variables(file)).map_err(|problems| CommandError::invalid(&problems))?)
        }
        Some(Command::CreateAdmin(options)) => create_admin(file, options),
        Some(Command::Healthcheck(options)) => check_health(file, &options),
        Some(Command::RotateKeys) => {
            let config = load(file, MissingKey::Make)?;
            let _log = telemetry::init(&config.log);
            let sealed = block_on(compose::rotate_keys(config))?;
            print(&format!("{sealed} secrets were encrypted again; older keys are no longer needed"))
        }
    }
}

fn load(file: Option<&Path>, missing: MissingKey) -> Result<Config, CommandError> {
    Config::load(config::variables(file), missing).map_err(|problems| CommandError::invalid(&problems))
}

fn block_on<T, E: Error>(work: impl Future<Output = Result<T, E>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::of(&error))?;
    let done = runtime.block_on(work).map_err(|error| CommandError::of(&error));
    // Wait for blocking work such as a last write to disk, but not forever.
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

fn create_admin(file: Option<&Path>, options: CreateAdmin) -> Result<(), CommandError> {
    let config = load(file, MissingKey::Make)?;
    let _log = telemetry::init(&config.log);
    let password = password(&options)
        .map_err(|error| CommandError { code: FAILED, message: format!("the password cannot be read: {error}") })?;
    let CreateAdmin { username, email, organization, namespace, .. } = options;
    let done = format!("{username} is a superadmin in the namespace {namespace}");
    let admin = Bootstrap { username, password, email, organization, namespace };
    block_on(compose::create_admin(config, admin))?;
    print(&done)
}

fn password(options: &CreateAdmin) -> io::Result<Password> {
    let text = if let Some(path) = &options.password_file {
        limited(std::fs::File::open(path)?)?
    } else if options.password_stdin {
        limited(io::stdin().lock())?
    } else if io::stdin().is_terminal() {
        let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
        if first != Zeroizing::new(rpassword::prompt_password("Repeat the password: ")?) {
            return Err(io::Error::other("the passwords differ"));
        }
        first
    } else {
        return Err(io::Error::other("there is no terminal to prompt on; use --password-file or --password-stdin"));
    };
    // Editors and `echo` end a file with a line break, which is not part of the password.
    let text = text.trim_end_matches(['\r', '\n']);
    if Password::LENGTH.contains(&text.chars().count()) {
        Ok(Password::new(text.to_owned()))
    } else {
        let (least, most) = (Password::LENGTH.start(), Password::LENGTH.end());
        Err(io::Error::other(format!("it must have {least} to {most} characters")))
    }
}

fn limited(source: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source.take(MAX_PASSWORD_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn check_health(file: Option<&Path>, options: &Healthcheck) -> Result<(), CommandError> {
    let address = match options.address {
        Some(address) => address,
        None => {
            let server = load(file, MissingKey::Temporary)?.server;
            healthcheck::reachable(server.host, server.port)
        }
    };
    let path = if options.ready { "/api/v1/ready" } else { "/api/v1/health" };
    let failed = |message| Err(CommandError { code: FAILED, message });
    match healthcheck::get(address, path, Duration::from_secs(options.timeout)) {
        Ok(response) if response.status == 200 => print(&response.body),
        Ok(response) => failed(format!("http://{address}{path} responds with {}: {}", response.status, response.body)),
        Err(error) => failed(format!("http://{address}{path} does not respond: {error}")),
    }
}

/// Writes to standard output. A closed pipe (`| head`) is not an error.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.trim_end().as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CommandError::of(&error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Arguments::command().debug_assert();
    }
}
