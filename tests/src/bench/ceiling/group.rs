//! A thread that makes things durable for all who wait: what waits when it is free is done together.

use std::{thread, time::Duration};

use tokio::sync::{mpsc, oneshot};

use super::tasks;
use crate::bench::sample::Sample;

/// How much is done together at most.
const GROUP: usize = 256;

/// Measures `tasks` tasks that each wait until their turn is durable. `commit` is told how many have come together.
pub(super) async fn measure(tasks: usize, span: Duration, mut commit: impl FnMut(usize) + Send + 'static) -> Sample {
    let (queue, mut waiting) = mpsc::channel::<oneshot::Sender<()>>(GROUP);
    let committer = thread::spawn(move || {
        while let Some(first) = waiting.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = waiting.try_recv()
            {
                group.push(next);
            }
            commit(group.len());
            for waiter in group {
                let _gone = waiter.send(());
            }
        }
    });
    let sample = tasks::measure(tasks, span, move || {
        let queue = queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            queue.send(answer).await.unwrap();
            answered.await.unwrap();
        }
    });
    let sample = sample.await;
    committer.join().unwrap();
    sample
}
