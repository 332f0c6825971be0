//! Real containers, on the live kernel: who is in one, and who only looks like it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_tests::{Sensor, kernel_gate, skip};
use serde_json::{Value, json};

const RULE: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
                    proc.args contains eyas-container-test\n  output: \"%proc.cmdline %container.id \
                    %container.full_id %container.name %container.type %container.privileged \
                    %container.mount.dest[/etc]\"\n  priority: NOTICE\n";
const BUSYBOX: &str = "/bin/busybox";

/// A bundle of busybox for a low-level runtime.
fn bundle(folder: &Path, words: &[&str]) -> PathBuf {
    let bundle = folder.join("bundle");
    fs::create_dir_all(bundle.join("rootfs/bin")).expect("a root");
    fs::create_dir_all(bundle.join("rootfs/etc")).expect("a root");
    let made = Command::new("install").arg(BUSYBOX).arg(bundle.join("rootfs/bin/busybox")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let done = Command::new("runc").args(["spec", "-b"]).arg(&bundle).status();
    assert!(done.is_ok_and(|status| status.success()));
    let file = bundle.join("config.json");
    let mut spec: Value =
        serde_json::from_slice(&fs::read(&file).expect("a specification")).expect("JSON");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!([&["/bin/busybox"], words].concat());
    // Limits that an unprivileged machine may not set.
    spec["process"]["rlimits"] = json!([]);
    spec["linux"]["resources"] = json!({});
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    let bind =
        json!({"type": "bind", "source": "/etc", "destination": "/etc", "options": ["bind", "ro"]});
    mounts.push(bind);
    fs::write(file, spec.to_string()).expect("a specification");
    bundle
}

fn sensor(folder: &Path) -> Sensor {
    let rules = folder.join("rules.yaml");
    fs::write(&rules, RULE).expect("rules");
    let rules = rules.display().to_string();
    Sensor::start(&folder.join("store"), folder, &["-o", "control.group=null", "-r", &rules])
}

#[test]
fn the_first_alert_of_a_container_carries_what_its_runtime_knows() {
    let name = "the_first_alert_of_a_container_carries_what_its_runtime_knows";
    if !kernel_gate(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    if !Path::new(BUSYBOX).exists() || Command::new("runc").arg("--version").output().is_err() {
        skip(name, "runc and a static busybox are needed");
        return;
    }
    // It stays for a moment: what its runtime knows is read from files that go when it ends.
    let script = "busybox echo eyas-container-test && busybox sleep 3";
    let bundle = bundle(folder.path(), &["sh", "-c", script]);
    let id = format!("eyas-test-{}", std::process::id());
    let sensor = sensor(folder.path());
    let ran =
        Command::new("runc").args(["run", "-b"]).arg(&bundle).arg(&id).output().expect("runc");
    if !ran.status.success() {
        skip(name, &format!("runc cannot run here: {}", String::from_utf8_lossy(&ran.stderr)));
        return;
    }
    let alert = sensor.expect_alert("ran", "eyas-container-test");
    let fields = &alert["output_fields"];
    assert_eq!(fields["container.full_id"], id.as_str(), "{alert}");
    assert_eq!(fields["container.name"], id.as_str());
    assert_eq!(fields["container.type"], "runc");
    assert_eq!(fields["container.privileged"], false);
    assert_eq!(fields["container.mount.dest[/etc]"], "/etc");
    // The same program on the host is on the host.
    let host = Command::new(BUSYBOX).args(["echo", "eyas-container-test", "host"]).status();
    assert!(host.is_ok_and(|status| status.success()));
    let alert = sensor.expect_alert("ran", "eyas-container-test host");
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn an_ordinary_process_in_an_odd_control_group_is_on_the_host() {
    let name = "an_ordinary_process_in_an_odd_control_group_is_on_the_host";
    if !kernel_gate(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let base = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]
        .into_iter()
        .find(|base| Path::new(base).join("cgroup.procs").exists());
    let id = format!("{:064x}", std::process::id());
    let group = base.map(|base| Path::new(base).join(format!("docker-{id}.scope")));
    let Some(group) = group.filter(|group| fs::create_dir(group).is_ok()) else {
        skip(name, "control groups cannot be made here");
        return;
    };
    let sensor = sensor(folder.path());
    let script =
        format!("echo $$ > {}/cgroup.procs && exec /bin/echo eyas-container-test", group.display());
    let ran = Command::new("sh").args(["-c", &script]).status().expect("sh");
    let moved = ran.success();
    let alert = sensor.alert_within("ran", "echo", std::time::Duration::from_secs(30));
    let removed = fs::remove_dir(&group);
    if !moved {
        skip(name, "processes cannot be moved to control groups here");
        return;
    }
    let alert = alert.expect("an alert");
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    assert!(removed.is_ok(), "{removed:?}");
    assert_eq!(sensor.stop(), 0);
}
