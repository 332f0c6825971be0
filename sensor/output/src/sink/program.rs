//! Programs that take alerts on their standard input: one for each alert, or one that stays.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::writer::{Delivery, Stream, Writer};
use crate::queue::Line;

/// How long a program that is run for each alert may take.
const RUN_LIMIT: Duration = Duration::from_secs(10);
/// How long one that stays may take to leave once its input has ended.
pub(super) const END_LIMIT: Duration = Duration::from_secs(2);
/// How often the end of a program is looked for.
const STEP: Duration = Duration::from_millis(2);
/// Shortest and longest wait before a program that ended is started again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A shell command that is given alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramTarget {
    /// The command, as the shell reads it.
    pub command: String,
    /// Start it once and keep it, instead of once for each alert.
    pub keep_alive: bool,
}

/// Runs the command.
#[derive(Debug)]
pub(super) struct Program {
    target: ProgramTarget,
    running: Option<(Child, Stream<ChildStdin>)>,
    pause: Pause,
}

impl Program {
    pub(super) fn new(target: ProgramTarget) -> Self {
        Self { target, running: None, pause: Pause::default() }
    }

    fn start(&self) -> io::Result<(Child, ChildStdin)> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.target.command])
            .stdin(Stdio::piped())
            // Standard output carries alerts, and nothing a program says belongs between them.
            .stdout(io::stderr())
            .spawn()?;
        match child.stdin.take() {
            Some(stdin) => Ok((child, stdin)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn once(&self, message: &Line) -> io::Result<()> {
        let (mut child, mut stdin) = self.start()?;
        let written = stdin.write_all(format!("{}\n", message.line()).as_bytes());
        drop(stdin);
        let status = wait(&mut child, RUN_LIMIT)?;
        if !status.success() {
            return Err(io::Error::other(format!("the program ended with {status}")));
        }
        match written {
            // It ended well without reading: that is its choice.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    fn keep(&mut self, batch: &[Line]) -> Delivery {
        if self.running.is_none() {
            if let Err(error) = self.pause.over() {
                return Delivery { written: 0, error: Some(error) };
            }
            match self.start() {
                Ok((child, stdin)) => self.running = Some((child, Stream::new(stdin))),
                Err(error) => return Delivery { written: 0, error: Some(error) },
            }
        }
        let Some((_, stream)) = &mut self.running else { return Delivery::default() };
        let delivery = stream.write(batch);
        if let Some(error) = &delivery.error {
            self.pause.longer(error);
            self.end();
        } else {
            self.pause.forget();
        }
        delivery
    }

    fn end(&mut self) {
        if let Some((mut child, stream)) = self.running.take() {
            drop(stream);
            // A program that does not leave was killed; either way it is gone.
            let _ = wait(&mut child, END_LIMIT);
        }
    }
}

impl Writer for Program {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        if self.target.keep_alive {
            return self.keep(batch);
        }
        let mut delivery = Delivery::default();
        for message in batch {
            match self.once(message) {
                Ok(()) => delivery.written += 1,
                Err(error) => delivery.error = Some(error),
            }
        }
        delivery
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.end();
        Ok(())
    }

    fn look_around(&mut self) -> io::Result<()> {
        let Some((child, _)) = &mut self.running else { return Ok(()) };
        let Some(status) = child.try_wait()? else { return Ok(()) };
        self.running = None;
        let why = format!("the program ended with {status}");
        self.pause.longer(&why);
        Err(io::Error::other(why))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for the end of a program, and ends it when that takes too long.
pub(super) fn wait(child: &mut Child, limit: Duration) -> io::Result<std::process::ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            let why = format!("the program did not end within {}s and was killed", limit.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        thread::sleep(STEP);
    }
}

/// The growing wait between two starts of something that keeps ending.
#[derive(Debug, Default)]
pub(super) struct Pause {
    next: Duration,
    until: Option<Instant>,
    why: String,
}

impl Pause {
    /// An error while the wait lasts.
    pub(super) fn over(&self) -> io::Result<()> {
        match self.until {
            Some(until) if Instant::now() < until => {
                let why = &self.why;
                Err(io::Error::other(format!("{why}; it is started again after a pause")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn longer(&mut self, why: &impl ToString) {
        self.why = why.to_string();
        self.next = (self.next * 2).clamp(BACKOFF.0, BACKOFF.1);
        self.until = Some(Instant::now() + self.next);
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
