//! A host with a store and two plain directories, and what a reader sees of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eyas_tests::{Registry, Site, marker_rule, run};

/// Files by path below a directory, with their content.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What readers see: the files of the active generation, and those of each plain directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) active: Files,
    pub(crate) rules: Files,
    pub(crate) assets: Files,
}

pub(crate) struct Host {
    pub(crate) site: Site,
    registry: String,
    flat: bool,
}

impl Host {
    /// A host that trusts what [`publish`] has pushed.
    pub(crate) fn new(registry: &Registry, publisher: &Site, flat: bool) -> Self {
        let site = Site::new();
        for name in ["signer", "signer.pub"] {
            fs::copy(publisher.path(name), site.path(name)).expect("the key");
        }
        site.trust_key(registry, "signer");
        Self { site, registry: registry.host(), flat }
    }

    /// `artifact install` of both artifacts in a version.
    pub(crate) fn install(&self, version: &str) -> Command {
        self.changing("install", &["rules", "data"], version)
    }

    /// One check of `artifact follow`, of one artifact: each is a transaction of its own.
    pub(crate) fn follow(&self, version: &str) -> Command {
        let mut command = self.changing("follow", &["rules"], version);
        command.arg("--once");
        command
    }

    fn changing(&self, command: &str, names: &[&str], version: &str) -> Command {
        let references: Vec<String> =
            names.iter().map(|name| format!("{}/faults/{name}:{version}", self.registry)).collect();
        let mut words = vec![command, "--no-reload"];
        words.extend(references.iter().map(String::as_str));
        if self.flat {
            words.extend(["--rulesfiles-dir", "flat/rules", "--assets-dir", "flat/assets"]);
        }
        self.site.eyas(&self.site.install_arguments(&words))
    }

    pub(crate) fn rollback(&self) -> Command {
        self.site.eyas(&["artifact", "rollback", "--to", "1", "--sensor-socket", "none.sock"])
    }

    pub(crate) fn gc(&self) -> Command {
        self.site.eyas(&["artifact", "gc", "--keep", "0"])
    }

    /// The directories that a command may change.
    pub(crate) fn folders(&self) -> [PathBuf; 2] {
        ["store", "flat"].map(|name| self.site.path(name))
    }

    pub(crate) fn seen(&self) -> Seen {
        let current = self.site.store().join("current");
        let mut active = files(&current);
        active.retain(|path, _| !matches!(path.to_str(), Some("lock.json" | "refused.json")));
        Seen {
            active,
            rules: visible(&self.site.path("flat/rules")),
            assets: visible(&self.site.path("flat/assets")),
        }
    }

    /// Names that only a process that died can have left.
    pub(crate) fn litter(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in self.folders() {
            for path in files(&folder).into_keys() {
                let stray = path.components().any(|part| {
                    let name = part.as_os_str().to_string_lossy();
                    [".tmp-", ".staging-", ".trash-", "new-", "journal", "prepared"]
                        .iter()
                        .any(|prefix| name.starts_with(prefix))
                        || name == "pending"
                });
                if stray {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Keeps all directories aside.
    pub(crate) fn keep(&self) {
        self.copy_all("", "kept-");
    }

    /// Brings back what was kept.
    pub(crate) fn restore(&self) {
        self.copy_all("kept-", "");
    }

    fn copy_all(&self, from: &str, to: &str) {
        for name in ["store", "flat"] {
            let (from, to) =
                (self.site.path(&format!("{from}{name}")), self.site.path(&format!("{to}{name}")));
            let _ = fs::remove_dir_all(&to);
            if from.exists() {
                run(Command::new("cp").arg("-a").arg(from).arg(to)).expect_code(0);
            }
        }
    }
}

/// Pushes both artifacts in two versions: the second has a file less, a file more and a changed one.
pub(crate) fn publish(registry: &Registry) -> Site {
    let site = Site::new();
    site.trust_key(registry, "signer");
    for (version, own) in [("1.0.0", "gone"), ("2.0.0", "more")] {
        let folder = site.path(version);
        fs::create_dir_all(&folder).expect("folder");
        for (kind, name, both) in [("rulesfile", "rules", "a.yaml"), ("asset", "data", "a.bin")] {
            let extension = Path::new(both).extension().expect("has one").to_string_lossy();
            let own = folder.join(format!("{own}.{extension}"));
            let both = folder.join(both);
            for path in [&both, &own] {
                let stem = path.file_stem().expect("has one").to_string_lossy();
                let title = format!("Rule {version} {stem}");
                let text = match kind {
                    "asset" => format!("{title}\n").repeat(4000),
                    _ => marker_rule(&title, "/faults/marker"),
                };
                fs::write(path, text).expect("content");
            }
            let reference = registry.reference(&format!("faults/{name}:{version}"));
            let paths = [both, own].map(|path| path.display().to_string());
            let mut words = vec!["registry", "push", &reference, "--type", kind];
            words.extend(["--version", version, "--name", name, "--plain-http"]);
            words.extend(["--sign-key", "signer"]);
            words.extend(paths.iter().map(String::as_str));
            site.run(&words).expect_code(0);
        }
    }
    site
}

/// Files of a plain directory but ours.
fn visible(folder: &Path) -> Files {
    let mut found = files(folder);
    found.retain(|path, _| !path.starts_with(".eyas"));
    found
}

fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    collect(folder, folder, &mut found);
    found
}

fn collect(root: &Path, folder: &Path, into: &mut Files) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let below = path.strip_prefix(root).expect("below").to_path_buf();
        if path.is_dir() && !path.is_symlink() {
            collect(root, &path, into);
        } else if path.is_symlink() {
            into.insert(below, Vec::new());
        } else {
            into.insert(below, fs::read(&path).unwrap_or_default());
        }
    }
}
