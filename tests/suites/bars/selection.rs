//! Bars of the choice of versions: downgrades, dependencies, one resolution.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use eyas_tests::{Finished, Registry, Site, both_registries, marker_rule};

/// Publishes a rules bundle under its own name, tagged with its version and as latest.
#[track_caller]
fn publish(
    site: &Site,
    registry: &Registry,
    name: &str,
    version: &str,
    needs: &[&str],
) -> Finished {
    let file = format!("{name}-{version}.yaml");
    std::fs::write(site.path(&file), marker_rule(&format!("{name} {version}"), "/eyas/test"))
        .expect("written");
    let reference = registry.reference(&format!("team/{name}:latest"));
    let mut arguments = vec!["registry", "push", &reference, &file, "--type", "rulesfile"];
    arguments.extend(["--version", version, "--tag", version, "--name", name]);
    arguments.extend(["--sign-key", "signer", "--update-index", "index.yaml", "--plain-http"]);
    for need in needs {
        arguments.extend(["--depends-on", need]);
    }
    let finished = site.run(&arguments);
    finished.expect_code(0);
    finished
}

fn host(registry: &Registry) -> Site {
    let site = Site::new();
    site.trust_key(registry, "signer");
    site
}

/// Name and version of what is active.
fn active(site: &Site) -> Vec<String> {
    let generation = site.generation();
    let entries = generation["entries"].as_array().expect("entries").clone();
    let word = |field: &serde_json::Value| field.as_str().expect("a text").to_owned();
    entries
        .iter()
        .map(|entry| format!("{} {}", word(&entry["name"]), word(&entry["version"])))
        .collect()
}

#[test]
fn bar_14_a_tag_that_moved_back_is_refused() {
    both_registries("bars::bar_14", |registry| {
        let site = host(registry);
        publish(&site, registry, "demo", "1.1.0", &[]);
        site.install(&["demo"]).expect_code(0);
        publish(&site, registry, "demo", "1.0.0", &[]);
        let before = site.snapshot();
        let refused = site.install(&["demo"]);
        refused.expect_code(5).expect_stderr(&["1.0.0", "1.1.0", "--allow-downgrade"]);
        assert_eq!(site.snapshot(), before);
        // A range that both are in stays with the newer one.
        site.install(&["demo:^1"]).expect_code(0);
        assert_eq!(active(&site), ["demo 1.1.0"]);
        site.install(&["demo", "--allow-downgrade"]).expect_code(0);
        assert_eq!(active(&site), ["demo 1.0.0"]);
    });
}

#[test]
fn bar_16_a_dependency_does_not_downgrade_what_is_installed() {
    both_registries("bars::bar_16", |registry| {
        let site = host(registry);
        publish(&site, registry, "base", "0.5.0", &[]);
        publish(&site, registry, "base", "0.9.0", &[]);
        site.install(&["base:0.9.0"]).expect_code(0);
        publish(&site, registry, "demo", "1.0.0", &["base:0.5.0"]);
        site.install(&["demo"]).expect_code(0);
        assert_eq!(active(&site), ["base 0.9.0", "demo 1.0.0"], "0.9.0 does for 0.5.0");
        // Where nothing installed does, it is a refusal in words and not a downgrade.
        publish(&site, registry, "other", "1.0.0", &["base:<0.6"]);
        let before = site.snapshot();
        let refused = site.install(&["other"]);
        refused.expect_code(6).expect_stderr(&["base", "needed by `other` 1.0.0", "0.9.0"]);
        assert_eq!(site.snapshot(), before);
    });
}

#[test]
fn bar_17_a_tag_is_resolved_once() {
    let registry = Registry::embedded();
    let site = host(&registry);
    publish(&site, &registry, "demo", "1.0.0", &[]);
    let (address, seen) = forwarding(&registry.host());
    // The same registry through a door that keeps count.
    let policy = format!(
        "version: 1\nrules:\n  - match: \"{address}/**\"\n    accept:\n      - key: {{file: signer.pub}}\n"
    );
    site.write_policy(&policy);
    site.install(&[&format!("{address}/team/demo:latest")]).expect_code(0);
    let seen = seen.lock().expect("seen").clone();
    let by_tag: Vec<&String> =
        seen.iter().filter(|line| line.contains("/manifests/latest ")).collect();
    assert_eq!(by_tag.len(), 1, "{seen:#?}");
    assert!(seen.iter().any(|line| line.contains("/blobs/sha256:")), "{seen:#?}");
    assert!(!seen.iter().any(|line| line.contains("/tags/list")), "{seen:#?}");
}

/// A door in front of a registry: it passes every byte on and notes the first line of each request.
fn forwarding(to: &str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (log, to) = (Arc::clone(&seen), to.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (log, server) = (Arc::clone(&log), TcpStream::connect(&to));
            let Ok(server) = server else { continue };
            let (mut back, mut answers) =
                (client.try_clone().expect("a stream"), server.try_clone().expect("a stream"));
            thread::spawn(move || {
                let _ = std::io::copy(&mut answers, &mut back);
                let _ = back.shutdown(std::net::Shutdown::Both);
            });
            thread::spawn(move || pass(client, server, &log));
        }
    });
    (address, seen)
}

fn pass(mut client: TcpStream, mut server: TcpStream, log: &Mutex<Vec<String>>) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count) = client.read(&mut chunk) {
        if count == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&chunk[..count]).into_owned();
        let lines = text.lines().filter(|line| line.ends_with("HTTP/1.1"));
        log.lock().expect("the log").extend(lines.map(str::to_owned));
        if server.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}
