//! Recordings that are asked for over the control socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use eyas_capture::{Item, Reader};
use eyas_control::{
    Code, ControlError, Record, Recording, RecordingReport, RecordingState, StopRecording,
    read_frame, write_frame,
};

use crate::harness::{Daemon, Feed, LONG, open, rule};

/// A daemon that is fed by hand.
fn setup(dir: &tempfile::TempDir, more: &[&str]) -> (Daemon, Feed) {
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, rule("first", "/a")).unwrap();
    let feed = Feed::new(dir.path());
    let mut arguments = vec![
        "--no-probe",
        "--json",
        "-r",
        rules.to_str().unwrap(),
        "--replay-records",
        feed.path(),
    ];
    arguments.extend(more);
    (Daemon::start(dir.path(), &arguments), feed)
}

/// The same for longer than any test takes.
fn long(record: Record) -> Record {
    Record { duration_ms: Some(600_000), ..record }
}

fn of(report: RecordingReport) -> Recording {
    report.recording.unwrap()
}

/// Openings that a reader is shown.
fn shown(path: impl AsRef<Path>) -> u64 {
    let mut reader = Reader::new(fs::File::open(path).unwrap()).unwrap();
    let mut events = 0;
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Event(event) = item {
            events += u64::from(event.code == 307 && !event.state_only);
        }
    }
    events
}

fn wait_for(daemon: &Daemon, reached: impl Fn(&Recording) -> bool) -> Recording {
    let start = Instant::now();
    loop {
        let recording = of(daemon.client().recording().unwrap());
        if reached(&recording) {
            return recording;
        }
        assert!(start.elapsed() < LONG, "{recording:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn refused(result: Result<RecordingReport, ControlError>) -> (Code, String) {
    match result {
        Err(ControlError::Refused { code, message }) => (code, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happens_is_recorded_until_it_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed) = setup(&dir, &[]);
    feed.send(&[open("/before")]);
    assert_eq!(daemon.client().recording().unwrap().recording, None);
    let stop = StopRecording::default();
    assert_eq!(refused(daemon.client().stop_recording(stop)).0, Code::Conflict);
    let begun = of(daemon.client().record(Record::default()).unwrap());
    assert_eq!((begun.state, begun.duration_ms), (RecordingState::Running, 30_000));
    let (code, message) = refused(daemon.client().record(Record::default()));
    assert!(code == Code::Conflict && message.contains(&begun.path), "{message}");

    feed.send(&[open("/a"), open("/other"), open("/a")]);
    daemon.alert_of("first");
    daemon.alert_of("first");
    let other = StopRecording { id: Some(begun.id + 1) };
    assert_eq!(refused(daemon.client().stop_recording(other)).0, Code::Conflict);
    let done = of(daemon.client().stop_recording(StopRecording { id: Some(begun.id) }).unwrap());
    assert_eq!((done.state, done.events, done.events_lost), (RecordingState::Done, 3, 0));
    assert_eq!(done.bytes, fs::metadata(&done.path).unwrap().len());
    assert_eq!(fs::metadata(&done.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(shown(&done.path), 3);
    let status = daemon.client().status().unwrap();
    assert_eq!(status.counters.events_recorded, 3);
    assert_eq!(status.recording, Some(done));
    // Another one may be asked for now, and the end of the sensor ends it well.
    let second = of(daemon.client().record(Record::default()).unwrap());
    feed.send(&[open("/a")]);
    daemon.alert_of("first");
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(shown(&second.path), 1, "{text}");
    assert!(text.contains("a recording asked for by process"), "{text}");
}

#[test]
fn limits_and_filters_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, mut feed) = setup(&dir, &[]);
    let filtered = Record {
        filter: Some("fd.name=/a".into()),
        max_events: Some(2),
        ..long(Record::default())
    };
    daemon.client().record(filtered).unwrap();
    feed.send(&[open("/b"), open("/a"), open("/b"), open("/a"), open("/a")]);
    let done = wait_for(&daemon, |recording| recording.state == RecordingState::Done);
    assert_eq!((done.events, done.reason.as_deref()), (2, Some("as many events as asked for")));
    assert_eq!(shown(&done.path), 2);

    let short = Record { duration_ms: Some(1), ..Record::default() };
    daemon.client().record(short).unwrap();
    let done = wait_for(&daemon, |recording| recording.state == RecordingState::Done);
    assert_eq!(done.reason.as_deref(), Some("its time is over"), "also without events");

    let small = Record { max_bytes: Some(64 * 1024), ..long(Record::default()) };
    daemon.client().record(small).unwrap();
    feed.send(&vec![open("/b"); 2000]);
    let done = wait_for(&daemon, |recording| recording.state == RecordingState::Done);
    assert!((65_536..66_560).contains(&done.bytes), "{done:?}");
    assert_eq!(shown(&done.path), done.events);
}

#[test]
fn what_cannot_be_meant_is_refused_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, _feed) = setup(&dir, &[]);
    let base = Record::default;
    for (record, named) in [
        (Record { filter: Some("no.such=1".into()), ..base() }, "no.such"),
        (Record { filter: Some("(".repeat(5000)), ..base() }, "is no condition"),
        (Record { duration_ms: Some(u64::MAX), ..base() }, "duration_ms"),
        (Record { max_bytes: Some(u64::MAX), ..base() }, "max_bytes"),
        (Record { max_events: Some(0), ..base() }, "max_events"),
        (Record { directory: Some("/etc".into()), ..base() }, "`/etc`"),
        (Record { directory: Some("../../etc".into()), ..base() }, "capture.directories"),
    ] {
        let (code, message) = refused(daemon.client().record(record.clone()));
        assert!(code == Code::BadRequest && message.contains(named), "{record:?}: {message}");
    }
    assert_eq!(daemon.client().recording().unwrap().recording, None);
    assert_eq!(fs::read_dir(dir.path().join("captures")).unwrap().count(), 0);
}

#[test]
fn what_is_no_request_is_refused_and_what_is_not_known_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, _feed) = setup(&dir, &[]);
    let answer = |request: &str| -> serde_json::Value {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        let envelope = format!("{{\"version\":1,\"id\":7,\"request\":{request}}}");
        write_frame(&mut stream, envelope.as_bytes(), LONG).unwrap();
        let frame = read_frame(&mut stream, LONG, LONG).unwrap().unwrap();
        serde_json::from_slice(&frame).unwrap()
    };
    for arguments in [
        r#"{"duration_ms":-1}"#,
        r#"{"duration_ms":"30s"}"#,
        r#"{"max_bytes":1e99}"#,
        r#"{"max_events":18446744073709551616}"#,
        r#"{"filter":5}"#,
        r#"{"directory":["/etc"]}"#,
        r#"{"directory":"/etc\u0000/x"}"#,
        r#"{"only_enabled":"yes"}"#,
        "5",
        "null",
    ] {
        let answer = answer(&format!("{{\"record\":{arguments}}}"));
        assert_eq!(answer["error"]["code"], "bad_request", "{arguments}: {answer}");
    }
    let stop = answer(r#"{"stop_recording":{"id":-5}}"#);
    assert_eq!(stop["error"]["code"], "bad_request", "{stop}");
    assert_eq!(daemon.client().recording().unwrap().recording, None);
    let begun = answer(r#"{"record":{"of_a_newer_client":{"x":[1]},"max_events":1}}"#);
    assert!(begun["ok"]["recording"]["recording"]["path"].is_string(), "{begun}");
}

#[test]
fn directories_are_those_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let allowed = dir.path().join("allowed");
    let list = format!("capture.directories=[{}]", allowed.display());
    let (daemon, _feed) = setup(&dir, &["-o", &list]);
    let directory = Some(allowed.display().to_string());
    let record = Record { directory, duration_ms: Some(1), ..Record::default() };
    let begun = of(daemon.client().record(record).unwrap());
    assert!(Path::new(&begun.path).starts_with(&allowed), "{begun:?}");
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert!(Path::new(&begun.path).exists());

    let dir = tempfile::tempdir().unwrap();
    let (daemon, _feed) = setup(&dir, &["-o", "capture.on_request=false"]);
    let (code, message) = refused(daemon.client().record(Record::default()));
    assert!(code == Code::NotPermitted && message.contains("capture.on_request"), "{message}");
    assert!(!dir.path().join("captures").exists());
}

#[test]
fn a_sensor_that_reads_nothing_has_nothing_to_record() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    fs::write(&rules, rule("first", "/a")).unwrap();
    let daemon = Daemon::start(dir.path(), &["--no-probe", "-r", rules.to_str().unwrap()]);
    let (code, message) = refused(daemon.client().record(Record::default()));
    assert!(code == Code::Conflict && message.contains("reads no events"), "{message}");
}

/// A small file system in a folder, gone with it.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let options = ["-t", "tmpfs", "-o", "size=1m", "none"];
        let mounted = Command::new("mount").args(options).arg(&at).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mount(dir.path().join("captures")) else {
        eprintln!("SKIPPED: no file system can be mounted here");
        return;
    };
    let (daemon, mut feed) = setup(&dir, &[]);
    daemon.client().record(long(Record::default())).unwrap();
    for _ in 0..200 {
        feed.send(&vec![open("/b"); 100]);
    }
    feed.send(&[open("/a")]);
    daemon.alert_of("first");
    let failed = wait_for(&daemon, |recording| !recording.state.is_under_way());
    assert_eq!(failed.state, RecordingState::Failed, "{failed:?}");
    assert!(failed.events > 0 && failed.events_lost > 0, "{failed:?}");
    assert_eq!(shown(&failed.path), failed.events);
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("events are not recorded"), "{text}");
}

/// What a recording asks the kernel for is recorded, not judged, and asked for no longer than that.
#[test]
fn the_kernel_is_asked_for_more_while_it_is_recorded() {
    if let Err(why) = eyas_probe::capability() {
        eprintln!("SKIPPED: the probe cannot run here: {why}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yaml");
    let marker = dir.path().join("marker");
    // One that names no types would see all that comes.
    let any = format!("proc.name = cat and fd.name = {} and evt.type != openat", marker.display());
    fs::write(
        &rules,
        rule("opened", "/nowhere")
            + &rule("any", "/x").replace("evt.type = openat and fd.name = /x", &any),
    )
    .unwrap();
    fs::write(&marker, "x").unwrap();
    let daemon = Daemon::start(dir.path(), &["--json", "-r", rules.to_str().unwrap()]);
    let cat = || assert!(Command::new("cat").arg(&marker).output().unwrap().status.success());
    cat();
    let before = daemon.client().status().unwrap().events_enabled;
    assert!(!before.iter().any(|name| name == "read"), "{before:?}");
    let silent = |text: &str| {
        let told: Vec<_> =
            daemon.alerts_so_far().into_iter().filter(|line| line.contains("\"any\"")).collect();
        told.iter().filter(|line| line.contains(text)).count()
    };
    let _ = silent("");
    let filter = format!("proc.name = cat and fd.name = {} and evt.type = read", marker.display());
    let begun =
        of(daemon.client().record(Record { filter: Some(filter), ..Record::default() }).unwrap());
    assert_eq!(begun.widened_by, 1, "{begun:?}");
    cat();
    let done = wait_for(&daemon, |recording| recording.events > 0);
    assert_eq!(silent("read"), 0, "only recorded");
    let done = of(daemon.client().stop_recording(StopRecording { id: Some(done.id) }).unwrap());
    assert_eq!(done.state, RecordingState::Done);
    let reads = |path: &str| {
        let mut reader = Reader::new(fs::File::open(path).unwrap()).unwrap();
        let (mut shown, mut execs) = (0, 0);
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Event(event) = item {
                let is_enter = event.code % 2 == 0 && event.code != 186;
                shown += u64::from(!event.state_only && !is_enter);
                execs += u64::from(event.code == 293 && event.state_only);
            }
        }
        (shown, execs)
    };
    let (shown, execs) = reads(&done.path);
    assert_eq!(shown, done.events);
    assert!(execs >= 1, "the exec of the program is there, and not shown");
    // It is asked for no longer.
    let events = daemon.client().metrics().unwrap();
    let count = |figures: &eyas_control::Figures| {
        let family = figures.families.iter().find(|f| f.name == "eyas_sensor_events_by_type_total");
        let of_read = |sample: &&eyas_control::Sample| {
            sample.labels.contains(&("type".into(), "read".into()))
        };
        family
            .into_iter()
            .flat_map(|f| f.samples.iter())
            .find(of_read)
            .map(|sample| sample.value.as_f64())
    };
    thread::sleep(Duration::from_millis(100));
    let before = count(&daemon.client().metrics().unwrap());
    assert!(count(&events).is_some());
    cat();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(count(&daemon.client().metrics().unwrap()), before);
}
