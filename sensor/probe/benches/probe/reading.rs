//! What the reader pays for each record: waiting, merging the rings by time, decoding.
//!
//! The rings are filled while nobody reads, then drained, again and again; only the draining is timed.

use eyas_abi::Event;
use eyas_probe::{Options, Probe, Rings};

use crate::clock::cpu_ns;
use crate::{Result, object, row};

const FILLS: usize = 60;
/// Calls of each thread before the rings are drained; they fit.
const CALLS: usize = 30_000;

pub(crate) fn measure() -> Result<()> {
    let options = Options { ring_events: 16 << 20, ignored: None, ..Options::default() };
    let mut probe = Probe::load(object(), &options)?;
    let mut rings = probe.rings()?;
    probe.set_enabled(["getuid"])?;
    probe.attach()?;
    let one = fill_and_drain(&mut rings, 1, &mut |_| {});
    report("taken from the rings, one thread writing", one);
    let two = fill_and_drain(&mut rings, 2, &mut |_| {});
    report("taken and merged, two threads writing", two);
    let mut sum = 0_u64;
    let decoded = fill_and_drain(&mut rings, 2, &mut |record| {
        if let Ok(event) = Event::decode(record) {
            sum =
                sum.wrapping_add(event.int(0).unwrap_or(0) as u64 + u64::from(event.header().tid));
        }
    });
    report("taken, merged and decoded", decoded);
    std::hint::black_box(sum);
    println!("{:<44} {:>12}", "dropped", probe.counters()?.dropped());
    Ok(())
}

fn report(what: &str, (mut each, records): (Vec<f64>, u64)) {
    row(&format!("{what}, each"), &mut each, "ns", Some(30.0));
    let median = each[each.len() / 2];
    println!(
        "{:<44} {records:>12} {:>24}",
        "  records; a core takes",
        format!("{:.1} million/s", 1000.0 / median)
    );
}

/// CPU time of each record in each drain, and how many records there were.
fn fill_and_drain(
    rings: &mut Rings,
    threads: usize,
    deliver: &mut dyn FnMut(&[u8]),
) -> (Vec<f64>, u64) {
    let (mut each, mut records) = (Vec::new(), 0);
    rings.flush(&mut |_| {});
    for _ in 0..FILLS {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..CALLS {
                        let _ = rustix::process::getuid();
                    }
                });
            }
        });
        let begin = cpu_ns();
        let poll = rings.flush(deliver);
        each.push((cpu_ns() - begin) / poll.records.max(1) as f64);
        records += poll.records;
    }
    (each, records)
}
