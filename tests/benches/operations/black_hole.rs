//! How providers that never answer affect the clusters of those that do.

use kqueen_tests::{bench::options::Options, fixture::app::App};

use crate::{
    BLACK_HOLE,
    provider::{Provider, all_run, options as with_model_engine},
    provider_calls::{Times, at_quantile},
    results::{Figure, Part},
    scale::Scale,
};

fn mean(times: &Times) -> f64 {
    times.mean() / 1000.0
}

fn p99(times: &Times) -> f64 {
    at_quantile(times, 0.99)
}

/// By how much the intervals between observations of the others may grow, in percent.
const MOST: f64 = 10.0;

pub(crate) async fn measure(scale: &Scale, options: &Options) -> Part {
    let (provisioners, each) = scale.provisioners;
    let hanging = (provisioners * 3).div_ceil(10);
    let provider = Provider::start().await;
    let app = App::start_with(with_model_engine("kqueen", scale.short, &options.settings)).await;
    let customer = provider.customer(&app, provisioners).await;
    eprintln!("{BLACK_HOLE}: {} clusters are requested", provisioners * each);
    customer.create(&app, provisioners * each).await;
    all_run(&app, provisioners * each).await;
    let projects: Vec<String> = customer.provisioners.iter().map(|(_, project)| project.clone()).collect();
    eprintln!("{BLACK_HOLE}: all answer");
    tokio::time::sleep(scale.short).await;
    provider.observations.clear();
    tokio::time::sleep(scale.watched.0).await;
    let before = provider.observations.intervals();
    eprintln!("{BLACK_HOLE}: {hanging} hang");
    // Measured from the moment when they begin to hang, which leaves the least capacity for others.
    provider.observations.stop_answering(&projects[..hanging]);
    provider.observations.clear();
    tokio::time::sleep(scale.watched.1).await;
    let after = provider.observations.intervals();
    let increase = |of: fn(&Times) -> f64| (of(&after) / of(&before) - 1.0) * 100.0;
    let figures = vec![
        Figure::new("between observations while all answer, mean", mean(&before), "ms"),
        Figure::new("between observations while all answer, p99", p99(&before), "ms"),
        Figure::new(format!("the same for the {} that answer, mean", provisioners - hanging), mean(&after), "ms"),
        Figure::new(format!("the same for the {} that answer, p99", provisioners - hanging), p99(&after), "ms"),
        Figure::new("increase, mean", increase(mean), "%").below(MOST),
        Figure::new("increase, p99", increase(p99), "%").below(MOST),
    ];
    let how = format!(
        "{BLACK_HOLE}: {provisioners} provisioners with {each} clusters each, observed every {} s; then {hanging} never answer any call.",
        scale.short.as_secs()
    );
    Part { name: BLACK_HOLE, how, figures }
}
