//! Recordings that alerts start: what came shortly before, the event itself, what follows for a while.
//!
//! Files are written from the event thread through a buffer. They are limited in time, size and number, and
//! a file that cannot be written ends the recording with a message and nothing else.

use std::collections::VecDeque;
use std::fs::{DirBuilder, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use eyas_abi::Event;
use eyas_capture::{CaptureError, Recorder};
use eyas_state::Tables;

use crate::config::CaptureFiles;
use crate::log;

const MILLISECOND_NS: u64 = 1_000_000;

/// A file under way.
#[derive(Debug)]
struct Running {
    recorder: Recorder<BufWriter<std::fs::File>>,
    until_ns: u64,
    path: PathBuf,
}

/// What is recorded, and what is kept in case it will be.
#[derive(Debug)]
pub(super) struct Recording {
    settings: CaptureFiles,
    running: Option<Running>,
    /// Records with their times, oldest first.
    before: VecDeque<(u64, Box<[u8]>)>,
    before_bytes: usize,
    files: u32,
}

impl Recording {
    pub(super) fn new(settings: CaptureFiles) -> Self {
        Self { settings, running: None, before: VecDeque::new(), before_bytes: 0, files: 0 }
    }

    /// Whether a match of a rule starts a recording, and of how many milliseconds.
    pub(super) fn duration_of(&self, capture: bool, duration: u32) -> Option<u64> {
        let asks = self.settings.enabled && (capture || self.settings.mode == "all_rules");
        asks.then(|| match duration {
            0 => self.settings.default_duration,
            own => u64::from(own),
        })
    }

    /// Takes a judged event in, whose rules ask for a recording of so many milliseconds.
    pub(super) fn take(
        &mut self,
        record: &[u8],
        event: &Event<'_>,
        tables: &Tables,
        asked: Option<u64>,
    ) {
        if !self.settings.enabled {
            return;
        }
        let time = event.header().time;
        self.keep(record, time);
        if self.running.as_ref().is_some_and(|running| time > running.until_ns) {
            self.end();
        }
        let was_running = self.running.is_some();
        if let Some(running) = &mut self.running {
            if let Some(duration) = asked {
                let until = time.saturating_add(duration * MILLISECOND_NS);
                running.until_ns = running.until_ns.max(until);
            }
            self.write(event);
        }
        if let (Some(duration), None, false) = (asked, &self.running, was_running) {
            self.start(tables, time, duration);
            if self.settings.before_duration == 0 {
                self.write(event);
            }
        }
    }

    /// Ends what is under way.
    pub(super) fn end(&mut self) {
        let Some(Running { recorder, path, .. }) = self.running.take() else { return };
        let events = recorder.events();
        match recorder.finish() {
            Ok(_) => log::info(&format!("{events} events recorded in {}", path.display())),
            Err(error) => log::warn(&format!("{}: {error}", path.display())),
        }
    }

    /// Keeps a record for recordings that may start soon.
    fn keep(&mut self, record: &[u8], time: u64) {
        let span = self.settings.before_duration * MILLISECOND_NS;
        if span == 0 || self.running.is_some() {
            return;
        }
        self.before_bytes += record.len();
        self.before.push_back((time, record.into()));
        while let Some((oldest, bytes)) = self.before.front() {
            let held = oldest.saturating_add(span) >= time;
            if held && self.before_bytes <= self.settings.before_bytes {
                break;
            }
            self.before_bytes -= bytes.len();
            self.before.pop_front();
        }
    }

    fn start(&mut self, tables: &Tables, time: u64, duration: u64) {
        if self.files >= self.settings.max_files {
            return;
        }
        self.files += 1;
        if self.files == self.settings.max_files {
            log::warn("this is the last recording: `capture.max_files` is reached");
        }
        let stamp = tables.host().epoch_ns(time);
        let mut path = self.settings.path_prefix.clone().into_os_string();
        path.push(format!("_{stamp}_{}.scap", self.files));
        let path = PathBuf::from(path);
        let recorder = create(&path)
            .and_then(|file| Recorder::new(BufWriter::new(file), tables, self.settings.max_bytes));
        match recorder {
            Ok(recorder) => {
                let until_ns = time.saturating_add(duration * MILLISECOND_NS);
                self.running = Some(Running { recorder, until_ns, path });
            }
            Err(error) => log::warn(&format!("{}: {error}", path.display())),
        }
        for (_, record) in std::mem::take(&mut self.before) {
            if let Ok(event) = Event::decode(&record) {
                self.write(&event);
            }
        }
        self.before_bytes = 0;
    }

    fn write(&mut self, event: &Event<'_>) {
        let Some(running) = &mut self.running else { return };
        match running.recorder.event(event) {
            Ok(_) if !running.recorder.is_full() => {}
            Ok(_) => self.end(),
            Err(error) => {
                log::warn(&format!("{}: {error}", running.path.display()));
                self.running = None;
            }
        }
    }
}

/// A new file that only its owner reads: recordings hold what programs read and wrote.
fn create(path: &std::path::Path) -> Result<std::fs::File, CaptureError> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(CaptureError::Write)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(CaptureError::Write)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use eyas_abi::{EventBuilder, Header};
    use eyas_state::Limits;

    use super::*;

    fn record(at_ms: u64) -> Vec<u8> {
        let header = Header { time: at_ms * MILLISECOND_NS, tgid: 5, tid: 5, ..Header::default() };
        EventBuilder::new(307).header(header).int(3).int(-100).text(b"/etc/x").int(1).int(0).build()
    }

    fn files(folder: &std::path::Path) -> Vec<u64> {
        let mut counts = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let mut reader =
                eyas_capture::Reader::new(std::fs::File::open(entry.path()).unwrap()).unwrap();
            let mut events = 0;
            while let Some(item) = reader.next_item().unwrap() {
                if let eyas_capture::Item::Event(event) = item {
                    events += u64::from(event.code == 307 && !event.state_only);
                }
            }
            counts.push(events);
        }
        counts.sort_unstable();
        counts
    }

    fn recording(folder: &std::path::Path, before_duration: u64) -> Recording {
        Recording::new(CaptureFiles {
            enabled: true,
            path_prefix: folder.join("t"),
            before_duration,
            max_files: 2,
            ..CaptureFiles::default()
        })
    }

    fn play(recording: &mut Recording, times: &[(u64, Option<u64>)]) {
        let tables = Tables::new(Limits::default(), Arc::default());
        for (time, asked) in times {
            let record = record(*time);
            recording.take(&record, &Event::decode(&record).unwrap(), &tables, *asked);
        }
        recording.end();
    }

    #[test]
    fn a_recording_lasts_as_long_as_was_asked_for_and_is_extended() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path(), 0);
        let times = [
            (1, None),
            (2, Some(10)),
            (8, None),
            (11, Some(10)),
            (20, None),
            (22, None),
            (23, None),
        ];
        play(&mut recording, &times);
        assert_eq!(files(folder.path()), [4]);
    }

    #[test]
    fn what_came_before_is_written_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path(), 5);
        play(
            &mut recording,
            &[(1, None), (10, None), (12, None), (14, Some(2)), (15, None), (99, None)],
        );
        assert_eq!(files(folder.path()), [4], "10, 12, 14 and 15");
    }

    #[test]
    fn files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path(), 0);
        play(&mut recording, &[(1, Some(1)), (10, Some(1)), (20, Some(1)), (30, Some(1))]);
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn rules_that_ask_are_told_from_those_that_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut recording = recording(folder.path(), 0);
        assert_eq!(recording.duration_of(false, 7), None);
        assert_eq!(recording.duration_of(true, 7), Some(7));
        assert_eq!(recording.duration_of(true, 0), Some(5000));
        recording.settings.mode = "all_rules".into();
        assert_eq!(recording.duration_of(false, 0), Some(5000));
        recording.settings.enabled = false;
        assert_eq!(recording.duration_of(true, 7), None);
    }
}
