//! Bars of following more than one thing: what waits for a registry, a lock or a sensor holds up nobody else, and a
//! range is followed like a tag.

use std::fs;
use std::os::unix::net::UnixListener;

use eyas_tests::{Credentials, Following, Gate, Mood, Registry, Site, marker_rule, noise};
use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

/// A host that trusts its own key everywhere.
fn host() -> Site {
    let site = Site::new();
    site.write_policy(
        "version: 1\nrules:\n  - match: \"**\"\n    accept:\n      - key: {file: signer.pub}\n",
    );
    site
}

/// Publishes a bundle of its own name, tagged `latest` and with its version.
fn publish(site: &Site, registry: &Registry, name: &str, version: &str) {
    publish_with(site, registry, name, version, "");
}

/// The same with more text behind the rule.
fn publish_with(site: &Site, registry: &Registry, name: &str, version: &str, more: &str) {
    let file = format!("{name}-{version}.yaml");
    let text = format!("{}{more}", rules(&format!("{name} {version}")));
    fs::write(site.path(&file), text).expect("written");
    let reference = registry.reference(&format!("team/{name}:latest"));
    let push = ["registry", "push", &reference, &file, "--type", "rulesfile", "--name", name];
    let more = ["--version", version, "--tag", version, "--sign-key", "signer", "--plain-http"];
    site.run(&[&push[..], &more[..]].concat()).expect_code(0);
}

/// Version of an installed artifact.
fn version(site: &Site, name: &str) -> Option<String> {
    let text = fs::read(site.store().join("current/lock.json")).ok()?;
    let document: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let mut entries = document["entries"].as_array()?.iter();
    let entry = entries.find(|entry| entry["name"] == name)?;
    entry["version"].as_str().map(str::to_owned)
}

fn layer_of(site: &Site, reference: &str) -> String {
    let manifest = site.run(&["artifact", "manifest", reference, "--plain-http"]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest.stdout).expect("manifest");
    manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned()
}

#[test]
fn a_download_that_stalls_holds_up_no_update_of_another() {
    let (registry, site) = (Registry::embedded(), host());
    let gate = Gate::before(&registry, Credentials::None);
    publish_with(&site, &registry, "slow", "1.0.0", &noise(1 << 20));
    publish(&site, &registry, "quick", "1.0.0");
    let (slow, quick) =
        (gate.reference("team/slow:latest"), registry.reference("team/quick:latest"));
    let layer = layer_of(&site, &slow);
    gate.set(Mood::Stalling(layer.clone()));
    gate.requests();
    let mut follow = Following::start(&site, &[&slow, "--every", "100ms"]);
    follow.until("the download stalls", || gate.saw(&layer));
    drop(follow);
    let mut follow = Following::start(&site, &[&slow, &quick, "--every", "100ms"]);
    follow.until("the other is installed", || version(&site, "quick").is_some());
    publish(&site, &registry, "quick", "1.1.0");
    follow.until("and updated", || version(&site, "quick").as_deref() == Some("1.1.0"));
    assert_eq!(version(&site, "slow"), None, "it stalls all the while");
    // The store is not held meanwhile: any other command may change it.
    site.run(&["artifact", "rollback", "--sensor-socket", "none.sock"]).expect_code(0);
    assert_eq!(follow.end(Signal::TERM), Some(0));
}

#[test]
fn a_lock_that_is_held_delays_no_check() {
    let (registry, site) = (Registry::embedded(), host());
    let gate = Gate::before(&registry, Credentials::None);
    publish(&site, &registry, "new", "1.0.0");
    publish(&site, &registry, "old", "1.0.0");
    site.install(&[&gate.reference("team/old:latest")]).expect_code(0);
    let lock = fs::File::options().write(true).open(site.store().join("lock")).expect("the lock");
    flock(&lock, FlockOperation::LockExclusive).expect("held");
    let (new, old) = (gate.reference("team/new:latest"), gate.reference("team/old:latest"));
    gate.requests();
    let mut follow = Following::start(&site, &[&new, &old, "--every", "100ms"]);
    let heads = |name: &str| {
        let path = format!("HEAD /v2/team/{name}/manifests/latest ");
        move |requests: &[String]| requests.iter().filter(|line| line.starts_with(&path)).count()
    };
    let mut seen = Vec::new();
    for round in 1..=5 {
        follow.until(&format!("check {round} of what is installed"), || gate.saw("/team/old/"));
        seen.extend(gate.requests());
    }
    assert!(heads("old")(&seen) >= 5, "{seen:#?}");
    assert_eq!(version(&site, "new"), None, "the lock is held");
    flock(&lock, FlockOperation::Unlock).expect("released");
    follow.until("the update is installed", || version(&site, "new").is_some());
    assert_eq!(follow.end(Signal::TERM), Some(0));
}

#[test]
fn a_sensor_that_does_not_answer_delays_no_check() {
    let (registry, site) = (Registry::embedded(), host());
    let gate = Gate::before(&registry, Credentials::None);
    publish(&site, &registry, "old", "1.0.0");
    let old = gate.reference("team/old:latest");
    site.install(&[&old]).expect_code(0);
    // It takes connections and says nothing.
    let _silent = UnixListener::bind(site.path("control.sock")).expect("a socket");
    gate.requests();
    let mut follow = Following::start(&site, &[&old, "--every", "100ms"]);
    follow.until("five checks", || gate.count() >= 5);
    assert!(!follow.log().contains("sensor"), "it is still waited for:\n{}", follow.log());
    assert_eq!(follow.end(Signal::TERM), Some(0));
}

#[test]
fn a_range_is_followed() {
    let (registry, site) = (Registry::embedded(), host());
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        publish(&site, &registry, "demo", version);
    }
    let range = registry.reference("team/demo:^1");
    let mut follow = Following::start(&site, &[&range, "--every", "100ms"]);
    follow.until("the newest of the range", || version(&site, "demo").as_deref() == Some("1.1.0"));
    publish(&site, &registry, "demo", "2.1.0");
    publish(&site, &registry, "demo", "1.2.0");
    follow.until("the next one", || version(&site, "demo").as_deref() == Some("1.2.0"));
    let log = follow.log();
    assert!(!log.contains("2.0.0") && !log.contains("2.1.0"), "{log}");
    assert_eq!(follow.end(Signal::TERM), Some(0));
    let status = site.run(&["artifact", "status", "--sensor-socket", "none.sock"]).stdout;
    assert!(status.contains(&format!("{range}: current")), "{status}");
    // A range that nothing is in is a failure in words, and nothing changes.
    let none = registry.reference("team/demo:^9");
    let words = ["follow", &none, "--once"];
    let refused = site.run(&site.install_arguments(&words));
    assert_ne!(refused.code(), 0);
    refused.expect_stderr(&["demo", "^9", "2.1.0"]);
}
