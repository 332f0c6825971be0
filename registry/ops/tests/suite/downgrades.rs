//! Ways on which an older version could come back: each is refused, or changes nothing.
//!
//! Everything here is signed by the accepted key. What changes is which of it a registry serves.

use eyas_artifact::Request;
use eyas_ops::{CheckResult, Class, Follower, InstallOptions, OpsError, Outcome, RollbackOptions};
use eyas_trust::Recheck;

use crate::stage::{Bundle, Stage};

async fn install(stage: &Stage, text: &str) -> Result<Outcome, OpsError> {
    let request: Request = text.parse().expect("a request");
    let options = InstallOptions::default();
    stage.with(async |context| eyas_ops::install(context, &[request], &options).await).await
}

/// Lets `tag` of `demo` name another version.
async fn serve(stage: &Stage, version: &str, tag: &str) {
    let from = format!("{}/team/demo:{version}", stage.host).parse().expect("a reference");
    let to = format!("{}/team/demo:{tag}", stage.host).parse().expect("a reference");
    let fetched = stage.client.manifest(&from).await.expect("published");
    stage.client.push_manifest(&to, &fetched.bytes, &fetched.media_type).await.expect("moved");
}

fn refused(outcome: Result<Outcome, OpsError>, texts: &[&str]) {
    let error = outcome.expect_err("a step back");
    assert_eq!(error.class(), Class::Verification, "{error}");
    let told = format!("{error} {}", error.hint().unwrap_or_default());
    assert!(texts.iter().all(|text| told.contains(text)), "{told}");
}

/// Both versions are published, and the newer one is installed.
async fn installed() -> Stage {
    let stage = Stage::new().await;
    for version in ["1.0.0", "1.1.0"] {
        stage.publish(&Bundle::new("demo", version)).await;
    }
    install(&stage, "demo").await.expect("installed");
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    stage
}

#[tokio::test]
async fn a_floating_tag_does_not_lead_back() {
    let stage = installed().await;
    let before = stage.snapshot();
    serve(&stage, "1.0.0", "latest").await;
    serve(&stage, "1.0.0", "1").await;
    for name in ["demo", "demo:1"] {
        refused(install(&stage, name).await, &["1.0.0", "1.1.0", "--allow-downgrade"]);
    }
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test]
async fn a_full_version_is_not_another_one() {
    let stage = installed().await;
    let before = stage.snapshot();
    serve(&stage, "1.0.0", "1.2.0").await;
    refused(install(&stage, "demo:1.2.0").await, &["1.2.0", "1.0.0"]);
    // A range passes the tag over for what it is, and does not fall back behind what is active.
    let outcome = install(&stage, "demo:^1").await.expect("what is there fits");
    assert!(!outcome.changed);
    // Nobody has anything newer installed: the name of a version still is no other version.
    let fresh = Stage::new().await;
    for version in ["1.0.0", "1.1.0"] {
        fresh.publish(&Bundle::new("demo", version)).await;
    }
    serve(&fresh, "1.0.0", "1.2.0").await;
    install(&fresh, "demo:^1").await.expect("the newest that is one");
    assert_eq!(fresh.active(), ["demo 1.1.0"]);
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test]
async fn a_range_of_older_versions_does_not_lead_back() {
    let stage = installed().await;
    let before = stage.snapshot();
    let error = install(&stage, "demo:<1.1").await.expect_err("a step back");
    assert!(error.to_string().contains("1.1.0"), "{error}");
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test]
async fn a_dependency_does_not_lead_back() {
    let stage = installed().await;
    let before = stage.snapshot();
    for (name, needs) in [("exact", "demo:<1.1"), ("ranged", "demo:~1.0.0")] {
        let bundle = Bundle { depends_on: &[needs], ..Bundle::new(name, "1.0.0") };
        stage.publish(&bundle).await;
        let error = install(&stage, name).await.expect_err("a step back");
        assert!(error.to_string().contains("1.1.0"), "{error}");
    }
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test]
async fn a_lock_file_does_not_lead_back() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let request: Request = "demo".parse().expect("a request");
    let dry = InstallOptions { dry_run: true, ..InstallOptions::default() };
    let locking =
        async |context: &eyas_ops::Context<'_>| eyas_ops::lock(context, &[request], &dry).await;
    let lock = stage.with(locking).await.expect("locked");
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    install(&stage, "demo").await.expect("installed");
    let before = stage.snapshot();
    let options = InstallOptions::default();
    let locked = async |context: &eyas_ops::Context<'_>| {
        eyas_ops::install_locked(context, &lock, &[], &options).await
    };
    let outcome = stage.with(locked).await;
    let error = outcome.expect_err("a step back");
    assert!(error.to_string().contains("1.1.0"), "{error}");
    assert_eq!(stage.snapshot(), before);
}

#[tokio::test]
async fn following_does_not_lead_back() {
    let stage = installed().await;
    serve(&stage, "1.0.0", "latest").await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    for known in [false, true] {
        let round = stage
            .with(async |context| follower.check(context, &InstallOptions::default()).await)
            .await;
        match round.into_iter().next().expect("one").result {
            CheckResult::StillRefused => assert!(known, "told once"),
            CheckResult::Failed { failure, .. } => {
                assert!(!known, "told once");
                assert!(failure.message.contains("1.0.0"), "{}", failure.message);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stage.active(), ["demo 1.1.0"]);
}

#[tokio::test]
async fn repair_restores_what_is_active_and_asks_nobody() {
    let stage = installed().await;
    serve(&stage, "1.0.0", "latest").await;
    let file = stage.path("store/current/rules/demo/demo.yaml");
    let honest = std::fs::read(&file).expect("installed");
    std::fs::remove_file(&file).expect("removed");
    stage.requests();
    let findings = eyas_ops::repair(&stage.store(), None, &Recheck::default(), &stage.heard, false)
        .expect("repaired");
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(std::fs::read(&file).expect("restored"), honest);
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    assert_eq!(stage.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn after_a_rollback_what_is_active_is_the_measure() {
    let stage = Stage::new().await;
    for version in ["1.0.0", "1.1.0"] {
        stage.publish(&Bundle::new("demo", version)).await;
        install(&stage, "demo").await.expect("installed");
    }
    let back = RollbackOptions::default();
    eyas_ops::rollback(&stage.store(), &stage.sensor, &stage.heard, None, &back).expect("back");
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    stage.publish(&Bundle::new("demo", "0.9.0")).await;
    refused(install(&stage, "demo").await, &["0.9.0", "1.0.0"]);
    assert_eq!(stage.active(), ["demo 1.0.0"]);
}
