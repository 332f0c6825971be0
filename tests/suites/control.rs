//! The real `eyas` and `eyasd` over the control socket: what people and programs see of a running sensor.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::{EventBuilder, Header};
use eyas_tests::{Sensor, eyas, skip, workspace_root};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

/// A sensor without a kernel and a pipe into it.
struct World {
    folder: tempfile::TempDir,
    sensor: Sensor,
    pipe: fs::File,
}

fn rule(name: &str, path: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: evt.type = openat and fd.name = {path}\n  \
         output: opened %fd.name\n  priority: WARNING\n  tags: [t]\n"
    )
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rules = folder.path().join("rules.yaml");
        fs::write(&rules, rule("first", "/a") + &rule("second", "/b")).expect("rules");
        let records = folder.path().join("records");
        let made = Command::new("mkfifo").arg(&records).status().expect("mkfifo");
        assert!(made.success());
        let (rules, pipe) = (rules.display().to_string(), records.display().to_string());
        let arguments =
            ["--no-probe", "-r", &rules, "--replay-records", &pipe, "-o", "control.group=null"];
        let sensor = Sensor::start(&folder.path().join("store"), folder.path(), &arguments);
        let pipe = fs::OpenOptions::new().write(true).open(records).expect("the pipe");
        fs::write(folder.path().join("eyas.yaml"), "").expect("a configuration");
        Self { folder, sensor, pipe }
    }

    /// Process 10 opens a file.
    fn open(&mut self, path: &str) {
        let header =
            Header { time: 5_000_000_000, start: 1, tgid: 10, tid: 10, ..Header::default() };
        let record = EventBuilder::new(307)
            .header(header)
            .int(3)
            .int(-100)
            .text(path.as_bytes())
            .int(1)
            .int(0)
            .skip_to("eyas_fd_type")
            .bytes(b"f")
            .build();
        self.pipe.write_all(&record).expect("fed");
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(eyas());
        command.args(line.split(' ')).arg("--sensor-socket").arg(self.sensor.socket());
        command.env("EYAS_CONFIG", self.path("eyas.yaml")).stdin(Stdio::null());
        command
    }

    /// The same for what speaks to no sensor.
    fn run_alone(&self, line: &str, code: i32) -> String {
        let mut command = Command::new(eyas());
        command.args(line.split(' ')).env("EYAS_CONFIG", self.path("eyas.yaml"));
        let Output { status, stdout, stderr } = command.output().expect("eyas runs");
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "{line}: {out}{err}");
        out.into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, line: &str, code: i32) -> String {
        let Output { status, stdout, stderr } = self.command(line).output().expect("eyas runs");
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.code(), Some(code), "{line}: {out}{err}");
        out.into_owned()
    }

    fn document(&self, line: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{line} --output json"), 0)).expect("a document")
    }
}

/// Fields by kind, as `docs/output.md` promises them.
fn promised() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(workspace_root().join("docs/output.md")).expect("the page");
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        (quoted(cells[0]).remove(0), quoted(cells[2]).into_iter().collect())
    })
    .collect()
}

#[test]
fn documents_about_a_running_sensor_are_as_promised() {
    let mut world = World::new();
    world.open("/a");
    world.sensor.expect_alert("first", "/a");
    let rules = world.path("rules.yaml").display().to_string();
    for (line, kind) in [
        ("sensor metrics".to_owned(), "sensor.metrics"),
        ("sensor rules".to_owned(), "sensor.rules"),
        ("sensor loglevel".to_owned(), "sensor.loglevel"),
        (format!("sensor validate {rules}"), "sensor.validate"),
    ] {
        let document = world.document(&line);
        let fields = document.as_object().expect("an object").keys();
        let found: BTreeSet<String> =
            fields.filter(|name| !matches!(name.as_str(), "schema" | "kind")).cloned().collect();
        assert_eq!(document["kind"], kind);
        assert_eq!(Some(&found), promised().get(kind), "{kind}");
    }
    let top = world.document("sensor top --once --interval 1");
    assert_eq!(top["kind"], "sensor.top");
    assert_eq!((&top["rules_enabled"], &top["rules"][0]["name"]), (&2.into(), &"first".into()));
    assert_eq!(world.document("sensor status")["kind"], "sensor.status");
}

#[test]
fn tail_shows_alerts_as_they_come() {
    let mut world = World::new();
    let mut child = world
        .command("sensor tail --rule second --count 2")
        .stdout(Stdio::piped())
        .spawn()
        .expect("eyas runs");
    let start = Instant::now();
    while !world.run("sensor metrics", 0).contains("eyas_sensor_watchers 1") {
        assert!(start.elapsed() < PATIENCE, "nobody watches");
        thread::sleep(Duration::from_millis(20));
    }
    world.open("/a");
    world.open("/b");
    world.open("/b");
    let lines: Vec<String> = BufReader::new(child.stdout.take().expect("piped"))
        .lines()
        .collect::<Result<_, _>>()
        .expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("Warning opened /b") && lines[0].ends_with("[second]"), "{lines:?}");
    // A sensor that ends is told from a reader that has enough.
    let mut child = world
        .command("sensor tail --output json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("eyas runs");
    while !world.run("sensor metrics", 0).contains("eyas_sensor_watchers 1") {
        assert!(start.elapsed() < PATIENCE, "nobody watches");
        thread::sleep(Duration::from_millis(20));
    }
    let World { sensor, .. } = world;
    assert_eq!(sensor.stop(), 0);
    assert_eq!(child.wait().expect("ended").code(), Some(7));
}

#[test]
fn top_is_live_on_a_terminal_and_leaves_it_as_it_was() {
    let name = "top_is_live_on_a_terminal_and_leaves_it_as_it_was";
    if Command::new("script").arg("--version").output().is_err() {
        return skip(name, "`script` (Debian's package `bsdutils`) is not installed");
    }
    let mut world = World::new();
    let command = format!(
        "stty rows 40 cols 120; before=$(stty -g); {} sensor top --interval 1 --sensor-socket {}; \
         echo code $?; [ \"$before\" = \"$(stty -g)\" ] && echo as before",
        eyas().display(),
        world.sensor.socket().display()
    );
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("EYAS_CONFIG", world.path("eyas.yaml"))
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    let mut keys = child.stdin.take().expect("piped");
    let mut shown = child.stdout.take().expect("piped");
    let start = Instant::now();
    let mut text = String::new();
    let mut told = false;
    let mut quit = false;
    let mut part = [0; 4096];
    loop {
        let count = std::io::Read::read(&mut shown, &mut part).expect("text");
        if count == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&part[..count]));
        assert!(start.elapsed() < PATIENCE, "{text}");
        // It watches, so that an alert is to be seen; then that alert is.
        if !told && world.run("sensor metrics", 0).contains("eyas_sensor_watchers 1") {
            world.open("/a");
            told = true;
        }
        if !quit && text.contains("opened /a") {
            keys.write_all(b"q").expect("a key");
            quit = true;
        }
    }
    assert!(child.wait().expect("ended").success());
    assert!(text.contains("first") && text.contains("opened /a"), "{text}");
    // The other screen, and back to the first.
    let (entered, left) = (text.find("\u{1b}[?1049h"), text.rfind("\u{1b}[?1049l"));
    assert!(entered.is_some() && entered < left, "{text}");
    assert!(text.contains("code 0") && text.contains("as before"), "{text}");
}

#[test]
fn rules_are_listed_and_switched() {
    let world = World::new();
    let listed = world.run("sensor rules", 0);
    assert!(listed.starts_with("ENABLED  PRIORITY"), "{listed}");
    assert_eq!(listed.lines().filter(|line| line.starts_with("yes")).count(), 2, "{listed}");
    let switched = world.run("sensor rules --disable-tag t --enable first", 0);
    assert_eq!(switched.lines().filter(|line| line.starts_with("yes")).count(), 1, "{switched}");
    assert!(
        switched.contains("switched off until the sensor ends: rules with tag `t`"),
        "{switched}"
    );
    let reset = world.run("sensor rules --reset", 0);
    assert_eq!(reset, listed);
}

#[test]
fn rules_are_tried_without_running_them() {
    let world = World::new();
    let good = world.path("good.yaml");
    fs::write(&good, rule("third", "/c")).expect("rules");
    let said = world.run(&format!("sensor validate {}", good.display()), 0);
    assert_eq!(said, "the sensor would take them: 1 rules, 1 enabled\n");
    fs::write(&good, rule("third", "/c").replace("fd.name =", "fd.nam =")).expect("rules");
    let said = world.run(&format!("sensor validate {}", good.display()), 6);
    assert!(said.contains("fd.nam"), "{said}");
    assert_eq!(world.document("sensor rules")["rules"].as_array().expect("rules").len(), 2);
    world.run("sensor validate absent.yaml", 2);
}

#[test]
fn figures_are_clean_for_those_who_check_them() {
    let name = "figures_are_clean_for_those_who_check_them";
    let mut world = World::new();
    world.open("/a");
    world.sensor.expect_alert("first", "/a");
    let text = world.run("sensor metrics", 0);
    assert!(text.contains("# TYPE eyas_sensor_events_total counter\n"), "{text}");
    let program = Path::new("/usr/bin/promtool");
    if !program.exists() {
        skip(name, "promtool (Debian's package `prometheus`) is not installed");
        return;
    }
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn the_log_level_is_shown_and_set() {
    let world = World::new();
    assert_eq!(world.run("sensor loglevel", 0), "info\n");
    assert_eq!(world.run("sensor loglevel debug", 0), "debug\n");
    world.run("sensor loglevel loud", 7);
}

#[test]
fn a_recording_is_ended_by_a_signal_and_becomes_a_case() {
    let mut world = World::new();
    let file = world.path("seen.scap");
    let mut child = world
        .command(&format!("sensor record --duration 10m -w {}", file.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("eyas runs");
    let start = Instant::now();
    while !world.run("sensor record --status", 0).contains(": running") {
        assert!(start.elapsed() < PATIENCE, "nothing is recorded");
        thread::sleep(Duration::from_millis(20));
    }
    for path in ["/a", "/a", "/c"] {
        world.open(path);
    }
    world.sensor.expect_alert("first", "/a");
    world.sensor.expect_alert("first", "/a");
    while !world.run("sensor metrics", 0).contains("eyas_sensor_events_total 3") {
        assert!(start.elapsed() < PATIENCE, "not all is read");
    }
    kill_process(Pid::from_child(&child), Signal::INT).expect("told to stop");
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_eq!(said, format!("{}\n", file.display()));
    let status = world.run("sensor record --status", 0);
    assert!(status.contains(": done") && status.contains("it was stopped"), "{status}");
    let counted =
        world.run_alone(&format!("capture read {} --count --output json", file.display()), 0);
    let counted: Value = serde_json::from_str(&counted).expect("a document");
    assert_eq!(counted["types"]["openat"], 3, "{counted}");

    // What was seen once is a case from now on.
    let cases = world.path("rules.cases");
    let case = "- case: what was seen\n  capture: seen.scap\n  matches: {first: 2}\n  misses: second\n  \
                says: opened /a\n";
    fs::write(&cases, case).expect("cases");
    let rules = world.path("rules.yaml");
    let test = format!("rules test {} {}", rules.display(), cases.display());
    let said = world.run_alone(&test, 0);
    assert!(said.starts_with("1 of 1 case passed"), "{said}");
    assert!(said.contains("1 of 2 rules no case expects to match:\n  second"), "{said}");
    for (from, to, problem) in [
        ("{first: 2}", "{first: 3}", "`first` matches 2 times, expected 3"),
        ("misses: second", "misses: first", "`first` matches 2 times, but must not"),
        ("seen.scap", "absent.scap", "absent.scap` cannot be read: No such file"),
        ("seen.scap", "cut.scap", "cut.scap`: the capture is cut short"),
        ("seen.scap", "rules.yaml", "rules.yaml`: no capture"),
    ] {
        let whole = fs::read(&file).expect("the capture");
        fs::write(world.path("cut.scap"), &whole[..whole.len() - 3]).expect("a file");
        fs::write(&cases, case.replace(from, to)).expect("cases");
        let said = world.run_alone(&test, 1);
        assert!(said.contains(problem), "{problem}: {said}");
    }
}

#[test]
fn a_recording_in_the_background_is_told_of_and_stopped() {
    let world = World::new();
    assert_eq!(world.run("sensor record --status", 0), "no recording was asked for\n");
    let document = world.document("sensor record --background --duration 10m --size 1M -n 5");
    let fields = document.as_object().expect("an object").keys();
    let found: BTreeSet<String> =
        fields.filter(|name| !matches!(name.as_str(), "schema" | "kind")).cloned().collect();
    assert_eq!(Some(&found), promised().get("sensor.record"));
    assert_eq!(document["kind"], "sensor.record");
    let recording = &document["recording"];
    assert_eq!(
        (&recording["duration_ms"], &recording["max_bytes"]),
        (&600_000.into(), &1_048_576.into())
    );
    assert_eq!((&recording["max_events"], &recording["state"]), (&5.into(), &"running".into()));
    // One at a time; what is typed wrongly leaves nothing behind.
    let target = world.path("other.scap");
    world.run(&format!("sensor record -w {}", target.display()), 7);
    assert!(!target.exists());
    world.run(&format!("sensor record -w {}", world.path("rules.yaml").display()), 8);
    world.run("sensor record --size 5X", 2);
    world.run("sensor record --stop --status", 2);
    let path = world.run("sensor record --stop", 0);
    assert_eq!(path.trim(), recording["path"].as_str().expect("a path"));
    assert!(Path::new(path.trim()).exists());
    assert!(world.run("sensor status", 0).contains("recording:  done in"), "told");
    world.run("sensor record --filter no.such=1", 7);
}
