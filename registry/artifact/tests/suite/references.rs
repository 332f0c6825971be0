//! References and digests: the grammar, case by case.

use eyas_artifact::{ArtifactError, Digest, Reference};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn accepts_what_the_distribution_grammar_accepts() {
    let digest = format!("sha256:{HEX}");
    let pinned = format!("registry.example.org/a/b@{digest}");
    let both = format!("registry.example.org/a/b:1@{digest}");
    let cases: &[(&str, &str, &str, Option<&str>, bool)] = &[
        ("registry.example.org/team/rules", "registry.example.org", "team/rules", None, false),
        ("registry.example.org/rules:1.4.0", "registry.example.org", "rules", Some("1.4.0"), false),
        ("localhost:5000/rules:latest", "localhost:5000", "rules", Some("latest"), false),
        ("127.0.0.1:5000/rules", "127.0.0.1:5000", "rules", None, false),
        ("[::1]:5000/rules:1", "[::1]:5000", "rules", Some("1"), false),
        ("[2001:db8::1]/rules", "[2001:db8::1]", "rules", None, false),
        ("host/a/b/c/d", "host", "a/b/c/d", None, false),
        ("host/a.b_c__d-e---f", "host", "a.b_c__d-e---f", None, false),
        ("host/rules:_weird.TAG-1", "host", "rules", Some("_weird.TAG-1"), false),
        (&pinned, "registry.example.org", "a/b", None, true),
        (&both, "registry.example.org", "a/b", Some("1"), true),
    ];
    for (text, registry, repository, tag, has_digest) in cases {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.registry(), *registry, "{text}");
        assert_eq!(reference.repository(), *repository, "{text}");
        assert_eq!(reference.tag(), *tag, "{text}");
        assert_eq!(reference.digest().is_some(), *has_digest, "{text}");
        assert_eq!(reference.to_string(), *text, "printed form");
    }
}

#[test]
fn refuses_what_is_no_reference_and_says_which_part() {
    let long_tag = format!("host/a:{}", "t".repeat(129));
    let long_path = format!("host/{}", "a".repeat(251));
    let cases = [
        ("", "separated by `/`"),
        ("rules", "separated by `/`"),
        ("rules:1", "separated by `/`"),
        ("https://host/rules", "without a scheme"),
        ("/rules", "host name"),
        ("host/", "empty path element"),
        ("host//rules", "empty path element"),
        ("host/rules/", "empty path element"),
        ("host/Rules", "lower case"),
        ("host/a..b", "lower case"),
        ("host/../b", "lower case"),
        ("host/a___b", "lower case"),
        ("host/-a", "lower case"),
        ("host/a-", "lower case"),
        ("host/a._b", "lower case"),
        ("host/a b", "lower case"),
        ("host/ä", "lower case"),
        ("-host/a", "host name"),
        ("host-/a", "host name"),
        ("ho st/a", "host name"),
        ("user@host/a", "not a digest"),
        ("a..b/c", "host name"),
        ("host:/a", "port ``"),
        ("host:0/a", "port `0`"),
        ("host:65536/a", "port `65536`"),
        ("host:+80/a", "port `+80`"),
        ("[::1/a", "lacks a `]`"),
        ("[::1]x/a", "unexpected `x`"),
        ("[nonsense]/a", "IPv6"),
        ("host/a:", "tag after `:` is empty"),
        ("host/a:.b", "starts with neither"),
        ("host/a:-b", "starts with neither"),
        ("host/a:b:c", "tag `b:c`"),
        ("host/a:b/c", "tag `b/c`"),
        (&long_tag, "longer than 128"),
        (&long_path, "longer than 255"),
        ("host/a@", "not a digest"),
        ("host/a@sha256:abc", "not a digest"),
        ("host/a@md5:abc", "`md5`"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Reference>().expect_err(text);
        let message = error.to_string();
        assert!(message.contains(expected), "`{text}`: {message}");
        assert!(error.hint().is_some(), "`{text}` lacks a hint");
    }
}

#[test]
fn limits_hold_at_their_edge() {
    assert!(format!("host/a:{}", "t".repeat(128)).parse::<Reference>().is_ok());
    assert!(format!("host/{}", "a".repeat(250)).parse::<Reference>().is_ok());
    assert!("host:65535/a".parse::<Reference>().is_ok());
    // A policy on `host:443` is not passed by another spelling.
    assert!("host:0443/a".parse::<Reference>().is_err());
}

#[test]
fn a_host_has_one_spelling() {
    let upper: Reference = "REGISTRY.Example.org:5000/a:T".parse().unwrap();
    assert_eq!(upper.to_string(), "registry.example.org:5000/a:T");
    assert_eq!(upper, "registry.example.org:5000/a:T".parse().unwrap());
}

#[test]
fn pinning_drops_the_tag_and_tagging_drops_the_digest() {
    let reference: Reference = "host/a/b:1".parse().unwrap();
    let pinned = reference.with_digest(Digest::sha256(b""));
    assert_eq!(pinned.to_string(), format!("host/a/b@sha256:{HEX}"));
    assert_eq!(pinned.with_tag("2").unwrap().to_string(), "host/a/b:2");
    assert_eq!(pinned.tag_or_latest(), "latest");
    assert_eq!(reference.tag_or_latest(), "1");
    assert_eq!(reference.base_name(), "b");
    assert_eq!(reference.locator(), "host/a/b");
    assert!(reference.with_tag("not a tag").is_err());
}

#[test]
fn digest_has_one_spelling() {
    let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
    assert_eq!(digest, Digest::sha256(b""));
    assert_eq!(digest.hex(), HEX);
    assert_eq!(digest.algorithm(), "sha256");
    let refused = [
        HEX.to_owned(),
        format!("sha256:{}", HEX.to_uppercase()),
        format!("sha256:{HEX}0"),
        format!("sha256:{}", &HEX[..63]),
        format!("SHA256:{HEX}"),
        format!("sha256:{}g", &HEX[..63]),
        ":".to_owned(),
        format!(":{HEX}"),
    ];
    for text in refused {
        assert!(matches!(text.parse::<Digest>(), Err(ArtifactError::Digest { .. })), "`{text}`");
    }
    let other = format!("sha512:{HEX}{HEX}").parse::<Digest>();
    assert!(
        matches!(other, Err(ArtifactError::DigestAlgorithm { algorithm, .. }) if algorithm == "sha512")
    );
}

#[test]
fn digest_and_reference_are_strings_in_json() {
    let text = format!("\"host/a@sha256:{HEX}\"");
    let reference: Reference = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&reference).unwrap(), text);
    assert!(serde_json::from_str::<Digest>("\"sha256:zz\"").is_err());
}
