//! Bars of the flat directories: crashes, disk full, two writers, modes, ownership.
//!
//! The sweep of every single write is in the suite `faults`; here each bar is shown at the size of
//! real artifacts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use eyas_tests::{Finished, Registry, Site, marker_rule, peer, run, skip};

const MEGABYTE: usize = 1 << 20;
/// Exit code for a disk that fails.
const STORAGE: i32 = 8;

/// A host with an asset of this size published as 1.0.0 and 2.0.0.
fn site_with_asset(registry: &Registry, bytes: usize) -> Site {
    let site = Site::new();
    site.trust_key(registry, "signer");
    for version in ["1.0.0", "2.0.0"] {
        publish(&site, registry, "asset", version, &[("big.bin", &content(version, bytes))]);
    }
    site
}

/// Bytes that differ between versions and do not compress to nothing.
fn content(version: &str, bytes: usize) -> Vec<u8> {
    let mut state =
        version.bytes().fold(88_172_645_463_325_252_u64, |state, byte| state + u64::from(byte));
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_ne_bytes());
    }
    content.truncate(bytes);
    content
}

fn publish(site: &Site, registry: &Registry, kind: &str, version: &str, files: &[(&str, &[u8])]) {
    let folder = site.path(&format!("{kind}-{version}"));
    fs::create_dir_all(&folder).expect("folder");
    let mut paths = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("written");
        paths.push(path.display().to_string());
    }
    let reference = registry.reference(&format!("bars/{kind}:{version}"));
    let mut words = vec!["registry", "push", &reference, "--type", kind, "--version", version];
    words.extend(["--name", kind, "--plain-http", "--sign-key", "signer"]);
    words.extend(paths.iter().map(String::as_str));
    site.run(&words).expect_code(0);
}

fn installing(site: &Site, registry: &Registry, kind: &str, version: &str, to: &Path) -> Command {
    let reference = registry.reference(&format!("bars/{kind}:{version}"));
    let (flag, to) = (
        if kind == "asset" { "--assets-dir" } else { "--rulesfiles-dir" },
        to.display().to_string(),
    );
    let words = ["install", &reference, "--no-reload", "--allow-downgrade", flag, &to];
    site.eyas(&site.install_arguments(&words))
}

fn install(site: &Site, registry: &Registry, kind: &str, version: &str, to: &Path) -> Finished {
    run(&mut installing(site, registry, kind, version, to))
}

/// Names in a directory but our own.
fn names(folder: &Path) -> BTreeSet<String> {
    let listed = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = listed.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != ".eyas").collect()
}

#[test]
fn bar_01_a_killed_install_leaves_the_complete_old_or_the_complete_new() {
    let registry = Registry::embedded();
    let site = site_with_asset(&registry, 8 * MEGABYTE);
    let to = site.path("assets");
    let whole = ["1.0.0", "2.0.0"].map(|version| content(version, 8 * MEGABYTE));
    install(&site, &registry, "asset", "1.0.0", &to).expect_code(0);
    for (round, version) in ["2.0.0", "1.0.0"].into_iter().cycle().take(8).enumerate() {
        let mut command = installing(&site, &registry, "asset", version, &to);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        thread::sleep(Duration::from_millis(40 * (round as u64 + 1)));
        let _ = child.kill();
        child.wait().expect("ended");
        let now = fs::read(to.join("big.bin")).expect("it is there");
        assert!(whole.contains(&now), "round {round}: {} bytes", now.len());
    }
    install(&site, &registry, "asset", "2.0.0", &to).expect_code(0);
    assert!(fs::read(to.join("big.bin")).expect("it is there") == whole[1]);
    assert_eq!(names(&to.join(".eyas")), ["lock", "owned.json"].map(str::to_owned).into());
}

#[test]
fn bar_02_a_reader_on_another_file_system_never_sees_a_part() {
    let registry = Registry::embedded();
    let site = site_with_asset(&registry, 8 * MEGABYTE);
    let shared = Path::new("/dev/shm");
    let other = tempfile::Builder::new().prefix("eyas-bar-").tempdir_in(shared);
    let Ok(other) = other else { return skip("bars::bar_02", "`/dev/shm` cannot be written") };
    let to = other.path().join("assets");
    install(&site, &registry, "asset", "1.0.0", &to).expect_code(0);
    let done = AtomicBool::new(false);
    let read = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !done.load(Ordering::Relaxed) {
                let length = fs::metadata(to.join("big.bin")).expect("always there").len();
                assert_eq!(length, 8 * MEGABYTE as u64);
                read += 1;
            }
            read
        });
        for version in ["2.0.0", "1.0.0", "2.0.0"] {
            install(&site, &registry, "asset", version, &to).expect_code(0);
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader")
    });
    assert!(read > 100, "looked {read} times");
    assert!(fs::read(to.join("big.bin")).expect("there") == content("2.0.0", 8 * MEGABYTE));
}

#[test]
fn bar_03_every_file_has_the_documented_mode() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    let to = site.path("assets");
    for version in ["1.0.0", "2.0.0"] {
        publish(&site, &registry, "asset", version, &[("data", version.as_bytes())]);
        let mut command = Command::new("sh");
        let inner = installing(&site, &registry, "asset", version, &to);
        command.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(site.folder());
        run(&mut command).expect_code(0);
        let mode = fs::metadata(to.join("data")).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o644, "version {version}");
        let mode = fs::metadata(&to).expect("there").permissions().mode();
        assert!(mode & 0o700 == 0o700, "the directory: {mode:o}");
    }
    // A mode that somebody changed is put right.
    fs::set_permissions(to.join("data"), fs::Permissions::from_mode(0o600)).expect("changed");
    install(&site, &registry, "asset", "2.0.0", &to).expect_code(0);
    let mode = fs::metadata(to.join("data")).expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn bar_04_memory_does_not_grow_with_the_artifact() {
    let Some(time) = peer("TIME") else {
        return skip("bars::bar_04", "GNU time is not installed");
    };
    let registry = Registry::embedded();
    let peak = |bytes: usize| {
        let site = site_with_asset(&registry, bytes);
        let inner = installing(&site, &registry, "asset", "1.0.0", &site.path("assets"));
        let mut command = Command::new(&time);
        command.args(["-f", "%M", "-o"]).arg(site.path("peak")).arg(inner.get_program());
        command.args(inner.get_args()).current_dir(site.folder());
        run(&mut command).expect_code(0);
        let text = fs::read_to_string(site.path("peak")).expect("measured");
        text.trim().parse::<usize>().expect("KiB")
    };
    let (small, large) = (peak(64 * 1024), peak(120 * MEGABYTE));
    eprintln!("peak RSS in KiB: {small} for 64 KiB, {large} for 120 MiB");
    assert!(large < small + 6 * 1024, "{large} KiB for 120 MiB, {small} KiB for 64 KiB");
}

#[test]
fn bar_06_an_archive_that_fails_half_way_shows_nothing() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    let to = site.path("assets");
    publish(&site, &registry, "asset", "1.0.0", &[("good", b"one")]);
    install(&site, &registry, "asset", "1.0.0", &to).expect_code(0);
    // A good file first, then one that is not allowed.
    let folder = site.path("made");
    fs::create_dir_all(&folder).expect("folder");
    fs::write(folder.join("good"), "two").expect("written");
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).expect("link");
    let archive = site.path("bad.tar.gz");
    run(Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(&folder)
        .args(["good", "link"]))
    .expect_code(0);
    let reference = registry.reference("bars/asset:2.0.0");
    let path = archive.display().to_string();
    let mut words = vec!["registry", "push", &reference, "--type", "asset", "--version", "2.0.0"];
    words.extend(["--name", "asset", "--plain-http", "--sign-key", "signer", &path]);
    site.run(&words).expect_code(0);
    let refused = install(&site, &registry, "asset", "2.0.0", &to);
    assert_ne!(refused.code(), 0, "{}", refused.stdout);
    refused.expect_stderr(&["link"]);
    assert_eq!(names(&to), ["good".to_owned()].into());
    assert_eq!(fs::read_to_string(to.join("good")).expect("there"), "one");
}

#[test]
fn bar_07_two_installs_at_once_take_turns() {
    let registry = Registry::embedded();
    let site = site_with_asset(&registry, MEGABYTE);
    let to = site.path("assets");
    let whole = ["1.0.0", "2.0.0"].map(|version| content(version, MEGABYTE));
    for round in 0..5 {
        thread::scope(|scope| {
            for version in ["1.0.0", "2.0.0"] {
                let (site, registry, to) = (&site, &registry, &to);
                scope.spawn(move || {
                    install(site, registry, "asset", version, to).expect_code(0).code()
                });
            }
        });
        let now = fs::read(to.join("big.bin")).expect("there");
        assert!(whole.contains(&now), "round {round}: neither version");
        let version = site.generation()["entries"][0]["version"].as_str().expect("one").to_owned();
        assert!(now == content(&version, MEGABYTE), "the directory is what the store says");
    }
}

/// A small file system that is unmounted when it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&path).expect("mount point");
        let size = format!("size={size}");
        let done =
            run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path));
        (done.code() == 0).then_some(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn bar_08_a_full_disk_keeps_the_old_version() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    publish(&site, &registry, "asset", "1.0.0", &[("big.bin", &content("1.0.0", MEGABYTE))]);
    publish(&site, &registry, "asset", "2.0.0", &[("big.bin", &content("2.0.0", 6 * MEGABYTE))]);
    for which in ["destination", "store"] {
        let point = if which == "store" { site.store() } else { site.path("assets") };
        let Some(mounted) = Mounted::at(point, "4m") else {
            return skip("bars::bar_08", "a tmpfs cannot be mounted here (needs root)");
        };
        let to = site.path("assets");
        install(&site, &registry, "asset", "1.0.0", &to).expect_code(0);
        let before = site.generation();
        let full = install(&site, &registry, "asset", "2.0.0", &to);
        full.expect_code(STORAGE).expect_stderr(&["bytes", "hint"]);
        assert!(fs::read(to.join("big.bin")).expect("there") == content("1.0.0", MEGABYTE));
        assert_eq!(site.generation(), before, "{which}");
        drop(mounted);
        let _ = fs::remove_dir_all(site.store());
        let _ = fs::remove_dir_all(&to);
    }
}

#[test]
fn bar_11_files_that_the_new_version_lacks_go() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    let to = site.path("rules");
    let (one, two) = (marker_rule("One", "/one"), marker_rule("Two", "/two"));
    let (a, b) = (("a.yaml", one.as_bytes()), ("b.yaml", two.as_bytes()));
    publish(&site, &registry, "rulesfile", "1.0.0", &[a, b]);
    publish(&site, &registry, "rulesfile", "2.0.0", &[a]);
    install(&site, &registry, "rulesfile", "1.0.0", &to).expect_code(0);
    fs::write(to.join("mine.yaml"), "- list: mine\n  items: []\n").expect("written");
    assert_eq!(names(&to).len(), 3);
    install(&site, &registry, "rulesfile", "2.0.0", &to).expect_code(0);
    assert_eq!(names(&to), ["a.yaml", "mine.yaml"].map(str::to_owned).into());
    // A rollback reaches the directory without being told of it.
    site.run(&["artifact", "rollback", "--sensor-socket", "none.sock"]).expect_code(0);
    assert_eq!(names(&to), ["a.yaml", "b.yaml", "mine.yaml"].map(str::to_owned).into());
    // So does a repair.
    fs::write(to.join("a.yaml"), "cut").expect("damaged");
    fs::remove_file(to.join("b.yaml")).expect("deleted");
    site.run(&["artifact", "repair"]).expect_code(0);
    assert_eq!(fs::read_to_string(to.join("a.yaml")).expect("there"), one);
    assert_eq!(fs::read_to_string(to.join("b.yaml")).expect("there"), two);
}

#[test]
fn bar_12_a_bundle_cannot_replace_the_main_configuration() {
    let registry = Registry::embedded();
    let site = Site::new();
    site.trust_key(&registry, "signer");
    let to = site.path("etc");
    fs::create_dir_all(&to).expect("folder");
    let configuration = "rules_files:\n  - /etc/falco/falco_rules.yaml\n";
    fs::write(to.join("falco.yaml"), configuration).expect("written");
    fs::write(to.join("falco_rules.yaml"), "- rule: old\n  desc: x\n").expect("written");
    let rules = marker_rule("New", "/new");
    let files = [("falco_rules.yaml", rules.as_bytes()), ("falco.yaml", rules.as_bytes())];
    publish(&site, &registry, "rulesfile", "1.0.0", &files[..1]);
    publish(&site, &registry, "rulesfile", "2.0.0", &files);
    // Rules that another tool left are replaced by rules.
    install(&site, &registry, "rulesfile", "1.0.0", &to).expect_code(0);
    assert_eq!(fs::read_to_string(to.join("falco_rules.yaml")).expect("there"), rules);
    let before = site.generation();
    let refused = install(&site, &registry, "rulesfile", "2.0.0", &to);
    refused.expect_code(STORAGE).expect_stderr(&["falco.yaml", "--adopt"]);
    assert_eq!(fs::read_to_string(to.join("falco.yaml")).expect("there"), configuration);
    assert_eq!(site.generation(), before);
    run(installing(&site, &registry, "rulesfile", "2.0.0", &to).arg("--adopt")).expect_code(0);
    assert_eq!(fs::read_to_string(to.join("falco.yaml")).expect("there"), rules);
}
