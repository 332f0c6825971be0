//! On the live kernel: what a program does comes out as an alert.
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use eyas_control::ProbeSource;

use crate::harness::{Daemon, Store};

/// Whether the kernel lets us; says aloud if not.
fn permitted() -> bool {
    match eyas_probe::capability() {
        Ok(()) => true,
        Err(why) => {
            eprintln!("SKIPPED: the probe cannot run here: {why} ({})", why.hint());
            false
        }
    }
}

fn rule(name: &str, condition: &str, output: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: {output}\n  priority: NOTICE\n"
    )
}

#[test]
fn an_exec_is_told_with_its_arguments_and_the_facts_of_its_program_file() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("eyas-kernel-exec");
    fs::copy("/bin/true", &program).unwrap();
    let store = Store::new(dir.path());
    let output = "\"%proc.cmdline %proc.exepath %proc.pname %user.name %evt.res \
                  %proc.exe_ino.mtime %proc.exe_ino.ctime_duration_proc_start \
                  %proc.is_exe_upper_layer %proc.pid %proc.ppid\"";
    store.activate(
        1,
        &[&rule("exec", "evt.type = execve and proc.name startswith eyas-kernel-ex", output)],
    );
    let daemon = Daemon::start(dir.path(), &["--json", "--store", store.path()]);
    assert_eq!(daemon.client().status().unwrap().probe.source, ProbeSource::Embedded);
    let mut child = Command::new(&program).args(["--one", "two words"]).spawn().unwrap();
    let alert = daemon.alert_of("exec");
    let fields = &alert["output_fields"];
    assert_eq!(fields["proc.cmdline"], "eyas-kernel-exe --one two words");
    assert_eq!(fields["proc.exepath"], program.to_str().unwrap());
    assert_eq!(fields["proc.pid"], child.id());
    assert_eq!(fields["proc.ppid"], std::process::id());
    assert_eq!(fields["evt.res"], "SUCCESS");
    assert!(fields["proc.exe_ino.mtime"].as_u64().unwrap() > 0);
    assert!(fields["proc.exe_ino.ctime_duration_proc_start"].as_u64().unwrap() > 0);
    assert!(fields["proc.is_exe_upper_layer"].is_boolean());
    child.wait().unwrap();
}

#[test]
fn a_reload_asks_the_kernel_for_what_the_new_rules_need() {
    if !permitted() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let marker = dir.path().join("marker");
    fs::write(&marker, "x").unwrap();
    let opens = rule(
        "open",
        &format!("evt.type in (open, openat, openat2) and fd.name = {}", marker.display()),
        "\"%fd.name %fd.type %evt.is_open_read %fd.num\"",
    );
    store.activate(1, &[&opens]);
    let daemon = Daemon::start(dir.path(), &["--json", "--store", store.path()]);
    let output = Command::new("cat").arg(&marker).output().unwrap();
    assert_eq!(output.stdout, b"x");
    let fields = daemon.alert_of("open")["output_fields"].clone();
    assert_eq!(fields["fd.type"], "file");
    assert_eq!(fields["evt.is_open_read"], true);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connects = rule(
        "connect",
        &format!("evt.type = connect and fd.sport = {port}"),
        "\"%fd.name %fd.sip %fd.l4proto %fd.type\"",
    );
    store.activate(2, &[&connects]);
    let report = daemon.reload(2);
    assert!(report.accepted, "{report:?}");
    assert_eq!(daemon.client().status().unwrap().events_enabled, ["connect"]);
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let fields = daemon.alert_of("connect")["output_fields"].clone();
    assert_eq!(fields["fd.sip"], "127.0.0.1");
    assert_eq!((&fields["fd.l4proto"], &fields["fd.type"]), (&"tcp".into(), &"ipv4".into()));
    let ends = format!("{}->127.0.0.1:{port}", stream.local_addr().unwrap());
    assert_eq!(fields["fd.name"], ends);
    let (code, _, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
}
