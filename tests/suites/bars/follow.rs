//! Bars of following: repair, health, steady resources, start and stop.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eyas_tests::following::{get, metric};
use eyas_tests::registry::free_address;
use eyas_tests::{Credentials, Following, Gate, Mood, Registry, Site, marker_rule, noise, skip};
use rustix::process::Signal;

/// Name of the installed file.
const INSTALLED: &str = "store/current/rules/demo-rules/demo.yaml";

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

/// A host, a registry with version 1.0.0, and a gate before it that the host's policy and references go through.
fn scene(credentials: Credentials) -> (Registry, Gate, Site) {
    let registry = Registry::embedded();
    let gate = Gate::before(&registry, credentials);
    let site = Site::new();
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("First"))]);
    trust_all(&site);
    (registry, gate, site)
}

fn trust_all(site: &Site) {
    site.write_policy(
        "version: 1\nrules:\n  - match: \"**\"\n    accept:\n      - key: {file: signer.pub}\n",
    );
}

fn version(site: &Site) -> String {
    site.generation()["entries"][0]["version"].as_str().unwrap_or_default().to_owned()
}

fn is_installed(site: &Site, name: &str) -> bool {
    fs::read_to_string(site.path(INSTALLED)).is_ok_and(|text| text == rules(name))
}

/// Files of the store with names that only a running process knows.
fn scratch(site: &Site) -> Vec<PathBuf> {
    named(site, &[".staging-", ".tmp-", ".trash-"])
}

/// What was received of archives that are not complete; the next process continues it.
fn parts(site: &Site) -> Vec<PathBuf> {
    named(site, &[".part-"])
}

fn named(site: &Site, prefixes: &[&str]) -> Vec<PathBuf> {
    let store = site.store();
    let below = |name: &str| fs::read_dir(store.join(name)).into_iter().flatten().flatten();
    [".", "blobs/sha256", "generations"]
        .iter()
        .flat_map(|name| below(name))
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect()
}

#[test]
fn bar_05_a_changed_or_deleted_file_is_put_right_also_after_a_restart() {
    let (_registry, gate, site) = scene(Credentials::None);
    let reference = gate.reference("team/demo-rules:latest");
    let arguments = [&*reference, "--every", "100ms"];
    let mut follow = Following::start(&site, &arguments);
    follow.until_said("was updated");
    let file = site.path(INSTALLED);
    fs::write(&file, "truncated").expect("written");
    follow.until("the changed file is put right", || is_installed(&site, "First"));
    fs::remove_file(&file).expect("removed");
    follow.until("the deleted file is put right", || is_installed(&site, "First"));
    follow.until_said("restored `");
    assert_eq!(follow.end(Signal::TERM), Some(0));

    // The registry is not needed for it, nor is a check that succeeds.
    fs::write(&file, "").expect("written");
    gate.set(Mood::Refusing("500 Internal Server Error", ""));
    let mut follow = Following::start(&site, &arguments);
    follow.until("it is put right after a restart", || is_installed(&site, "First"));
    assert_eq!(follow.end(Signal::INT), Some(0));
    assert_eq!(site.generation()["number"], 1, "a repair is no update");
}

#[test]
fn bar_05_a_plain_directory_is_put_right_too() {
    let (_registry, gate, site) = scene(Credentials::None);
    let reference = gate.reference("team/demo-rules:latest");
    fs::create_dir(site.path("rules.d")).expect("directory");
    let arguments = [&*reference, "--every", "100ms", "--rulesfiles-dir", "rules.d", "--no-reload"];
    let mut follow = Following::start(&site, &arguments);
    follow.until_said("was updated");
    let file = site.path("rules.d/demo.yaml");
    let right = || fs::read_to_string(&file).is_ok_and(|text| text == rules("First"));
    follow.until("the file is there", right);
    fs::remove_file(&file).expect("removed");
    follow.until("the deleted file is put right", right);
    fs::write(&file, "changed").expect("written");
    follow.until("the changed file is put right", right);
    assert_eq!(follow.end(Signal::TERM), Some(0));
}

#[test]
fn bar_25_failures_are_records_metrics_and_readiness() {
    let (registry, gate, site) = scene(Credentials::None);
    let reference = gate.reference("team/demo-rules:latest");
    let other = registry.reference("team/absent:1");
    let address = free_address();
    let listen = address.to_string();
    let mut follow =
        Following::start(&site, &[&reference, &other, "--every", "100ms", "--listen", &listen]);
    follow.until_said("was updated");
    let ready = || get(address, "/readyz").unwrap_or_default();
    assert_eq!(get(address, "/healthz"), Some((200, "ok\n".to_owned())));
    let (status, body) = ready();
    assert_eq!(status, 503);
    assert!(body.starts_with(&format!("{other}: no successful check yet: ")), "{body}");
    assert!(!body.contains(&reference), "only the one that fails is named: {body}");

    gate.set(Mood::Refusing("403 Forbidden", ""));
    let failures =
        format!("eyas_follow_failures_total{{reference=\"{reference}\",class=\"network\"}}");
    follow.until("the failures are counted", || {
        metric(address, &failures).is_some_and(|count| count > 2.0)
    });
    follow.until("readiness is lost", || ready().1.lines().count() == 2);
    let log = follow.log();
    let told = format!("ERROR {reference} was not updated");
    assert_eq!(log.matches(&told).count(), 1, "told once at level error:\n{log}");

    let status = site.run(&["artifact", "status", "--sensor-socket", "control.sock"]);
    assert!(status.stdout.contains("failing since"), "{}", status.stdout);

    gate.set(Mood::Open);
    follow.until_said("is current again");
    follow.until("readiness names only the other", || ready().1.lines().count() == 1);
    let generation = metric(address, "eyas_generation");
    assert_eq!(generation, Some(1.0));
    assert_eq!(metric(address, "eyas_sensor_state{state=\"absent\"}"), Some(1.0));
    promtool(address);
}

/// The page as Prometheus' own checker reads it.
fn promtool(address: std::net::SocketAddr) {
    let Some(promtool) = eyas_tests::peer("PROMTOOL") else {
        return skip("bar_25::promtool", "promtool is not installed");
    };
    let (_, body) = get(address, "/metrics").expect("metrics");
    let folder = tempfile::tempdir().expect("folder");
    let page = folder.path().join("metrics");
    fs::write(&page, body).expect("written");
    let mut command = std::process::Command::new(promtool);
    command.args(["check", "metrics"]).stdin(fs::File::open(&page).expect("opened"));
    let output = command.output().expect("promtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn bar_26_descriptors_and_memory_are_steady_over_many_checks() {
    let wanted: usize =
        std::env::var("EYAS_SOAK_CHECKS").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let (registry, gate, site) = scene(Credentials::None);
    // The same content under many tags: each is asked for, and nothing is new.
    let tags: Vec<String> = (0..30).map(|number| format!("tag-{number}")).collect();
    let latest = registry.reference("team/demo-rules:latest");
    let file = site.path("bundle-1.0.0/demo.yaml").display().to_string();
    let mut push = vec!["registry", "push", &latest, &file, "--type", "rulesfile"];
    push.extend(["--version", "1.0.0", "--name", "demo-rules", "--plain-http"]);
    push.extend(["--sign-key", "signer"]);
    push.extend(tags.iter().flat_map(|tag| ["--tag", tag]));
    site.run(&push).expect_code(0);
    let references: Vec<String> =
        tags.iter().map(|tag| gate.reference(&format!("team/demo-rules:{tag}"))).collect();
    let mut arguments: Vec<&str> = references.iter().map(String::as_str).collect();
    arguments.extend(["--every", "50ms", "--jitter", "0", "--no-reload"]);
    let mut follow = Following::start(&site, &arguments);
    follow.until_said("was updated");
    let at = |share: usize| wanted * share / 10;
    let mut seen = Vec::new();
    let mut counted = 0;
    for share in [1, 2, 4, 6, 8, 10] {
        follow.until_within(Duration::from_mins(30), "checks", || {
            gate.count() + counted >= at(share)
        });
        counted += gate.requests().len();
        seen.push((counted, follow.resident_kib(), follow.descriptors()));
    }
    for (checks, resident, descriptors) in &seen {
        eprintln!("SOAK: {checks} checks, {resident} KiB resident, {descriptors} descriptors");
    }
    let (_, early, open) = seen[0];
    let (_, late, open_late) = seen[seen.len() - 1];
    assert!(open_late <= open + 2, "descriptors grow: {seen:?}");
    // An allocator needs some room to settle; a leak of 24 bytes per check would show in the long run.
    assert!(late <= early + 2048, "memory grows: {seen:?}");
    assert!(gate.connections() <= references.len() + 4, "{} connections", gate.connections());
}

#[test]
fn bar_27_a_versions_document_is_optional_read_again_and_may_be_a_file() {
    let (registry, gate, site) = scene(Credentials::None);
    let demanding = format!("- required_engine_version: 0.40.0\n{}", rules("Second"));
    let reference = gate.reference("team/demo-rules:latest");
    // Nobody listens there: the start is not held up, and what is built in counts.
    let nowhere = format!("http://{}/versions", free_address());
    let arguments = [&*reference, "--every", "100ms", "--falco-versions", &nowhere];
    let mut follow = Following::start(&site, &arguments);
    follow.until_said("held against what is built in");
    follow.until_said("was updated");
    assert_eq!(follow.end(Signal::TERM), Some(0));

    fs::write(site.path("versions.json"), r#"{"engine_version_semver":"0.39.0"}"#)
        .expect("written");
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &demanding)]);
    let arguments = [&*reference, "--every", "100ms", "--falco-versions", "versions.json"];
    let mut follow = Following::start(&site, &arguments);
    follow.until_said("0.39.0");
    assert_eq!(version(&site), "1.0.0");
    // The engine was upgraded.
    fs::write(site.path("versions.json"), r#"{"engine_version_semver":"0.41.0"}"#)
        .expect("written");
    follow.until("the update is taken", || version(&site) == "1.1.0");
}

#[test]
fn bar_28_a_stop_is_prompt_and_leaves_no_scratch() {
    let (registry, gate, site) = scene(Credentials::None);
    // Large enough that half of it is on disk while the rest is awaited.
    let large = format!("{}{}", rules("Large"), noise(4 << 20));
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &large)]);
    let reference = gate.reference("team/demo-rules:latest");
    // During the delay before the first check.
    let mut follow =
        Following::start(&site, &[&reference, "--startup-behavior", "skip", "--every", "1h"]);
    follow.until_said("following");
    assert_eq!(follow.end(Signal::TERM), Some(0));
    assert!(scratch(&site).is_empty());

    // During a download that stalls.
    let manifest = site.run(&["artifact", "manifest", &reference, "--plain-http"]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest.stdout).expect("manifest");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    gate.set(Mood::Stalling(layer.clone()));
    let stalled = |follow: &mut Following| {
        gate.requests();
        follow.until("a download stalls", || gate.saw(&layer) && parts(&site).len() == 1);
    };
    let mut follow = Following::start(&site, &[&reference, "--every", "100ms"]);
    stalled(&mut follow);
    assert_eq!(follow.end(Signal::TERM), Some(0));
    assert_eq!(scratch(&site), Vec::<PathBuf>::new(), "a stop leaves nothing to clean up");

    // Killed, it leaves what it had received. The next run uses that up and leaves nothing.
    let mut follow = Following::start(&site, &[&reference, "--every", "100ms"]);
    stalled(&mut follow);
    follow.end(Signal::KILL);
    assert_eq!(parts(&site).len(), 1, "there is something to continue");
    gate.set(Mood::Open);
    let mut follow = Following::start(&site, &[&reference, "--every", "100ms"]);
    follow.until("the update is complete", || site.store().join("current/lock.json").exists());
    follow.until("nothing is left", || scratch(&site).is_empty() && parts(&site).is_empty());
}

#[test]
fn bar_29_the_first_check_is_at_once() {
    let (_registry, gate, site) = scene(Credentials::None);
    let reference = gate.reference("team/demo-rules:latest");
    let mut follow = Following::start(&site, &[&reference, "--every", "168h"]);
    follow.until_said("was updated");
    assert_eq!(version(&site), "1.0.0");
    // SIGHUP asks again at once.
    gate.requests();
    follow.signal(Signal::HUP);
    follow.until("a check after SIGHUP", || gate.count() > 0);
}

#[test]
fn bar_32_credentials_are_kept_between_checks() {
    for credentials in [Credentials::Basic, Credentials::Bearer] {
        let (_registry, gate, site) = scene(credentials);
        let host = gate.host();
        let auth = format!("{{registry: \"{host}\", user: puller, password: secret}}");
        fs::write(site.path("eyas.yaml"), format!("registry: {{auth: {{basic: [{auth}]}}}}\n"))
            .expect("configuration");
        let reference = gate.reference("team/demo-rules:latest");
        let mut follow = Following::start(&site, &[&reference, "--every", "100ms"]);
        follow.until_said("was updated");
        gate.requests();
        let before = gate.connections();
        follow.until("six checks", || gate.count() >= 6);
        let requests = gate.requests();
        let expected = "HEAD /v2/team/demo-rules/manifests/latest 200";
        assert!(
            requests.iter().all(|request| request == expected),
            "{credentials:?}: {requests:?}"
        );
        assert_eq!(gate.connections(), before, "{credentials:?}: on kept connections");
    }
}

#[test]
fn one_reference_that_stalls_or_is_limited_does_not_hold_up_another() {
    let (registry, gate, site) = scene(Credentials::None);
    gate.set(Mood::Refusing("429 Too Many Requests", "Retry-After: 3600\r\n"));
    let limited = gate.reference("team/demo-rules:latest");
    let other = registry.reference("team/demo-rules:latest");
    let mut follow = Following::start(&site, &[&limited, &other, "--every", "30s"]);
    follow.until_said("was updated");
    follow.until_said("too many requests");
    let checks = site.path("store/checks.json");
    follow.until("both are recorded", || {
        fs::read_to_string(&checks)
            .is_ok_and(|text| text.contains(&limited) && text.contains(&other))
    });
    let status = site.run(&["artifact", "status", "--sensor-socket", "control.sock"]).stdout;
    assert!(status.contains(&format!("{other}: current")), "{status}");
    assert!(status.contains(&format!("{limited}: failing")), "{status}");
}

#[test]
fn the_configuration_counts_as_it_is_now() {
    let (registry, _gate, site) = scene(Credentials::None);
    let configured = |refs: &str| {
        let text = format!("artifact: {{follow: {{refs: [{refs}], every: 100ms}}}}\n");
        fs::write(site.path("next.yaml"), text).expect("written");
        fs::rename(site.path("next.yaml"), site.path("eyas.yaml")).expect("replaced");
    };
    let absent = registry.reference("team/absent:1");
    configured(&format!("\"{absent}\""));
    let mut follow = Following::start(&site, &[]);
    follow.until_said("was not updated");
    // A configuration that is wrong is told, and the one before stays.
    fs::write(site.path("eyas.yaml"), "artifact: [").expect("written");
    follow.until_said("the one before stays in force");
    configured(&format!("\"{}\"", registry.reference("team/demo-rules:latest")));
    follow.until_said("was updated");
    assert_eq!(version(&site), "1.0.0");
    // A policy that no longer accepts the signer counts for the next update.
    site.write_policy("version: 1\nrules: []\n");
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &rules("Second"))]);
    follow.until_said("no rule");
    assert_eq!(version(&site), "1.0.0");
    trust_all(&site);
    follow.until("the update is taken", || version(&site) == "1.1.0");
}

#[test]
fn a_dry_run_says_what_would_change_and_ends() {
    let (registry, _gate, site) = scene(Credentials::None);
    let reference = registry.reference("team/demo-rules:latest");
    let arguments = site.install_arguments(&["follow", &reference, "--dry-run"]);
    let finished = site.run(&arguments);
    finished.expect_code(0);
    assert!(finished.stdout.contains("would install demo-rules 1.0.0"), "{}", finished.stdout);
    assert!(!Path::new(&site.store()).join("current").exists(), "nothing was installed");
}

#[test]
fn the_service_manager_is_told() {
    let (registry, _gate, site) = scene(Credentials::None);
    let path = site.path("notify.sock");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(Duration::from_mins(1))).expect("a limit");
    let reference = registry.reference("team/demo-rules:latest");
    let follow = Following::start_with(&site, &[&reference, "--every", "1h"], |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    });
    let until = |wanted: &str| {
        let mut buffer = [0; 1024];
        loop {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            if String::from_utf8_lossy(&buffer[..length]).starts_with(wanted) {
                return;
            }
        }
    };
    until("READY=1");
    until("STATUS=generation 1 is active; 1 followed, all current");
    until("WATCHDOG=1");
    follow.signal(Signal::HUP);
    until("RELOADING=1\nMONOTONIC_USEC=");
    until("READY=1");
    assert_eq!(follow.end(Signal::TERM), Some(0));
    until("STOPPING=1");
}

#[test]
fn progress_is_a_bar_on_a_terminal_and_never_in_a_pipe_at_once() {
    let Some(script) = eyas_tests::peer("SCRIPT") else {
        return skip("progress::terminal", "`script` is not installed");
    };
    let (registry, gate, site) = scene(Credentials::None);
    let large = format!("{}{}", rules("Large"), noise(4 << 20));
    site.publish(&registry, "1.1.0", Some("signer"), &[("demo.yaml", &large)]);
    let reference = gate.reference("team/demo-rules:latest");
    let manifest = site.run(&["artifact", "manifest", &reference, "--plain-http"]);
    let manifest: serde_json::Value = serde_json::from_str(&manifest.stdout).expect("manifest");
    let layer = manifest["layers"][0]["digest"].as_str().expect("a digest");
    gate.set(Mood::Stalling(layer.to_owned()));
    let install = site.eyas(&site.install_arguments(&["install", &reference]));
    let mut words = vec![install.get_program().to_string_lossy().into_owned()];
    words.extend(install.get_args().map(|word| word.to_string_lossy().into_owned()));
    let shown = site.path("shown");
    let mut child = std::process::Command::new(script)
        .args(["-q", "-f", "-c", &words.join(" ")])
        .arg(&shown)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", site.folder())
        .env("TERM", "xterm")
        .current_dir(site.folder())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("script starts");
    let start = std::time::Instant::now();
    let text = || String::from_utf8_lossy(&fs::read(&shown).unwrap_or_default()).into_owned();
    while !(text().contains("demo-rules ") && text().contains("B/s")) {
        assert!(start.elapsed() < Duration::from_mins(1), "no bar:\n{}", text());
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    // In a pipe there is no control sequence, whatever happens.
    gate.set(Mood::Open);
    let finished = site.install(&[&reference]);
    finished.expect_code(0);
    assert!(!finished.stderr.contains(['\u{1b}', '\r']), "{:?}", finished.stderr);
}
