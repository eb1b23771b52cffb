//! Starts a simulated cloud by its name: `cargo run -p kqueen-tests --bin simulator -- gke`.
#![expect(clippy::print_stderr, reason = "it is what people read")]

use std::process::ExitCode;

use clap::Parser;
use kqueen_tests::simulator::command::{Command, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("simulator: {error}");
            ExitCode::FAILURE
        }
    }
}
