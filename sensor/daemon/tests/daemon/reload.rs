//! Putting another generation in force while events flow.

use std::fs;

use eyas_control::{Candidate, Code, ControlError, ProbeSource, Reload, RulesText, Validate};

use crate::harness::{Daemon, Feed, Store, open, rule};

const BROKEN: &str = "- rule: broken\n  desc: d\n  condition: evt.type = openat and fd.nme = /b\n  output: x\n  priority: WARNING\n";

struct Setup {
    _dir: tempfile::TempDir,
    store: Store,
    feed: Feed,
    daemon: Daemon,
}

fn setup(first: &str) -> Setup {
    setup_with(first, &[])
}

fn setup_with(first: &str, more: &[&str]) -> Setup {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[first]);
    let feed = Feed::new(dir.path());
    let arguments =
        ["--no-probe", "--json", "--store", store.path(), "--replay-records", feed.path()];
    let daemon = Daemon::start(dir.path(), &[&arguments, more].concat());
    Setup { _dir: dir, store, feed, daemon }
}

#[test]
fn a_new_generation_fires_without_a_restart_and_the_old_rules_are_gone() {
    let Setup { _dir, store, mut feed, daemon } = setup(&rule("first", "/a"));
    feed.send(&[open("/a"), open("/b")]);
    let alert = daemon.alert();
    assert_eq!(alert["rule"], "first");
    assert_eq!(alert["output_fields"]["fd.name"], "/a");
    let id = daemon.id();

    store.activate(2, &[&rule("second", "/b")]);
    let report = daemon.reload(2);
    assert!(report.accepted, "{report:?}");
    assert_eq!((report.generation, report.previous), (Some(2), Some(1)));
    assert_eq!((report.rules.loaded, report.rules.enabled), (1, 1));
    feed.send(&[open("/a"), open("/b")]);
    assert_eq!(daemon.alert()["rule"], "second");

    let status = daemon.client().status().unwrap();
    assert_eq!((status.generation, status.pid), (Some(2), id));
    assert_eq!(status.probe.source, ProbeSource::None);
    assert_eq!((status.counters.reloads, status.counters.reloads_refused), (1, 0));
    let (code, rest, text) = daemon.stop();
    assert_eq!((code, rest), (Some(0), Vec::new()), "{text}");
}

#[test]
fn a_refused_generation_leaves_the_old_one_running_and_says_where_it_is_wrong() {
    let Setup { _dir, store, mut feed, daemon } = setup(&rule("first", "/a"));
    store.activate(2, &[BROKEN]);
    let report = daemon.reload(2);
    assert!(!report.accepted);
    assert_eq!(report.previous, Some(1));
    assert_eq!(report.rules.loaded, 1);
    let found = &report.reports[0];
    assert_eq!(found.code, "LOAD_ERR_COMPILE_CONDITION");
    assert_eq!((found.file.as_deref(), found.line), (Some("rules-0/rules.yaml"), Some(3)));
    assert!(found.text.contains("fd.nme"), "{}", found.text);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "first");
    let status = daemon.client().status().unwrap();
    assert_eq!((status.generation, status.counters.reloads_refused), (Some(1), 1));
    assert!(!status.last_reload.unwrap().accepted);
}

#[test]
fn a_request_about_another_generation_or_lock_file_is_refused() {
    let Setup { _dir, store, daemon, .. } = setup(&rule("first", "/a"));
    let digest = store.activate(2, &[&rule("second", "/b")]);
    let refused = |request: Reload| match daemon.client().reload(request) {
        Err(ControlError::Refused { code: Code::Store, message }) => message,
        other => panic!("{other:?}"),
    };
    let message = refused(Reload { generation: Some(3), ..Reload::default() });
    assert!(message.contains("expected generation `3`, found `2`"), "{message}");
    let other = eyas_artifact::Digest::sha256(b"other");
    let message = refused(Reload {
        generation: Some(2),
        lock_digest: Some(other),
        dir: Some("/elsewhere".into()),
    });
    assert!(message.contains("another lock file"), "{message}");
    assert!(message.contains("`/elsewhere`"), "{message}");
    assert_eq!(daemon.client().status().unwrap().generation, Some(1));
    let right = Reload { generation: Some(2), lock_digest: Some(digest), dir: None };
    assert!(daemon.client().reload(right).unwrap().accepted);
    assert_eq!(daemon.client().status().unwrap().lock_digest, Some(digest));
}

#[test]
fn a_file_that_is_not_the_one_installed_is_refused() {
    let Setup { _dir, store, daemon, .. } = setup(&rule("first", "/a"));
    store.activate(2, &[&rule("second", "/b")]);
    fs::write(store.rules_file(2), rule("tampered", "/c")).unwrap();
    let error = daemon.client().reload(Reload::default()).unwrap_err();
    assert!(error.to_string().contains("the lock file says"), "{error}");
    assert_eq!(daemon.client().status().unwrap().generation, Some(1));
}

#[test]
fn a_lock_file_cannot_lead_out_of_its_directory() {
    let Setup { _dir, store, daemon, .. } = setup(&rule("first", "/a"));
    store.activate(2, &[&rule("second", "/b")]);
    let lock = store.0.join("generations/2/lock.json");
    let text = fs::read_to_string(&lock).unwrap().replace("\"rules.yaml\"", "\"../../../x.yaml\"");
    fs::write(&lock, text).unwrap();
    let error = daemon.client().reload(Reload::default()).unwrap_err();
    assert!(error.to_string().contains("leaves its directory"), "{error}");
}

#[test]
fn at_start_the_newest_generation_that_compiles_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    store.activate(1, &[&rule("first", "/a")]);
    store.activate(2, &[&rule("second", "/b")]);
    store.activate(3, &[BROKEN]);
    let daemon = Daemon::start(dir.path(), &["--no-probe", "--store", store.path()]);
    let status = daemon.client().status().unwrap();
    assert_eq!(status.generation, Some(2));
    let last = status.last_reload.unwrap();
    assert!(!last.accepted);
    assert!(last.message.contains("fd.nme"), "{}", last.message);
}

#[test]
fn an_empty_store_is_waited_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path());
    let daemon = Daemon::start(dir.path(), &["--no-probe", "--store", store.path()]);
    let status = daemon.client().status().unwrap();
    assert_eq!((status.generation, status.rules.loaded), (None, 0));
    store.activate(1, &[&rule("first", "/a")]);
    assert!(daemon.reload(1).accepted);
}

#[test]
fn what_was_let_through_before_a_reload_counts_after_it() {
    // A token in eleven days: what a rule may say is its burst.
    let limits = ["-o", "alert_limits.rate=0.000001", "-o", "alert_limits.burst=3"];
    let rules = |of_path: &str| rule("kept", "/a") + &rule("other", of_path);
    let Setup { _dir, store, mut feed, daemon } = setup_with(&rules("/b"), &limits);
    feed.send(&[open("/a"), open("/a"), open("/b")]);
    let names = |count| (0..count).map(|_| daemon.alert()["rule"].clone()).collect::<Vec<_>>();
    assert_eq!(names(3), ["kept", "kept", "other"]);

    store.activate(2, &[&rules("/c")]);
    assert!(daemon.reload(2).accepted);
    feed.send(&[open("/a"), open("/a"), open("/a"), open("/c"), open("/c"), open("/c")]);
    // Of each burst of three is left what was not said before.
    assert_eq!(names(3), ["kept", "other", "other"]);
    let (code, rest, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    let held: Vec<serde_json::Value> =
        rest.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = held
        .iter()
        .map(|said| (&said["output_fields"]["eyas.rule"], &said["output_fields"]["eyas.over_rate"]))
        .collect();
    assert_eq!(told, [(&"kept".into(), &2.into()), (&"other".into(), &1.into())], "{rest:?}");
}

#[test]
fn what_was_said_before_a_reload_is_not_said_again_after_it() {
    let limits = ["-o", "alert_limits.same_for=3600"];
    let Setup { _dir, store, mut feed, daemon } = setup_with(&rule("kept", "/a"), &limits);
    feed.send(&[open("/a")]);
    assert_eq!(daemon.alert()["rule"], "kept");
    store.activate(2, &[&(rule("kept", "/a") + &rule("end", "/b"))]);
    assert!(daemon.reload(2).accepted);
    feed.send(&[open("/a"), open("/b")]);
    assert_eq!(daemon.alert()["rule"], "end");
    let (code, rest, text) = daemon.stop();
    assert_eq!(code, Some(0), "{text}");
    assert!(rest.len() == 1 && rest[0].contains("alerts held back"), "{rest:?}");
}

#[test]
fn validation_changes_nothing() {
    let Setup { _dir, store, daemon, .. } = setup(&rule("first", "/a"));
    let ask = |candidate| daemon.client().validate(Validate { candidate }).unwrap();
    let file = |text: &str| RulesText { name: "x.yaml".into(), text: text.into() };
    let good = ask(Candidate::Files(vec![file(&rule("x", "/x"))]));
    assert!(good.accepted);
    assert_eq!(good.rules.loaded, 1);
    let bad = ask(Candidate::Files(vec![file(BROKEN)]));
    assert!(!bad.accepted && !bad.reports.is_empty());
    store.activate(2, &[&rule("second", "/b")]);
    assert!(ask(Candidate::Generation(2)).accepted);
    let missing = Validate { candidate: Candidate::Generation(77) };
    assert!(daemon.client().validate(missing).is_err());
    assert_eq!(daemon.client().status().unwrap().generation, Some(1));
}

#[test]
fn every_event_is_judged_once_by_one_set_while_sets_are_swapped() {
    const EVENTS: usize = 40_000;
    const RELOADS: u64 = 20;
    let either = |name: &str| {
        let condition = "evt.type = openat and fd.name startswith /n/";
        format!(
            "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: opened %fd.name\n  \
             priority: WARNING\n"
        )
    };
    // Room for all, so that a reader that is behind costs nothing.
    let room = ["-o", "outputs_queue.capacity=50000", "-o", "outputs_queue.max_bytes=100000000"];
    let Setup { _dir, store, mut feed, daemon } = setup_with(&either("set 1"), &room);
    let writer = std::thread::spawn(move || {
        for first in (0..EVENTS).step_by(50) {
            let numbers = first..first + 50;
            feed.send(&numbers.map(|number| open(&format!("/n/{number}"))).collect::<Vec<_>>());
        }
        feed
    });
    for generation in 2..2 + RELOADS {
        store.activate(generation, &[&either(&format!("set {generation}"))]);
        assert!(daemon.reload(generation).accepted);
    }
    let mut last_set = 0;
    for number in 0..EVENTS {
        let alert = daemon.alert();
        assert_eq!(alert["output_fields"]["fd.name"], format!("/n/{number}"));
        let set: u64 = alert["rule"].as_str().unwrap()[4..].parse().unwrap();
        assert!(set >= last_set, "set {set} after set {last_set}");
        last_set = set;
    }
    let _feed = writer.join().unwrap();
    assert!(daemon.alerts_so_far().is_empty());
    // Totals are shown after each round of reading, alerts at once.
    let counters = loop {
        let counters = daemon.client().status().unwrap().counters;
        if counters.events >= EVENTS as u64 {
            break counters;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert_eq!((counters.events, counters.matches), (EVENTS as u64, EVENTS as u64));
    assert_eq!((counters.alerts_written, counters.alerts_dropped), (EVENTS as u64, 0));
    assert_eq!(counters.reloads, RELOADS);
}
