//! What processes pay for their calls: one that nobody asked for, and an open that is reported.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use eyas_probe::{Counter, Options, Probe};

use crate::clock::each;
use crate::counted::Counting;
use crate::empty::Empty;
use crate::{Result, object, row, row_counted};

const ROUNDS: usize = 9;
const CALLS: u32 = 400_000;
const OPENS: u32 = 60_000;
/// Opens while the kernel counts.
const COUNTED: u32 = 10_000;
/// What is opened: in memory, three components deep.
const FILE: &CStr = c"/dev/shm/eyas-bench/file";

#[derive(Default)]
struct Rows {
    empty: Vec<f64>,
    nothing_enabled: Vec<f64>,
    another_enabled: Vec<f64>,
    open: Vec<f64>,
    open_empty: Vec<f64>,
    open_filtered: Vec<f64>,
    open_filtered_counted: Vec<f64>,
    open_sent: Vec<f64>,
    open_sent_counted: Vec<f64>,
    dropped: Vec<f64>,
    sent: u64,
}

pub(crate) fn measure() -> Result<()> {
    std::fs::create_dir_all("/dev/shm/eyas-bench")?;
    std::fs::write("/dev/shm/eyas-bench/file", "x")?;
    let empty = Empty::compile()?;
    let mut rows = Rows::default();
    for _ in 0..ROUNDS {
        round(&empty, &mut rows)?;
    }
    std::fs::remove_dir_all("/dev/shm/eyas-bench")?;
    row("getppid, an empty program over none", &mut rows.empty, "ns", None);
    row(
        "getppid, nothing enabled, over the empty one",
        &mut rows.nothing_enabled,
        "ns",
        Some(15.0),
    );
    row("getppid, opens enabled, over the empty one", &mut rows.another_enabled, "ns", Some(15.0));
    row("open+close without a probe", &mut rows.open, "ns", None);
    row("open+close, an empty program over none", &mut rows.open_empty, "ns", None);
    let filtered = &mut rows.open_filtered_counted;
    let what = "open+close, nothing enabled, over none";
    row_counted(what, &mut rows.open_filtered, filtered, "ns", None);
    let sent = &mut rows.open_sent_counted;
    let what = "open+close, the open sent, over none";
    row_counted(what, &mut rows.open_sent, sent, "ns", Some(300.0));
    row("dropped of the opens of one thread, per million", &mut rows.dropped, "", Some(0.0));
    println!("({} records were sent)", rows.sent);
    Ok(())
}

fn round(empty: &Empty, rows: &mut Rows) -> Result<()> {
    let plain = each(CALLS, getppid);
    let plain_open = each(OPENS, open);
    let attached = empty.attach()?;
    let with_empty = each(CALLS, getppid);
    let open_empty = each(OPENS, open);
    drop(attached);

    let mut probe = Probe::load(object(), &Options { ignored: None, ..Options::default() })?;
    let mut rings = probe.rings()?;
    probe.attach()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut records = 0;
            while !stop.load(Ordering::Relaxed) {
                records += rings
                    .poll(eyas_probe::POLL_DEFAULT, &mut |_| {})
                    .map_or(0, |poll| poll.records);
            }
            records
        });
        let result = with_probe(&mut probe, rows, with_empty, plain_open);
        stop.store(true, Ordering::Relaxed);
        rows.sent += reader.join().unwrap_or(0);
        result
    })?;
    rows.empty.push(with_empty - plain);
    rows.open.push(plain_open);
    rows.open_empty.push(open_empty - plain_open);
    Ok(())
}

fn with_probe(probe: &mut Probe, rows: &mut Rows, with_empty: f64, plain_open: f64) -> Result<()> {
    rows.nothing_enabled.push(each(CALLS, getppid) - with_empty);
    rows.open_filtered.push(each(OPENS, open) - plain_open);
    rows.open_filtered_counted.push(counted(probe)?);
    probe.set_enabled(["openat"])?;
    rows.another_enabled.push(each(CALLS, getppid) - with_empty);
    let before = probe.counters()?.get(Counter::DroppedEvents);
    rows.open_sent.push(each(OPENS, open) - plain_open);
    let dropped = probe.counters()?.get(Counter::DroppedEvents) - before;
    rows.dropped.push(dropped as f64 * 1e6 / f64::from(OPENS));
    rows.open_sent_counted.push(counted(probe)?);
    Ok(())
}

/// Time in the program at the end of calls, and in the handlers it jumps to, for an open and a close.
fn counted(probe: &Probe) -> Result<f64> {
    let counting = Counting::start(probe)?;
    (0..COUNTED).for_each(|_| open());
    Ok(counting.of(probe, "sys_exit").0 / f64::from(COUNTED))
}

fn getppid() {
    let _ = rustix::process::getppid();
}

fn open() {
    // SAFETY: a path that ends with a NUL; the descriptor is closed at once.
    unsafe {
        let fd = libc::open(FILE.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        libc::close(fd);
    }
}
