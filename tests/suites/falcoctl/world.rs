//! One user of one of the two programs, with directories of its own; and what the two have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_tests::{Finished, Registry, Site, eyas, marker_rule, peer, run, skip};
use serde_json::Value;

/// A user with a home, directories for an engine, and one of the programs.
pub(crate) struct World {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl World {
    /// A user of our program, called `falcoctl`.
    pub(crate) fn ours() -> Self {
        let world = Self::with(PathBuf::new());
        let program = world.path("bin/falcoctl");
        std::os::unix::fs::symlink(eyas(), &program).expect("link");
        Self { program, ..world }
    }

    /// A user of the program that ours stands in for, if it is here.
    pub(crate) fn theirs(test: &str) -> Option<Self> {
        let program = peer("FALCOCTL").filter(|program| {
            // A link to ours on the path would be compared with itself.
            let said = Command::new(program).arg("version").output();
            said.is_ok_and(|said| !String::from_utf8_lossy(&said.stdout).contains("eyas"))
        });
        if program.is_none() {
            skip(test, "FALCOCTL does not name the other program; ours is tested alone");
        }
        program.map(Self::with)
    }

    fn with(program: PathBuf) -> Self {
        let world = Self { folder: tempfile::tempdir().expect("directory"), program };
        for dir in ["bin", "home", "rules", "plugins", "assets", "state", "tmp"] {
            fs::create_dir(world.path(dir)).expect("directory");
        }
        world.write("falcoctl.yaml", "indexes: []\n");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// The words of a command line, started in this user's folder.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .current_dir(self.folder.path())
            .args(["--config", "falcoctl.yaml"])
            .args(line.split_whitespace());
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Finished {
        run(&mut self.command(line))
    }

    /// Every file below a directory: its content by its path.
    pub(crate) fn files(&self, dir: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let root = self.path(dir);
        collect(&root, &root, &mut files);
        files
    }

    /// The state files, without their times.
    pub(crate) fn state(&self) -> BTreeMap<String, (Value, Value)> {
        let files = self.files("state/.falcoctl/artifact-state");
        let read = |text: &[u8]| {
            let value: Value = serde_json::from_slice(text).expect("a state file is JSON");
            assert!(value["updatedAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{value}");
            (value["ref"].clone(), value["digest"].clone())
        };
        files.iter().map(|(name, text)| (name.clone(), read(text))).collect()
    }
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == ".eyas") {
            // What our program keeps for itself, out of the way of engines.
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).expect("below").display().to_string();
            files.insert(name, fs::read(&path).expect("readable"));
        }
    }
}

/// Flags that name the directories of a user.
pub(crate) const DIRECTORIES: &str =
    "--rulesfiles-dir rules --plugins-dir plugins --assets-dir assets --state-dir state";

/// The cells of a table, by row.
pub(crate) fn cells(table: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.split('\t').map(|cell| cell.trim().to_owned()).collect();
    table.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// The JSON messages of a run.
#[track_caller]
pub(crate) fn messages(text: &str) -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    text.lines().filter(|line| !line.trim().is_empty()).map(read).collect()
}

/// The messages of that text.
pub(crate) fn saying<'a>(messages: &'a [Value], text: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["msg"] == text).collect()
}

/// Keys and values of a message, without its time.
pub(crate) fn said(message: &Value) -> BTreeMap<String, Value> {
    let object = message.as_object().expect("a message is an object");
    let timeless = object.iter().filter(|(key, _)| *key != "timestamp");
    timeless.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Keys of a message.
pub(crate) fn keys(message: &Value) -> BTreeSet<String> {
    message.as_object().expect("a message is an object").keys().cloned().collect()
}

/// A registry with rules in two versions under floating tags.
pub(crate) fn published() -> (Registry, String) {
    let (site, registry) = (Site::new(), Registry::embedded());
    let repository = registry.reference("team/demo-rules");
    publish(&site, &repository, "1.0.0", "One");
    (registry, repository)
}

/// Pushes rules under their version and as `latest`.
pub(crate) fn publish(site: &Site, repository: &str, version: &str, name: &str) {
    let file = site.path("demo.yaml");
    fs::write(&file, marker_rule(name, "/eyas/test/marker")).expect("rules");
    let reference = format!("{repository}:latest");
    let file = file.display().to_string();
    let push = ["registry", "push", &reference, &file, "--type", "rulesfile", "--plain-http"];
    site.run(&[&push[..], &["--version", version, "--tag", version]].concat()).expect_code(0);
}
