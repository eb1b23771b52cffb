//! Measures the service as clients use it: requests per second, latencies, CPU time, memory and start time, on sled and on etcd, at
//! several sizes, each compared with its ceiling.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints, and what fails in it ends it"
)]

mod aims;
mod cases;
mod installation;
mod measure;
mod results;

use kqueen_tests::bench::{ceiling::bare, machine::Machine, options::Options, report};
use results::Results;

/// The service's allocator. The bare handler runs from this executable and must not have a slower one.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    bare::serve_if_asked();
    let Some(options) = Options::read() else {
        println!("benchmarks run with `make bench`");
        return;
    };
    if !cases::NAMES.iter().any(|name| options.wants(name)) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let machine = Machine::read();
    machine.lines().iter().for_each(|line| println!("{line}"));
    let mut results = Results::new(machine, &options);
    for &store in &options.stores {
        for &size in &options.sizes {
            let Some(installation) =
                runtime.block_on(installation::Installation::start(store, size, &options.settings))
            else {
                continue;
            };
            let (figures, measurements) = measure::all(&runtime, installation, &options);
            println!("\n{}", results.add(figures, measurements));
        }
    }
    println!("\n{}", results.judge());
    report::write(&options.json, "service", &results);
    println!("written to {}", options.json.canonicalize().unwrap_or(options.json).display());
}
