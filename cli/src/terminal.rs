//! Asking a person: on the terminal itself, so that redirected streams do not matter.
//!
//! Owns the echo of the terminal while a password is typed, and gives it back however that ends.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use eyas_oci::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Longest line that is taken, in bytes.
const MAX_LINE_BYTES: u64 = 4096;

/// What the keys for an interruption send while they are not one.
const INTERRUPT: char = '\u{3}';

/// Whether there is a terminal to ask on.
pub(crate) fn is_there() -> bool {
    open().is_ok()
}

fn open() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// Asks for a line.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut terminal = open()?;
    write!(terminal, "{question}")?;
    line(&terminal)
}

/// Asks for a line that nobody looking on can read.
pub(crate) fn ask_hidden(question: &str) -> io::Result<Secret> {
    let mut terminal = open()?;
    write!(terminal, "{question}")?;
    let silence = Silence::over(&terminal)?;
    let answer = line(&terminal);
    drop(silence);
    writeln!(terminal)?;
    match answer {
        Ok(text) if text.contains(INTERRUPT) => Err(io::ErrorKind::Interrupted.into()),
        answer => answer.map(Secret::new),
    }
}

fn line(terminal: &File) -> io::Result<String> {
    let mut text = String::new();
    BufReader::new(terminal.take(MAX_LINE_BYTES)).read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not echo, until it is dropped.
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn over(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // An interruption would leave the terminal silent: it becomes a part of the line instead.
        silent.local_modes.remove(LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Nothing better can be done with a terminal that does not take its own settings back.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
