//! Standard output and files.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::writer::{Delivery, Stream, Writer};
use crate::error::OutputError;
use crate::queue::Line;

/// Permission bits of a file that a sink creates: alerts show what users do.
const FILE_MODE: u32 = 0o600;

/// Standard output as a file of its own, so that a batch is one system call.
pub(super) fn stdout() -> Result<Stream<File>, OutputError> {
    let owned = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|source| OutputError::Stdout { source })?;
    Ok(Stream::new(File::from(owned)))
}

/// A file that is opened again when its path leads elsewhere, as log rotation makes it do.
#[derive(Debug)]
pub(super) struct Reopening {
    path: PathBuf,
    file: Stream<File>,
    identity: (u64, u64),
}

impl Reopening {
    pub(super) fn open(path: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError::Open { path: path.to_path_buf(), source };
        let (file, identity) = append(path).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file, identity })
    }
}

impl Writer for Reopening {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        self.file.write(batch)
    }

    fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.identity) = append(&self.path)?;
        Ok(())
    }

    fn look_around(&mut self) -> io::Result<()> {
        let found = std::fs::metadata(&self.path).map(|m| (m.dev(), m.ino()));
        if found.is_ok_and(|identity| identity == self.identity) {
            return Ok(());
        }
        self.reopen()
    }
}

fn append(path: &Path) -> io::Result<(Stream<File>, (u64, u64))> {
    // A pipe that nobody reads is an error and is not waited for; writing then waits, as it does for a disk.
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    let found = file.metadata()?;
    Ok((Stream::new(file), (found.dev(), found.ino())))
}
