//! Follow: one small request while nothing is new, each refusal told once, and never a change by one.

use eyas_ops::{
    CheckResult, Checked, ConfirmedState, Confirmer, Follower, InstallOptions, RollbackOptions,
    Standing, Verdict,
};

use crate::stage::{Bundle, Stage};

async fn check(stage: &Stage, follower: &mut Follower) -> CheckResult {
    let round: Vec<Checked> =
        stage.with(async |context| follower.check(context, &InstallOptions::default()).await).await;
    eyas_ops::keep_checks(&stage.store(), &round).expect("kept");
    round.into_iter().next().expect("one").result
}

fn news(result: &CheckResult) -> Option<String> {
    match result {
        CheckResult::Failed { failure, known: false } => Some(failure.message.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn nothing_new_costs_one_request_without_a_body() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::Installed(_)));
    stage.requests();
    for _ in 0..3 {
        assert!(matches!(check(&stage, &mut follower).await, CheckResult::Current { .. }));
    }
    assert_eq!(stage.requests(), ["HEAD /v2/team/demo/manifests/latest 200"; 3]);
}

#[tokio::test]
async fn a_restart_knows_what_is_installed() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    stage.install(stage.name("demo")).await.expect("installed");
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::Current { .. }));
    assert_eq!(stage.sensor.generations(), [1]);
}

#[tokio::test]
async fn a_moved_tag_is_installed_and_confirmed() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    check(&stage, &mut follower).await;
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::Installed(_)));
    assert_eq!(stage.active(), ["demo 1.1.0"]);
    assert_eq!(stage.sensor.generations(), [1, 2]);
}

#[tokio::test]
async fn a_missing_signature_is_told_once_and_tried_until_it_arrives() {
    let stage = Stage::new().await;
    let bundle = Bundle { signed: false, ..Bundle::new("demo", "1.0.0") };
    let pushed = stage.publish(&bundle).await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    let first = news(&check(&stage, &mut follower).await).expect("news");
    assert!(first.contains("no signature"), "{first}");
    assert_eq!(news(&check(&stage, &mut follower).await), None);
    let key = eyas_trust::Signer::from(stage.key());
    eyas_ops::sign_reference(&stage.client, &pushed.reference, &key, &[eyas_ops::Form::Classic])
        .await
        .expect("signed");
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::Installed(_)));
}

#[tokio::test]
async fn what_cannot_work_is_told_once_and_not_fetched_again() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    check(&stage, &mut follower).await;
    for (version, content) in [("1.1.0", "broken"), ("0.9.0", "old")] {
        stage.publish(&Bundle { content, ..Bundle::new("demo", version) }).await;
        assert!(news(&check(&stage, &mut follower).await).is_some(), "{version}");
        stage.requests();
        assert!(matches!(check(&stage, &mut follower).await, CheckResult::StillRefused));
        assert_eq!(stage.requests(), ["HEAD /v2/team/demo/manifests/latest 200"]);
        assert_eq!(stage.active(), ["demo 1.0.0"]);
    }
    let checks = eyas_ops::last_checks(&stage.store()).expect("readable").expect("kept");
    assert_eq!(checks.references[0].standing, Standing::Failing);
    assert!(checks.references[0].reason.as_deref().is_some_and(|why| why.contains("0.9.0")));
    stage.publish(&Bundle::new("demo", "1.2.0")).await;
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::Installed(_)));
}

#[tokio::test]
async fn a_refusal_by_the_sensor_changes_nothing_and_is_news_once() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    check(&stage, &mut follower).await;
    stage.publish(&Bundle::new("demo", "1.1.0")).await;
    stage.sensor.will_say(Verdict::Refused(vec!["not with me".to_owned()]));
    assert!(
        news(&check(&stage, &mut follower).await).is_some_and(|why| why.contains("not with me"))
    );
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    assert!(matches!(check(&stage, &mut follower).await, CheckResult::StillRefused));
    assert_eq!(stage.sensor.generations(), [1, 2]);
}

#[tokio::test]
async fn one_that_fails_does_not_hold_up_another() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let names = vec![stage.name("absent").into(), stage.name("demo").into()];
    let mut follower = Follower::new(names).expect("two");
    let round =
        stage.with(async |context| follower.check(context, &InstallOptions::default()).await).await;
    assert!(matches!(round[0].result, CheckResult::Failed { .. }));
    assert!(matches!(round[1].result, CheckResult::Installed(_)));
}

#[tokio::test]
async fn what_a_rollback_has_left_stays_away_until_the_tag_moves() {
    let stage = Stage::new().await;
    let mut follower = Follower::new(vec![stage.name("demo").into()]).expect("one");
    for version in ["1.0.0", "1.1.0"] {
        stage.publish(&Bundle::new("demo", version)).await;
        check(&stage, &mut follower).await;
    }
    eyas_ops::rollback(
        &stage.store(),
        &stage.sensor,
        &stage.heard,
        None,
        &RollbackOptions::default(),
    )
    .expect("rolled back");
    // Also for one that was not there at the time.
    let mut restarted = Follower::new(vec![stage.name("demo").into()]).expect("one");
    assert!(matches!(check(&stage, &mut restarted).await, CheckResult::StillRefused));
    assert_eq!(stage.active(), ["demo 1.0.0"]);
    stage.publish(&Bundle::new("demo", "1.2.0")).await;
    assert!(matches!(check(&stage, &mut restarted).await, CheckResult::Installed(_)));
    assert_eq!(stage.active(), ["demo 1.2.0"]);
}

#[tokio::test]
async fn a_sensor_that_runs_something_else_is_told_once_and_may_refuse() {
    let stage = Stage::new().await;
    let mut confirmer = Confirmer::new();
    let mut ask = || confirmer.ask(&stage.store(), None, &stage.sensor, &stage.heard, false).state;
    assert_eq!(ask(), ConfirmedState::Nothing);
    for version in ["1.0.0", "1.1.0"] {
        stage.publish(&Bundle::new("demo", version)).await;
        stage.install(stage.name("demo")).await.expect("installed");
    }
    assert_eq!(ask(), ConfirmedState::Confirmed);
    assert_eq!(stage.sensor.generations(), [1, 2], "what it runs is not told again");
    // It was restarted with nothing.
    *stage.sensor.runs.lock().expect("runs") = None;
    assert_eq!(ask(), ConfirmedState::Confirmed);
    assert_eq!(stage.sensor.generations(), [1, 2, 2]);
    *stage.sensor.runs.lock().expect("runs") = None;
    stage.sensor.will_say(Verdict::Refused(vec!["not with me".to_owned()]));
    assert_eq!(ask(), ConfirmedState::Other, "it was told of this one already");
    *stage.sensor.absent.lock().expect("absent") = true;
    assert_eq!(ask(), ConfirmedState::Absent);
    *stage.sensor.absent.lock().expect("absent") = false;
    let mut restarted = Confirmer::new();
    let stands = restarted.ask(&stage.store(), None, &stage.sensor, &stage.heard, false);
    assert_eq!((stands.state, stands.generation), (ConfirmedState::Refused, Some(1)));
    assert_eq!(stage.active(), ["demo 1.0.0"]);
}
