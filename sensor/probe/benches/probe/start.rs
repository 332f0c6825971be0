//! From nothing to the first event, with as many processes as a busy host has.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eyas_abi::Event;
use eyas_probe::{Options, Probe};

use crate::clock::{cpu_ns, wall_ns};
use crate::{Result, object, row};

const ROUNDS: usize = 5;
const PROCESSES: usize = 2000;

/// Sleepers that end with this value.
struct Crowd(Vec<Child>);

impl Crowd {
    fn gather() -> Result<Self> {
        let sleeper =
            || Command::new("/bin/busybox").args(["sleep", "3600"]).stdin(Stdio::null()).spawn();
        Ok(Self((0..PROCESSES).map(|_| sleeper()).collect::<std::io::Result<_>>()?))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

pub(crate) fn measure() -> Result<()> {
    let crowd = Crowd::gather()?;
    let (mut load, mut attach, mut seed, mut event, mut all, mut cpu) =
        (vec![], vec![], vec![], vec![], vec![], vec![]);
    let mut tasks = 0;
    for _ in 0..ROUNDS {
        let (begin, begin_cpu) = (wall_ns(), cpu_ns());
        let mut probe = Probe::load(object(), &Options::default())?;
        let loaded = wall_ns();
        let mut rings = probe.rings()?;
        probe.attach()?;
        let attached = wall_ns();
        tasks = probe
            .seed(&mut |record| {
                let _ = Event::decode(record);
            })?
            .tasks;
        let seeded = wall_ns();
        let used = cpu_ns() - begin_cpu;
        let mut child = Command::new("/bin/busybox").arg("true").spawn()?;
        let mut arrived = false;
        while !arrived {
            rings.poll(Duration::from_millis(10), &mut |record| {
                arrived |=
                    Event::decode(record).is_ok_and(|event| event.header().tgid == child.id());
            })?;
        }
        let end = wall_ns();
        child.wait()?;
        for (values, ns) in [
            (&mut load, loaded - begin),
            (&mut attach, attached - loaded),
            (&mut seed, seeded - attached),
            (&mut event, end - seeded),
            (&mut all, end - begin),
            (&mut cpu, used),
        ] {
            values.push(ns / 1e6);
        }
    }
    drop(crowd);
    row("start: load and verify", &mut load, "ms", None);
    row("start: attach", &mut attach, "ms", None);
    row(&format!("start: walk over {tasks} tasks"), &mut seed, "ms", None);
    row("start: a process until its event is here", &mut event, "ms", None);
    row("start: all of it", &mut all, "ms", Some(300.0));
    row("start: CPU time of all but the last", &mut cpu, "ms", None);
    Ok(())
}
