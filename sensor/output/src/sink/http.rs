//! Alerts to an HTTP receiver, posted by a child without privileges.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::program::{END_LIMIT, Pause, wait};
use super::writer::{Delivery, Writer};
use crate::queue::Line;
use crate::relay::{HttpTarget, Posted};

/// Variables of the environment that the child gets: where programs and authorities are, what its messages are written
/// in, and the way out.
const PASSED: [&str; 14] = [
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The child and the two ends of the conversation with it.
#[derive(Debug)]
struct Conversation {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Hands batches to the child and starts it again when it ends.
#[derive(Debug)]
pub(super) struct Http {
    target: HttpTarget,
    running: Option<Conversation>,
    pause: Pause,
}

impl Http {
    pub(super) fn new(target: HttpTarget) -> Self {
        Self { target, running: None, pause: Pause::default() }
    }

    fn start(&self) -> io::Result<Conversation> {
        let (program, arguments) = &self.target.program;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Another user has nothing to look for in our home.
        let passed = PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(passed);
        if let Some((user, group)) = self.target.user {
            command.uid(user).gid(group);
        }
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("`{}`: {error}", program.display()))
        };
        let mut child = command.spawn().map_err(named)?;
        let (Some(mut ask), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let post = serde_json::to_string(&self.target.post)?;
        writeln!(ask, "{post}")?;
        Ok(Conversation { child, ask, answers: BufReader::new(answers) })
    }

    fn exchange(&mut self, batch: &[Line]) -> io::Result<Posted> {
        if self.running.is_none() {
            self.pause.over()?;
            self.running = Some(self.start()?);
        }
        let Some(running) = &mut self.running else { return Ok(Posted::default()) };
        let mut text = format!("{}\n", batch.len());
        for message in batch {
            text.push_str(message.line());
            text.push('\n');
        }
        running.ask.write_all(text.as_bytes())?;
        let mut answer = String::new();
        if running.answers.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    }

    fn end(&mut self) {
        if let Some(Conversation { mut child, ask, answers }) = self.running.take() {
            drop((ask, answers));
            // One that does not leave was killed; either way it is gone.
            let _ = wait(&mut child, END_LIMIT);
        }
    }
}

impl Writer for Http {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        let kept = self.running.is_some();
        let mut found = self.exchange(batch);
        if found.is_err() {
            self.end();
            // It may have ended long ago, while there was nothing to post.
            if kept {
                found = self.exchange(batch);
            }
        }
        match found {
            Ok(posted) => {
                self.pause.forget();
                let error = posted.error.map(io::Error::other);
                Delivery { written: posted.delivered.min(batch.len() as u64), error }
            }
            Err(error) => {
                self.end();
                self.pause.longer(&error);
                Delivery { written: 0, error: Some(error) }
            }
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.end();
    }
}
