//! A throw-away host: a store, a policy, an index, a key pair and an empty configuration, all in one folder.
//!
//! Tests talk to it as a user would, through the `eyas` binary. The environment is emptied first, so that nothing
//! of the machine leaks into a test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::process::{Finished, run};
use crate::programs::eyas;
use crate::registry::Registry;

/// A minimal rules bundle with one rule whose name and marker are given.
pub fn marker_rule(name: &str, marker: &str) -> String {
    format!(
        "- rule: {name}\n  desc: A marker file was opened.\n  condition: >\n    evt.type in (open, openat, openat2) and fd.name = {marker}\n  output: Marker opened (file=%fd.name command=%proc.cmdline)\n  priority: NOTICE\n"
    )
}

/// Comments that do not compress well.
pub fn noise(bytes: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let _ = writeln!(text, "# {state:016x}");
    }
    text
}

/// One throw-away host.
pub struct Site {
    folder: tempfile::TempDir,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A host with nothing installed, a fresh key pair `signer` and no policy.
    pub fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("temporary directory") };
        fs::write(site.path("eyas.yaml"), "").expect("configuration written");
        fs::write(site.path("index.yaml"), "[]\n").expect("index written");
        site.keygen("signer");
        site
    }

    /// A path inside the folder of this host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of this host.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The store directory.
    pub fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// `eyas` with this host's configuration and store, and an otherwise empty environment.
    pub fn eyas(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(eyas());
        command
            .env_clear()
            .env("HOME", self.folder.path())
            // Root's is one for the whole machine.
            .env("EYAS_CACHE_DIR", self.folder.path().join("cache"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .current_dir(self.folder.path())
            .args(arguments)
            .args(["--config", "eyas.yaml", "--store", "store"]);
        command
    }

    /// Runs `eyas` to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.eyas(arguments))
    }

    /// Arguments that installing commands need here: policy, index, plain HTTP and a control socket.
    pub fn install_arguments<'a>(&self, command: &[&'a str]) -> Vec<&'a str> {
        let mut all: Vec<&str> = vec!["artifact"];
        all.extend(command);
        all.extend(["--policy", "trust.yaml", "--index-file", "index.yaml", "--plain-http"]);
        all.extend(["--sensor-socket", "control.sock"]);
        all
    }

    /// `artifact install REF…` on this host.
    #[track_caller]
    pub fn install(&self, references: &[&str]) -> Finished {
        let mut command = vec!["install"];
        command.extend(references);
        self.run(&self.install_arguments(&command))
    }

    /// Makes a key pair NAME and NAME.pub.
    pub fn keygen(&self, name: &str) {
        self.run(&["registry", "keygen", name]).expect_code(0);
    }

    /// Writes a policy that accepts this key for every repository of this registry.
    pub fn trust_key(&self, registry: &Registry, key: &str) {
        self.write_policy(&format!(
            "version: 1\nrules:\n  - match: \"{}/**\"\n    accept:\n      - key: {{file: {key}.pub}}\n",
            registry.host()
        ));
    }

    /// Writes the policy file.
    pub fn write_policy(&self, text: &str) {
        fs::write(self.path("trust.yaml"), text).expect("policy written");
    }

    /// Pushes a rules bundle with the given files, signed when a key is given, tagged `latest` and with its version,
    /// and lists it in the index.
    #[track_caller]
    pub fn publish(
        &self,
        registry: &Registry,
        version: &str,
        key: Option<&str>,
        files: &[(&str, &str)],
    ) -> Finished {
        let folder = self.path(&format!("bundle-{version}"));
        fs::create_dir_all(&folder).expect("bundle folder");
        let mut paths = Vec::new();
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).expect("rules written");
            paths.push(path.display().to_string());
        }
        let reference = registry.reference("team/demo-rules:latest");
        let mut arguments =
            vec!["registry", "push", &reference, "--type", "rulesfile", "--version", version];
        arguments.extend(paths.iter().map(String::as_str));
        arguments.extend([
            "--tag",
            version,
            "--name",
            "demo-rules",
            "--update-index",
            "index.yaml",
            "--plain-http",
        ]);
        if let Some(key) = key {
            arguments.extend(["--sign-key", key]);
        }
        let finished = self.run(&arguments);
        finished.expect_code(0);
        finished
    }

    /// Every file below the store with its content, to prove that nothing changed. The lock file's content (who held
    /// it) does not count, nor do notes about indexes, which are about what was seen and not about what is installed.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.store(), &mut files);
        files.retain(|path, _| path.file_name().is_none_or(|name| name != "lock"));
        files.retain(|path, _| !path.starts_with(self.store().join("indexes")));
        files
    }

    /// The active generation's lock document.
    #[track_caller]
    pub fn generation(&self) -> Value {
        let path = self.store().join("current/lock.json");
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("lock document")
    }
}

fn collect(folder: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        match fs::symlink_metadata(&path) {
            Ok(data) if data.is_dir() => collect(&path, into),
            Ok(data) if data.is_symlink() => {
                let target = fs::read_link(&path).expect("link");
                into.insert(path, target.display().to_string().into_bytes());
            }
            Ok(_) => {
                let content = fs::read(&path).unwrap_or_default();
                into.insert(path, content);
            }
            Err(_) => {}
        }
    }
}
