//! Whole systems in containers, LXC's and systemd's, on the live kernel: their first alert names them.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_tests::{Sensor, kernel_gate, skip};

const RULE: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
                    proc.args contains eyas-machine-test\n  output: \"%proc.cmdline %container.id \
                    %container.full_id %container.name %container.type %user.name\"\n  priority: NOTICE\n";
const BUSYBOX: &str = "/bin/busybox";
/// What a machine does: something to report, and stay for a moment while it is asked about.
const SCRIPT: &str = "/bin/busybox echo eyas-machine-test; exec sleep 3";
const PATIENCE: Duration = Duration::from_mins(1);
/// The machines' name, with a hyphen, which systemd escapes.
const NAME: &str = "eyas-web";

/// A folder that stands for the host's root, with the root of a machine in `machine`.
fn world(name: &str, program: &str) -> Option<tempfile::TempDir> {
    if !kernel_gate(name) {
        return None;
    }
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there || !Path::new(BUSYBOX).exists() {
        skip(name, &format!("`{program}` and a static busybox are needed"));
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let machine = folder.path().join("machine");
    for below in ["bin", "etc", "proc", "sys", "dev", "run", "tmp", "usr/lib", "var"] {
        fs::create_dir_all(machine.join(below)).expect("a folder");
    }
    let made = Command::new("install").arg(BUSYBOX).arg(machine.join("bin/busybox")).status();
    assert!(made.is_ok_and(|status| status.success()));
    for applet in ["sh", "sleep"] {
        symlink("busybox", machine.join("bin").join(applet)).expect("a link");
    }
    fs::write(machine.join("etc/os-release"), "ID=eyas\n").expect("a file");
    fs::write(machine.join("etc/passwd"), "captain:x:0:0::/:/bin/sh\n").expect("a file");
    symlink("/proc", folder.path().join("proc")).expect("a link");
    Some(folder)
}

fn sensor(root: &Path) -> Sensor {
    let rules = root.join("rules.yaml");
    fs::write(&rules, RULE).expect("rules");
    let host_root = format!("containers.host_root={}", root.display());
    let rules = rules.display().to_string();
    let settings = ["-o", "control.group=null", "-o", &host_root, "-r", &rules];
    Sensor::start(&root.join("store"), root, &settings)
}

/// A machine that runs, and where it says why it does not.
struct Machine {
    child: Child,
    log: PathBuf,
}

impl Machine {
    fn start(root: &Path, command: &mut Command) -> Self {
        let log = root.join("machine.log");
        let said = fs::File::create(&log).expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("it starts");
        Self { child, log }
    }

    /// Waits for its end; what it said if that was none of a machine that ran.
    fn end(mut self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let said = fs::read_to_string(&self.log).unwrap_or_default();
                    return Err(format!("{status}: {}", said.trim()));
                }
                None if start.elapsed() > PATIENCE => return Err("it does not end".to_owned()),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Alerts of a machine that was started after the sensor, and of the same program on the host.
fn check(name: &str, root: &Path, kind: &str, command: &mut Command) {
    let sensor = sensor(root);
    let machine = Machine::start(root, command);
    // The first alert is about the machine's first program: the shell, whose arguments have the words too.
    let first = sensor.alert_within("ran", "Notice sh -c /bin/busybox echo", PATIENCE);
    let second = sensor.alert_within("ran", "Notice busybox echo eyas-machine-test", PATIENCE);
    if let Err(why) = machine.end() {
        skip(name, &format!("no such container can run here: {why}"));
        return;
    }
    for alert in [first.expect("an alert"), second.expect("an alert")] {
        let fields = &alert["output_fields"];
        assert_eq!(fields["container.full_id"], NAME, "{alert}");
        assert_eq!(fields["container.name"], NAME, "{alert}");
        assert_eq!(fields["container.type"], kind, "{alert}");
        assert_eq!(fields["user.name"], "captain", "{alert}");
    }
    let host = Command::new(BUSYBOX).args(["echo", "eyas-machine-test", "host"]).output();
    assert!(host.is_ok_and(|output| output.status.success()));
    let alert = sensor.expect_alert("ran", "eyas-machine-test host");
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn the_first_alert_of_an_lxc_container_names_it() {
    let name = "the_first_alert_of_an_lxc_container_names_it";
    let Some(folder) = world(name, "lxc-start") else { return };
    let root = folder.path();
    let containers = root.join("var/lib/lxc");
    fs::create_dir_all(containers.join(NAME)).expect("a folder");
    let settings = format!(
        "lxc.rootfs.path = dir:{}\nlxc.net.0.type = none\nlxc.mount.auto = proc:rw sys:ro\n",
        root.join("machine").display()
    );
    fs::write(containers.join(NAME).join("config"), settings).expect("settings");
    let mut command = Command::new("lxc-start");
    command.args(["-F", "-n", NAME, "-P"]).arg(&containers);
    command.args(["--", "/bin/sh", "-c", SCRIPT]);
    check(name, root, "lxc", &mut command);
}

/// Control groups that this test makes, taken away at its end.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// The machine's scope in every hierarchy in which systemd has one, where there are several.
    fn of(scope: &str) -> Self {
        let roots =
            ["systemd", "unified", "memory", ""].map(|one| Path::new("/sys/fs/cgroup").join(one));
        let roots = roots.into_iter();
        let usable = roots.filter(|root| root.join("cgroup.procs").exists());
        let groups = usable.map(|root| root.join("machine.slice").join(scope));
        Self(groups.filter(|group| fs::create_dir_all(group).is_ok()).collect())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            for below in ["payload", "supervisor", ""] {
                let _ = fs::remove_dir(group.join(below));
            }
            let _ = group.parent().map(fs::remove_dir);
        }
    }
}

#[test]
fn the_first_alert_of_a_systemd_container_names_it() {
    let name = "the_first_alert_of_a_systemd_container_names_it";
    let Some(folder) = world(name, "systemd-nspawn") else { return };
    let root = folder.path();
    // The machine manager needs systemd as the first process; what it would do is done here: the scope with the
    // escaped name, and the file.
    let groups = Groups::of("machine-eyas\\x2dweb.scope");
    if groups.0.is_empty() {
        return skip(name, "control groups cannot be made here");
    }
    let machines = root.join("run/systemd/machines");
    fs::create_dir_all(&machines).expect("a folder");
    let state = format!("NAME={NAME}\nCLASS=container\nSERVICE=systemd-nspawn\n");
    fs::write(machines.join(NAME), state).expect("a file");
    let mut command = Command::new("sh");
    // Into each of the groups, and then the program itself, whose end is the machine's.
    let enter = "for group; do echo $$ >\"$group/cgroup.procs\" || exit; done; \
                 exec systemd-nspawn -q --register=no --keep-unit --as-pid2 -M \"$NAME\" -D \"$ROOT\" \
                 /bin/sh -c \"$SCRIPT\"";
    command.args(["-c", enter, "sh"]).args(&groups.0);
    command.env("NAME", NAME).env("ROOT", root.join("machine")).env("SCRIPT", SCRIPT);
    check(name, root, "systemd-nspawn", &mut command);
    drop(groups);
}
