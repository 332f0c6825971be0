//! Real mounts: directories that are read-only, and disks that are full at every size. Each command runs in a mount
//! namespace of its own, which ends with it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use eyas_tests::{Finished, Registry, run, skip};

use crate::host::{Host, publish};
use crate::strace::run_by;

/// Exit code for a disk that fails.
const STORAGE: i32 = 8;
/// What a disk grows by from one try to the next, in KiB: a page.
const STEP_KIB: u64 = 4;
/// Most tries until everything fits.
const MOST_TRIES: u64 = 400;
/// Steps between two tries, unless all are taken.
const STRIDE: u64 = 5;

/// The words before a command that give it a mount namespace, where that is permitted.
fn namespace(test: &str) -> Option<Vec<&'static str>> {
    for words in [vec!["unshare", "-m"], vec!["unshare", "-rm"]] {
        let tried = ["sh", "-c", "mount -t tmpfs none /mnt"];
        let tried = Command::new(words[0]).args(&words[1..]).args(tried).output();
        if tried.is_ok_and(|tried| tried.status.success()) {
            return Some(words);
        }
    }
    skip(test, "nothing may be mounted here, not even in a namespace");
    None
}

/// Runs a command after this script, in a namespace.
fn behind(namespace: &[&str], script: &str, command: &Command) -> Finished {
    let mut shell = Command::new(namespace[0]);
    let script = format!("PATH=/usr/sbin:/usr/bin:/sbin:/bin; {script}");
    shell.args(&namespace[1..]).args(["sh", "-euc", &script, "sh"]);
    run(&mut run_by(shell, command))
}

#[test]
fn a_directory_mounted_read_only_is_told_and_nothing_changes() {
    let Some(namespace) = namespace("faults::read_only") else { return };
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    let host = Host::new(&registry, &publisher, true);
    run(&mut host.install("1.0.0")).expect_code(0);
    let old = host.seen();
    for folder in ["store", "flat"] {
        let script = format!(
            "mount --bind {folder} {folder}; mount -o remount,bind,ro {folder}; exec \"$@\""
        );
        for changing in [host.install("2.0.0"), host.follow("2.0.0")] {
            let refused = behind(&namespace, &script, &changing);
            assert_eq!(refused.code(), STORAGE, "{folder}: {}", refused.stderr);
            refused.expect_stderr(&[folder, "read-only", "hint"]);
            assert!(host.seen() == old, "{folder}: {}", refused.stderr);
        }
        for asking in [&["artifact", "status"][..], &["artifact", "history"], &["artifact", "list"]]
        {
            let more = match asking[1] {
                "status" => &["--sensor-socket", "none.sock"][..],
                "list" => &["--installed"],
                _ => &[],
            };
            let command = host.site.eyas(&[asking, more].concat());
            behind(&namespace, &script, &command).expect_code(0);
        }
        // All is as asked: that needs no right to write.
        behind(&namespace, &script, &host.install("1.0.0")).expect_code(0);
        assert!(host.seen() == old, "{folder}");
    }
    let script = "mount --bind store store; mount -o remount,bind,ro store; exec \"$@\"";
    for changing in [host.gc(), host.site.eyas(&["artifact", "uninstall", "rules", "--no-reload"])]
    {
        let refused = behind(&namespace, script, &changing);
        assert_eq!(refused.code(), STORAGE, "{}", refused.stderr);
        assert!(host.seen() == old, "{}", refused.stderr);
    }
    run(&mut host.install("2.0.0")).expect_code(0);
    assert!(host.seen() != old && host.litter().is_empty());
}

#[test]
fn a_disk_of_every_size_holds_the_old_or_the_new() {
    let Some(namespace) = namespace("faults::full") else { return };
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    let all = std::env::var("EYAS_FAULTS").is_ok_and(|value| value == "all");
    let stride = if all { 1 } else { STRIDE };
    for folder in ["store", "flat"] {
        let host = Host::new(&registry, &publisher, true);
        run(&mut host.install("1.0.0")).expect_code(0);
        host.keep();
        let old = host.seen();
        run(&mut host.install("2.0.0")).expect_code(0);
        let new = host.seen();
        let (mut refused, mut fits) = (0, false);
        for step in (0..MOST_TRIES).step_by(usize::try_from(stride).expect("small")) {
            host.restore();
            // The disk has what is there, then so much more; what is on it afterwards is brought out.
            let script = format!(
                "mount -t tmpfs -o size=64m none {folder}; cp -a kept-{folder}/. {folder}; \
                 used=$(df -k --output=used {folder} | tail -n 1); \
                 mount -o remount,size=$((used + {}))k {folder}; \
                 code=0; \"$@\" || code=$?; rm -rf out; mkdir out; cp -a {folder}/. out; exit $code",
                step * STEP_KIB
            );
            let finished = behind(&namespace, &script, &host.install("2.0.0"));
            let place = host.site.path(folder);
            fs::remove_dir_all(&place).expect("what was there before");
            fs::rename(host.site.path("out"), &place).expect("what the disk had");
            let at = format!("{folder}, {} KiB free: {}", step * STEP_KIB, finished.stderr);
            match finished.code() {
                STORAGE => {
                    refused += 1;
                    // The other directory may have been changed and must have been brought back.
                    assert!(host.seen() == old, "{at}");
                    finished.expect_stderr(&[folder]);
                }
                0 => {
                    assert!(host.seen() == new, "{at}");
                    fits = true;
                }
                code => panic!("exit code {code}: {at}"),
            }
            run(&mut host.install("2.0.0")).expect_code(0);
            assert!(host.seen() == new, "{at}");
            run(&mut host.gc()).expect_code(0);
            assert_eq!(host.litter(), Vec::<std::path::PathBuf>::new(), "{at}");
            if fits {
                break;
            }
        }
        assert!(fits && refused > 3, "{folder}: {refused} refusals, and it fits: {fits}");
    }
}

#[test]
fn space_for_what_is_unpacked_is_asked_for_before() {
    let Some(namespace) = namespace("faults::preflight") else { return };
    let registry = Registry::embedded();
    let publisher = publish(&registry);
    let site = &publisher;
    // Text that is a tenth when it is compressed.
    let mut text = String::new();
    for number in 0..60_000_u64 {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let _ = writeln!(text, "{noise:04x} and then the same words as in every other line");
    }
    fs::write(site.path("big.txt"), &text).expect("content");
    let reference = registry.reference("faults/big:1.0.0");
    let push = ["registry", "push", &reference, "big.txt", "--type", "asset", "--version", "1.0.0"];
    site.run(&[&push[..], &["--plain-http", "--sign-key", "signer"]].concat()).expect_code(0);
    let words = ["install", &reference, "--no-reload"];
    let command = site.eyas(&site.install_arguments(&words));
    // The archive fits on it, what is in it does not.
    let script = "mkdir -p store; mount -t tmpfs -o size=2m none store; exec \"$@\"";
    let refused = behind(&namespace, script, &command);
    assert_eq!(refused.code(), STORAGE, "{}", refused.stderr);
    refused.expect_stderr(&["store", "bytes free", "bytes are needed", "hint"]);
    let needed = refused.stderr.split(" bytes are needed").next().unwrap_or_default();
    let needed = needed.rsplit(' ').next().unwrap_or_default().parse::<usize>();
    assert!(needed.is_ok_and(|needed| needed >= text.len()), "{}", refused.stderr);
}
