//! Ranges of versions, and telling them from tags.

use eyas_artifact::{Constraint, Name, Request, Version, VersionRange};
use proptest::prelude::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[test]
fn ranges_contain_what_people_expect() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("^1.4", &["1.4.0", "1.9.3"], &["1.3.9", "2.0.0", "1.5.0-rc1"]),
        ("^0.4", &["0.4.0", "0.4.9"], &["0.5.0"]),
        ("~1.4", &["1.4.0", "1.4.9"], &["1.5.0"]),
        (">=1.2,<2", &["1.2.0", "1.99.0"], &["1.1.9", "2.0.0"]),
        (">=1.2 <2", &["1.2.0", "1.99.0"], &["1.1.9", "2.0.0"]),
        (">= 1.2, < 2", &["1.2.0"], &["2.0.0"]),
        ("=1.4.0", &["1.4.0"], &["1.4.1"]),
        ("1.*", &["1.0.0", "1.9.0"], &["2.0.0"]),
        ("*", &["0.0.1", "9.0.0"], &["1.0.0-rc1"]),
    ];
    for (text, inside, outside) in cases {
        let range: VersionRange = text.parse().unwrap();
        assert!(inside.iter().all(|one| range.contains(&version(one))), "{text}");
        assert!(!outside.iter().any(|one| range.contains(&version(one))), "{text}");
        assert_eq!(range.to_string(), text);
    }
    for text in ["1", "1.4", "latest", "", "^", ">=1.2,", ">=x", "^1.2.3.4", "<>1"] {
        let read = text.parse::<VersionRange>();
        assert_eq!(read.is_ok(), text == ">=1.2,", "{text}: {read:?}");
    }
}

#[test]
fn a_plain_version_of_a_dependency_keeps_its_meaning() {
    let plain: Constraint = "1.2".parse().unwrap();
    assert!(plain.allows(&version("1.2.0")) && plain.allows(&version("1.9.0")));
    assert!(!plain.allows(&version("2.0.0")) && !plain.allows(&version("1.1.9")));
    let zero: Constraint = "0.2.0".parse().unwrap();
    assert!(zero.allows(&version("0.9.0")), "0.x is one major version");
    let range: Constraint = "^0.2".parse().unwrap();
    assert!(!range.allows(&version("0.9.0")));
    let text = serde_json::to_string(&[plain, range]).unwrap();
    assert_eq!(text, "[\"1.2.0\",\"^0.2\"]");
    let again: Vec<Constraint> = serde_json::from_str(&text).unwrap();
    assert_eq!(again[1].to_string(), "^0.2");
}

#[test]
fn requests_are_tags_until_something_says_range() {
    for text in ["demo", "demo:1", "demo:1.4", "demo:latest", "localhost:5000/team/demo:1.x"] {
        let request: Request = text.parse().unwrap();
        assert_eq!((request.range.as_ref(), request.to_string().as_str()), (None, text));
    }
    for (text, name, range) in [
        ("demo:^1.4", "demo", "^1.4"),
        ("demo:>=1.2,<2", "demo", ">=1.2,<2"),
        ("localhost:5000/team/demo:~2", "localhost:5000/team/demo", "~2"),
        ("demo:1.*", "demo", "1.*"),
    ] {
        let request: Request = text.parse().unwrap();
        assert_eq!(request.name, name.parse::<Name>().unwrap());
        assert_eq!(request.range.as_ref().unwrap().to_string(), range);
        assert_eq!(request.to_string(), text);
    }
    let digest = format!("demo@sha256:{}", "0".repeat(64));
    assert!(digest.parse::<Request>().unwrap().range.is_none());
    for text in
        ["demo^1.4", "demo:^", ":^1", "demo:1:^2", &format!("{digest}:^1"), "localhost:5000/x^1"]
    {
        let error = text.parse::<Request>().unwrap_err();
        assert!(error.hint().is_some(), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_is_read_is_written_the_same(text in "[a-z0-9:/@^~<>=*., -]{0,30}") {
        if let Ok(request) = text.parse::<Request>() {
            prop_assert_eq!(request.to_string().parse::<Request>().unwrap(), request);
        }
        let _ = text.parse::<Constraint>();
    }
}
