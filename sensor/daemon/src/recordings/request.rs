//! Recordings that are asked for over the control socket: checked, begun, ended, told of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eyas_abi::schema::{self, Source};
use eyas_control::{Code, Record, RecordingReport, Refusal, StopRecording};
use eyas_rules::compile::{self, FilterError, Program};
use eyas_rules::index::{self, BROAD};
use eyas_rules::syntax::ast::Expr;

use super::{Asked, Limits, Recordings, Track, create, lock, path_of};
use crate::engine::Engine;
use crate::log;

/// Longest time that a recording may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a recording lasts when nobody says.
const DEFAULT_DURATION_MS: u64 = 30_000;
/// Shortest recording, milliseconds, and smallest file, bytes.
const LEAST_MS: u64 = 1;
const LEAST_BYTES: u64 = 64 * 1024;

/// A condition, and what has to be asked of the kernel so that what fulfils it is seen.
struct Filter {
    program: Option<Program>,
    events: BTreeSet<&'static str>,
}

impl Recordings {
    /// The one that was asked for last.
    fn last(&self) -> Option<Arc<Track>> {
        lock(&self.last).clone()
    }

    /// Limits as they are asked for, if they may be.
    fn limits(&self, asked: &Record) -> Result<Limits, Refusal> {
        let settings = &self.settings;
        let within = |name: &str, asked: Option<u64>, default: u64, least: u64, most: u64| {
            let value = asked.unwrap_or(default.min(most));
            if asked.is_some() && !(least..=most).contains(&value) {
                let message = format!("`{name}` is `{value}`, expected `{least}` to `{most}`");
                return Err(Refusal::new(Code::BadRequest, message));
            }
            Ok(value)
        };
        let most = settings.max_duration;
        let millis = within("duration_ms", asked.duration_ms, DEFAULT_DURATION_MS, LEAST_MS, most)?;
        let most = settings.max_bytes;
        let bytes = within("max_bytes", asked.max_bytes, most, LEAST_BYTES.min(most), most)?;
        let events = asked.max_events;
        if events == Some(0) {
            let message = "`max_events` is `0`, expected at least `1`";
            return Err(Refusal::new(Code::BadRequest, message));
        }
        Ok(Limits { duration: Duration::from_millis(millis), bytes, events })
    }

    /// The directory that is asked for, if it is one of those that may be.
    fn directory(&self, asked: Option<&str>) -> Result<Option<PathBuf>, Refusal> {
        let Some(asked) = asked else { return Ok(None) };
        let allowed: Vec<&Path> = self.settings.all_directories().collect();
        // It is compared, and what is opened is what the configuration says.
        if let Some(directory) = allowed.iter().find(|allowed| **allowed == Path::new(asked)) {
            return Ok(Some(directory.to_path_buf()));
        }
        let known: Vec<_> = allowed.iter().map(|path| format!("`{}`", path.display())).collect();
        let message = format!(
            "nothing may be recorded in `{asked}`, only in {}; `capture.directories` in eyasd.yaml names \
             more",
            known.join(", ")
        );
        Err(Refusal::new(Code::BadRequest, message))
    }
}

impl Engine {
    /// Begins a recording.
    pub(crate) fn record(&self, asked: &Record) -> Result<RecordingReport, Refusal> {
        let recordings = &self.recordings;
        if !recordings.settings.on_request {
            let message =
                "recordings are not taken on request here: `capture.on_request` is `false`";
            return Err(Refusal::new(Code::NotPermitted, message));
        }
        if !self.reads_events() {
            let message = "this sensor reads no events: there is nothing to record";
            return Err(Refusal::new(Code::Conflict, message));
        }
        let limits = recordings.limits(asked)?;
        let directory = recordings.directory(asked.directory.as_deref())?;
        let filter = filter(asked.filter.as_deref())?;
        // Held until it has begun, so that of two that ask at once one is told of the other.
        let mut last = lock(&recordings.last);
        if let Some(running) = last.as_ref().filter(|track| !track.is_over()) {
            let message = format!(
                "a recording is under way into `{}`: stop it first, or wait for its end",
                running.path.display()
            );
            return Err(Refusal::new(Code::Conflict, message));
        }
        let most = u64::from(recordings.settings.max_files);
        if recordings.requests.load(Ordering::Relaxed) >= most {
            let message = format!(
                "`{most}` recordings were asked for in this run, which is \
                                   `capture.max_files`: raise it and start the sensor again"
            );
            return Err(Refusal::new(Code::Conflict, message));
        }
        let id = recordings.next_number();
        let stamp = jiff::Timestamp::now().as_nanosecond() as u64;
        let path = path_of(&recordings.settings.path_prefix, directory.as_deref(), stamp, id);
        let file = create(&path).map_err(|error| {
            let message = format!("cannot make `{}`: {error}", path.display());
            Refusal::new(Code::Internal, message)
        })?;
        recordings.requests.fetch_add(1, Ordering::Relaxed);
        let before = self.probe_counters().dropped();
        let events = if asked.only_enabled { BTreeSet::new() } else { filter.events };
        let widened_by = match self.widen(&events) {
            Ok(count) => count,
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                let message = format!("the kernel cannot be asked for more events: {error}");
                return Err(Refusal::new(Code::Internal, message));
            }
        };
        let track = Track::new(id, path, limits);
        let track = Arc::new(track.of_request(asked.filter.clone(), widened_by, before));
        *last = Some(Arc::clone(&track));
        let hand_over = Asked { track: Arc::clone(&track), file, filter: filter.program };
        *lock(&recordings.asked) = Some(hand_over);
        recordings.is_asked.store(true, Ordering::Release);
        drop(last);
        if !track.wait_for_begin(PATIENCE) {
            log::warn("a recording that was asked for has not begun yet: the sensor is very busy");
        }
        Ok(self.report(&track))
    }

    /// Ends a recording, and waits for its file to be complete.
    pub(crate) fn stop_recording(&self, stop: StopRecording) -> Result<RecordingReport, Refusal> {
        let Some(track) = self.recordings.last() else {
            return Err(Refusal::new(Code::Conflict, "no recording was asked for"));
        };
        if let Some(id) = stop.id.filter(|id| *id != track.id) {
            let message =
                format!("recording `{id}` is not under way, the last one is `{}`", track.id);
            return Err(Refusal::new(Code::Conflict, message));
        }
        track.stop();
        if !track.wait_for_end(PATIENCE) {
            log::warn("a recording that was stopped is not complete yet: the disk is slow");
        }
        Ok(self.report(&track))
    }

    /// How far the recording is that was asked for last.
    pub(crate) fn recording(&self) -> RecordingReport {
        match self.recordings.last() {
            Some(track) => self.report(&track),
            None => RecordingReport { recording: None },
        }
    }

    fn report(&self, track: &Track) -> RecordingReport {
        self.look_at_recording();
        RecordingReport { recording: Some(track.report()) }
    }

    /// Notices the end of a recording that was asked for: then the kernel is asked for no more than rules need.
    pub(crate) fn look_at_recording(&self) {
        let Some(track) = self.recordings.last() else { return };
        track.kernel_has_lost(self.probe_counters().dropped());
        if track.is_over()
            && let Err(error) = self.narrow()
        {
            log::warn(&format!("more events than needed stay enabled: {error}"));
        }
    }
}

/// Compiles a condition; without one, everything is wanted.
fn filter(text: Option<&str>) -> Result<Filter, Refusal> {
    let text = text.unwrap_or_default();
    if text.trim().is_empty() {
        return Ok(Filter { program: None, events: all_events() });
    }
    let (program, expr) = compile::filter(text).map_err(|FilterError { message, hint }| {
        let hint = hint.map_or(String::new(), |hint| format!("; {hint}"));
        Refusal::new(Code::BadRequest, format!("`{text}` is no condition: {message}{hint}"))
    })?;
    Ok(Filter { program: Some(program), events: events_of(&expr) })
}

/// All system calls and signals. Switches of tasks and page faults are far too many for whoever did not ask for
/// them by name.
fn all_events() -> BTreeSet<&'static str> {
    schema::SYSCALLS.iter().map(|call| call.name).chain(["signaldeliver"]).collect()
}

/// What the kernel has to be asked for so that what fulfils the condition is seen.
fn events_of(expr: &Expr) -> BTreeSet<&'static str> {
    let (Ok(codes), Ok(calls)) = (index::event_codes(expr), index::system_calls(expr)) else {
        return all_events();
    };
    let mut events: BTreeSet<&'static str> =
        calls.iter().filter_map(|id| schema::syscall_by_id(id).map(|call| call.name)).collect();
    if codes.iter().count() > BROAD {
        events.insert("signaldeliver");
    } else {
        let named = codes.iter().filter_map(schema::by_code);
        events.extend(
            named.filter(|event| event.source == Source::Tracepoint).map(|event| event.name),
        );
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> BTreeSet<&'static str> {
        filter(Some(text)).map_err(|refusal| refusal.message).unwrap().events
    }

    #[test]
    fn the_kernel_is_asked_for_what_a_condition_can_match() {
        let names = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!(events("evt.type in (openat, kcmp)"), names(&["openat", "kcmp"]));
        assert_eq!(events("evt.type = switch"), names(&["switch"]));
        for all in ["proc.name = sh", " "] {
            let found = events(all);
            assert!(found.contains("read") && found.contains("signaldeliver"), "{all}");
            assert!(!found.contains("switch") && !found.contains("page_fault"), "{all}");
        }
        let refused = filter(Some("no.such = 1")).map(|_| ()).unwrap_err();
        assert!(refused.message.contains("no.such"), "{}", refused.message);
    }

    #[test]
    fn what_is_asked_for_stays_within_what_is_configured() {
        let settings = crate::config::CaptureFiles {
            path_prefix: "/var/lib/x/eyas".into(),
            directories: vec!["/srv/captures".into()],
            max_bytes: 1 << 20,
            max_duration: 60_000,
            ..crate::config::CaptureFiles::default()
        };
        let recordings = Recordings::new(settings);
        let asked = |duration_ms, max_bytes, max_events| {
            let record = Record { duration_ms, max_bytes, max_events, ..Record::default() };
            recordings.limits(&record).map_err(|refusal| refusal.message)
        };
        let limits = asked(None, None, None).unwrap();
        assert_eq!((limits.duration.as_secs(), limits.bytes), (30, 1 << 20));
        assert_eq!(asked(Some(60_000), Some(1 << 17), Some(3)).unwrap().events, Some(3));
        for (wrong, named) in [
            (asked(Some(0), None, None), "duration_ms"),
            (asked(Some(60_001), None, None), "duration_ms"),
            (asked(None, Some(1), None), "max_bytes"),
            (asked(None, Some((1 << 20) + 1), None), "max_bytes"),
            (asked(None, None, Some(0)), "max_events"),
        ] {
            assert!(wrong.unwrap_err().contains(named));
        }
        let directory = |asked| recordings.directory(asked).map_err(|refusal| refusal.message);
        assert_eq!(directory(None), Ok(None));
        for allowed in ["/srv/captures", "/var/lib/x", "/srv/captures/"] {
            assert_eq!(directory(Some(allowed)), Ok(Some(allowed.into())), "{allowed}");
        }
        for other in ["/srv", "/srv/captures/..", "/srv/captures/x", "srv/captures", "", "/etc"] {
            assert!(directory(Some(other)).unwrap_err().contains("capture.directories"), "{other}");
        }
    }
}
