//! How fast clusters run that were all requested at once; then, while all are quiet, how late observations are and what the process
//! takes; then, how many observations it can make.

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
    provider::{Provider, all_run, metric, options as with_model_engine},
    provider_calls::at_quantile,
    results::{Figure, Part},
    scale::Scale,
};

/// Provisioners the clusters are spread over.
const PROVISIONERS: usize = 50;
/// The number of clusters for which an idle instance has aims.
const WITH_AIMS: usize = 10_000;
/// The shortest interval: with it, an observation is always due.
const ALWAYS: &str = "1s";

pub(crate) async fn measure(clusters: usize, scale: &Scale, options: &Options) -> Part {
    let provider = Provider::start().await;
    let mut app = App::start_with(with_model_engine("kqueen", scale.interval, &options.settings)).await;
    let customer = provider.customer(&app, PROVISIONERS).await;
    let of = format!("{} clusters", number(clusters as f64));
    eprintln!("{RECONCILING}: {of} are requested");
    let (since, cpu) = (Instant::now(), cpu_time(pid(&app)));
    let reconciliations = metric(&app, &["kqueen_reconciler_turns_total"]).await;
    customer.create(&app, clusters).await;
    all_run(&app, clusters).await;
    let took = since.elapsed().as_secs_f64();
    let reconciliations = metric(&app, &["kqueen_reconciler_turns_total"]).await - reconciliations;
    let used = (cpu_time(pid(&app)) - cpu).as_secs_f64();
    let mut figures = vec![
        Figure::new(format!("{of} requested at once, until all run"), took, "s"),
        Figure::new("  clusters that start to run", clusters as f64 / took, "a second"),
        Figure::new("  reconciliations", reconciliations / took, "a second"),
        Figure::new("  CPU meanwhile", used / took * 100.0, "% of a core"),
    ];

    eprintln!("{RECONCILING}: {of} are quiet");
    figures.extend(quiet(&provider, &app, clusters, scale).await);

    eprintln!("{RECONCILING}: {of} are observed without a pause");
    app.set("OBSERVE_INTERVAL", ALWAYS);
    provider.observations.clear();
    app.restart().await;
    // All are due at the start; from then on the queue is never empty if it cannot keep up.
    eventually("all are observed", Duration::from_secs(120), async || provider.observations.count() >= clusters).await;
    provider.observations.clear();
    let (since, cpu) = (Instant::now(), cpu_time(pid(&app)));
    tokio::time::sleep(scale.busy).await;
    let (observations, took) = (provider.observations.count() as f64, since.elapsed().as_secs_f64());
    let used = (cpu_time(pid(&app)) - cpu).as_secs_f64();
    figures.push(Figure::new("observations, each due a second after the last", observations / took, "a second"));
    figures.push(Figure::new("  CPU per observation", used / observations.max(1.0) * 1e6, "µs"));
    figures.push(Figure::new("  memory, after a restart", memory(pid(&app)).resident_mb, "MB"));
    let how = format!(
        "{RECONCILING}: {of} of {PROVISIONERS} provisioners on sled. The measured process has the program's composition and the \
         model engine; an observation is one call of the provider and two of the cluster's API, over a new TLS connection unless \
         one was kept. Provider and API are in the measuring process: not counted, but on the same cores."
    );
    Part { name: RECONCILING, how, figures }
}

/// Measures while nothing is requested and each cluster is observed once per interval.
async fn quiet(provider: &Provider, app: &App, clusters: usize, scale: &Scale) -> Vec<Figure> {
    // The first interval is still affected by what has just happened.
    tokio::time::sleep(scale.interval).await;
    provider.observations.clear();
    let (since, cpu) = (Instant::now(), cpu_time(pid(app)));
    // Long enough for a second observation of each.
    tokio::time::sleep(scale.interval * 11 / 5).await;
    let (observations, took) = (provider.observations.count() as f64, since.elapsed().as_secs_f64());
    let used = (cpu_time(pid(app)) - cpu).as_secs_f64();
    let lateness = provider.observations.lateness(scale.interval);
    let memory = memory(pid(app));
    let every = scale.interval.as_secs();
    let idle = Figure::new("  idle: CPU", used / took * 100.0, "% of a core");
    let resident = Figure::new("  idle: memory", memory.resident_mb, "MB");
    let judged = clusters >= WITH_AIMS;
    vec![
        Figure::new(format!("observations, each due {every} s after the last"), observations / took, "a second"),
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
