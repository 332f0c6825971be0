//! What of the events is recorded: what rules ask for with what came shortly before, and what somebody asked
//! for over the control socket.
//!
//! Runs on the event thread and touches no file: records are copied into batches, and what the writing thread
//! has no room for is counted and left out.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eyas_abi::Event;
use eyas_capture::{Opening, is_life};
use eyas_rules::Scratch;
use eyas_rules::compile::Program;
use eyas_state::{Ctx, Tables};

use crate::recordings::{Asked, Batch, Job, Limits, Recordings, Track, path_of};

const MILLISECOND_NS: u64 = 1_000_000;
/// Bytes of records that are handed over at once.
const BATCH: usize = 64 * 1024;
/// How long fewer may wait for more.
const HAND_OVER: Duration = Duration::from_millis(50);
/// How long the end may wait for room in the queue.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const END_STEP: Duration = Duration::from_millis(2);
/// Why a recording of a rule, or one whose time is over, ends.
const TIME_OVER: &str = "its time is over";

/// A recording under way.
#[derive(Debug)]
struct Running {
    track: Arc<Track>,
    batch: Batch,
    /// Time of events, of the clock that they have.
    until_ns: u64,
    /// The same for when there are no events.
    until: Instant,
    filter: Option<Program>,
    /// When something was handed over last.
    handed: Instant,
    /// It is at its end, and this is to be said yet.
    ending: Option<&'static str>,
}

impl Running {
    fn new(track: Arc<Track>, now_ns: u64, filter: Option<Program>) -> Self {
        let duration = track.limits.duration;
        Self {
            until_ns: now_ns.saturating_add(duration.as_nanos() as u64),
            until: Instant::now() + duration,
            track,
            batch: Batch::default(),
            handed: Instant::now(),
            filter,
            ending: None,
        }
    }

    /// Takes a record in, or counts it.
    fn push(&mut self, desk: &Recordings, record: &[u8], is_seen: bool) {
        if self.ending.is_some() || self.track.is_over() {
            return;
        }
        if self.batch.len() >= BATCH {
            self.hand_over(desk);
        }
        if self.batch.len() >= BATCH {
            if is_seen {
                self.track.lose(1);
                desk.totals.lost.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        self.batch.push(record, is_seen);
    }

    /// Hands over what was put together, if there is room.
    fn hand_over(&mut self, desk: &Recordings) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        let job = Job::Records { track: Arc::clone(&self.track), batch };
        if let Err(Job::Records { batch, .. }) = desk.queue.offer(job) {
            self.batch = batch;
        }
    }

    /// Does what is to be done now and then; `false` when it is over.
    fn go_on(&mut self, desk: &Recordings, now: Instant) -> bool {
        if self.track.is_over() {
            return false;
        }
        if self.ending.is_none() {
            if self.track.is_stopped() {
                self.ending = Some("it was stopped");
            } else if now >= self.until {
                self.ending = Some(TIME_OVER);
            }
        }
        let is_old = now.duration_since(self.handed) >= HAND_OVER;
        if is_old || self.ending.is_some() || self.batch.len() >= BATCH {
            self.handed = now;
            self.hand_over(desk);
        }
        match self.ending {
            Some(why) if self.batch.is_empty() => {
                let track = Arc::clone(&self.track);
                desk.queue.offer(Job::End { track, why }).is_err()
            }
            _ => true,
        }
    }
}

/// What is recorded, and what is kept in case it will be.
#[derive(Debug)]
pub(super) struct Recording {
    desk: Arc<Recordings>,
    by_rule: Option<Running>,
    on_request: Option<Running>,
    scratch: Scratch,
    /// Records with their times, oldest first.
    before: VecDeque<(u64, Box<[u8]>)>,
    before_bytes: usize,
    files: u32,
    /// Time of the last event.
    now_ns: u64,
}

impl Recording {
    pub(super) fn new(desk: Arc<Recordings>) -> Self {
        Self {
            desk,
            by_rule: None,
            on_request: None,
            scratch: Scratch::new(),
            before: VecDeque::new(),
            before_bytes: 0,
            files: 0,
            now_ns: 0,
        }
    }

    /// Whether a match of a rule starts a recording, and of how many milliseconds.
    pub(super) fn duration_of(&self, capture: bool, duration: u32) -> Option<u64> {
        let settings = self.desk.settings();
        let asks = settings.enabled && (capture || settings.mode == "all_rules");
        asks.then(|| match duration {
            0 => settings.default_duration,
            own => u64::from(own),
        })
    }

    /// Takes in for the recording that was asked for, before anything is judged.
    pub(super) fn see(&mut self, record: &[u8], ctx: &Ctx<'_>) {
        let Some(running) = &mut self.on_request else { return };
        if ctx.event().header().time > running.until_ns {
            return;
        }
        let is_seen =
            running.filter.as_ref().is_none_or(|filter| filter.matches(ctx, &mut self.scratch));
        // Others are not understood without the life of their processes.
        if is_seen || is_life(ctx.event().code()) {
            running.push(&self.desk, record, is_seen);
        }
    }

    /// Takes a judged event in, whose rules ask for a recording of so many milliseconds.
    pub(super) fn take(
        &mut self,
        record: &[u8],
        event: &Event<'_>,
        tables: &Tables,
        asked: Option<u64>,
    ) {
        let time = event.header().time;
        self.now_ns = self.now_ns.max(time);
        if !self.desk.settings().enabled {
            return;
        }
        self.keep(record, time);
        if self.by_rule.as_ref().is_some_and(|running| time > running.until_ns) {
            self.end_of_rule();
        }
        let was_running = self.by_rule.is_some();
        if let Some(running) = &mut self.by_rule {
            if let Some(duration) = asked {
                let until = time.saturating_add(duration * MILLISECOND_NS);
                if until > running.until_ns {
                    running.until_ns = until;
                    running.until = Instant::now() + Duration::from_millis(duration);
                }
            }
            running.push(&self.desk, record, true);
        }
        if let (Some(duration), None, false) = (asked, &self.by_rule, was_running) {
            self.start(tables, time, duration);
            if self.desk.settings().before_duration == 0
                && let Some(running) = &mut self.by_rule
            {
                running.push(&self.desk, record, true);
            }
        }
    }

    /// Looks after what is under way: hands over what is there, begins what was asked for, ends what is over.
    pub(super) fn go_on(&mut self, tables: &Tables) {
        if let Some(asked) = self.desk.take_asked() {
            self.begin_asked(tables, asked);
        }
        if self.by_rule.is_none() && self.on_request.is_none() {
            return;
        }
        let now = Instant::now();
        for running in [&mut self.by_rule, &mut self.on_request] {
            if running.as_mut().is_some_and(|running| !running.go_on(&self.desk, now)) {
                *running = None;
            }
        }
    }

    /// Ends what is under way, with the sensor.
    pub(super) fn end(&mut self) {
        let end = Instant::now() + END_PATIENCE;
        for running in [&mut self.by_rule, &mut self.on_request] {
            let Some(mut running) = running.take() else { continue };
            running.ending.get_or_insert("the sensor ended");
            while running.go_on(&self.desk, Instant::now()) && Instant::now() < end {
                std::thread::sleep(END_STEP);
            }
        }
    }

    /// Ends the recording of rules. Where the queue is full it is tried again later, and nothing new begins
    /// until then.
    fn end_of_rule(&mut self) {
        if let Some(running) = &mut self.by_rule {
            running.ending.get_or_insert(TIME_OVER);
            if !running.go_on(&self.desk, Instant::now()) {
                self.by_rule = None;
            }
        }
    }

    fn begin_asked(&mut self, tables: &Tables, asked: Asked) {
        let Asked { track, file, filter } = asked;
        self.on_request = self.begin(tables, track, Some(file), self.now_ns, filter);
    }

    fn begin(
        &self,
        tables: &Tables,
        track: Arc<Track>,
        file: Option<File>,
        now_ns: u64,
        filter: Option<Program>,
    ) -> Option<Running> {
        let job = Job::Begin { track: Arc::clone(&track), file, opening: Opening::new(tables) };
        if self.desk.queue.offer(job).is_err() {
            self.desk.totals.unstarted.fetch_add(1, Ordering::Relaxed);
            track.not_begun();
            return None;
        }
        Some(Running::new(track, now_ns, filter))
    }

    /// Keeps a record for recordings that may start soon.
    fn keep(&mut self, record: &[u8], time: u64) {
        let settings = self.desk.settings();
        let span = settings.before_duration * MILLISECOND_NS;
        if span == 0 || self.by_rule.is_some() {
            return;
        }
        self.before_bytes += record.len();
        self.before.push_back((time, record.into()));
        while let Some((oldest, bytes)) = self.before.front() {
            let held = oldest.saturating_add(span) >= time;
            if held && self.before_bytes <= settings.before_bytes {
                break;
            }
            self.before_bytes -= bytes.len();
            self.before.pop_front();
        }
    }

    fn start(&mut self, tables: &Tables, time: u64, duration: u64) {
        let settings = self.desk.settings();
        if self.files >= settings.max_files {
            return;
        }
        self.files += 1;
        let limits = Limits {
            duration: Duration::from_millis(duration),
            bytes: settings.max_bytes,
            events: None,
        };
        let stamp = tables.host().epoch_ns(time);
        let number = self.desk.next_number();
        let path = path_of(&settings.path_prefix, None, stamp, number);
        let is_last = self.files == settings.max_files;
        let track = Arc::new(Track::new(number, path, limits).with_last(is_last));
        self.by_rule = self.begin(tables, track, None, time, None);
        let before = std::mem::take(&mut self.before);
        self.before_bytes = 0;
        if let Some(running) = &mut self.by_rule {
            for (_, record) in &before {
                running.push(&self.desk, record, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use eyas_abi::{EventBuilder, Header};

    use super::*;
    use crate::config::CaptureFiles;

    fn record(at_ms: u64) -> Vec<u8> {
        let header = Header { time: at_ms * MILLISECOND_NS, tgid: 5, tid: 5, ..Header::default() };
        EventBuilder::new(307).header(header).int(3).int(-100).text(b"/etc/x").int(1).int(0).build()
    }

    fn files(folder: &std::path::Path) -> Vec<u64> {
        let mut counts = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let mut reader = eyas_capture::Reader::new(File::open(entry.path()).unwrap()).unwrap();
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

    fn settings(folder: &std::path::Path, before_duration: u64) -> CaptureFiles {
        CaptureFiles {
            enabled: true,
            path_prefix: folder.join("t"),
            before_duration,
            max_files: 2,
            ..CaptureFiles::default()
        }
    }

    fn tables() -> Tables {
        Tables::new(eyas_state::Limits::default(), Arc::default())
    }

    fn play(settings: CaptureFiles, times: &[(u64, Option<u64>)]) -> Arc<Recordings> {
        let desk = Arc::new(Recordings::new(settings));
        desk.start().unwrap();
        let mut recording = Recording::new(Arc::clone(&desk));
        let tables = tables();
        for (time, asked) in times {
            let record = record(*time);
            recording.take(&record, &Event::decode(&record).unwrap(), &tables, *asked);
        }
        recording.end();
        desk.finish(Duration::from_mins(1));
        desk
    }

    #[test]
    fn a_recording_lasts_as_long_as_was_asked_for_and_is_extended() {
        let folder = tempfile::tempdir().unwrap();
        let times = [
            (1, None),
            (2, Some(1000)),
            (8, None),
            (1001, Some(1000)),
            (2000, None),
            (2022, None),
            (2023, None),
        ];
        let desk = play(settings(folder.path(), 0), &times);
        assert_eq!(files(folder.path()), [4]);
        assert_eq!(desk.totals.events.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn what_came_before_is_written_first() {
        let folder = tempfile::tempdir().unwrap();
        play(
            settings(folder.path(), 5),
            &[(1, None), (10, None), (12, None), (14, Some(2)), (15, None), (99, None)],
        );
        assert_eq!(files(folder.path()), [4], "10, 12, 14 and 15");
    }

    #[test]
    fn files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let times = [(1, Some(1)), (10, Some(1)), (20, Some(1)), (30, Some(1))];
        play(settings(folder.path(), 0), &times);
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn a_disk_that_takes_nothing_delays_nobody_and_what_is_not_written_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let settings = CaptureFiles { queue_bytes: 200_000, ..settings(folder.path(), 0) };
        let desk = Arc::new(Recordings::new(settings));
        // Nobody writes yet.
        let mut recording = Recording::new(Arc::clone(&desk));
        let tables = tables();
        let first = record(1);
        recording.take(&first, &Event::decode(&first).unwrap(), &tables, Some(1_000_000));
        for time in 2..20_000 {
            let record = record(time);
            recording.take(&record, &Event::decode(&record).unwrap(), &tables, None);
        }
        let lost = desk.totals.lost.load(Ordering::Relaxed);
        assert!((10_000..19_999).contains(&lost), "{lost}");
        assert!(desk.waiting_bytes() <= 200_000);
        desk.start().unwrap();
        recording.end();
        desk.finish(Duration::from_mins(1));
        assert_eq!(files(folder.path()), [19_999 - lost]);
        assert_eq!(desk.totals.events.load(Ordering::Relaxed), 19_999 - lost);
        assert_eq!(desk.waiting_bytes(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_told_and_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder.path().join("none"), 0);
        let desk = play(settings, &[(1, Some(5)), (2, None), (30, Some(5)), (31, None)]);
        assert_eq!(desk.totals.failed.load(Ordering::Relaxed), 2);
        assert_eq!(desk.totals.files.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn rules_that_ask_are_told_from_those_that_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let duration = |settings: CaptureFiles, capture, duration| {
            Recording::new(Arc::new(Recordings::new(settings))).duration_of(capture, duration)
        };
        let rules = || settings(folder.path(), 0);
        assert_eq!(duration(rules(), false, 7), None);
        assert_eq!(duration(rules(), true, 7), Some(7));
        assert_eq!(duration(rules(), true, 0), Some(5000));
        let all = CaptureFiles { mode: "all_rules".into(), ..rules() };
        assert_eq!(duration(all.clone(), false, 0), Some(5000));
        assert_eq!(duration(CaptureFiles { enabled: false, ..all }, true, 7), None);
    }
}
