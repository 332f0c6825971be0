//! Captures as people use them: printed, counted, described by `eyas`, judged by `eyasd`.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::schema;
use eyas_tests::{Finished, Sensor, eyas, eyasd, kernel_gate, peer, run, shared, skip};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The recorded workload of processes, if it is there.
fn processes(test: &str) -> Option<PathBuf> {
    let found = shared("captures/rec-proc.scap");
    if found.is_none() {
        skip(test, "the captures are not there (set EYAS_SHARED)");
    }
    found
}

fn capture(words: &[&str]) -> Finished {
    run(Command::new(eyas()).arg("capture").args(words))
}

#[test]
fn a_capture_is_described_counted_and_printed() {
    let Some(path) = processes("a_capture_is_described_counted_and_printed") else { return };
    let file = path.to_str().expect("UTF-8");
    let info: Value =
        serde_json::from_str(&capture(&["info", file, "--output", "json"]).expect_code(0).stdout)
            .expect("a document");
    assert_eq!(info["kind"], "capture.info");
    assert_eq!(info["machine"]["hostname"], "rec-host");
    assert_eq!(info["compressed"], true);

    let counted = capture(&["read", file, "--count", "--output", "json"]);
    let counted: Value = serde_json::from_str(&counted.expect_code(0).stdout).expect("a document");
    let sum: u64 = counted["types"]
        .as_object()
        .expect("types")
        .values()
        .map(|count| count.as_u64().expect("a number"))
        .sum();
    assert_eq!((&counted["events"], sum), (&4057.into(), 4057));

    let filter = ["evt.type", "=", "execve", "and", "proc.name", "=", "sleep"];
    let lines = capture(&[&["read", file, "-p", "%proc.name %evt.type"], &filter[..]].concat());
    let lines = &lines.expect_code(0).stdout;
    assert!(lines.lines().count() > 0 && lines.lines().all(|line| line == "sleep execve"));
    for json in [&["-j"][..], &["--output", "json"]] {
        let line = capture(&[&["read", file, "-n", "1"], json].concat());
        let event: Value =
            serde_json::from_str(line.expect_code(0).stdout.trim()).expect("one object");
        assert_eq!(event["proc.name"], "sleep", "{json:?}");
    }
}

#[test]
fn what_is_wrong_with_a_capture_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text.scap");
    fs::write(&path, "no capture at all, but long enough for a header").expect("a file");
    let file = path.to_str().expect("UTF-8");
    let refused = capture(&["read", file]);
    refused.expect_code(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains(file), "{}", refused.stderr);
    let refused = capture(&["read", file, "no.such", "=", "1"]);
    refused.expect_code(2);
    assert!(refused.stderr.contains("no.such"), "{}", refused.stderr);
    let absent = capture(&["info", "/nowhere/trace.scap"]);
    assert_ne!(absent.code(), 0);
    assert!(absent.stderr.contains("/nowhere/trace.scap"), "{}", absent.stderr);
}

#[test]
fn rules_judge_a_capture_as_they_judge_what_happens() {
    let test = "rules_judge_a_capture_as_they_judge_what_happens";
    let (Some(path), Some(rules)) = (processes(test), shared("upstream-rules/falco_rules.yaml"))
    else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    // Whoever may read the file may judge it: no capability is needed.
    let replay = |path: &Path| {
        run(Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"])
            .arg(eyasd())
            .args(["--replay".as_ref(), path.as_os_str(), "--rules".as_ref(), rules.as_os_str()])
            .args(["-o", "json_output=true", "--store"])
            .arg(folder.path().join("store")))
    };
    let whole = replay(&path);
    whole.expect_code(0);
    let alerts: Vec<Value> =
        whole.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!alerts.is_empty(), "{}", whole.stderr);
    assert!(alerts.iter().all(|alert| alert["hostname"] == "rec-host"), "{alerts:?}");

    // What comes before damage is judged, and the damage is an error.
    let bytes = fs::read(&path).expect("the capture");
    let cut = folder.path().join("cut.scap");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let damaged = replay(&cut);
    assert_ne!(damaged.code(), 0);
    assert!(damaged.stderr.contains("cut.scap"), "{}", damaged.stderr);
}

/// The last code of an event that sysdig 0.29 knows.
const LAST_OF_2022: u16 = 335;
/// Long enough for what follows an alert.
const QUIET: Duration = Duration::from_millis(700);

/// What is done while it is recorded: in the folder of the script, with a port to connect to.
const WORK: &str = "cd \"$(dirname \"$0\")\"
cat marker > copy
(cd sub && cat inner ../marker > /dev/null)
mv copy moved
ln -s moved link
rm link
mkdir made
chmod 700 moved
./program one 'two words'
bash -c \"exec 3<>/dev/tcp/127.0.0.1/$1; echo x >&3\"
cat < done > /dev/null
";

/// Rules that look at all that, and say much about it.
fn rules(folder: &str) -> String {
    let about = "%proc.name %proc.cmdline %proc.exepath %proc.cwd %proc.pid %proc.ppid %proc.pname %proc.pcmdline \
                 %proc.aname[2] %proc.sid %proc.vpid %proc.tty %proc.exe_ino %proc.exe_ino.ctime %user.uid \
                 %user.name %user.loginuid %group.gid %evt.type %evt.res %container.id";
    let rule = |name: &str, condition: &str, more: &str| {
        // Not the client that records.
        format!(
            "- rule: {name}\n  desc: d\n  condition: {condition} and proc.name != eyas and (proc.cmdline contains {folder} or \
             proc.pcmdline contains {folder})\n  output: \"{about} {more}\"\n  priority: INFO\n"
        )
    };
    let path = format!("fs.path.name startswith {folder}");
    let open = "evt.type in (open, openat, openat2) and evt.is_open_read = true";
    let file = "%fd.name %fd.num %fd.type %fd.directory %evt.arg.flags %evt.is_open_write";
    rule("Executed", "evt.type in (execve, execveat) and evt.rawres = 0", "%proc.args")
        + &rule("Done", &format!("{open} and fd.name = {folder}/done"), file)
        + &rule("Opened", &format!("{open} and fd.name startswith {folder}"), file)
        + &rule(
            "Written",
            &format!("evt.is_open_write = true and fd.name startswith {folder}"),
            file,
        )
        + &rule(
            "Renamed",
            "evt.type in (rename, renameat, renameat2)",
            "%fs.path.source %fs.path.target",
        )
        + &rule("Removed", &format!("evt.type in (unlink, unlinkat) and {path}"), "%fs.path.name")
        + &rule("Linked", "evt.type in (symlink, symlinkat)", "%evt.arg.target %evt.arg.linkpath")
        + &rule(
            "Made",
            &format!("evt.type in (mkdir, mkdirat) and {path}"),
            "%fs.path.name %evt.arg.mode",
        )
        + &rule("Changed", "evt.type in (chmod, fchmodat)", "%evt.arg.mode %evt.arg.filename")
        + &rule(
            "Connected",
            "evt.type = connect and fd.sip = 127.0.0.1",
            "%fd.name %fd.sport %fd.l4proto %fd.type",
        )
}

/// Alerts in order of their times, as what is compared of them.
fn comparable(alerts: impl IntoIterator<Item = Value>) -> Vec<(String, String, Value)> {
    let mut all: Vec<_> = alerts
        .into_iter()
        .map(|alert| {
            let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
            (text("time"), text("rule"), alert["output_fields"].clone())
        })
        .collect();
    all.sort_by_key(|(time, rule, _)| (time.clone(), rule.clone()));
    all
}

/// A sensor with these rules at work in a folder, and the file of what it saw.
fn recorded(folder: &Path) -> (Vec<Value>, PathBuf, Value) {
    let name = folder.display().to_string();
    fs::create_dir(folder.join("sub")).expect("a folder");
    for file in ["marker", "sub/inner", "done"] {
        fs::write(folder.join(file), "x").expect("a file");
    }
    fs::write(folder.join("work.sh"), WORK).expect("a script");
    let program = folder.join("program");
    run(Command::new("install").args(["-m", "755", "/bin/true"]).arg(program)).expect_code(0);
    let rules_file = folder.join("rules.yaml");
    fs::write(&rules_file, rules(&name)).expect("rules");
    let arguments = ["-r", &rules_file.display().to_string(), "-o", "rule_matching=all"];
    let sensor = Sensor::start(&folder.join("store"), folder, &arguments);
    let socket = sensor.socket().display().to_string();
    let command = |words: &[&str]| {
        let mut command = Command::new(eyas());
        command.args(["sensor", "record"]).args(words).args(["--sensor-socket", &socket]);
        command
    };
    let file = folder.join("live.scap");
    let filter = format!(
        "proc.name != eyas and (proc.cmdline contains {name} or proc.pcmdline contains {name})"
    );
    let mut child = command(&["--filter", &filter, "--duration", "5m"])
        .arg("-w")
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .expect("eyas runs");
    let start = Instant::now();
    while !run(&mut command(&["--status"])).stdout.contains(": running") {
        assert!(start.elapsed() < Duration::from_mins(1), "{}", sensor.log());
        thread::sleep(Duration::from_millis(20));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port().to_string();
    run(Command::new("sh").arg(folder.join("work.sh")).arg(&port)).expect_code(0);
    let mut alerts = sensor.alerts_until("Done");
    // The same event matches another rule as well.
    alerts.extend(std::iter::from_fn(|| sensor.next_within(QUIET)));
    kill_process(Pid::from_child(&child), Signal::INT).expect("told to stop");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{}", sensor.log());
    let status = run(&mut command(&["--status", "--output", "json"]));
    let status: Value = serde_json::from_str(&status.stdout).expect("a document");
    alerts.retain(|alert| alert["rule"] != "Done");
    assert_eq!(sensor.stop(), 0);
    (alerts, file, status["recording"].clone())
}

/// Events that sysdig shows of a capture by type, exits and events without halves; `None` where it is not there.
fn of_sysdig(test: &str, file: &Path) -> Option<BTreeMap<String, u64>> {
    let Some(program) = peer("SYSDIG") else {
        skip(test, "sysdig is not installed");
        return None;
    };
    let filter = "evt.dir=< or evt.type in (procexit, signaldeliver)";
    let shown = run(Command::new(program).arg("-r").arg(file).args(["-p", "%evt.type", filter]));
    shown.expect_code(0);
    let mut counts = BTreeMap::new();
    for line in shown.stdout.lines() {
        *counts.entry(line.to_owned()).or_default() += 1;
    }
    Some(counts)
}

#[test]
fn what_was_recorded_live_gives_the_same_alerts_again() {
    let test = "capture::round_trip";
    if !kernel_gate(test) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (live, file, recording) = recorded(folder.path());
    assert_eq!(recording["events_lost"], 0, "{recording}");
    let replayed = run(Command::new(eyasd())
        .arg("--replay")
        .arg(&file)
        .arg("-r")
        .arg(folder.path().join("rules.yaml"))
        .args(["-o", "json_output=true", "-o", "rule_matching=all"]));
    replayed.expect_code(0);
    let again = replayed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let again = again.filter(|alert: &Value| alert["rule"] != "Done");
    let (live, again) = (comparable(live), comparable(again));
    for name in [
        "Executed",
        "Opened",
        "Written",
        "Renamed",
        "Removed",
        "Linked",
        "Made",
        "Changed",
        "Connected",
    ] {
        assert!(live.iter().any(|(_, rule, _)| rule == name), "no `{name}` among {live:#?}");
    }
    for (live, again) in live.iter().zip(&again) {
        assert_eq!(live, again);
    }
    assert_eq!(live.len(), again.len());

    // All that is shown of it, by type, as others show it.
    let counted = capture(&["read", &file.display().to_string(), "--count", "--output", "json"]);
    let counted: Value = serde_json::from_str(&counted.expect_code(0).stdout).expect("a document");
    assert_eq!(counted["events"], recording["events"]);
    let Some(mut theirs) = of_sysdig(test, &file) else { return };
    let unknown = theirs.remove("<unknown>").unwrap_or(0);
    // Calls that it has no name for are all the same to it; events that came after it, it passes over.
    let (mut nameless, mut ours) = (0, BTreeMap::new());
    for (name, count) in counted["types"].as_object().expect("types") {
        let count = count.as_u64().expect("a count");
        let codes: Vec<u16> = schema::by_name(name).map(|event| event.code).collect();
        if theirs.contains_key(name) || codes.iter().any(|code| *code <= LAST_OF_2022) {
            ours.insert(name.clone(), count);
        } else if codes.is_empty() {
            nameless += count;
        }
    }
    assert_eq!(ours, theirs);
    assert_eq!(nameless, unknown);
}
