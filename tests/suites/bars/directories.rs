//! Bars of what goes on beside an install: directories that the configuration names, programs that watch them, and
//! commands that run while another one is still fetching.

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use eyas_tests::{Credentials, Gate, Mood, Registry, Site, marker_rule, noise};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// Longest wait for something to happen.
const PATIENCE: Duration = Duration::from_mins(1);

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

/// A host that trusts its own key everywhere, with rules in this registry.
fn host(registry: &Registry) -> Site {
    let site = Site::new();
    site.write_policy(
        "version: 1\nrules:\n  - match: \"**\"\n    accept:\n      - key: {file: signer.pub}\n",
    );
    publish(&site, registry, "1.0.0", "");
    site
}

fn publish(site: &Site, registry: &Registry, version: &str, more: &str) {
    let text = format!("{}{more}", rules(version));
    site.publish(registry, version, Some("signer"), &[("demo.yaml", &text)]);
}

fn version_in(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("demo.yaml")).ok()?;
    let name = text.lines().next()?.strip_prefix("- rule: ")?;
    Some(name.to_owned())
}

#[test]
fn directories_of_the_configuration_count_for_every_command() {
    let registry = Registry::embedded();
    let site = host(&registry);
    publish(&site, &registry, "1.1.0", "");
    let (one, two) = (site.path("one"), site.path("two"));
    let configure = |folder: &Path| {
        let text = format!("artifact: {{install: {{rulesfilesDir: {}}}}}\n", folder.display());
        fs::write(site.path("eyas.yaml"), text).expect("configuration");
    };
    configure(&one);
    site.install(&["demo-rules:1.0.0"]).expect_code(0);
    site.install(&["demo-rules:1.1.0"]).expect_code(0);
    assert_eq!(version_in(&one).as_deref(), Some("1.1.0"));
    // The configuration names another one by now: it counts from the next change on.
    configure(&two);
    let back = site.run(&["artifact", "rollback", "--no-reload"]);
    back.expect_code(0).expect_stderr(&["one", "no longer kept"]);
    assert_eq!(version_in(&two).as_deref(), Some("1.0.0"));
    assert_eq!(version_in(&one).as_deref(), Some("1.1.0"), "it is left as it was");
    fs::write(two.join("demo.yaml"), "changed").expect("written");
    site.run(&["artifact", "repair"]).expect_code(0);
    assert_eq!(version_in(&two).as_deref(), Some("1.0.0"));
    site.run(&["artifact", "gc", "--keep", "0"]).expect_code(0);
    // A flag counts more.
    let three = site.path("three");
    let flag = ["--rulesfiles-dir", "three"];
    site.run(&[&["artifact", "repair"][..], &flag].concat()).expect_code(0);
    site.run(&[&["artifact", "uninstall", "demo-rules", "--no-reload"][..], &flag].concat())
        .expect_code(0);
    assert_eq!(version_in(&three), None);
    site.install(&["demo-rules:1.1.0"]).expect_code(0);
    assert_eq!(version_in(&two).as_deref(), Some("1.1.0"));
}

#[test]
fn whoever_watches_files_or_names_hears_of_an_update() {
    let registry = Registry::embedded();
    let site = host(&registry);
    let folder = site.path("rules");
    let install = |version: &str| {
        let reference = format!("demo-rules:{version}");
        let words = ["install", &reference, "--rulesfiles-dir", "rules", "--no-reload"];
        site.run(&site.install_arguments(&words)).expect_code(0);
    };
    install("1.0.0");
    publish(&site, &registry, "1.1.0", "");
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("a watch");
    let add = |path: PathBuf, events| inotify::add_watch(&watch, path, events).expect("watched");
    // One watches the file for the end of a write, another the directory for names that come and go: neither asks
    // for renames, which is how a file is replaced.
    let file = add(folder.join("demo.yaml"), WatchFlags::CLOSE_WRITE);
    let names = add(folder.clone(), WatchFlags::CREATE | WatchFlags::DELETE);
    let heard = || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        let mut heard = Vec::new();
        while let Ok(event) = reader.next() {
            heard.push((event.wd(), event.events()));
        }
        heard
    };
    install("1.1.0");
    let seen = heard();
    assert!(seen.contains(&(file, ReadFlags::CLOSE_WRITE)), "{seen:?}");
    assert!(seen.iter().any(|(from, _)| *from == names), "{seen:?}");
    // By then the file is the new one.
    assert_eq!(version_in(&folder).as_deref(), Some("1.1.0"));
    install("1.1.0");
    assert_eq!(heard(), [], "nothing changed, so nobody is woken");
}

#[test]
fn other_commands_run_while_one_is_fetching() {
    let registry = Registry::embedded();
    let gate = Gate::before(&registry, Credentials::None);
    let site = host(&registry);
    publish(&site, &registry, "1.1.0", "");
    site.install(&["demo-rules:1.0.0"]).expect_code(0);
    site.install(&["demo-rules:1.1.0"]).expect_code(0);
    publish(&site, &registry, "2.0.0", &noise(1 << 20));
    fs::write(site.path("eyas.yaml"), "registry: {timeouts: {stall: 1s}}\n").expect("settings");
    let reference = gate.reference("team/demo-rules:2.0.0");
    gate.set(Mood::Stalling("/blobs/".to_owned()));
    // The gate is another repository as far as anybody can tell.
    let words = ["install", &reference, "--no-reload", "--allow-other-repository"];
    let mut slow = site.eyas(&site.install_arguments(&words));
    let slow = slow.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let slow = slow.spawn().expect("it starts");
    let parts = || {
        let blobs = fs::read_dir(site.store().join("blobs/sha256")).expect("blobs").flatten();
        let large = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|meta| meta.len() > 0);
        blobs
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(".part-"))
            .filter(large)
            .count()
    };
    let start = Instant::now();
    while parts() == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing is received");
        thread::sleep(Duration::from_millis(10));
    }
    // The store is free, and what is being received belongs to who receives it.
    site.run(&["artifact", "rollback", "--to", "1", "--no-reload"]).expect_code(0);
    site.run(&["artifact", "gc", "--keep", "0"]).expect_code(0);
    assert_eq!(parts(), 1, "it was collected under the hands of its owner");
    gate.set(Mood::Open);
    let ended = slow.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(site.generation()["entries"][0]["version"], "2.0.0");
    assert_eq!(parts(), 0);
    // What nobody receives any more is collected.
    fs::write(site.store().join(format!("blobs/sha256/.part-{}", "0".repeat(64))), "left")
        .expect("written");
    site.run(&["artifact", "gc"]).expect_code(0);
    assert_eq!(parts(), 0);
}
