//! Ranges, dependencies, lock files, pins and uninstalling, against a registry.

use eyas_artifact::{Lock, Request};
use eyas_index::Action;
use eyas_ops::{Class, InstallOptions, OpsError, Outcome};

use crate::stage::{Bundle, Stage};

async fn install(stage: &Stage, text: &str) -> Result<Outcome, OpsError> {
    let request: Request = text.parse().expect("a request");
    let options = InstallOptions::default();
    stage.with(async |context| eyas_ops::install(context, &[request], &options).await).await
}

async fn lock(stage: &Stage, text: &str) -> Result<Lock, OpsError> {
    let request: Request = text.parse().expect("a request");
    let options = InstallOptions { dry_run: true, ..InstallOptions::default() };
    stage.with(async |context| eyas_ops::lock(context, &[request], &options).await).await
}

async fn install_locked(stage: &Stage, lock: &Lock, texts: &[&str]) -> Result<Outcome, OpsError> {
    let requests: Vec<Request> =
        texts.iter().map(|text| text.parse().expect("a request")).collect();
    let options = InstallOptions::default();
    let work = async |context: &eyas_ops::Context<'_>| {
        eyas_ops::install_locked(context, lock, &requests, &options).await
    };
    stage.with(work).await
}

async fn uninstall(stage: &Stage, name: &str, cascade: bool) -> Result<Vec<String>, OpsError> {
    let options = InstallOptions::default();
    let names = [name.to_owned()];
    let work = async |context: &eyas_ops::Context<'_>| {
        eyas_ops::uninstall(context, &names, cascade, &options)
    };
    let outcome = stage.with(work).await?;
    let told = |removal: &eyas_ops::Removal| format!("{}: {}", removal.entry.name, removal.reason);
    Ok(outcome.removed.iter().map(told).collect())
}

#[tokio::test]
async fn a_range_takes_the_newest_version_in_it() {
    let stage = Stage::new().await;
    for version in ["1.0.0", "1.2.0", "2.0.0", "1.3.0-rc1"] {
        stage.publish(&Bundle::new("demo", version)).await;
    }
    install(&stage, "demo:^1").await.expect("installed");
    assert_eq!(stage.active(), ["demo 1.2.0"]);
    // The same again asks for the list of tags and nothing else.
    stage.requests();
    let outcome = install(&stage, "demo:^1").await.expect("kept");
    assert!(!outcome.changed);
    assert_eq!(outcome.plan.steps[0].action, Action::Keep);
    assert_eq!(stage.requests().len(), 1);
    stage.publish(&Bundle::new("demo", "1.4.0")).await;
    let reference = format!("{}/team/demo:>=1,<2", stage.host);
    install(&stage, &reference).await.expect("upgraded");
    assert_eq!(stage.active(), ["demo 1.4.0"]);
    let error = install(&stage, "demo:^7").await.expect_err("none");
    assert_eq!(error.class(), Class::Validation);
    assert!(error.to_string().contains("no version of `demo` is `^7`"), "{error}");
}

#[tokio::test]
async fn a_plain_reference_costs_what_it_always_did() {
    let stage = Stage::new().await;
    stage.publish(&Bundle { signed: true, ..Bundle::new("demo", "1.0.0") }).await;
    stage.requests();
    install(&stage, "demo").await.expect("installed");
    let requests = stage.requests();
    assert!(requests.iter().all(|line| !line.contains("tags/list")), "{requests:?}");
    let of_demo = |part: &str| requests.iter().filter(|line| line.contains(part)).count();
    assert_eq!(of_demo("/manifests/latest "), 1, "the tag is resolved once: {requests:?}");
}

#[tokio::test]
async fn a_version_for_a_newer_sensor_is_passed_over_and_named() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "2.0.4")).await;
    let needs = ["engine_version_semver:0.70.0"];
    stage.publish(&Bundle { requires: &needs, ..Bundle::new("demo", "2.1.0") }).await;
    let error = install(&stage, "demo").await.expect_err("too new");
    let text = error.to_string();
    assert!(
        text.contains(
            "`demo` 2.1.0 needs `engine_version_semver` 0.70.0, the sensor offers 0.63.0"
        ),
        "{text}"
    );
    assert!(text.contains("`demo:2.0.4` would fit"), "{text}");
    install(&stage, "demo:^2").await.expect("an older one");
    assert_eq!(stage.active(), ["demo 2.0.4"]);
}

#[tokio::test]
async fn a_version_that_does_not_verify_is_not_passed_over() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.publish(&Bundle { signed: false, ..Bundle::new("demo", "1.1.0") }).await;
    let error = install(&stage, "demo:^1").await.expect_err("unsigned");
    assert_eq!(error.class(), Class::Verification);
    assert!(!stage.path("store").exists());
}

#[tokio::test]
async fn a_dependency_is_the_newest_that_fits_all() {
    let stage = Stage::new().await;
    for version in ["1.0.0", "1.4.0", "1.9.0", "2.0.0"] {
        stage.publish(&Bundle::new("base", version)).await;
    }
    stage.publish(&Bundle { depends_on: &["base:1.0.0"], ..Bundle::new("a", "1.0.0") }).await;
    stage.publish(&Bundle { depends_on: &["base:<1.5"], ..Bundle::new("b", "1.0.0") }).await;
    install(&stage, "a").await.expect("installed");
    assert_eq!(stage.active(), ["a 1.0.0", "base 1.9.0"]);
    // What is installed is not moved back for a newcomer.
    let error = install(&stage, "b").await.expect_err("no downgrade");
    assert!(error.to_string().contains("not older than the installed 1.9.0"), "{error}");
    assert_eq!(stage.active(), ["a 1.0.0", "base 1.9.0"]);
}

#[tokio::test]
async fn a_lock_file_gives_the_same_digests_on_every_host() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("base", "1.0.0")).await;
    stage.publish(&Bundle { depends_on: &["base:1.0.0"], ..Bundle::new("demo", "1.0.0") }).await;
    let locked = lock(&stage, "demo").await.expect("locked");
    assert!(!stage.path("store").exists(), "locking installs nothing");
    let names: Vec<&str> = locked.artifacts.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["base", "demo"]);
    // The world moves on; the lock does not.
    stage.publish(&Bundle::new("base", "1.1.0")).await;
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    install_locked(&stage, &locked, &["demo"]).await.expect("installed");
    assert_eq!(stage.active(), ["base 1.0.0", "demo 1.0.0"]);
    let generation = stage.store().current().expect("readable").expect("active");
    for one in &locked.artifacts {
        let entry = generation.find(one.kind, &one.name).expect("installed");
        assert_eq!(entry.root_digest, one.digest);
        assert!(entry.signer.is_some());
        assert!(
            entry.reference.contains(":latest@sha256:") || entry.reference.contains(":1.0.0@"),
            "{}",
            entry.reference
        );
    }
    let again = install_locked(&stage, &locked, &[]).await.expect("the same");
    assert!(!again.changed);
    let error = install_locked(&stage, &locked, &["demo:1.1.0"]).await.expect_err("not covered");
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().contains("demo:1.1.0"), "{error}");
    assert!(install_locked(&stage, &locked, &["demo:^1"]).await.is_ok(), "a range covers it");
}

#[tokio::test]
async fn a_lock_file_never_stands_in_for_a_signature() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let locked = lock(&stage, "demo").await.expect("locked");
    std::fs::write(
        stage.path("key.pub"),
        eyas_trust::SigningKey::generate().expect("a key").public_pem(),
    )
    .expect("written");
    let error = install_locked(&stage, &locked, &[]).await.expect_err("another key");
    assert_eq!(error.class(), Class::Verification);
    assert!(!stage.path("store").exists());
}

#[tokio::test]
async fn what_a_lock_file_lacks_is_not_fetched_from_elsewhere() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("base", "1.0.0")).await;
    stage.publish(&Bundle { depends_on: &["base:^1"], ..Bundle::new("demo", "1.0.0") }).await;
    let mut locked = lock(&stage, "demo").await.expect("locked");
    locked.artifacts.retain(|one| one.name == "demo");
    let error = install_locked(&stage, &locked, &[]).await.expect_err("incomplete");
    assert!(error.to_string().contains("the lock file does not have it"), "{error}");
}

#[tokio::test]
async fn a_pin_holds_until_it_is_released() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    install(&stage, "demo").await.expect("installed");
    let store = stage.store();
    let names = ["demo".to_owned()];
    let planned = eyas_ops::pin(&store, &names, true).expect("planned");
    assert_eq!(planned.changed, names);
    assert!(store.pins().expect("readable").is_empty(), "a dry run pins nothing");
    eyas_ops::pin(&store, &names, false).expect("pinned");
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    let error = install(&stage, "demo").await.expect_err("pinned");
    assert!(error.to_string().contains("`demo` is pinned at 1.0.0"), "{error}");
    assert!(error.hint().expect("a hint").contains("unpin"));
    assert!(!install(&stage, "demo:^1").await.expect("kept").changed);
    assert!(uninstall(&stage, "demo", false).await.is_err());
    eyas_ops::unpin(&store, &names, false).expect("released");
    assert_eq!(
        eyas_ops::unpin(&store, &names, false).expect_err("not pinned").class(),
        Class::NotFound
    );
    install(&stage, "demo").await.expect("moved");
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    let nothing = eyas_ops::pin(&store, &["absent".to_owned()], false).expect_err("absent");
    assert!(nothing.hint().expect("a hint").contains("demo"));
}

#[tokio::test]
async fn what_others_need_is_not_removed() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("base", "1.0.0")).await;
    stage.publish(&Bundle { depends_on: &["base:1.0.0"], ..Bundle::new("demo", "1.0.0") }).await;
    install(&stage, "demo").await.expect("installed");
    let before = stage.snapshot();
    let error = uninstall(&stage, "base", false).await.expect_err("needed");
    assert_eq!(error.to_string(), "`base` is needed by installed `demo 1.0.0`");
    assert_eq!(
        uninstall(&stage, "absent", false).await.expect_err("absent").class(),
        Class::NotFound
    );
    assert_eq!(stage.snapshot(), before);
    let removed = uninstall(&stage, "base", true).await.expect("removed");
    assert_eq!(removed, ["base: requested", "demo: needs `base`"]);
    assert_eq!(stage.active(), Vec::<String>::new());
    assert_eq!(stage.sensor.generations(), [1, 2]);
}

#[tokio::test]
async fn a_refusal_by_the_sensor_brings_back_what_was_removed() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    install(&stage, "demo").await.expect("installed");
    stage.sensor.will_say(eyas_ops::Verdict::Refused(vec!["no".to_owned()]));
    assert_eq!(uninstall(&stage, "demo", false).await.expect_err("refused").class(), Class::Sensor);
    assert_eq!(stage.active(), ["demo 1.0.0"]);
}

#[tokio::test]
async fn contents_are_read_from_the_store_and_from_a_registry() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    install(&stage, "demo").await.expect("installed");
    let store = stage.store();
    let generation = store.current().expect("readable").expect("active");
    let installed = eyas_ops::installed_contents(&store, &generation).expect("read").remove(0);
    stage
        .publish(&Bundle { content: "- list: y\n  items: [a]\n", ..Bundle::new("demo", "1.1.0") })
        .await;
    let reference = installed.reference.parse().expect("a reference");
    let options = InstallOptions::default();
    let work = async |context: &eyas_ops::Context<'_>| {
        eyas_ops::fetched_contents(context, &reference, Some(&installed), &options).await
    };
    let fetched = stage.with(work).await.expect("fetched");
    assert_eq!(fetched.version.to_string(), "1.1.0");
    let text = |one: &eyas_ops::Contents| one.files["demo.yaml"].text.clone();
    assert_eq!(text(&installed).as_deref(), Some("- list: x\n  items: []\n"));
    assert_eq!(text(&fetched).as_deref(), Some("- list: y\n  items: [a]\n"));
    assert_eq!(fetched.files["demo.yaml"].size, 23);
}
