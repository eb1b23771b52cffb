//! The log: one line an event on standard error, as text for people or JSON for programs.
//!
//! Libraries never say more than warnings, however much is asked of us: at finer levels some write out headers and bodies, and
//! with them tokens. Fields of the enclosing spans (such as a request's id) are part of every line.
//!
//! A thread of its own writes, as many lines at once as have come together: written one by one where they are logged, they would cost
//! a busy service a tenth of its time. None is dropped; if they are not taken fast enough, those who log wait.

use std::io::{self, BufWriter, IsTerminal};

use tracing::{Level, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// What our own crates log under; a prefix of all of them.
const OURS: &str = "kqueen";

/// How many lines may wait to be written, before those who log wait too. Room for all of them is taken at once.
const WAITING_LINES: usize = 8192;

/// Logs to standard error from now on. Where a log is set up already, as in tests, that one stays. Keep what is returned until the end of
/// the program: when it is dropped, what is still on its way is written.
#[must_use = "lines are lost that are on their way when it is dropped"]
pub fn init(log: &Log) -> WorkerGuard {
    let colours = log.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(WAITING_LINES).thread_name("log");
    let (lines, guard) = lines.finish(BufWriter::new(io::stderr()));
    // The only possible failure is that somebody was first.
    drop(tracing_subscriber::registry().with(layer(log, colours, lines)).try_init());
    guard
}

fn layer<S, W>(log: &Log, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let libraries = LevelFilter::from_level(log.level.min(Level::WARN));
    let filter = Targets::new().with_default(libraries).with_target(OURS, log.level);
    let lines = fmt::layer().with_writer(writer).with_ansi(colours);
    match log.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: Level, format: LogFormat, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::registry().with(layer(&Log { level, format }, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_the_fields_of_event_and_span() {
        let line = logged(Level::INFO, LogFormat::Json, || {
            let _span = tracing::info_span!("request", request_id = "r-1").entered();
            tracing::info!(cluster.id = "c-1", "cluster created");
        });
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "cluster created");
        assert_eq!(line["cluster.id"], "c-1");
        assert_eq!(line["span"]["request_id"], "r-1");
    }

    #[test]
    fn libraries_say_no_more_than_warnings() {
        let lines = logged(Level::TRACE, LogFormat::Text, || {
            tracing::trace!(target: "kqueen_adapters::storage", "ours");
            tracing::info!(target: "hyper::proto", "theirs");
            tracing::warn!(target: "hyper::proto", "warning");
        });
        assert!(lines.contains("ours") && lines.contains("warning") && !lines.contains("theirs"), "{lines}");
        let lines = logged(Level::ERROR, LogFormat::Text, || tracing::warn!(target: "hyper", "warning"));
        assert_eq!(lines, "");
    }
}
