//! What a person or a program sees: data on standard output, everything else on standard error; called
//! as `falcoctl`, everything on standard output.
//!
//! Owns both streams and the choice of form (text or JSON, colour, progress). What is said is left to
//! the callers.

mod document;
mod pairs;
mod progress;
mod record;
mod table;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

pub(crate) use self::document::Document;
pub(crate) use self::pairs::local as local_time;
pub(crate) use self::progress::Bars;
pub(crate) use self::record::{Record, Style};
pub(crate) use self::table::Table;
use crate::args::{LogFormat, LogLevel, Output};
use crate::personality::{Personality, Stream, Words};

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) output: Output,
    pub(crate) style: Style,
    pub(crate) level: LogLevel,
    pub(crate) messages: Stream,
}

/// Writes data and messages. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Printer {
    personality: Personality,
    look: Look,
    bars: Arc<Bars>,
    service: bool,
}

impl Printer {
    /// A printer for settled choices; `output` and `format` are what was asked for, if anything was.
    pub(crate) fn new(
        personality: Personality,
        output: Option<Output>,
        format: Option<LogFormat>,
        level: LogLevel,
    ) -> Self {
        let character = personality.character();
        // A document is not mixed with messages, whatever the habit is.
        let messages = match output {
            Some(Output::Json) => Stream::Stderr,
            _ => character.messages,
        };
        let terminal = match messages {
            Stream::Stderr => io::stderr().is_terminal(),
            Stream::Stdout => io::stdout().is_terminal(),
        };
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        let style = Style::choose(character.words, format, colour);
        // Bars would tear JSON lines and logs apart: they are for a person at a terminal only.
        let bars = Bars::new(terminal && !matches!(style, Style::Json(_) | Style::Text));
        let output = output.unwrap_or(Output::Text);
        let look = Look { output, style, level, messages };
        Self { personality, look, bars: Arc::new(bars), service: false }
    }

    /// The same, for a command that runs as a service: lines with times unless asked otherwise.
    pub(crate) fn for_service(mut self, format: Option<LogFormat>) -> Self {
        if format.is_none() && self.words() == Words::Ours {
            self.look.style = Style::Text;
        }
        self.bars = Arc::new(Bars::new(false));
        self.service = true;
        self
    }

    /// The same for what is done again and again: only errors are shown.
    pub(crate) fn quieter(&self) -> Self {
        let mut quieter = self.clone();
        quieter.look.level = LogLevel::Error;
        quieter
    }

    /// What the program was called by.
    pub(crate) fn personality(&self) -> Personality {
        self.personality
    }

    /// In whose words messages and tables are written.
    pub(crate) fn words(&self) -> Words {
        self.personality.character().words
    }

    /// Whether it is for a command that runs as a service.
    pub(crate) fn is_service(&self) -> bool {
        self.service
    }

    /// Level of what matters to a person who waits, and not to the log of a service.
    pub(crate) fn waiting(&self) -> LogLevel {
        if self.service { LogLevel::Debug } else { LogLevel::Info }
    }

    /// The same, with data in another form.
    pub(crate) fn with_output(mut self, output: Output) -> Self {
        self.look.output = output;
        self
    }

    /// Says now and then how far a transfer is, where no bar does; never between JSON lines.
    pub(crate) fn progress_line(&self, name: &str, done: u64, total: u64) {
        if matches!(self.look.style, Style::Json(_)) || self.is_json() {
            return;
        }
        if let Some(line) = self.bars.line(name, done, total, std::time::Instant::now()) {
            self.info(line);
        }
    }

    /// Progress bars; they show nothing where they would do harm.
    pub(crate) fn bars(&self) -> &Bars {
        &self.bars
    }

    /// Whether data is asked for as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.look.output == Output::Json
    }

    /// Writes a document to standard output in the form that was asked for.
    pub(crate) fn data<D: Document>(&self, document: &D) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.is_json() {
            document::write_json(document, &mut bytes)?;
        } else if self.words() == Words::Falcoctl {
            document.compatible(&mut bytes)?;
        } else {
            document.text(&mut bytes)?;
        }
        self.bytes(&bytes)
    }

    /// Writes bytes to standard output as they are. A reader that has left is not an error.
    #[expect(clippy::unused_self, reason = "whoever writes must have been given a printer")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            // It comes last: a full disk behind it undoes nothing.
            Err(error) => Err(io::Error::new(
                error.kind(),
                format!(
                    "the answer cannot be written to standard output: {error}; what the command had \
                     to change is changed"
                ),
            )),
            Ok(()) => Ok(()),
        }
    }

    /// Writes a message to its stream, if its level is shown.
    pub(crate) fn record(&self, record: &Record) {
        if record.level > self.look.level {
            return;
        }
        // Who reads data as JSON reads what stopped it as JSON too, unless another form was asked for.
        let error = record.level == LogLevel::Error && self.is_json();
        let style = match self.look.style {
            Style::Plain | Style::Colour if error => Style::Json(self.words()),
            style => style,
        };
        let line = record.render(style, jiff::Timestamp::now());
        self.bars.suspend(|| {
            // Nowhere is left to say that the stream is gone.
            let _ = match self.look.messages {
                Stream::Stderr => io::stderr().lock().write_all(line.as_bytes()),
                Stream::Stdout => io::stdout().lock().write_all(line.as_bytes()),
            };
        });
    }

    /// Says what was done.
    pub(crate) fn info(&self, message: impl Into<String>) {
        self.record(&Record::new(LogLevel::Info, message));
    }

    /// Says what helps a person at a terminal, and is not among what scripts expect of `falcoctl`.
    pub(crate) fn aside(&self, message: impl Into<String>) {
        let level = match self.words() {
            Words::Ours => LogLevel::Info,
            Words::Falcoctl => LogLevel::Debug,
        };
        self.record(&Record::new(level, message));
    }

    /// Says what a person should look at.
    pub(crate) fn warn(&self, message: impl Into<String>) {
        self.record(&Record::new(LogLevel::Warn, message));
    }
}
