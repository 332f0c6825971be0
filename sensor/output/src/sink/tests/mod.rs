//! Sinks that work, hang, fail, are rotated; nobody waits and every line is accounted for.

mod programs;
mod sockets;

use std::sync::mpsc;

use super::writer::{Delivery, Stream};
use super::*;

const LONG: Duration = Duration::from_secs(20);

/// Says that it has been reached, and blocks in every write until told to go on; then everything goes through.
#[derive(Debug)]
struct Gate {
    reached: mpsc::Sender<()>,
    go: mpsc::Receiver<()>,
    into: Arc<Mutex<Vec<u8>>>,
}

impl Writer for Gate {
    fn deliver(&mut self, batch: &[Line]) -> Delivery {
        let _ = self.reached.send(());
        let _ = self.go.recv();
        for message in batch {
            let mut into = self.into.lock().unwrap();
            into.extend_from_slice(message.line().as_bytes());
            into.push(b'\n');
        }
        Delivery { written: batch.len() as u64, error: None }
    }
}

fn message(line: impl Into<Box<str>>) -> Message {
    Message::new(line, "Warning", Arc::from("A rule"))
}

fn batch(lines: &[&str]) -> Vec<Line> {
    lines.iter().map(|line| Arc::new(message(*line))).collect()
}

/// Sinks with a gate, and both of its sides.
struct Gated {
    sinks: Sinks,
    reached: mpsc::Receiver<()>,
    open: mpsc::Sender<()>,
    into: Arc<Mutex<Vec<u8>>>,
}

fn gated(limits: QueueLimits) -> Gated {
    let ((says, reached), (open, go)) = (mpsc::channel(), mpsc::channel());
    let into = Arc::new(Mutex::new(Vec::new()));
    let gate = Box::new(Gate { reached: says, go, into: Arc::clone(&into) });
    let sinks = Sinks::default();
    sinks.replace(Prepared(vec![Place::Opened(Target::Stdout, gate, limits)])).unwrap();
    Gated { sinks, reached, open, into }
}

/// A list with one more target at its end.
fn add(sinks: &Sinks, target: Target, limits: QueueLimits) {
    let mut all: Vec<Target> = sinks.list.load().iter().map(|sink| sink.target.clone()).collect();
    all.push(target);
    sinks.replace(sinks.prepare(&all, limits).unwrap()).unwrap();
}

#[test]
fn a_hanging_sink_is_never_waited_for_and_what_it_misses_is_counted() {
    let Gated { sinks, reached, open, into } = gated(QueueLimits { alerts: 10, bytes: 1 << 20 });
    let mut taken = sinks.send(message("line 0"));
    reached.recv_timeout(LONG).unwrap();
    taken += (1..1000).map(|n| sinks.send(message(format!("line {n}")))).sum::<usize>();
    let counts = sinks.counts().remove(0);
    assert_eq!(taken, 11, "what the thread holds, and the queue");
    assert_eq!(counts.dropped, 1000 - taken as u64);
    assert_eq!(counts.written, 0);
    drop(open);
    let counts = sinks.finish(LONG).remove(0);
    assert_eq!(counts.written, taken as u64);
    assert_eq!((counts.failed, counts.last_error), (0, None));
    let text = String::from_utf8(into.lock().unwrap().clone()).unwrap();
    assert!(text.starts_with("line 0\nline 1\n"));
    assert_eq!(text.lines().count(), taken);
}

#[test]
fn a_hanging_sink_does_not_keep_lines_from_the_others_nor_the_end_from_coming() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts");
    let Gated { sinks, open, .. } = gated(QueueLimits::default());
    add(&sinks, Target::File(path.clone()), QueueLimits::default());
    for n in 0..50 {
        sinks.send(message(format!("{n}")));
    }
    let counts = sinks.finish(Duration::from_millis(200));
    assert!(counts[0].last_error.as_ref().unwrap().contains("did not finish"));
    assert_eq!(counts[0].written, 0);
    drop(open);
    // The file had the time that the gate used up.
    assert_eq!(counts[1].written, 50);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 50);
}

#[test]
fn a_sink_that_fails_counts_lines_by_what_went_through() {
    #[derive(Debug)]
    struct TwoBytes(usize);
    impl io::Write for TwoBytes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let take = bytes.len().min(2).min(self.0);
            self.0 -= take;
            if take == 0 { Err(io::Error::other("disk full")) } else { Ok(take) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Writer for Stream<TwoBytes> {
        fn deliver(&mut self, batch: &[Line]) -> Delivery {
            self.write(batch)
        }
    }
    let totals = Totals::default();
    deliver(&mut Stream::new(TwoBytes(7)), &batch(&["ab", "cd", "ef", "gh"]), &totals);
    let counts = totals.read("x".into());
    assert_eq!((counts.written, counts.failed), (2, 2));
    assert_eq!(counts.last_error.as_deref(), Some("disk full"));
}

#[test]
fn a_file_is_appended_to_created_private_and_reopened_after_rotation() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.log");
    std::fs::write(&path, "before\n").unwrap();
    let mut writer = Reopening::open(&path).unwrap();
    deliver(&mut writer, &batch(&["one"]), &Totals::default());
    std::fs::rename(&path, dir.path().join("alerts.log.1")).unwrap();
    writer.look_around().unwrap();
    deliver(&mut writer, &batch(&["two"]), &Totals::default());
    std::fs::remove_file(&path).unwrap();
    writer.look_around().unwrap();
    deliver(&mut writer, &batch(&["three"]), &Totals::default());
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("alerts.log.1"), "before\none\n");
    assert_eq!(read("alerts.log"), "three\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_is_copied_and_cut_is_written_to_from_its_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alerts.log");
    let mut writer = Reopening::open(&path).unwrap();
    deliver(&mut writer, &batch(&["one"]), &Totals::default());
    std::fs::copy(&path, dir.path().join("alerts.log.1")).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    writer.look_around().unwrap();
    deliver(&mut writer, &batch(&["two"]), &Totals::default());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
}

#[test]
fn a_file_that_cannot_be_opened_is_named() {
    let error = Sinks::open(&[Target::File("/no/such/dir/x".into())], QueueLimits::default());
    assert!(error.unwrap_err().to_string().starts_with("cannot open `/no/such/dir/x`"));
}

#[test]
fn a_pipe_that_nobody_reads_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (done, opened) = mpsc::channel();
    let path = pipe.clone();
    thread::spawn(move || done.send(Reopening::open(&path).map(drop)).unwrap());
    let error = opened.recv_timeout(LONG).expect("it waits for a reader").unwrap_err();
    assert!(error.to_string().contains("No such device"), "{error}");
    let reader = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let mut writer = Reopening::open(&pipe).unwrap();
    // More than a pipe takes at once is written all the same while somebody reads.
    let long = "x".repeat(1 << 18);
    let reads = thread::spawn(move || {
        let mut line = vec![0; (1 << 18) + 1];
        io::Read::read_exact(&mut &reader, &mut line).unwrap();
        line.len()
    });
    assert_eq!(writer.deliver(&batch(&[&long])).written, 1);
    assert_eq!(reads.join().unwrap(), (1 << 18) + 1);
}

#[test]
fn a_full_device_is_counted_and_said() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("SKIPPED: /dev/full is not here");
        return;
    }
    let sinks = Sinks::open(&[Target::File(full.into())], QueueLimits::default()).unwrap();
    sinks.send(message("lost"));
    let counts = sinks.finish(LONG).remove(0);
    assert_eq!((counts.written, counts.failed), (0, 1));
    assert!(counts.last_error.unwrap().contains("No space left"));
}

#[test]
fn a_new_list_keeps_what_stays_ends_what_goes_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = |name: &str| Target::File(dir.path().join(name));
    let lines = |name: &str| {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let limits = QueueLimits::default();
    let sinks = Sinks::open(&[target("a"), target("b")], limits).unwrap();
    let first = Arc::clone(&sinks.list.load()[0]);
    sinks.send(message("1"));
    sinks.replace(sinks.prepare(&[target("a"), target("c")], limits).unwrap()).unwrap();
    assert!(Arc::ptr_eq(&first, &sinks.list.load()[0]), "what stays is not opened again");
    drop(first);
    sinks.send(message("2"));
    // A list that cannot be opened changes nothing.
    let missing = Target::File("/no/such/dir/x".into());
    assert!(sinks.prepare(&[target("a"), missing], limits).is_err());
    sinks.send(message("3"));
    let counts = sinks.finish(LONG);
    assert_eq!(counts.iter().map(|sink| sink.written).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(
        (lines("a"), lines("c")),
        (vec!["1".into(), "2".into(), "3".into()], vec!["2".into(), "3".into()])
    );
    let start = Instant::now();
    while lines("b") != ["1"] {
        assert!(start.elapsed() < LONG, "{:?}", lines("b"));
        thread::sleep(Duration::from_millis(5));
    }
}
