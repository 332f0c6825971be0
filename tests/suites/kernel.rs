//! The whole path on the live kernel: install, detect, update without a restart, refuse what is broken.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use eyas_tests::{Registry, Sensor, Site, both_registries, kernel_gate, marker_rule, run};

/// Long enough for an alert that must not come, short enough for a test.
const QUIET: Duration = Duration::from_millis(700);

/// A host with one installed marker rule, and the marker file that it watches.
fn watching(registry: &Registry) -> (Site, String) {
    let site = Site::new();
    let marker = site.path("marker").display().to_string();
    fs::write(&marker, "x").expect("marker");
    site.trust_key(registry, "signer");
    site.publish(
        registry,
        "1.0.0",
        Some("signer"),
        &[("demo.yaml", &marker_rule("First", &marker))],
    );
    site.install(&["demo-rules"]).expect_code(0);
    (site, marker)
}

fn cat(path: &str) {
    run(Command::new("cat").arg(path)).expect_code(0);
}

#[test]
fn an_update_reaches_the_running_sensor() {
    if !kernel_gate("kernel::update") {
        return;
    }
    both_registries("kernel::update", |registry| {
        let (site, marker) = watching(registry);
        let sensor = Sensor::start(&site.store(), site.folder(), &[]);
        let pid = sensor.pid();
        cat(&marker);
        let alert = sensor.expect_alert("First", &marker);
        assert_eq!(alert["priority"], "Notice");
        assert_eq!(alert["source"], "syscall");
        assert_eq!(alert["output_fields"]["fd.name"], marker.as_str());

        let second = marker_rule("Second", &marker);
        site.publish(registry, "1.1.0", Some("signer"), &[("demo.yaml", &second)]);
        site.install(&["demo-rules", "--require-sensor"]).expect_code(0);
        cat(&marker);
        sensor.expect_alert("Second", &marker);
        assert_eq!(sensor.pid(), pid);
        assert_eq!(sensor.stop(), 0);
    });
}

#[test]
fn a_refused_update_leaves_the_old_rules_running() {
    if !kernel_gate("kernel::refusal") {
        return;
    }
    let registry = Registry::embedded();
    let (site, marker) = watching(&registry);
    let sensor = Sensor::start(&site.store(), site.folder(), &[]);
    let before = site.generation();
    let broken = "- rule: Broken\n  desc: d\n  condition: no.such.field = 1\n  output: o\n  priority: INFO\n";
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", broken)]);
    site.install(&["demo-rules", "--require-sensor"]).expect_code(6);
    assert_eq!(site.generation(), before);
    cat(&marker);
    sensor.expect_alert("First", &marker);
}

#[test]
fn rollback_reaches_the_running_sensor() {
    if !kernel_gate("kernel::rollback") {
        return;
    }
    let registry = Registry::embedded();
    let (site, marker) = watching(&registry);
    let sensor = Sensor::start(&site.store(), site.folder(), &[]);
    site.publish(
        &registry,
        "1.1.0",
        Some("signer"),
        &[("demo.yaml", &marker_rule("Second", &marker))],
    );
    site.install(&["demo-rules", "--require-sensor"]).expect_code(0);
    site.run(&["artifact", "rollback", "--sensor-socket", "control.sock"]).expect_code(0);
    cat(&marker);
    sensor.expect_alert("First", &marker);
    assert!(sensor.alert_within("Second", &marker, QUIET).is_none(), "the newer rule is gone");
}

/// Rules that print what the probe must know of an exec and of a connection.
fn fact_rules(folder: &str) -> String {
    format!(
        "- rule: Exec facts\n  desc: d\n  condition: evt.type in (execve, execveat) and evt.rawres = 0 and proc.exepath startswith {folder}\n  \
         output: \"args=%proc.args exepath=%proc.exepath ino=%proc.exe_ino ctime=%proc.exe_ino.ctime mtime=%proc.exe_ino.mtime upper=%proc.is_exe_upper_layer parent=%proc.ppid\"\n  priority: INFO\n\
         - rule: Connect facts\n  desc: d\n  condition: evt.type = connect and fd.sport = 9 or (evt.type = connect and fd.name contains 127.0.0.1)\n  \
         output: \"name=%fd.name sport=%fd.sport sip=%fd.sip proto=%fd.l4proto res=%evt.res\"\n  priority: INFO\n"
    )
}

#[test]
fn a_process_that_rewrites_its_title_is_still_known_by_what_was_executed() {
    let name = "kernel::title";
    if !kernel_gate(name) {
        return;
    }
    let perl = Path::new("/usr/bin/perl");
    if !perl.exists() {
        return eyas_tests::skip(name, "perl is not here");
    }
    let rule = |folder: &str| {
        format!(
            "- rule: Opened\n  desc: d\n  condition: evt.type in (open, openat) and fd.name startswith {folder}/title\n  \
             output: \"name=%proc.name args=%proc.args exe=%proc.exe path=%proc.exepath\"\n  priority: INFO\n"
        )
    };
    let (site, sensor) = sensing(rule);
    let marker = site.path("title").display().to_string();
    // Writes over its arguments in memory and takes another name, as programs do that hide.
    let script = "$0 = 'kworker/0:1'; open(F, '<', $ARGV[0]);";
    run(Command::new(perl).args(["-e", script, &marker])).expect_code(0);
    let alert = sensor.expect_alert("Opened", "name=");
    let fields = &alert["output_fields"];
    assert_eq!(fields["proc.name"], "kworker/0:1", "the name is the process's own to choose");
    assert_eq!(fields["proc.args"], format!("-e {script} {marker}"), "{alert}");
    assert_eq!(fields["proc.exe"], "/usr/bin/perl");
    let real = fs::canonicalize(perl).expect("a path");
    assert_eq!(fields["proc.exepath"], real.display().to_string());
}

/// A sensor that runs these rules, which may depend on the folder of its host, installed from a registry.
fn sensing(rules: impl FnOnce(&str) -> String) -> (Site, Sensor) {
    let registry = Registry::embedded();
    let site = Site::new();
    let rules = rules(&site.folder().display().to_string());
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("facts.yaml", &rules)]);
    site.install(&["demo-rules"]).expect_code(0);
    let sensor = Sensor::start(&site.store(), site.folder(), &[]);
    (site, sensor)
}

/// A small program at `path`. Another process writes it: a child that some other test starts meanwhile
/// would hold a file that this process has open for writing, and the kernel would not run it (ETXTBSY).
fn copy_of_true(path: &Path) {
    run(Command::new("install").args(["-m", "755", "/bin/true"]).arg(path)).expect_code(0);
}

#[test]
fn exec_carries_all_arguments_and_the_inode_times() {
    if !kernel_gate("kernel::exec") {
        return;
    }
    let (site, sensor) = sensing(fact_rules);

    let program = site.path("program");
    copy_of_true(&program);
    let arguments: Vec<String> = (0..100).map(|number| format!("argument-{number}")).collect();
    run(Command::new(&program).args(&arguments)).expect_code(0);

    let alert = sensor.expect_alert("Exec facts", "argument-99");
    let fields = &alert["output_fields"];
    let facts = fs::metadata(&program).expect("program");
    let nanoseconds = |seconds: i64, rest: i64| seconds * 1_000_000_000 + rest;
    assert_eq!(fields["proc.args"], arguments.join(" "));
    assert_eq!(fields["proc.exepath"], program.display().to_string());
    assert_eq!(fields["proc.exe_ino"], facts.ino());
    assert_eq!(fields["proc.exe_ino.ctime"], nanoseconds(facts.ctime(), facts.ctime_nsec()));
    assert_eq!(fields["proc.exe_ino.mtime"], nanoseconds(facts.mtime(), facts.mtime_nsec()));
    assert_eq!(fields["proc.is_exe_upper_layer"], false);
    assert_eq!(fields["proc.ppid"], std::process::id());
}

#[test]
fn exec_from_an_overlay_tells_the_layer() {
    if !kernel_gate("kernel::overlay") {
        return;
    }
    let (site, sensor) = sensing(fact_rules);

    // The mount lives in a namespace of its own and goes with the shell.
    let script = "set -e; cd \"$0\"; mkdir lower upper work merged; cp /bin/true lower/below; \
                  mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; \
                  cp /bin/true merged/above; merged/below from-below; merged/above from-above";
    let finished =
        run(Command::new("unshare").args(["--mount", "sh", "-c", script]).arg(site.folder()));
    if finished.code() != 0 {
        return eyas_tests::skip(
            "kernel::overlay",
            &format!("no overlay mount here: {}", finished.stderr.trim()),
        );
    }
    let below = sensor.expect_alert("Exec facts", "from-below");
    assert_eq!(below["output_fields"]["proc.is_exe_upper_layer"], false);
    let above = sensor.expect_alert("Exec facts", "from-above");
    assert_eq!(above["output_fields"]["proc.is_exe_upper_layer"], true);
}

#[test]
fn connections_carry_their_tuple() {
    if !kernel_gate("kernel::connect") {
        return;
    }
    let (_site, sensor) = sensing(|_| fact_rules("/nowhere"));

    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let server = listener.local_addr().expect("address");
    let client = TcpStream::connect(server).expect("connected").local_addr().expect("address");
    let alert = sensor.expect_alert("Connect facts", &format!(":{}", server.port()));
    let fields = &alert["output_fields"];
    assert_eq!(fields["fd.name"], format!("{client}->{server}"));
    assert_eq!(fields["fd.sport"], server.port());
    assert_eq!(fields["fd.sip"], "127.0.0.1");
    assert_eq!(fields["fd.l4proto"], "tcp");
    assert_eq!(fields["evt.res"], "SUCCESS");
}

#[test]
fn our_own_rules_fire() {
    if !kernel_gate("kernel::own_rules") {
        return;
    }
    let rules =
        fs::read_to_string(eyas_tests::workspace_root().join("rules/eyas-rules/eyas-rules.yaml"))
            .expect("rules");
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("eyas-rules.yaml", &rules)]);
    site.install(&["demo-rules"]).expect_code(0);
    let sensor = Sensor::start(&site.store(), site.folder(), &[]);

    let dropped = tempfile::Builder::new().prefix("eyas-test-").tempdir_in("/tmp").expect("folder");
    let program = dropped.path().join("dropped");
    copy_of_true(&program);
    run(Command::new(&program).arg("hello")).expect_code(0);
    sensor.expect_alert("Program run from a shared temporary directory", "dropped");

    cat("/etc/shadow");
    sensor.expect_alert("Password store read by an unusual program", "/etc/shadow");

    run(Command::new("sh").args(["-c", "echo dHJ1ZQ== | base64 -d | sh"])).expect_code(0);
    sensor.expect_alert("Decoded text piped to an interpreter", "base64");

    run(Command::new("find").args(["/nonexistent", "-name", "id_rsa"]));
    sensor.expect_alert("Search for credentials with a file search tool", "id_rsa");

    run(Command::new("bash").args(["-c", "exec 3<>/dev/tcp/127.0.0.1/9"]));
    let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
    let port = listener.local_addr().expect("address").port();
    run(Command::new("bash").args(["-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{port}")]))
        .expect_code(0);
    sensor.expect_alert("Shell opened a network connection", &format!(":{port}"));
}
