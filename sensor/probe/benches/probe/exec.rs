//! What starting a program costs: fork, exec and exit of the smallest one there can be.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::ptr::null;
use std::sync::atomic::{AtomicBool, Ordering};

use eyas_probe::{Options, Probe};

use crate::clock::cpu_ns;
use crate::counted::Counting;
use crate::{Result, object, row, row_counted};

const ROUNDS: usize = 15;
const EXECS: usize = 200;
/// Programs that run once for each of them, and how often the one at the end of calls does: for both sides of the fork,
/// the exec, and the wait.
const ONCE: [&str; 3] = ["process_fork", "process_exec", "process_exit"];
const CALLS: f64 = 4.0;

#[cfg(target_arch = "x86_64")]
const SOURCE: &str = "__attribute__((naked)) void _start(void) { __asm__(\"mov $60, %eax; xor %edi, %edi; syscall\"); }";
#[cfg(target_arch = "aarch64")]
const SOURCE: &str =
    "__attribute__((naked)) void _start(void) { __asm__(\"mov x8, #93; mov x0, #0; svc #0\"); }";

pub(crate) fn measure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (source, program) = (folder.path().join("smallest.c"), folder.path().join("smallest"));
    std::fs::write(&source, SOURCE)?;
    let flags = ["-O2", "-static", "-nostdlib", "-nostartfiles", "-o"];
    let status = Command::new("cc").args(flags).arg(&program).arg(&source).status()?;
    if !status.success() {
        return Err("cc could not compile the smallest program".into());
    }
    let program = CString::new(program.as_os_str().as_bytes())?;
    let (mut plain, mut attached) = (Vec::new(), Vec::new());
    let (mut all, mut parts) = (Vec::new(), [const { Vec::new() }; ONCE.len()]);
    for _ in 0..ROUNDS {
        let without = execs(&program);
        let (with, inside) = with_probe(&program)?;
        all.push(inside.all / 1000.0);
        for (part, time) in parts.iter_mut().zip(inside.once) {
            part.push(time / 1000.0);
        }
        plain.push(without / 1000.0);
        attached.push((with - without) / 1000.0);
    }
    row("fork+exec+exit without a probe", &mut plain, "µs", None);
    let what = "fork+exec+exit, attached, over none";
    row_counted(what, &mut attached, &mut all, "µs", Some(20.0));
    for (name, part) in ONCE.iter().zip(&mut parts) {
        row_counted(&format!("  of it in {name}"), &mut [], part, "µs", None);
    }
    Ok(())
}

/// Time of one with the probe attached, and how much of it is inside of programs.
fn with_probe(program: &CStr) -> Result<(f64, Inside)> {
    let mut probe = Probe::load(object(), &Options { ignored: None, ..Options::default() })?;
    let mut rings = probe.rings()?;
    probe.attach()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = rings.poll(eyas_probe::POLL_DEFAULT, &mut |_| {});
            }
        });
        let time = execs(program);
        let inside = counted(&probe, program);
        stop.store(true, Ordering::Relaxed);
        Ok((time, inside?))
    })
}

/// Nanoseconds inside of programs for each fork+exec+exit.
struct Inside {
    all: f64,
    once: [f64; ONCE.len()],
}

fn counted(probe: &Probe, program: &CStr) -> Result<Inside> {
    let counting = Counting::start(probe)?;
    execs(program);
    let once = std::array::from_fn(|place| counting.mean(probe, ONCE[place]));
    let all = once.iter().sum::<f64>() + CALLS * counting.mean(probe, "sys_exit");
    Ok(Inside { all, once })
}

/// Median CPU time of this thread and of the child together, nanoseconds.
fn execs(program: &CStr) -> f64 {
    let mut times: Vec<f64> = (0..EXECS).map(|_| exec(program)).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn exec(program: &CStr) -> f64 {
    let begin = cpu_ns();
    let arguments = [program.as_ptr(), c"argument".as_ptr(), null()];
    let environment = [null()];
    // SAFETY: the child makes two system calls on memory of its own copy; zero is a valid rusage.
    let usage = unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
            libc::_exit(127);
        }
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::wait4(pid, std::ptr::null_mut(), 0, &raw mut usage);
        usage
    };
    let time = |value: libc::timeval| value.tv_sec as f64 * 1e9 + value.tv_usec as f64 * 1e3;
    cpu_ns() - begin + time(usage.ru_utime) + time(usage.ru_stime)
}
