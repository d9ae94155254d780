//! Logs: one JSON object a line on standard output, which Lambda hands to CloudWatch.

use shared::config::{Config, ConfigError};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, filter_fn},
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// What is logged if nobody says otherwise.
const USUAL: &str = "info";
/// Where the runtime repeats the error of an invocation, and tells of a panic.
const RUNTIME: &str = "lambda_runtime::layers::panic";

/// Starts logging. The spans of a line carry request id, account and run.
pub fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = config.log.as_deref().unwrap_or(USUAL);
    let filter = EnvFilter::builder().parse(filter).map_err(|error| ConfigError {
        name: "POSTROOM_LOG",
        reason: format!("{error}; give for example `info` or `shared=debug`"),
    })?;
    // Started before in this process (several functions in one test): that one goes on.
    drop(lines(filter, std::io::stdout).try_init());
    Ok(())
}

fn lines<W>(filter: EnvFilter, into: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_target(false)
        .with_writer(into);
    tracing_subscriber::registry().with(layer.with_filter(filter.and(filter_fn(is_news))))
}

/// Whether a line says what no other line says. A failed invocation is told once, by us, with its type; the runtime would
/// say it again. A panic it tells alone: as an error of its own, beside the message.
fn is_news(line: &Metadata<'_>) -> bool {
    !line.is_event() || line.target() != RUNTIME || line.fields().field("error").is_some()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing::error;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failed_invocation_is_told_once_and_a_panic_is_told() {
        let paper = Paper::default();
        let into = paper.clone();
        tracing::subscriber::with_default(lines(EnvFilter::new(USUAL), move || into.clone()), || {
            error!(error_type = "Defect", "by us");
            error!(target: RUNTIME, "by the runtime");
            error!(target: RUNTIME, error = ?"boom", "user handler panicked");
        });
        let text = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains("by us") && lines[0].contains("Defect"));
        assert!(lines[1].contains("user handler panicked") && lines[1].contains("boom"));
    }
}
