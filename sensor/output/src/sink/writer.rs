//! What a sink does with a batch of alerts, and the streams that take them as lines.

use std::io;

use crate::queue::Line;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Alerts that went out whole.
    pub(super) written: u64,
    /// Why the others did not.
    pub(super) error: Option<io::Error>,
}

/// Where alerts go.
pub(super) trait Writer: Send + std::fmt::Debug {
    /// Takes a batch, oldest first.
    fn deliver(&mut self, batch: &[Line]) -> Delivery;

    /// Opens anew what it writes to, because somebody says that it has to.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Called before each batch and now and then while idle.
    fn look_around(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Alerts as lines, a batch at once.
#[derive(Debug)]
pub(super) struct Stream<W> {
    pub(super) into: W,
    buffer: Vec<u8>,
}

impl<W: io::Write> Stream<W> {
    pub(super) fn new(into: W) -> Self {
        Self { into, buffer: Vec::new() }
    }

    /// Writes all of the batch or as much as goes; lines are counted by the line feeds that went.
    pub(super) fn write(&mut self, batch: &[Line]) -> Delivery {
        self.buffer.clear();
        for line in batch {
            self.buffer.extend_from_slice(line.line().as_bytes());
            self.buffer.push(b'\n');
        }
        let mut written = 0;
        let mut error = None;
        while let Some(rest @ [_, ..]) = self.buffer.get(written..) {
            match self.into.write(rest) {
                Ok(0) => {
                    error = Some(io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(count) => written += count,
                Err(found) if found.kind() == io::ErrorKind::Interrupted => {}
                Err(found) => {
                    error = Some(found);
                    break;
                }
            }
        }
        let gone = self.buffer.get(..written).unwrap_or_default();
        Delivery { written: lines(gone), error }
    }
}

/// Whole lines in what was written.
fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}

impl Writer for Stream<std::fs::File> {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        self.write(batch)
    }
}
