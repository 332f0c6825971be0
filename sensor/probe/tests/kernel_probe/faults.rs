//! What a host may refuse: a clear error each time, and never a panic.

use std::process::Command;

use eyas_probe::{Options, Probe, ProbeError, capability, embedded};

use crate::live::{own_calls, start};

fn permitted() -> bool {
    match capability() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("SKIPPED: {why} ({})", why.hint());
            false
        }
    }
}

fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    let mut word = [0; 8];
    word[..size].copy_from_slice(&bytes[at..at + size]);
    usize::try_from(u64::from_le_bytes(word)).unwrap()
}

/// Offset of a section of an ELF object, from its table of sections.
fn section(object: &[u8], name: &str) -> usize {
    let (table, size) = (number(object, 0x28, 8), number(object, 0x3a, 2));
    let names = table + size * number(object, 0x3e, 2);
    let names = number(object, names + 0x18, 8);
    (0..number(object, 0x3c, 2))
        .map(|index| table + size * index)
        .find(|entry| object[names + number(object, *entry, 4)..].starts_with(name.as_bytes()))
        .map(|entry| number(object, entry + 0x18, 8))
        .unwrap()
}

#[test]
fn a_program_that_the_verifier_refuses_is_shown_with_the_last_lines() {
    if !permitted() {
        return;
    }
    let mut object = embedded().to_vec();
    let code = section(&object, "tp_btf/sched_process_exit\0");
    // r0 = r9, which nobody has written before
    object[code..code + 8].copy_from_slice(&[0xbf, 0x90, 0, 0, 0, 0, 0, 0]);
    let error = Probe::try_load(&object).err().unwrap();
    let ProbeError::Refused { program, reason, log } = &error else { panic!("{error}") };
    assert_eq!(program, "process_exit");
    assert!(!reason.is_empty());
    assert!(log.contains("R9 !read_ok"), "{log}");
    assert!(log.lines().count() <= 12, "{log}");
    assert!(error.to_string().contains(log.as_str()) && error.hint().is_some());
}

#[test]
fn a_ring_that_cannot_be_allocated_is_named_with_its_size() {
    if !permitted() {
        return;
    }
    for (ring_events, ring_lifecycle, wrong) in [(4097, 4096, 4097), (4096, 12_288, 12_288)] {
        let options = Options { ring_events, ring_lifecycle, ..Options::default() };
        let error = Probe::load(embedded(), &options).err().unwrap();
        let ProbeError::Ring { bytes, .. } = &error else { panic!("{error}") };
        assert_eq!(*bytes, wrong);
        assert!(error.to_string().contains(&wrong.to_string()), "{error}");
        assert!(error.hint().is_some());
    }
}

/// This test again, in a shell that has changed the world around it.
fn again(test: &str, before: &str) -> Option<String> {
    let this = std::env::current_exe().unwrap();
    let script = format!("{before}\nexec \"$0\" --exact {test} --nocapture");
    let done = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-ec", &script])
        .arg(this)
        .env("EYAS_INSIDE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    if !said.contains("running 1 test") {
        eprintln!("SKIPPED: the world cannot be changed here: {errors}");
        return None;
    }
    assert!(done.status.success(), "{said}{errors}");
    Some(said)
}

fn inside() -> bool {
    std::env::var_os("EYAS_INSIDE").is_some()
}

#[test]
fn neither_bpffs_nor_tracefs_is_needed() {
    if !permitted() {
        return;
    }
    if inside() {
        let mut probe = Probe::load(embedded(), &Options::default()).unwrap();
        probe.attach().unwrap();
        println!("attached");
        return;
    }
    let without = "for place in /sys/fs/bpf /sys/kernel/tracing /sys/kernel/debug; do
        while mountpoint -q $place; do umount $place; done
    done";
    if let Some(said) = again("faults::neither_bpffs_nor_tracefs_is_needed", without) {
        assert!(said.contains("attached"), "{said}");
    }
}

#[test]
fn a_kernel_without_type_information_is_told_as_such() {
    if inside() {
        let error = Probe::load(embedded(), &Options::default()).err().unwrap();
        assert!(matches!(error, ProbeError::NotPermitted(eyas_probe::Why::NoTypeInformation)));
        println!("{error} {}", error.hint().unwrap());
        return;
    }
    if !permitted() {
        return;
    }
    let without = "mount -t tmpfs none /sys/kernel/btf";
    let test = "faults::a_kernel_without_type_information_is_told_as_such";
    if let Some(said) = again(test, without) {
        assert!(said.contains("/sys/kernel/btf/vmlinux"), "{said}");
    }
}

#[test]
fn two_capabilities_are_enough() {
    if !permitted() {
        return;
    }
    if inside() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let effective = status.lines().find(|line| line.starts_with("CapEff:")).unwrap();
        // CAP_PERFMON and CAP_BPF, and so not CAP_SYS_RESOURCE
        assert!(effective.ends_with("000000c000000000"), "{effective}");
        let mut probe = Probe::load(embedded(), &Options::default()).unwrap();
        probe.attach().unwrap();
        println!("attached");
        return;
    }
    let without = "exec setpriv --bounding-set -all,+bpf,+perfmon --inh-caps -all,+bpf,+perfmon \
                   --ambient-caps -all,+bpf,+perfmon --reuid 65534 --regid 65534 --clear-groups \
                   -- \"$0\" --exact faults::two_capabilities_are_enough --nocapture";
    if let Some(said) = again("faults::two_capabilities_are_enough", without) {
        assert!(said.contains("attached"), "{said}");
    }
}

/// A CPU that is taken away, and given back on drop.
struct Away(std::path::PathBuf);

impl Away {
    fn take(cpu: usize) -> Option<Self> {
        let switch = format!("/sys/devices/system/cpu/cpu{cpu}/online").into();
        let away = Self(switch);
        std::fs::write(&away.0, "0")
            .inspect_err(|error| eprintln!("SKIPPED: CPU {cpu} cannot be taken away: {error}"))
            .ok()?;
        Some(away)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.0, "1");
    }
}

/// Opens a file that is not there, on one CPU; `false` if this may not run on it.
fn open_on(cpu: usize, path: &str) -> bool {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| {
            rustix::thread::sched_setaffinity(None, &set).is_ok()
                && std::fs::File::open(path).is_err()
        });
        opened.join().unwrap()
    })
}

#[test]
fn a_cpu_that_is_away_at_start_is_heard_when_it_comes_and_one_that_goes_loses_nothing() {
    const CPU: usize = 1;
    if !permitted() {
        return;
    }
    let Some(away) = Away::take(CPU) else { return };
    let Some(mut live) = start(&["openat"], &own_calls()) else { return };
    let mut heard = |path: &str, cpu: Option<u16>| {
        let event =
            live.wait_for(path, |r| r.name == "openat" && r.text("name").as_deref() == Some(path));
        assert!(cpu.is_none_or(|cpu| event.header.cpu == cpu), "{path}: {}", event.header.cpu);
    };
    assert!(open_on(0, "/nonexistent/one-is-away"));
    heard("/nonexistent/one-is-away", Some(0));
    drop(away);
    assert!(open_on(CPU, "/nonexistent/one-has-come"));
    heard("/nonexistent/one-has-come", Some(1));
    assert!(open_on(CPU, "/nonexistent/one-goes"));
    let away = Away::take(CPU);
    heard("/nonexistent/one-goes", Some(1));
    assert!(open_on(0, "/nonexistent/one-is-gone"));
    heard("/nonexistent/one-is-gone", Some(0));
    drop(away);
}
