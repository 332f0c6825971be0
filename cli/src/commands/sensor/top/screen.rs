//! The terminal while `top` has it: another screen, keys as they are pressed, all as before at the end.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

/// The other screen, without a cursor (xterm control sequences, "alternate screen buffer").
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
/// Back, with a cursor.
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// To the first column of the first line.
const HOME: &str = "\u{1b}[H";
/// Nothing after the end of a line, and below the last one.
const REST_OF_LINE: &str = "\u{1b}[K";
const REST_OF_SCREEN: &str = "\u{1b}[J";
/// Lines and columns where the terminal does not say.
const USUAL: (usize, usize) = (24, 80);
/// What the keys for an interruption send while they are not one.
const INTERRUPT: u8 = 3;

/// What was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// `q`, or the keys for an interruption.
    Quit,
    /// Anything else.
    Other,
    /// Nothing in time.
    Nothing,
}

/// The terminal, until it is dropped.
pub(super) struct Screen {
    before: Termios,
}

impl Screen {
    /// Takes the terminal; `None` where input or output is none.
    pub(super) fn open() -> io::Result<Option<Self>> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin())?;
        let mut now = before.clone();
        now.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
        // An interruption would leave the terminal as it is now: it becomes a key.
        now.local_modes.remove(LocalModes::ISIG);
        now.special_codes[SpecialCodeIndex::VMIN] = 1;
        now.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &now)?;
        let screen = Self { before };
        write(ENTER)?;
        Ok(Some(screen))
    }

    /// Lines and columns.
    #[expect(clippy::unused_self, reason = "only whoever has the screen may ask")]
    pub(super) fn size(&self) -> (usize, usize) {
        let found = tcgetwinsize(io::stdout()).ok();
        let found = found.map(|size| (usize::from(size.ws_row), usize::from(size.ws_col)));
        found.filter(|(lines, columns)| *lines > 0 && *columns > 0).unwrap_or(USUAL)
    }

    /// Replaces what is shown.
    #[expect(clippy::unused_self, reason = "only whoever has the screen may write to it")]
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from(HOME);
        for (position, line) in lines.iter().enumerate() {
            if position > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str(REST_OF_LINE);
        }
        text.push_str(REST_OF_SCREEN);
        write(&text)
    }

    /// Waits for a key.
    #[expect(clippy::unused_self, reason = "only whoever has the screen may read keys")]
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<Key> {
        let stdin = io::stdin();
        let mut waits = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
        let limit = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: 0 };
        match poll(&mut waits, Some(&limit)) {
            Ok(0) => return Ok(Key::Nothing),
            Ok(_) => {}
            // The size has changed.
            Err(rustix::io::Errno::INTR) => return Ok(Key::Other),
            Err(error) => return Err(error.into()),
        }
        let mut key = [0];
        Ok(match stdin.lock().read(&mut key)? {
            0 => Key::Quit,
            _ if matches!(key, [b'q' | b'Q' | INTERRUPT]) => Key::Quit,
            _ => Key::Other,
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Nothing better can be done with a terminal that does not take its own settings back.
        let _ = write(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
