//! What a user types: a name of an index or a full reference.

use eyas_artifact::{Digest, MAX_NAME_LENGTH, Name, is_artifact_name};

#[test]
fn a_slash_decides() {
    let digest = Digest::sha256(b"x");
    let indexed = |name: &str, tag: Option<&str>, digest| Name::Indexed {
        name: name.to_owned(),
        tag: tag.map(str::to_owned),
        digest,
    };
    let cases = [
        ("demo-rules".to_owned(), indexed("demo-rules", None, None)),
        ("dummy_c:0.1".to_owned(), indexed("dummy_c", Some("0.1"), None)),
        (format!("demo@{digest}"), indexed("demo", None, Some(digest))),
        (format!("demo:1@{digest}"), indexed("demo", Some("1"), Some(digest))),
        // Without a slash there is no repository, so this is a name and a tag.
        ("localhost:5000".to_owned(), indexed("localhost", Some("5000"), None)),
        ("host/demo".to_owned(), Name::Full("host/demo".parse().unwrap())),
        ("host:5000/demo:1".to_owned(), Name::Full("host:5000/demo:1".parse().unwrap())),
    ];
    for (text, expected) in cases {
        let name: Name = text.parse().unwrap();
        assert_eq!(name, expected, "{text}");
        assert_eq!(name.to_string(), text, "printed form");
    }
}

#[test]
fn refuses_what_is_neither() {
    let long = "a".repeat(MAX_NAME_LENGTH + 1);
    let cases = [
        ("", "empty"),
        (":1", "empty"),
        ("demo:", "tag after `:` is empty"),
        ("de mo", "expected letters"),
        ("-demo", "expected letters"),
        (".demo", "expected letters"),
        ("demo@sha256:1", "not a digest"),
        ("../demo", "not a host name"),
        (&long, "longer than 128"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Name>().expect_err(text);
        assert!(error.to_string().contains(expected), "`{text}`: {error}");
        assert!(error.hint().is_some(), "`{text}` lacks a hint");
    }
    assert!("a".repeat(MAX_NAME_LENGTH).parse::<Name>().is_ok());
}

#[test]
fn a_configured_name_is_fit_to_be_a_directory() {
    for good in ["demo", "demo-rules", "k8saudit_2", "0a", "a..b"] {
        assert!(is_artifact_name(good), "`{good}`");
    }
    let long = "a".repeat(MAX_NAME_LENGTH + 1);
    for bad in ["", ".", "..", ".hidden", "a/b", "A", "a b", "a\0", "-a", "é", &long] {
        assert!(!is_artifact_name(bad), "`{bad}`");
    }
}
