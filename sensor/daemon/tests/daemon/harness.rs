//! A running daemon, a store to run from, records to feed it.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use eyas_abi::{EventBuilder, Header};
use eyas_artifact::{Digest, Entry, Generation, InstalledFile, Kind};
use eyas_control::{Client, ClientOptions, Reload, ReloadReport};
use serde_json::Value;

pub(crate) const LONG: Duration = Duration::from_mins(2);

/// The binary under test.
pub(crate) fn eyasd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eyasd"));
    command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

/// A daemon at work. Killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) socket: PathBuf,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
}

impl Daemon {
    /// Starts it and waits for its socket.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self::start_by(eyasd(), dir, arguments)
    }

    /// The same by a command that runs it.
    pub(crate) fn start_by(mut command: Command, dir: &Path, arguments: &[&str]) -> Self {
        let socket = dir.join("control.sock");
        let mut child = command
            .args(["--control-socket", socket.to_str().unwrap()])
            .args(["-o", "control.group=null"])
            .args(["-o", &format!("capture.path_prefix={}/captures/eyas", dir.display())])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        let mut daemon = Self { child, socket, lines, errors };
        daemon.wait_for_socket();
        daemon
    }

    fn wait_for_socket(&mut self) {
        let start = Instant::now();
        while UnixStream::connect(&self.socket).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.rest());
            assert!(start.elapsed() < LONG, "no socket");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn rest(&mut self) -> String {
        let empty = thread::spawn(String::new);
        std::mem::replace(&mut self.errors, empty).join().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn client(&self) -> Client {
        // Some daemons run as nobody.
        let trusted_uids = vec![65534];
        let options = ClientOptions { timeout: LONG, reload_timeout: LONG, trusted_uids };
        Client::connect_with(&self.socket, options).unwrap()
    }

    pub(crate) fn reload(&self, generation: u64) -> ReloadReport {
        let request = Reload { generation: Some(generation), ..Reload::default() };
        self.client().reload(request).unwrap()
    }

    /// The next alert.
    pub(crate) fn alert(&self) -> Value {
        let line = self.lines.recv_timeout(LONG).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The next alert of a rule; alerts of others are passed over.
    pub(crate) fn alert_of(&self, rule: &str) -> Value {
        loop {
            let alert = self.alert();
            if alert["rule"] == rule {
                return alert;
            }
        }
    }

    /// Alerts that are there without waiting.
    pub(crate) fn alerts_so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Ends it; exit code, remaining alerts and what it said about itself.
    pub(crate) fn stop(mut self) -> (Option<i32>, Vec<String>, String) {
        self.signal("TERM");
        let code = self.child.wait().unwrap().code();
        let text = self.rest();
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(LONG) {
            lines.push(line);
        }
        (code, lines, text)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store with generations made by hand, as the daemon reads them.
pub(crate) struct Store(pub(crate) PathBuf);

impl Store {
    pub(crate) fn new(dir: &Path) -> Self {
        let store = dir.join("store");
        fs::create_dir_all(store.join("generations")).unwrap();
        Self(store)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes generation `number` with one artifact for each text, and makes it current.
    pub(crate) fn activate(&self, number: u64, rules: &[&str]) -> Digest {
        self.activate_with_probe(number, rules, None)
    }

    /// The same with a probe artifact.
    pub(crate) fn activate_with_probe(
        &self,
        number: u64,
        rules: &[&str],
        probe: Option<&[u8]>,
    ) -> Digest {
        let mut generation = Generation::new(number, "2026-11-24T00:00:00Z");
        let directory = self.0.join("generations").join(number.to_string());
        for (position, text) in rules.iter().enumerate() {
            let name = format!("rules-{position}");
            let entry = entry(&name, Kind::Rulesfile, "rules.yaml", text.as_bytes());
            install(&directory, &entry, text.as_bytes());
            generation.entries.push(entry);
        }
        if let Some(object) = probe {
            let entry = entry("probe", Kind::Probe, "eyas-probe.o", object);
            install(&directory, &entry, object);
            generation.entries.push(entry);
        }
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("lock.json"), generation.to_vec().unwrap()).unwrap();
        let link = self.0.join("current.new");
        symlink(format!("generations/{number}"), &link).unwrap();
        fs::rename(&link, self.0.join("current")).unwrap();
        generation.digest().unwrap()
    }

    pub(crate) fn rules_file(&self, number: u64) -> PathBuf {
        self.0.join(format!("generations/{number}/rules/rules-0/rules.yaml"))
    }
}

fn install(generation: &Path, entry: &Entry, content: &[u8]) {
    let folder = generation.join(entry.directory());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(&entry.files[0].path), content).unwrap();
}

fn entry(name: &str, kind: Kind, file: &str, content: &[u8]) -> Entry {
    let digest = Digest::sha256(content);
    Entry {
        name: name.to_owned(),
        kind,
        reference: format!("localhost/{name}:1"),
        version: "1.0.0".parse().unwrap(),
        root_digest: digest,
        manifest_digest: digest,
        config_digest: digest,
        layer_digest: digest,
        signer: None,
        other_signers: Vec::new(),
        attestations: Vec::new(),
        signed_at: None,
        accepted_by: None,
        reason: "asked for".into(),
        files: vec![InstalledFile {
            path: file.into(),
            digest,
            size: content.len() as u64,
            mode: 0o644,
        }],
    }
}

/// A pipe into a daemon without a probe.
pub(crate) struct Feed {
    pub(crate) path: PathBuf,
    file: Option<File>,
}

impl Feed {
    pub(crate) fn new(dir: &Path) -> Self {
        let path = dir.join("records");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self { path, file: None }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn send(&mut self, records: &[Vec<u8>]) {
        // Opening waits for the reader.
        let path = &self.path;
        let file =
            self.file.get_or_insert_with(|| OpenOptions::new().write(true).open(path).unwrap());
        file.write_all(&records.concat()).unwrap();
    }
}

/// An open of `path` by process 10.
pub(crate) fn open(path: &str) -> Vec<u8> {
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

/// A rule that matches opens of `path`.
pub(crate) fn rule(name: &str, path: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: evt.type = openat and fd.name = {path}\n  output: \
         opened %fd.name\n  priority: WARNING\n"
    )
}
