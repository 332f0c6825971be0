//! The daemon as a whole, as those who run it would measure it, in one table: memory, reloads under load,
//! latency of alerts, alerts to a file.
//!
//! `cargo bench -p eyas-daemon --bench daemon` (`EYAS_SHARED` names the folder of the public rules). Events
//! come through a pipe at a set rate, but for latency, which takes the kernel's own.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]
#![expect(clippy::cast_precision_loss, reason = "figures are rounded anyway")]

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::{EventBuilder, Header};
use eyas_control::{Client, Reload};

const PATIENCE: Duration = Duration::from_mins(2);
const MIB: f64 = 1024.0 * 1024.0;

/// A daemon in a folder of its own.
struct Daemon {
    dir: tempfile::TempDir,
    child: Child,
}

impl Daemon {
    fn start(arguments: impl FnOnce(&Path) -> Vec<String>, stdout: Stdio) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let child = Command::new(env!("CARGO_BIN_EXE_eyasd"))
            .args(["-o", "control.group=null", "-o", "store=null", "--control-socket"])
            .arg(&socket)
            .args(arguments(dir.path()))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while UnixStream::connect(&socket).is_err() {
            assert!(
                start.elapsed() < PATIENCE,
                "{}",
                fs::read_to_string(dir.path().join("log")).unwrap()
            );
            thread::sleep(Duration::from_millis(10));
        }
        Self { dir, child }
    }

    fn client(&self) -> Client {
        Client::connect(self.dir.path().join("control.sock")).unwrap()
    }

    fn resident_mib(&self) -> f64 {
        self.client().metrics().unwrap().sum("eyas_sensor_resident_memory_bytes") / MIB
    }

    fn pipe(&self) -> File {
        OpenOptions::new().write(true).open(self.dir.path().join("records")).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Arguments for a daemon that reads from a pipe.
fn fed(dir: &Path) -> Vec<String> {
    let pipe = dir.join("records");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    ["--no-probe", "--replay-records", pipe.to_str().unwrap()].map(str::to_owned).to_vec()
}

fn public_rules() -> Vec<PathBuf> {
    let root = std::env::var("EYAS_SHARED").unwrap_or_else(|_| "../../../shared".into());
    let folder = Path::new(&root).join("upstream-rules");
    let files = ["falco_rules.yaml", "falco-incubating_rules.yaml"].map(|name| folder.join(name));
    files.into_iter().filter(|file| file.exists()).collect()
}

fn with_rules(mut arguments: Vec<String>, files: &[PathBuf]) -> Vec<String> {
    for file in files {
        arguments.extend(["-r".to_owned(), file.display().to_string()]);
    }
    arguments
}

/// An open of a file by process 10.
fn open(path: &str) -> Vec<u8> {
    EventBuilder::new(307)
        .header(Header { time: 5_000_000_000, start: 1, tgid: 10, tid: 10, ..Header::default() })
        .int(3)
        .int(-100)
        .text(path.as_bytes())
        .int(1)
        .int(0)
        .skip_to("eyas_fd_type")
        .bytes(b"f")
        .build()
}

/// A process that was there before, with a command line of ordinary length.
fn process(pid: u32) -> Vec<u8> {
    let header =
        Header { time: 1, start: u64::from(pid), tgid: pid, tid: pid, ..Header::default() };
    let arguments =
        format!("--config=/etc/worker/{pid}.yaml\0--listen=127.0.0.1:{pid}\0--verbose\0");
    EventBuilder::new(430)
        .header(header)
        .skip_to("comm")
        .text(b"worker")
        .bytes(arguments.as_bytes())
        .text(format!("/usr/lib/worker/bin/worker-{}", pid % 100).as_bytes())
        .skip_to("cgroups")
        .bytes(format!("=/system.slice/worker-{}.service\0", pid % 1000).as_bytes())
        .build()
}

/// Sends so many records a second for so long; returns how many.
fn pace(
    pipe: &mut File,
    per_second: usize,
    seconds: usize,
    record: impl Fn(usize) -> Vec<u8>,
) -> usize {
    const STEPS: usize = 100;
    let (start, total) = (Instant::now(), per_second * seconds);
    for step in 0..STEPS * seconds {
        let from = step * per_second / STEPS;
        let to = (step + 1) * per_second / STEPS;
        let batch: Vec<u8> = (from..to).flat_map(&record).collect();
        pipe.write_all(&batch).unwrap();
        let due = start + Duration::from_secs(1) * (step as u32 + 1) / STEPS as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    total
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

/// Minimum, median, 99th of a hundred and maximum, in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!(
        "{:.2} / {:.2} / {:.2} / {:.2} ms (min, median, p99, max; {} times)",
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    )
}

fn memory(live: bool, rules: &[PathBuf]) {
    if live {
        let daemon = Daemon::start(|_| with_rules(vec![], rules), Stdio::null());
        thread::sleep(Duration::from_secs(3));
        let known = daemon.client().status().unwrap().counters.processes;
        let figure = format!("{:.1} MiB ({known} processes known)", daemon.resident_mib());
        row("resident, idle on the live kernel, public rules", &figure);
    }
    let daemon = Daemon::start(|dir| with_rules(fed(dir), rules), Stdio::null());
    row("resident, without a kernel, public rules", &format!("{:.1} MiB", daemon.resident_mib()));
    let mut pipe = daemon.pipe();
    let start = Instant::now();
    for first in (1000..51_000).step_by(100) {
        pipe.write_all(&(first..first + 100).flat_map(process).collect::<Vec<u8>>()).unwrap();
    }
    while daemon.client().status().unwrap().counters.processes < 50_000 {
        assert!(start.elapsed() < PATIENCE, "processes are missing");
        thread::sleep(Duration::from_millis(20));
    }
    row(
        "resident, 50,000 processes known, public rules",
        &format!("{:.1} MiB", daemon.resident_mib()),
    );
}

/// Reloads of the public rules while numbered events flow; each event matches one rule, and which one of
/// two says which set judged it.
fn reloads(rules: &[PathBuf]) {
    const PER_SECOND: usize = 100_000;
    const SECONDS: usize = 10;
    let numbered = |set: &str| {
        format!(
            "- rule: every set {set}\n  desc: d\n  condition: evt.type = openat and fd.name startswith /n/\n  \
             output: \"%fd.name\"\n  priority: EMERGENCY\n"
        )
    };
    let files = tempfile::tempdir().unwrap();
    let own = files.path().join("0.yaml");
    fs::write(&own, numbered("0")).unwrap();
    let alerts = files.path().join("alerts");
    let sets = [vec![own.clone()], rules.to_vec()].concat();
    let more = [
        "stdout_output.enabled=false".to_owned(),
        "file_output.enabled=true".to_owned(),
        format!("file_output.filename={}", alerts.display()),
        "outputs_queue.capacity=1000000".to_owned(),
        "outputs_queue.max_bytes=1000000000".to_owned(),
        "watch_config_files=false".to_owned(),
    ];
    let arguments = |dir: &Path| {
        let options = more.iter().flat_map(|option| ["-o".to_owned(), option.clone()]);
        [with_rules(fed(dir), &sets), options.collect()].concat()
    };
    let daemon = Daemon::start(arguments, Stdio::null());
    let mut pipe = daemon.pipe();
    let feeder = thread::spawn(move || {
        let start = Instant::now();
        let sent = pace(&mut pipe, PER_SECOND, SECONDS, |number| open(&format!("/n/{number}")));
        (sent, start.elapsed(), pipe)
    });
    let mut client = daemon.client();
    let mut times = Vec::new();
    while !feeder.is_finished() {
        fs::write(&own, numbered(&(times.len() + 1).to_string())).unwrap();
        let start = Instant::now();
        assert!(client.reload(Reload::default()).unwrap().accepted);
        times.push(start.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    let (sent, took, _pipe) = feeder.join().unwrap();
    let start = Instant::now();
    while (daemon.client().status().unwrap().counters.alerts_written as usize) < sent {
        if start.elapsed() > Duration::from_secs(30) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let reloads = times.len();
    row("reload of the public rules under load", &spread(times));
    let (mut next, mut wrong, mut last) = (0, 0, 0);
    for line in BufReader::new(File::open(&alerts).unwrap()).lines().map_while(Result::ok) {
        let mut words = line.split_whitespace();
        let number = words.find_map(|word| word.strip_prefix("/n/")?.parse::<usize>().ok());
        if number != Some(next) {
            wrong += 1;
        }
        next = number.unwrap_or(next) + 1;
        last += 1;
    }
    let figure = format!(
        "{sent} sent in {:.1} s over {reloads} reloads: {last} alerts, {wrong} out of order, lost or twice",
        took.as_secs_f64()
    );
    row(&format!("numbered stream of {PER_SECOND} events/s"), &figure);
}

fn latency(live: bool) {
    if !live {
        return row("alert latency", "no kernel to ask");
    }
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("marker");
    fs::write(&marker, "x").unwrap();
    for (tags, what) in [("", "alert"), ("  tags: [urgent]\n", "urgent alert")] {
        let rule = dir.path().join("rule.yaml");
        let text = format!(
            "- rule: m\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = {}\n  output: o\n  \
             priority: NOTICE\n{tags}",
            marker.display()
        );
        fs::write(&rule, text).unwrap();
        let times = alert_times(&marker, &rule);
        row(&format!("{what} latency, system call to line on standard output"), &spread(times));
    }
}

fn alert_times(marker: &Path, rule: &Path) -> Vec<Duration> {
    let mut daemon = Daemon::start(|_| with_rules(vec![], &[rule.to_owned()]), Stdio::piped());
    let mut lines = BufReader::new(daemon.child.stdout.take().unwrap());
    let mut times = Vec::new();
    for round in 0..500_u64 {
        // Not in step with any timer.
        thread::sleep(Duration::from_micros(3_000 + round * 37 % 9_000));
        times.push(one_alert(marker, &mut lines));
    }
    times
}

fn one_alert(marker: &Path, lines: &mut BufReader<ChildStdout>) -> Duration {
    let start = Instant::now();
    drop(File::open(marker).unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    start.elapsed()
}

fn alerts_to_a_file() {
    const PER_SECOND: usize = 20_000;
    const SECONDS: usize = 10;
    let files = tempfile::tempdir().unwrap();
    let (rule, alerts) = (files.path().join("rule.yaml"), files.path().join("alerts"));
    let text = "- rule: opened\n  desc: d\n  condition: evt.type = openat and fd.name startswith /n/\n  \
                output: opened %fd.name by %proc.cmdline (user %user.name)\n  priority: NOTICE\n";
    fs::write(&rule, text.replace("opened %fd", "\"opened %fd").replace("name)", "name)\""))
        .unwrap();
    let arguments = |dir: &Path| {
        let options = [
            "-o".to_owned(),
            "stdout_output.enabled=false".to_owned(),
            "-o".to_owned(),
            "file_output.enabled=true".to_owned(),
            "-o".to_owned(),
            format!("file_output.filename={}", alerts.display()),
            "--json".to_owned(),
        ];
        [with_rules(fed(dir), &[rule]), options.to_vec()].concat()
    };
    let daemon = Daemon::start(arguments, Stdio::null());
    let mut pipe = daemon.pipe();
    let start = Instant::now();
    let sent = pace(&mut pipe, PER_SECOND, SECONDS, |number| open(&format!("/n/{number}")));
    let took = start.elapsed().as_secs_f64();
    let settled = || {
        let counters = daemon.client().status().unwrap().counters;
        (counters.alerts_written + counters.alerts_dropped) as usize >= sent
    };
    let start = Instant::now();
    while !settled() && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(20));
    }
    let counters = daemon.client().status().unwrap().counters;
    let cpu = daemon.client().metrics().unwrap().sum("eyas_sensor_cpu_seconds_total");
    let figure = format!(
        "{sent} in {took:.1} s: {} written, {} lost, {:.1} s of processor time",
        counters.alerts_written, counters.alerts_dropped, cpu
    );
    row("20,000 alerts/s to a file, JSON, default queue", &figure);
}

fn main() {
    let live = eyas_probe::capability().is_ok();
    let rules = public_rules();
    println!("| what | figure |\n|---|---|");
    memory(live, &rules);
    reloads(&rules);
    latency(live);
    alerts_to_a_file();
}
