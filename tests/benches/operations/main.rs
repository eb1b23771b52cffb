//! Measures operating clusters: how many are observed and how late, how a provider that hangs affects others, how soon changes are
//! reported, what an idle instance takes, how soon a new cluster is durable, and how soon operations continue after a failure.
//!
//! The program that is measured is a separate process: where clusters are operated, it is this executable again, with the program's
//! composition and the model provider's engine, which the real binary does not have. The provider, the API of its clusters and all
//! clients run in this process: what they take is not counted, but they share the cores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints, and what fails in it ends it"
)]

mod black_hole;
mod creation;
mod fail_over;
mod listeners;
mod provider;
mod provider_calls;
mod reconciling;
mod results;
mod scale;

use kqueen_tests::{
    bench::{aim, machine::Machine, options::Options, report},
    fixture::child,
};
use results::{Part, Results};
use scale::Scale;

/// The program's allocator, since the program runs from this executable.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const RECONCILING: &str = "reconciling and idle";
const BLACK_HOLE: &str = "black hole";
const LISTENERS: &str = "event fan-out";
const CREATION: &str = "create to durable";
const FAIL_OVER: &str = "fail-over";

fn main() {
    child::serve_if_asked();
    let Some(options) = Options::read() else {
        println!("benchmarks run with `make bench`");
        return;
    };
    let wanted = [RECONCILING, BLACK_HOLE, LISTENERS, CREATION, FAIL_OVER].map(|name| options.wants(name));
    if wanted == [false; 5] {
        return;
    }
    let [reconciling, black_hole, listeners, creation, fail_over] = wanted;
    let scale = Scale::of(&options);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let machine = Machine::read();
    machine.lines().iter().for_each(|line| println!("{line}"));
    let mut results = Results { machine, quick: scale.quick, parts: Vec::new() };
    let mut add = |part: Part| {
        println!("\n{}", part.text());
        results.parts.push(part);
    };
    if reconciling {
        for &clusters in &scale.clusters {
            add(runtime.block_on(reconciling::measure(clusters, &scale, &options)));
        }
    }
    if black_hole {
        add(runtime.block_on(black_hole::measure(&scale, &options)));
    }
    if listeners {
        add(runtime.block_on(listeners::measure(&scale, &options)));
    }
    if creation {
        add(creation::measure(&runtime, &options));
    }
    if fail_over && let Some(part) = runtime.block_on(fail_over::measure(&scale, &options)) {
        add(part);
    }
    let aims: Vec<_> = results.parts.iter().flat_map(Part::aims).collect();
    println!("\n{}", aim::table(&aims).text());
    if scale.quick {
        println!(
            "this was a quick run at a small size: the aims are meant for the full size, on an otherwise idle machine"
        );
    }
    report::write(&options.json, "operations", &results);
    println!("written to {}", options.json.canonicalize().unwrap_or(options.json).display());
}
