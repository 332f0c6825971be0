//! Runs the program in a folder of its own with an environment of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A user with a folder and nothing else.
pub(crate) struct User {
    folder: tempfile::TempDir,
}

/// A program that has ended.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The JSON objects on standard error.
    #[track_caller]
    pub(crate) fn messages(&self) -> Vec<Value> {
        let read =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stderr.lines().map(read).collect()
    }
}

impl User {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eyas"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("EYAS_CONFIG", self.path("eyas.yaml"))
            .env("EYAS_STORE", self.path("store"))
            .env("EYAS_CACHE_DIR", self.path("cache"))
            .env("EYAS_SENSOR_SOCKET", self.path("control.sock"))
            .env("EYAS_PLAIN_HTTP", "true")
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Done {
        finish(self.command(line))
    }
}

/// Runs a command to its end.
pub(crate) fn finish(mut command: Command) -> Done {
    let output = command.output().expect("it runs");
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// A registry of the program itself on a free loopback port, and a user who may publish to it.
pub(crate) struct Site {
    pub(crate) user: User,
    pub(crate) host: String,
    registry: Child,
}

impl Site {
    pub(crate) fn new() -> Self {
        let user = User::new();
        user.write("eyas.yaml", "");
        let mut command = user.command("registry serve registry --listen 127.0.0.1:0");
        let mut registry = command.stdout(Stdio::piped()).spawn().expect("it serves");
        let mut host = String::new();
        let stdout = registry.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut host).expect("an address");
        let site = Self { user, host: host.trim().to_owned(), registry };
        site.user.run("registry keygen signer").expect(0);
        let policy = format!(
            "version: 1\nrules:\n  - match: \"{}/**\"\n    accept:\n      - key: {{file: signer.pub}}\n",
            site.host
        );
        site.user.write("trust.yaml", &policy);
        site
    }

    /// Pushes `demo` with one rule.
    pub(crate) fn publish(&self, version: &str) -> Done {
        let rule =
            "- rule: a\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n";
        self.user.write("demo.yaml", &format!("# {version}\n{rule}"));
        self.user.run(&format!(
            "registry push {}/team/demo:latest demo.yaml --type rulesfile --version {version} \
             --sign-key signer --update-index index.yaml --output json",
            self.host
        ))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}
