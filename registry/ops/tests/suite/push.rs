//! Push, sign, pull and the questions one asks a registry.

use eyas_artifact::{Name, Platform};
use eyas_ops::{Silent, Trust};
use eyas_trust::Policy;

use crate::stage::{Bundle, Stage};

#[tokio::test]
async fn a_tag_moves_only_to_what_is_signed() {
    let stage = Stage::new().await;
    let pushed = stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let requests = stage.requests();
    let at = |end: &str| {
        let wanted = format!("PUT /v2/team/demo/manifests/{end} 201");
        requests.iter().position(|line| *line == wanted).unwrap_or_else(|| panic!("{requests:#?}"))
    };
    let content = at(&pushed.digest.to_string());
    let signature = at(&format!("sha256-{}.sig", pushed.digest.hex()));
    assert!(content < signature && signature < at("latest") && signature < at("1.0.0"));
}

#[tokio::test]
async fn the_same_input_gives_the_same_digest() {
    let (one, two) = (Stage::new().await, Stage::new().await);
    let first = one.publish(&Bundle::new("demo", "1.0.0")).await;
    let second = two.publish(&Bundle::new("demo", "1.0.0")).await;
    assert_eq!(first.digest, second.digest);
}

#[tokio::test]
async fn signatures_are_not_listed_as_versions() {
    let stage = Stage::new().await;
    let pushed = stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let tags = eyas_ops::tags(&stage.client, &pushed.reference).await.expect("listed");
    assert_eq!(tags, ["1.0.0", "latest"]);
}

#[tokio::test]
async fn documents_are_given_as_they_are() {
    let stage = Stage::new().await;
    let pushed = stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let platform = Platform::host();
    let manifest = eyas_ops::manifest(&stage.client, &pushed.reference, &platform).await;
    assert_eq!(eyas_artifact::Digest::sha256(manifest.expect("fetched")), pushed.digest);
    let config = eyas_ops::config(&stage.client, &pushed.reference, &platform).await;
    let text = String::from_utf8(config.expect("fetched")).expect("text");
    assert_eq!(text, r#"{"name":"demo","version":"1.0.0"}"#);
}

#[tokio::test]
async fn pull_writes_the_archive_and_nothing_else() {
    let stage = Stage::new().await;
    let pushed = stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let target = stage.path("pulled");
    let pulled =
        eyas_ops::pull(&stage.client, &pushed.reference, &Platform::host(), &target, &Silent)
            .await
            .expect("pulled");
    assert_eq!(pulled.path, target.join("demo.yaml.tar.gz"));
    let bytes = std::fs::read(&pulled.path).expect("read");
    assert_eq!(eyas_artifact::Digest::sha256(&bytes), pulled.digest);
    assert_eq!(std::fs::read_dir(&target).expect("listed").count(), 1);
}

#[tokio::test]
async fn verify_says_how() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let name: Name = "demo".parse().expect("a name");
    let catalog = stage.catalog().await;
    let explained = eyas_ops::verify(
        &stage.client,
        &catalog,
        &stage.trust(),
        &name,
        &Platform::host(),
        &stage.heard,
    )
    .await
    .expect("accepted");
    assert!(explained.attempts.iter().any(|attempt| attempt.failed.is_none()));
}

#[tokio::test]
async fn an_index_speaks_only_where_it_is_asked_to() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let name: Name = "demo".parse().expect("a name");
    let catalog = stage.catalog().await;
    let verify = async |from_index| {
        let trust = Trust::new(Policy::refuse_all(), from_index).expect("trust");
        eyas_ops::verify(&stage.client, &catalog, &trust, &name, &Platform::host(), &stage.heard)
            .await
    };
    assert!(verify(false).await.is_err());
    verify(true).await.expect("by the key that the index names");
}
