//! The file of a recording. Whatever happens to the disk, it ends behind a whole event.

use std::fs::File;
use std::io::{self, Write};

use eyas_abi::Event;
use eyas_capture::{CaptureError, Opening, Recorder};

/// Bytes that are put together before they are written.
const CHUNK: usize = 64 * 1024;

/// Where bytes go, and can be taken back from.
pub(super) trait Storage: Write {
    /// Takes back what is behind the first `len` bytes.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// Makes sure that what was written stays.
    fn settle(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn settle(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// A place in the buffer behind which nothing of an event is left.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    at: usize,
    /// Whether what ends here is an event that is to be seen.
    counts: bool,
}

/// A recording on its way to its file.
#[derive(Debug)]
pub(super) struct Output<S> {
    recorder: Recorder<Vec<u8>>,
    boundaries: Vec<Boundary>,
    storage: S,
    bytes: u64,
    events: u64,
}

impl<S: Storage> Output<S> {
    /// Begins a file. Nothing is written yet.
    pub(super) fn new(storage: S, opening: Opening, limit: u64) -> Result<Self, CaptureError> {
        let at = opening.bytes();
        let recorder = Recorder::new(Vec::with_capacity(at + CHUNK), opening, limit)?;
        let boundaries = vec![Boundary { at, counts: false }];
        Ok(Self { recorder, boundaries, storage, bytes: 0, events: 0 })
    }

    /// Takes an event in; one that is not to be seen only for what it does to others.
    pub(super) fn take(&mut self, event: &Event<'_>, is_seen: bool) -> Result<(), CaptureError> {
        let counts = if is_seen {
            self.recorder.event(event)?
        } else {
            self.recorder.keep_state(event)?;
            false
        };
        let at = self.recorder.get_mut().len();
        self.boundaries.push(Boundary { at, counts });
        if at >= CHUNK { self.flush() } else { Ok(()) }
    }

    /// Writes what was put together. When that fails the file is cut behind the last event that is wholly in
    /// it, and what was not written is gone.
    pub(super) fn flush(&mut self) -> Result<(), CaptureError> {
        let buffer = self.recorder.get_mut();
        let (written, failure) = write(&mut self.storage, buffer);
        let whole = self.boundaries.iter().take_while(|boundary| boundary.at <= written);
        let (mut kept, mut events) = (0, 0);
        for boundary in whole {
            kept = boundary.at;
            events += u64::from(boundary.counts);
        }
        self.bytes += kept as u64;
        self.events += events;
        buffer.clear();
        self.boundaries.clear();
        let Some(error) = failure else { return Ok(()) };
        // Where this fails too, readers find the damage at the end and read up to it.
        let _ = self.storage.cut(self.bytes);
        Err(CaptureError::Write(error))
    }

    /// Writes the rest.
    pub(super) fn finish(&mut self) -> Result<(), CaptureError> {
        self.flush()?;
        self.storage.settle().map_err(CaptureError::Write)
    }

    /// Events that wait to be written.
    pub(super) fn waiting(&self) -> u64 {
        self.boundaries.iter().filter(|boundary| boundary.counts).count() as u64
    }

    /// Events in the file.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Events in the file and on their way.
    pub(super) fn taken(&self) -> u64 {
        self.recorder.events()
    }

    /// Length of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the file is as long as it may become.
    pub(super) fn is_full(&self) -> bool {
        self.recorder.is_full()
    }
}

/// Writes as much as there is room for.
fn write(storage: &mut impl Storage, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while let Some(rest @ [_, ..]) = bytes.get(written..) {
        match storage.write(rest) {
            Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eyas_abi::{EventBuilder, Header};
    use eyas_capture::{Item, Reader};
    use eyas_state::Tables;

    use super::*;

    /// A disk with so much room, that takes a few bytes at a time.
    #[derive(Debug)]
    struct Disk {
        room: usize,
        holds: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room - self.holds.len()).min(1000);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.holds.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Storage for &mut Disk {
        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.holds.truncate(len as usize);
            Ok(())
        }

        fn settle(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn opens(count: u64) -> Vec<Vec<u8>> {
        let header = |time| Header { time, tgid: 5, tid: 5, ..Header::default() };
        let open = |time| {
            let builder = EventBuilder::new(307).header(header(time));
            builder.int(3).int(-100).text(b"/etc/x").int(1).int(0).build()
        };
        (0..count).map(open).collect()
    }

    /// Events that a reader finds.
    fn read(bytes: &[u8]) -> u64 {
        let mut reader = Reader::new(io::Cursor::new(bytes.to_vec())).unwrap();
        let mut events = 0;
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Event(event) = item {
                events += u64::from(event.code == 307 && !event.state_only);
            }
        }
        events
    }

    #[test]
    fn a_full_disk_leaves_a_file_of_whole_events() {
        let tables = Tables::new(eyas_state::Limits::default(), Arc::default());
        let head = Opening::new(&tables).bytes();
        let mut sizes = vec![0, head - 1, head, head + 1];
        sizes.extend((head..head + 3000).step_by(37));
        for room in sizes {
            let mut disk = Disk { room, holds: Vec::new() };
            let opening = Opening::new(&tables);
            let mut output = Output::new(&mut disk, opening, u64::MAX).unwrap();
            for record in opens(100) {
                output.take(&Event::decode(&record).unwrap(), true).unwrap();
            }
            assert_eq!((output.waiting(), output.taken()), (100, 100));
            assert!(output.finish().is_err());
            let (events, bytes) = (output.events(), output.bytes());
            assert_eq!(disk.holds.len() as u64, bytes, "{room}");
            assert!(disk.holds.len() <= room);
            assert!(bytes == 0 || bytes >= head as u64);
            if bytes > 0 {
                assert_eq!(read(&disk.holds), events, "{room}");
            }
        }
    }

    #[test]
    fn what_is_not_to_be_seen_is_there_and_is_not_counted() {
        let tables = Tables::new(eyas_state::Limits::default(), Arc::default());
        let mut disk = Disk { room: 1 << 20, holds: Vec::new() };
        let mut output = Output::new(&mut disk, Opening::new(&tables), u64::MAX).unwrap();
        let exec = EventBuilder::new(293).int(0).text(b"x").build();
        output.take(&Event::decode(&exec).unwrap(), false).unwrap();
        let opens = opens(2);
        output.take(&Event::decode(&opens[0]).unwrap(), false).unwrap();
        output.take(&Event::decode(&opens[1]).unwrap(), true).unwrap();
        output.finish().unwrap();
        assert_eq!(output.events(), 1);
        let mut reader = Reader::new(io::Cursor::new(disk.holds)).unwrap();
        let mut kept = 0;
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Event(event) = item {
                kept += u64::from(event.code == 293 && event.state_only);
            }
        }
        assert_eq!(kept, 1);
    }
}
