//! Records from a file or a named pipe, as the kernel would have handed them over: each says its own
//! length. A pipe is read as it fills, so records can be fed to a running daemon.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use eyas_abi::{HEADER_LEN, Header};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

use crate::error::DaemonError;

/// How often an empty pipe is left to see whether we are to stop.
const LOOK_UP: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// What a stream gives.
#[derive(Debug)]
pub(crate) enum Next<'r> {
    /// A record.
    Record(&'r [u8]),
    /// Nothing for now.
    Nothing,
    /// The end, of the stream or because it is to end.
    End,
}

/// A stream of records.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: File,
    record: Vec<u8>,
}

impl Records {
    /// Opens the stream. A pipe is opened for writing too, so that neither opening waits for a
    /// writer nor the last writer's leaving ends the stream.
    pub(crate) fn open(path: &Path) -> Result<Self, DaemonError> {
        let failed = |source| DaemonError::Records { path: path.to_path_buf(), source };
        let is_pipe = std::fs::metadata(path).map_err(failed)?.file_type().is_fifo();
        let file = OpenOptions::new()
            .read(true)
            .write(is_pipe)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(path)
            .map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file, record: Vec::new() })
    }

    /// The next record, unless there is none yet.
    pub(crate) fn next(&mut self, stop: &AtomicBool) -> Result<Next<'_>, DaemonError> {
        let path = &self.path;
        let failed = |source| DaemonError::Records { path: path.clone(), source };
        if !wait(&self.file).map_err(failed)? {
            return Ok(if stop.load(Ordering::Relaxed) { Next::End } else { Next::Nothing });
        }
        match self.read(stop) {
            Ok(true) => Ok(Next::Record(&self.record)),
            Ok(false) => Ok(Next::End),
            Err(source) => Err(DaemonError::Records { path: self.path.clone(), source }),
        }
    }

    fn read(&mut self, stop: &AtomicBool) -> io::Result<bool> {
        self.record.resize(HEADER_LEN, 0);
        if !fill(&mut self.file, &mut self.record, stop)? {
            return Ok(false);
        }
        let len = Header::read(&self.record).map_or(0, |header| usize::from(header.len));
        if len < HEADER_LEN {
            return Err(io::Error::other(format!("a record of `{len}` bytes is too short")));
        }
        self.record.resize(len, 0);
        let body = self.record.get_mut(HEADER_LEN..).unwrap_or_default();
        if !body.is_empty() && !fill(&mut self.file, body, stop)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(true)
    }
}

/// Waits a little for something to read, which the end is too; `false` if nothing came.
fn wait(file: &File) -> io::Result<bool> {
    let mut waits = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
    match poll(&mut waits, Some(&LOOK_UP)) {
        Ok(ready) => Ok(ready > 0),
        // An interrupted wait is a short wait.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Fills `buffer`; `false` at the end of the stream or when told to stop.
fn fill(file: &mut File, buffer: &mut [u8], stop: &AtomicBool) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
        match file.read(rest) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if stop.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let mut waits = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN)];
                // An interrupted wait is a short wait.
                let _ = poll(&mut waits, Some(&LOOK_UP));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use eyas_abi::EventBuilder;

    use super::*;

    fn all(path: &Path) -> Result<Vec<Vec<u8>>, DaemonError> {
        let stop = AtomicBool::new(false);
        let mut records = Records::open(path)?;
        let mut found = Vec::new();
        loop {
            match records.next(&stop)? {
                Next::Record(record) => found.push(record.to_vec()),
                Next::Nothing => {}
                Next::End => return Ok(found),
            }
        }
    }

    #[test]
    fn records_come_back_one_by_one_and_a_cut_one_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = EventBuilder::new(307).int(3).int(-100).text(b"/etc/passwd").build();
        let second = EventBuilder::new(186).build();
        std::fs::write(file.path(), [first.clone(), second.clone()].concat()).unwrap();
        assert_eq!(all(file.path()).unwrap(), [first.clone(), second]);
        for cut in [1, HEADER_LEN - 1, HEADER_LEN, first.len() - 1] {
            std::fs::write(file.path(), &first[..cut]).unwrap();
            assert!(all(file.path()).is_err(), "{cut}");
        }
        std::fs::write(file.path(), vec![0; HEADER_LEN]).unwrap();
        assert!(all(file.path()).is_err());
        assert!(all(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn an_empty_pipe_is_left_when_told_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let mut records = Records::open(&path).unwrap();
        assert!(matches!(records.next(&AtomicBool::new(true)).unwrap(), Next::End));
        assert!(matches!(records.next(&AtomicBool::new(false)).unwrap(), Next::Nothing));
    }
}
