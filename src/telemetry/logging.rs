//! Logs: `tracing` events as text or JSON lines on standard error, without secrets and beside the progress display.
//!
//! Standard output belongs to data. The level comes from `-v` and `-q`; the environment variable `CROSSWALK_LOG`
//! (`debug`, `crosswalk::connector=trace,info`) says otherwise for those who look for something.

use std::io::{self, Write};
use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::progress::Screen;
use super::redact::Secrets;

/// The environment variable that overrides the level.
pub const VARIABLE: &str = "CROSSWALK_LOG";

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How logs are written.
#[derive(Clone, Debug)]
pub struct LoggingOptions {
    /// The form of a line.
    pub format: LogFormat,
    /// The least severe level of our own events that is written; those of libraries are written from `warn` on.
    pub level: LevelFilter,
    /// Whether text lines are coloured.
    pub color: bool,
}

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The override is not a list of levels.
    #[error("`{VARIABLE}` is not a filter such as `debug` or `crosswalk::connector=trace,info`")]
    Filter {
        /// What the filter's parser says.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A process has one log; somebody has started it already.
    #[error("logging was started twice")]
    Started,
}

/// Starts writing the process's events to standard error.
///
/// # Errors
/// When `CROSSWALK_LOG` is set and is not a filter, or when it was called before.
pub fn start(options: &LoggingOptions, secrets: Arc<Secrets>, screen: Screen) -> Result<(), LoggingError> {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => {
            EnvFilter::try_new(text).map_err(|source| LoggingError::Filter { source })?
        }
        _ => EnvFilter::default()
            .add_directive(LevelFilter::WARN.min(options.level).into())
            .add_directive(
                format!("crosswalk={}", options.level)
                    .parse()
                    .map_err(|source| LoggingError::Filter { source })?,
            ),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(LogWriter { secrets, screen });
    match options.format {
        LogFormat::Text => builder
            .with_ansi(options.color)
            .with_target(options.level >= LevelFilter::DEBUG)
            .try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LoggingError::Started)
}

/// Makes a buffer for each event.
#[derive(Clone, Debug)]
struct LogWriter {
    secrets: Arc<Secrets>,
    screen: Screen,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event {
            writer: self,
            text: Vec::with_capacity(256),
        }
    }
}

/// One event's text, written as a whole when it is complete so that a secret is seen whole, too.
#[derive(Debug)]
struct Event<'a> {
    writer: &'a LogWriter,
    text: Vec<u8>,
}

impl Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.writer.screen.write(&self.writer.secrets.replace(&self.text));
        }
    }
}
