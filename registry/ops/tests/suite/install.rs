//! Install and rollback: all of it or nothing, and the sensor has the last word.

use eyas_index::Action;
use eyas_ops::{Class, Confirmation, InstallOptions, OpsError, RollbackOptions, Verdict};

use crate::stage::{Bundle, Stage};

#[tokio::test]
async fn what_is_installed_is_what_the_sensor_is_told() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let outcome = stage.install(stage.name("demo")).await.expect("installed");
    assert!(outcome.changed);
    assert_eq!(outcome.confirmation, Some(Confirmation::Confirmed(vec!["it runs".to_owned()])));
    let generation = stage.store().current().expect("readable").expect("active");
    let seen = stage.sensor.seen.lock().expect("seen");
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].generation, generation.number);
    assert_eq!(seen[0].lock_digest, generation.digest().expect("a digest"));
    let entry = &generation.entries[0];
    assert!(entry.signer.as_ref().is_some_and(|signer| signer.key_fingerprint.is_some()));
    assert_eq!(entry.reason, "requested: version `1.0.0` is not installed");
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_tells_nobody() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    let before = stage.snapshot();
    let outcome = stage.install(stage.name("demo")).await.expect("installed");
    assert!(!outcome.changed);
    assert_eq!(outcome.plan.steps[0].action, Action::Keep);
    assert_eq!(stage.snapshot(), before);
    assert_eq!(stage.sensor.generations(), [1]);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_at_all() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let options = InstallOptions { dry_run: true, require_sensor: true, ..Default::default() };
    *stage.sensor.absent.lock().expect("absent") = true;
    let outcome = stage.install_with(stage.name("demo"), &options).await.expect("planned");
    assert_eq!(outcome.plan.changes().count(), 1);
    assert!(!stage.path("store").exists());
}

#[tokio::test]
async fn a_refusal_by_the_sensor_brings_the_old_generation_back() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    stage.sensor.will_say(Verdict::Refused(vec!["refused".to_owned(), "no such field".to_owned()]));
    let error = stage.install(stage.name("demo")).await.expect_err("refused");
    assert_eq!(error.class(), Class::Sensor);
    assert!(error.to_string().contains("no such field"), "{error}");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    let history = stage.store().history().expect("readable");
    assert!(history[0].refused.is_some() && !history[0].active);
    assert!(stage.heard.all().contains("RolledBack"), "{}", stage.heard.all());
}

#[tokio::test]
async fn a_refused_first_install_leaves_nothing_active() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.sensor.will_say(Verdict::Refused(vec!["no".to_owned()]));
    stage.install(stage.name("demo")).await.expect_err("refused");
    assert_eq!(stage.active(), Vec::<String>::new());
    stage.install(stage.name("demo")).await.expect("accepted the second time");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
}

#[tokio::test]
async fn something_else_on_the_socket_stops_it_before_anything_is_fetched() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.requests();
    *stage.sensor.unreachable.lock().expect("unreachable") = true;
    let error = stage.install(stage.name("demo")).await.expect_err("unreachable");
    assert_eq!(error.class(), Class::Sensor);
    assert_eq!(stage.requests(), Vec::<String>::new());
    assert!(!stage.path("store").exists());
}

#[tokio::test]
async fn an_absent_sensor_is_said_and_can_be_an_error() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    *stage.sensor.absent.lock().expect("absent") = true;
    let required = InstallOptions { require_sensor: true, ..Default::default() };
    let error = stage.install_with(stage.name("demo"), &required).await.expect_err("required");
    assert!(matches!(error, OpsError::NoSensor { .. }), "{error}");
    assert!(!stage.path("store").exists());
    let outcome = stage.install(stage.name("demo")).await.expect("installed");
    assert!(matches!(outcome.confirmation, Some(Confirmation::Absent(_))));
    // It went away between the question and the reload.
    *stage.sensor.absent.lock().expect("absent") = false;
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    stage.sensor.will_say(Verdict::Absent("gone".to_owned()));
    stage.install_with(stage.name("demo"), &required).await.expect_err("gone");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
}

#[tokio::test]
async fn what_does_not_verify_or_work_leaves_no_trace() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    let before = stage.snapshot();

    stage.publish(&Bundle { signed: false, ..Bundle::new("demo", "1.1.0") }).await;
    let error = stage.install(stage.name("demo")).await.expect_err("unsigned");
    assert_eq!(error.class(), Class::Verification);
    assert_eq!(stage.snapshot(), before);

    stage.publish(&Bundle::new("demo", "0.9.0")).await;
    let error = stage.install(stage.name("demo")).await.expect_err("older");
    assert_eq!(error.class(), Class::Verification);
    assert_eq!(stage.snapshot(), before);

    stage.publish(&Bundle { content: "broken", ..Bundle::new("demo", "1.2.0") }).await;
    let error = stage.install(stage.name("demo")).await.expect_err("broken");
    assert_eq!(error.class(), Class::Validation);
    assert!(error.to_string().contains("demo/demo.yaml"), "{error}");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    assert_eq!(stage.sensor.generations(), [1]);
}

#[tokio::test]
async fn an_older_version_can_be_asked_for() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    stage.publish(&Bundle::new("demo", "0.9.0")).await;
    let options = InstallOptions { allow_downgrade: true, ..Default::default() };
    let outcome = stage.install_with(stage.name("demo"), &options).await.expect("allowed");
    assert_eq!(outcome.plan.steps[0].action, Action::Downgrade);
    assert_eq!(stage.active(), ["demo 0.9.0"]);
}

#[tokio::test]
async fn dependencies_come_along_once() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("base", "0.2.0")).await;
    let needs = ["base:0.2.0", "container:0.4.0"];
    stage.publish(&Bundle { depends_on: &needs, ..Bundle::new("demo", "1.0.0") }).await;
    stage.install("demo".parse().expect("a name")).await.expect("installed");
    assert_eq!(stage.active(), ["base 0.2.0", "demo 1.0.0"]);

    // What is there and good enough is not asked for again.
    stage.publish(&Bundle { depends_on: &["base:0.1.0"], ..Bundle::new("demo", "1.1.0") }).await;
    stage.requests();
    stage.install("demo".parse().expect("a name")).await.expect("installed");
    assert!(stage.requests().iter().all(|line| !line.contains("/team/base/")));
}

#[tokio::test]
async fn a_dependency_that_cannot_be_had_stops_everything() {
    let stage = Stage::new().await;
    stage.publish(&Bundle { depends_on: &["nowhere:1.0.0"], ..Bundle::new("demo", "1.0.0") }).await;
    let error = stage.install("demo".parse().expect("a name")).await.expect_err("unknown");
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().contains("`nowhere`"), "{error}");
    assert!(!stage.path("store").exists());
    let options = InstallOptions { resolve_dependencies: false, ..Default::default() };
    stage.install_with("demo".parse().expect("a name"), &options).await.expect("alone");
}

#[tokio::test]
async fn requirements_are_held_against_the_sensor() {
    let stage = Stage::new().await;
    let needs = ["engine_version_semver:0.99.0"];
    stage.publish(&Bundle { requires: &needs, ..Bundle::new("demo", "1.0.0") }).await;
    let error = stage.install(stage.name("demo")).await.expect_err("too new");
    assert_eq!(error.class(), Class::Validation);
    assert!(
        error.to_string().contains("0.99.0") && error.to_string().contains("0.63.0"),
        "{error}"
    );
    assert!(!stage.path("store").exists());
}

#[tokio::test]
async fn only_allowed_kinds_are_installed() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let options =
        InstallOptions { allowed: vec![eyas_artifact::Kind::Plugin], ..Default::default() };
    let error = stage.install_with(stage.name("demo"), &options).await.expect_err("a rulesfile");
    assert!(error.to_string().contains("`plugin`"), "{error}");
}

#[tokio::test]
async fn rollback_goes_back_and_returns_when_the_sensor_refuses() {
    let stage = Stage::new().await;
    for version in ["1.0.0", "1.1.0"] {
        stage.publish(&Bundle::new("demo", version)).await;
        stage.install(stage.name("demo")).await.expect("installed");
    }
    let store = stage.store();
    let back = |to, dry_run| {
        let options = RollbackOptions { to, dry_run, ..RollbackOptions::default() };
        eyas_ops::rollback(&store, &stage.sensor, &stage.heard, None, &options)
    };
    assert_eq!(back(None, true).expect("planned").to.number, 1);
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    stage.sensor.will_say(Verdict::Refused(vec!["no".to_owned()]));
    assert_eq!(back(None, false).expect_err("refused").class(), Class::Sensor);
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    back(None, false).expect("accepted");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    assert_eq!(back(Some(99), false).expect_err("no such").class(), Class::NotFound);
    assert_eq!(stage.sensor.generations(), [1, 2, 1, 1]);
}

#[tokio::test]
async fn reload_tells_what_is_active() {
    let stage = Stage::new().await;
    let reload = || eyas_ops::reload(&stage.store(), &stage.sensor, &stage.heard);
    assert_eq!(reload().expect_err("nothing").class(), Class::NotFound);
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    assert_eq!(reload().expect("accepted"), ["it runs"]);
    *stage.sensor.absent.lock().expect("absent") = true;
    assert_eq!(reload().expect_err("absent").class(), Class::Sensor);
}
