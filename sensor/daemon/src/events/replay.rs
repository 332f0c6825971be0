//! Records from a file or a named pipe, as the kernel would have handed them over: each says its own
//! length. A pipe is read as it fills, so records can be fed to a running daemon.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use eyas_abi::{HEADER_LEN, Header};

use crate::error::DaemonError;

/// A stream of records.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    file: Option<File>,
    record: Vec<u8>,
}

impl Records {
    /// Names the stream. It is opened with the first read, because opening a pipe waits for whoever
    /// writes to it.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), file: None, record: Vec::new() }
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, DaemonError> {
        match self.read() {
            Ok(true) => Ok(Some(&self.record)),
            Ok(false) => Ok(None),
            Err(source) => Err(DaemonError::Records { path: self.path.clone(), source }),
        }
    }

    fn read(&mut self) -> io::Result<bool> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        self.record.resize(HEADER_LEN, 0);
        let (first, rest) = self.record.split_at_mut(1);
        if file.read(first)? == 0 {
            return Ok(false);
        }
        file.read_exact(rest)?;
        let len = Header::read(&self.record).map_or(0, |header| usize::from(header.len));
        if len < HEADER_LEN {
            return Err(io::Error::other(format!("a record of `{len}` bytes is too short")));
        }
        self.record.resize(len, 0);
        if let Some(body) = self.record.get_mut(HEADER_LEN..) {
            file.read_exact(body)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use eyas_abi::EventBuilder;

    use super::*;

    #[test]
    fn records_come_back_one_by_one_and_a_cut_one_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let first = EventBuilder::new(307).int(3).int(-100).text(b"/etc/passwd").build();
        let second = EventBuilder::new(186).build();
        std::fs::write(file.path(), [first.clone(), second.clone()].concat()).unwrap();
        let mut records = Records::new(file.path());
        assert_eq!(records.next().unwrap(), Some(first.as_slice()));
        assert_eq!(records.next().unwrap(), Some(second.as_slice()));
        assert_eq!(records.next().unwrap(), None);
        std::fs::write(file.path(), &first[..first.len() - 1]).unwrap();
        assert!(Records::new(file.path()).next().is_err());
        std::fs::write(file.path(), vec![0; HEADER_LEN]).unwrap();
        assert!(Records::new(file.path()).next().is_err());
        assert!(Records::new(Path::new("/no/such/file")).next().is_err());
    }
}
