//! What is left when nothing happens, and what stays when much has happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eyas_abi::Event;
use eyas_probe::{Options, POLL_DEFAULT, POLL_QUIET, Probe};

use crate::clock::{cpu_ns, wall_ns};
use crate::{Result, object, row};

const IDLE: Duration = Duration::from_secs(5);
/// Records until the end; `EYAS_BENCH_EVENTS` sets another number.
const EVENTS: u64 = 10_000_000;
/// Memory may differ by this much, KiB: the allocator's own steps.
const SLACK_KIB: f64 = 512.0;

pub(crate) fn idle() -> Result<()> {
    let mut probe = Probe::load(object(), &Options::default())?;
    let mut rings = probe.rings()?;
    probe.attach()?;
    let (mut shares, mut records) = (Vec::new(), 0);
    for _ in 0..3 {
        let (begin, cpu) = (wall_ns(), cpu_ns());
        let end = Instant::now() + IDLE;
        while Instant::now() < end {
            records += rings
                .poll(POLL_QUIET, &mut |record| {
                    let _ = Event::decode(record);
                })?
                .records;
        }
        shares.push((cpu_ns() - cpu) / (wall_ns() - begin) * 100.0);
    }
    row("waiting reader, part of a core", &mut shares, "%", Some(0.3));
    println!("({records} records of this host in {} s)", 3 * IDLE.as_secs());
    Ok(())
}

pub(crate) fn measure() -> Result<()> {
    let wanted = std::env::var("EYAS_BENCH_EVENTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(EVENTS);
    let mut probe = Probe::load(object(), &Options { ignored: None, ..Options::default() })?;
    let mut rings = probe.rings()?;
    probe.set_enabled(["getuid"])?;
    probe.attach()?;
    let stop = AtomicBool::new(false);
    let mut memory = Vec::new();
    let mut records = 0;
    std::thread::scope(|scope| -> Result<()> {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                (0..1000).for_each(|_| {
                    let _ = rustix::process::getuid();
                });
            }
        });
        let mut next = 0;
        while records < wanted {
            let poll = rings.poll(POLL_DEFAULT, &mut |record| {
                let _ = Event::decode(record);
            });
            records += poll.as_ref().map_or(0, |poll| poll.records);
            if records >= next || poll.is_err() {
                memory.push(resident_kib());
                next += wanted / 10;
            }
            if poll.is_err() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    let (first, last) =
        (memory.get(1).copied().unwrap_or(0.0), memory.last().copied().unwrap_or(0.0));
    row("resident memory at the end", &mut [last], "KiB", None);
    row(&format!("growth over {records} records"), &mut [last - first], "KiB", Some(SLACK_KIB));
    let counters = probe.counters()?;
    println!("({} dropped by a loop of one thread)", counters.dropped());
    Ok(())
}

fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0)
}
