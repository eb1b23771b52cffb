//! Tasks that repeat one piece of work, measured as clients are.

use std::time::{Duration, Instant};

use crate::bench::{load::Recorder, sample::Sample};

/// Runs `tasks` tasks for `span`. CPU time is not measured, because they share this process.
pub(super) async fn measure<F>(tasks: usize, span: Duration, work: impl Fn() -> F + Clone + Send + 'static) -> Sample
where
    F: Future<Output = ()> + Send + 'static,
{
    let now = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (work, mut recorder) = (work.clone(), Recorder::new(now, span));
            tokio::spawn(async move {
                loop {
                    let since = Instant::now();
                    work().await;
                    if !recorder.record(since) {
                        return recorder;
                    }
                }
            })
        })
        .collect();
    let mut recorders = Vec::new();
    for task in running {
        recorders.push(task.await.unwrap());
    }
    Sample::of(recorders, span, Duration::ZERO)
}
