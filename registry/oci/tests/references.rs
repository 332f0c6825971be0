//! References, held against the grammar of the distribution and against another reader of them.

use eyas_artifact::Reference;
use oci_distribution::Reference as Other;
use proptest::prelude::*;

/// Text that is a reference, or nearly one.
fn candidate() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[a-z0-9]{1,8}(\\.[a-z0-9-]{1,6}){1,2}",
        "[A-Za-z]{1,4}\\.example\\.org",
        Just("localhost".to_owned()),
        Just("127.0.0.1".to_owned()),
        "[-._a-z]{1,6}",
    ];
    let port = prop_oneof![Just(String::new()), ":[0-9]{1,6}", Just(":".to_owned())];
    let path = prop::collection::vec("[a-z0-9]{1,5}([._-]{1,2}[a-z0-9]{1,3})?|[A-Z._-]{0,3}", 1..4);
    let tag = prop_oneof![Just(String::new()), ":[A-Za-z0-9_.-]{0,12}"];
    let digest = prop_oneof![
        3 => Just(String::new()),
        1 => "@sha256:[0-9a-f]{64}",
        1 => "@sha256:[0-9a-fA-F]{60,66}",
    ];
    (host, port, path, tag, digest).prop_map(|(host, port, path, tag, digest)| {
        format!("{host}{port}/{}{tag}{digest}", path.join("/"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is taken here is taken by the grammar of the distribution, and means the same.
    #[test]
    fn what_both_take_means_the_same(text in candidate()) {
        let Ok(ours) = text.parse::<Reference>() else { return Ok(()) };
        let host = text.split('/').next().unwrap_or_default();
        // The other reader takes a first part without these for a path at a default registry.
        prop_assume!(host.contains(['.', ':']) || host == "localhost");
        let Ok(theirs) = text.parse::<Other>() else { return Ok(()) };
        prop_assert_eq!(ours.registry(), theirs.registry().to_ascii_lowercase());
        prop_assert_eq!(ours.repository(), theirs.repository());
        prop_assert_eq!(ours.digest().map(ToString::to_string), theirs.digest().map(str::to_owned));
        if ours.digest().is_none() {
            prop_assert_eq!(Some(ours.tag_or_latest()), theirs.tag());
        }
    }

    /// The parts follow the distribution's grammar, and print as what they were read from.
    #[test]
    fn what_is_taken_follows_the_grammar(text in candidate()) {
        let Ok(ours) = text.parse::<Reference>() else { return Ok(()) };
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        prop_assert!(ours.repository().split('/').all(part), "{}", ours);
        if let Some(tag) = ours.tag() {
            prop_assert!(tag.len() <= 128 && !tag.starts_with(['.', '-']), "{}", tag);
        }
        prop_assert_eq!(ours.to_string().parse::<Reference>().ok(), Some(ours));
    }
}
