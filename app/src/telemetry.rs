//! The log: one line per event on standard error, as text or JSON.
//!
//! Libraries log only warnings and errors, whatever the level: at lower levels some of them log headers and bodies, including tokens.
//! Fields of the enclosing spans (such as a request's id) are part of every line.
//!
//! A separate thread writes lines in batches: writing each line where it is logged would cost a busy service a tenth of its time. No line
//! is dropped; if they cannot be written fast enough, logging blocks.

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

/// The common prefix of the targets of our crates.
const OURS: &str = "kqueen";

/// Maximum number of buffered lines before logging blocks. The buffer is allocated at the start.
const WAITING_LINES: usize = 8192;

/// Starts logging to standard error, unless a log is set up already, as in tests. Keep the guard until the end of the program: buffered
/// lines are written when it is dropped.
#[must_use = "lines logged after it is dropped may be lost"]
pub fn init(log: &Log) -> WorkerGuard {
    let colours = log.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(WAITING_LINES).thread_name("log");
    let (lines, guard) = lines.finish(BufWriter::new(io::stderr()));
    // It can fail only if a log is set up already.
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
    fn libraries_log_only_warnings_and_errors() {
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
