//! How fast clusters come to run that were all asked for at once; then, while all are quiet, how late looks are and what the process
//! takes; then, as many looks as it can take.

use std::time::{Duration, Instant};

use kqueen_tests::{
    bench::{
        options::Options,
        process::{cpu_time, memory},
        report::number,
    },
    fixture::{app::App, process::eventually},
};

use crate::{
    RECONCILING,
    looks::at_quantile,
    provider::{Provider, all_run, metric, options as with_model_engine},
    results::{Figure, Part},
    scale::Scale,
};

/// Provisioners the clusters are spread over.
const PROVISIONERS: usize = 50;
/// How many clusters the aims for an idle instance are for.
const AIMED_AT: usize = 10_000;
/// The shortest interval there is: with it, a look is always due.
const ALWAYS: &str = "1s";

pub(crate) async fn measure(clusters: usize, scale: &Scale, options: &Options) -> Part {
    let provider = Provider::start().await;
    let mut app = App::start_with(with_model_engine("kqueen", scale.interval, &options.settings)).await;
    let customer = provider.customer(&app, PROVISIONERS).await;
    let of = format!("{} clusters", number(clusters as f64));
    eprintln!("{RECONCILING}: {of} are asked for");
    let (since, cpu) = (Instant::now(), cpu_time(pid(&app)));
    let turns = metric(&app, &["kqueen_reconciler_turns_total"]).await;
    customer.create(&app, clusters).await;
    all_run(&app, clusters).await;
    let took = since.elapsed().as_secs_f64();
    let turns = metric(&app, &["kqueen_reconciler_turns_total"]).await - turns;
    let used = (cpu_time(pid(&app)) - cpu).as_secs_f64();
    let mut figures = vec![
        Figure::new(format!("{of} asked for at once, until all run"), took, "s"),
        Figure::new("  that begin to run", clusters as f64 / took, "a second"),
        Figure::new("  turns", turns / took, "a second"),
        Figure::new("  CPU meanwhile", used / took * 100.0, "% of a core"),
    ];

    eprintln!("{RECONCILING}: {of} are quiet");
    figures.extend(quiet(&provider, &app, clusters, scale).await);

    eprintln!("{RECONCILING}: {of} are looked at without a pause");
    app.set("OBSERVE_INTERVAL", ALWAYS);
    provider.looks.clear();
    app.restart().await;
    // All are due at the start; from then on the queue is never empty if it cannot keep up.
    eventually("all are looked at", Duration::from_secs(120), async || provider.looks.count() >= clusters).await;
    provider.looks.clear();
    let (since, cpu) = (Instant::now(), cpu_time(pid(&app)));
    tokio::time::sleep(scale.busy).await;
    let (looks, took) = (provider.looks.count() as f64, since.elapsed().as_secs_f64());
    let used = (cpu_time(pid(&app)) - cpu).as_secs_f64();
    figures.push(Figure::new("looks, each due a second after the last", looks / took, "a second"));
    figures.push(Figure::new("  CPU of a look", used / looks.max(1.0) * 1e6, "µs"));
    figures.push(Figure::new("  memory, after a new start", memory(pid(&app)).resident_mb, "MB"));
    let how = format!(
        "{RECONCILING}: {of} of {PROVISIONERS} provisioners on sled. Measured is a process with the program's own composition and the \
         model engine; a look is one call of the provider and two of the cluster's API, over a new TLS connection unless \
         one was kept. Provider and API are in the measuring process: not counted, but on the same cores."
    );
    Part { name: RECONCILING, how, figures }
}

/// Nobody asks for anything, and each cluster is looked at once an interval.
async fn quiet(provider: &Provider, app: &App, clusters: usize, scale: &Scale) -> Vec<Figure> {
    // The first interval belongs to what has just happened.
    tokio::time::sleep(scale.interval).await;
    provider.looks.clear();
    let (since, cpu) = (Instant::now(), cpu_time(pid(app)));
    // Long enough for a second look at each.
    tokio::time::sleep(scale.interval * 11 / 5).await;
    let (looks, took) = (provider.looks.count() as f64, since.elapsed().as_secs_f64());
    let used = (cpu_time(pid(app)) - cpu).as_secs_f64();
    let lateness = provider.looks.lateness(scale.interval);
    let memory = memory(pid(app));
    let every = scale.interval.as_secs();
    let idle = Figure::new("  idle: CPU", used / took * 100.0, "% of a core");
    let resident = Figure::new("  idle: memory", memory.resident_mb, "MB");
    let judged = clusters >= AIMED_AT;
    vec![
        Figure::new(format!("looks, each due {every} s after the last"), looks / took, "a second"),
        Figure::new("  late, p50", at_quantile(&lateness, 0.5), "ms"),
        Figure::new("  late, p99", at_quantile(&lateness, 0.99), "ms"),
        Figure::new("  late, at most", at_quantile(&lateness, 1.0), "ms"),
        if judged { idle.below(25.0) } else { idle },
        if judged { resident.below(250.0) } else { resident },
        Figure::new("  memory, at most", memory.peak_mb, "MB"),
    ]
}

fn pid(app: &App) -> u32 {
    u32::try_from(app.pid()).unwrap()
}
