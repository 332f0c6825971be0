//! Unix datagram sockets: syslog, journald, and any program that listens on one.
//!
//! A socket that is not there or goes away is looked for again with the next batch; what could not
//! be sent meanwhile is counted by whoever called.

use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use super::writer::{Delivery, Writer};
use crate::message::Message;
use crate::queue::Line;

/// The system's log socket.
pub(super) const SYSLOG_SOCKET: &str = "/dev/log";
/// The journal's socket for structured entries (systemd, "Native Journal Protocol").
pub(super) const JOURNAL_SOCKET: &str = "/run/systemd/journal/socket";
/// How long a socket whose reader is behind may hold up its own sink.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// How an alert is laid out in a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// The line alone.
    Line,
    /// RFC 3164 as system loggers read it on their local socket: priority, local time, name.
    Syslog {
        /// Facility number times 8.
        facility: u8,
        /// Name in front of the message.
        tag: String,
    },
    /// Fields of a journal entry.
    Journal {
        /// `SYSLOG_IDENTIFIER`.
        tag: String,
    },
}

/// A datagram socket by its path.
#[derive(Debug)]
pub(super) struct Datagrams {
    path: PathBuf,
    layout: Layout,
    socket: Option<UnixDatagram>,
}

impl Datagrams {
    /// Nothing is opened before the first alert.
    pub(super) fn to(path: &Path, layout: Layout) -> Self {
        Self { path: path.to_path_buf(), layout, socket: None }
    }

    fn send(&mut self, message: &Message) -> io::Result<()> {
        let datagram = self.layout.datagram(message);
        let fresh = self.socket.is_none();
        match self.attempt(&datagram) {
            // A logger that was restarted listens on another socket at the same path.
            Err(error) if !fresh && is_gone(&error) => {
                self.socket = None;
                self.attempt(&datagram)
            }
            other => other,
        }
    }

    fn attempt(&mut self, datagram: &[u8]) -> io::Result<()> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(SEND_LIMIT))?;
            socket.connect(&self.path).map_err(|error| {
                io::Error::new(error.kind(), format!("`{}`: {error}", self.path.display()))
            })?;
            self.socket = Some(socket);
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        match socket.send(datagram) {
            Ok(_) => Ok(()),
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) =>
            {
                self.send_long(socket, datagram)
            }
            Err(error) => Err(error),
        }
    }

    /// What does not fit a datagram: the journal takes a sealed file in its place, others get as
    /// much as fits.
    fn send_long(&self, socket: &UnixDatagram, datagram: &[u8]) -> io::Result<()> {
        if matches!(self.layout, Layout::Journal { .. }) {
            return pass_file(socket, &sealed(datagram)?);
        }
        let mut most = datagram.len() / 2;
        loop {
            match socket.send(datagram.get(..most).unwrap_or_default()) {
                Ok(_) => return Ok(()),
                Err(error)
                    if most > 1
                        && error.raw_os_error()
                            == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) =>
                {
                    most /= 2;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Writer for Datagrams {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        let mut delivery = Delivery::default();
        for message in batch {
            match self.send(message) {
                Ok(()) => delivery.written += 1,
                Err(error) => {
                    self.socket = None;
                    let absent = is_gone(&error);
                    delivery.error = Some(error);
                    // Nobody listens: the rest of the batch would fare the same.
                    if absent {
                        break;
                    }
                }
            }
        }
        delivery
    }
}

impl Layout {
    pub(super) fn datagram(&self, message: &Message) -> Vec<u8> {
        let severity = message.severity();
        match self {
            Self::Line => message.line().as_bytes().to_vec(),
            Self::Syslog { facility, tag } => {
                let now = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
                let pid = std::process::id();
                format!("<{}>{now} {tag}[{pid}]: {}", facility | severity, message.line())
                    .into_bytes()
            }
            Self::Journal { tag } => {
                let mut entry = Vec::new();
                for (name, value) in [
                    ("PRIORITY", severity.to_string().as_str()),
                    ("SYSLOG_IDENTIFIER", tag),
                    ("EYAS_RULE", message.rule()),
                    ("MESSAGE", message.line()),
                ] {
                    field(&mut entry, name, value);
                }
                entry
            }
        }
    }
}

/// One field of a journal entry. A value with a line feed is preceded by its length instead of `=`.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected, NotFound};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionRefused | ConnectionReset | NotConnected | NotFound
    )
}

/// A file in memory that nobody can change any more.
fn sealed(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(rustix::fs::memfd_create("alert", flags)?);
    file.write_all(content)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

/// Sends a descriptor and nothing else.
fn pass_file(socket: &UnixDatagram, file: &OwnedFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    rustix::net::sendmsg(socket, &[IoSlice::new(&[])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
