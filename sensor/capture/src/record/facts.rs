//! What a live event knows of its descriptor, its directory and its user, told by events that only keep
//! state.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;

use eyas_abi::schema::EventFlags;
use eyas_abi::{Event, value};

use super::{MAX_TOLD, Recorder, first_half};
use crate::error::CaptureError;

/// Codes of the events that tell.
mod code {
    pub(super) const SOCKET: u16 = 19;
    pub(super) const BIND: u16 = 21;
    pub(super) const CONNECT: u16 = 23;
    pub(super) const PIPE: u16 = 61;
    pub(super) const EVENTFD: u16 = 63;
    pub(super) const CHDIR: u16 = 95;
    pub(super) const SIGNALFD: u16 = 127;
    pub(super) const TIMERFD: u16 = 137;
    pub(super) const INOTIFY: u16 = 139;
    pub(super) const SETRESUID: u16 = 193;
    pub(super) const SETRESGID: u16 = 195;
    pub(super) const SETSID: u16 = 275;
    pub(super) const EXECVE: u16 = 293;
    pub(super) const OPENAT: u16 = 307;
    pub(super) const EXECVEAT: u16 = 331;
    pub(super) const EPOLL: u16 = 375;
}

const AT_FDCWD: i64 = -100;
const DIRECTORY: u32 = 0x400;
const LISTENING: i64 = 10;

impl<W: Write> Recorder<W> {
    /// Writes both halves of a call that only keeps state.
    fn tell(&mut self, of: &Event<'_>, code: u16, params: &[&[u8]]) -> Result<(), CaptureError> {
        if let Some((enter, half)) = first_half(code, params) {
            self.put(of, enter, &half, true)?;
        }
        self.put(of, code, params, true)
    }

    /// Tells who a thread acts as, and where relative paths of an event start.
    pub(super) fn tell_place(&mut self, event: &Event<'_>) -> Result<(), CaptureError> {
        let header = *event.header();
        let users = (u64::from(header.euid) << 32) | u64::from(header.egid);
        // The slot of a number that no descriptor has.
        if self.told.insert((header.tid, i64::MIN), users) != Some(users) {
            let (none, zero) = (u32::MAX.to_le_bytes(), 0_i64.to_le_bytes());
            let (uid, gid) = (header.euid.to_le_bytes(), header.egid.to_le_bytes());
            self.tell(event, code::SETRESUID, &[&zero, &none, &uid, &none])?;
            self.tell(event, code::SETRESGID, &[&zero, &none, &gid, &none])?;
        }
        // An exec says which session it is in; the format has no place for that.
        let sid = value::int(event.param_named("eyas_sid"), true).filter(|sid| *sid >= 0);
        if let (Some(sid), true) = (sid, matches!(event.code(), code::EXECVE | code::EXECVEAT)) {
            self.tell(event, code::SETSID, &[&sid.to_le_bytes()])?;
        }
        let Some(place) = value::text(event.param_named("eyas_dir")) else { return Ok(()) };
        let from_cwd = event
            .ty()
            .params
            .iter()
            .filter_map(|param| param.relative_to)
            .all(|dirfd| event.int(usize::from(dirfd)).is_none_or(|fd| fd == AT_FDCWD));
        if !from_cwd || self.places.get(&header.tgid).is_some_and(|known| **known == *place) {
            return Ok(());
        }
        self.places.insert(header.tgid, place.into());
        let path = [place, b"\0"].concat();
        self.tell(event, code::CHDIR, &[&0_i64.to_le_bytes(), &path])
    }

    /// Tells what the descriptor of an event is, unless the event makes it or it was told before.
    pub(super) fn tell_descriptor(&mut self, event: &Event<'_>) -> Result<(), CaptureError> {
        let ty = event.ty();
        if ty.flags.has(EventFlags::CREATES_FD) && ty.fd_param.is_none() {
            return Ok(());
        }
        let fd = ty.fd_param.and_then(|index| event.int(usize::from(index)));
        let (Some(fd @ 0..), [letter]) = (fd, event.param_named("eyas_fd_type")) else {
            return Ok(());
        };
        let names =
            ["eyas_path", "eyas_fd_tuple", "eyas_fd_proto", "eyas_fd_flags", "eyas_sock_state"];
        let mut hash = DefaultHasher::new();
        letter.hash(&mut hash);
        for name in names {
            event.param_named(name).hash(&mut hash);
        }
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        let facts = hash.finish();
        if self.told.insert((event.header().tgid, fd), facts) == Some(facts) {
            return Ok(());
        }
        self.describe(event, fd, *letter)
    }

    fn describe(&mut self, event: &Event<'_>, fd: i64, letter: u8) -> Result<(), CaptureError> {
        let number = fd.to_le_bytes();
        let zero = 0_i64.to_le_bytes();
        let path = value::text(event.param_named("eyas_path")).unwrap_or_default();
        let path = [path, b"\0"].concat();
        match letter {
            b'f' | b'd' | b'm' => {
                let flags =
                    value::int(event.param_named("eyas_fd_flags"), false).unwrap_or(0) as u32;
                let flags = if letter == b'd' { flags | DIRECTORY } else { flags };
                let device = event.param_named("eyas_fd_dev");
                let inode = event.param_named("eyas_fd_ino");
                let here = AT_FDCWD.to_le_bytes();
                let flags = flags.to_le_bytes();
                let params = [&number[..], &here, &path, &flags, &[0; 4], device, inode];
                self.tell(event, code::OPENAT, &params)
            }
            b'4' | b'6' | b'u' => self.describe_socket(event, fd, letter),
            b'p' => {
                let inode = event.param_named("eyas_fd_ino");
                self.tell(event, code::PIPE, &[&zero, &number, &number, inode])
            }
            b'e' => self.tell(event, code::EVENTFD, &[&number, &[0; 8], &[0; 4]]),
            b's' => self.tell(event, code::SIGNALFD, &[&number, &zero, &[0; 4], &[0]]),
            b't' => self.tell(event, code::TIMERFD, &[&number, &[0], &[0]]),
            b'i' => self.tell(event, code::INOTIFY, &[&number, &[0]]),
            b'l' => self.tell(event, code::EPOLL, &[&number, &[0; 4]]),
            b'n' => self.put(
                event,
                code::SOCKET,
                &[&number, &[16, 0, 0, 0], &[3, 0, 0, 0], &[0; 4], &[0; 4]],
                true,
            ),
            _ => Ok(()),
        }
    }

    /// A socket with the ends that it has.
    fn describe_socket(
        &mut self,
        event: &Event<'_>,
        fd: i64,
        letter: u8,
    ) -> Result<(), CaptureError> {
        let number = fd.to_le_bytes();
        let zero = 0_i64.to_le_bytes();
        let domain: u32 = match letter {
            b'4' => 2,
            b'6' => 10,
            _ => 1,
        };
        let protocol = value::int(event.param_named("eyas_fd_proto"), false).unwrap_or(0) as u32;
        let kind: u32 = if protocol == 17 { 2 } else { 1 };
        let (domain, kind) = (domain.to_le_bytes(), kind.to_le_bytes());
        let made = [&number[..], &domain, &kind, &protocol.to_le_bytes(), &[0; 4]];
        self.tell(event, code::SOCKET, &made)?;
        let tuple = event.param_named("eyas_fd_tuple");
        if tuple.is_empty() {
            return Ok(());
        }
        let state = value::int(event.param_named("eyas_sock_state"), false);
        if state == Some(LISTENING) {
            let address = own_end(tuple);
            return self.tell(event, code::BIND, &[&zero, &address, &number]);
        }
        self.tell(event, code::CONNECT, &[&zero, tuple, &number, &[]])
    }
}

/// The own end of a listening socket, as an address.
fn own_end(tuple: &[u8]) -> Vec<u8> {
    let half = tuple.len().saturating_sub(1) / 2;
    let family = tuple.get(..1).unwrap_or_default();
    let (first, second) =
        tuple.get(1..).unwrap_or_default().split_at_checked(half).unwrap_or_default();
    // The end without a port is nobody's.
    let nobody = first.last_chunk::<2>().is_none_or(|port| *port == [0, 0]);
    [family, if nobody { second } else { first }].concat()
}
