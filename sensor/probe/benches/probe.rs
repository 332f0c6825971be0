//! What the probe costs, measured on this kernel: nanoseconds per call over no probe, start-up, reading.
//!
//! Prints a table. Costs are CPU time of the calling thread, the median of several rounds; compare rows of one
//! run only.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use eyas_probe::{Options, Probe, capability, embedded};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 11;
const CALLS: u32 = 100_000;
const OPENS: u32 = 30_000;
const EXECS: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Err(why) = capability() {
        row("SKIPPED", &format!("{why} ({})", why.hint()));
        return Ok(());
    }
    let base = Costs::measure();
    let begin = Instant::now();
    let mut probe = Probe::load(embedded(), &Options { ignored: None, ..Options::default() })?;
    let loaded = begin.elapsed();
    let mut rings = probe.rings()?;
    probe.attach()?;
    let attached = begin.elapsed();
    let mut tasks = 0_u64;
    let seed = Instant::now();
    probe.seed(&mut |_| tasks += 1)?;
    let seeded = seed.elapsed();

    row("object", &format!("{} bytes", embedded().len()));
    let verified: u32 = probe.programs().iter().filter_map(|p| p.verified_instructions).sum();
    row("verified instructions", &verified.to_string());
    row("load", &format!("{loaded:?}"));
    row("load and attach", &format!("{attached:?}"));
    row("seed", &format!("{seeded:?} for {tasks} tasks"));
    Costs::print_head(&base);
    Costs::measure().print("attached, nothing enabled", &base);
    probe.set_enabled(["connect"])?;
    Costs::measure().print("another call enabled", &base);
    probe.set_enabled(["openat", "open"])?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (costs, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_until(&mut rings, &stop));
        let costs = Costs::measure();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        (costs, reader.join())
    });
    costs.print("opens sent and read", &base);
    if let Ok((records, cpu)) = read {
        let each = cpu.as_nanos() / u128::from(records.max(1));
        row("reader", &format!("{records} records, {each} ns each (waiting included)"));
    }
    row("dropped", &probe.counters()?.dropped().to_string());
    Ok(())
}

fn read_until(
    rings: &mut eyas_probe::Rings,
    stop: &std::sync::atomic::AtomicBool,
) -> (u64, Duration) {
    let begin = cpu_time();
    let mut records = 0;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        records += rings.poll(eyas_probe::POLL_DEFAULT, &mut |_| {}).map_or(0, |poll| poll.records);
    }
    (records, cpu_time().saturating_sub(begin))
}

struct Costs {
    call: f64,
    open: f64,
    exec: f64,
}

impl Costs {
    fn measure() -> Self {
        Self {
            call: median(CALLS, || {
                let _ = rustix::process::getppid();
            }),
            open: median(OPENS, || drop(File::open("/dev/null"))),
            exec: wall(),
        }
    }

    fn print_head(base: &Self) {
        row("", "getppid   open+close   fork+exec+exit (wall)");
        row(
            "no probe",
            &format!("{:7.0} ns {:9.0} ns {:9.1} us", base.call, base.open, base.exec / 1000.0),
        );
    }

    fn print(&self, name: &str, base: &Self) {
        row(
            name,
            &format!(
                "{:+7.0} ns {:+9.0} ns {:+9.1} us",
                self.call - base.call,
                self.open - base.open,
                (self.exec - base.exec) / 1000.0
            ),
        );
    }
}

fn median(times: u32, mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = cpu_time();
            (0..times).for_each(|_| call());
            nanoseconds(cpu_time().saturating_sub(begin)) / f64::from(times)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn wall() -> f64 {
    let mut rounds: Vec<f64> = (0..EXECS)
        .map(|_| {
            let begin = Instant::now();
            let _ = Command::new("/bin/true").status();
            nanoseconds(begin.elapsed())
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[expect(clippy::print_stdout, reason = "the table is the output")]
fn row(name: &str, value: &str) {
    println!("{name:<28} {value}");
}
