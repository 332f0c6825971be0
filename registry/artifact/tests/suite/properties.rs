//! Properties that hold for any input.

use eyas_artifact::{
    BundleConfig, Digest, Document, Generation, ImageIndex, Lock, Manifest, Name, Platform,
    ProbeConfig, Reference, Version, media,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_reference_prints_as_it_was_parsed(
        registry in "[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){0,2}(:[1-9][0-9]{0,3})?",
        repository in "[a-z0-9]{1,6}([._-][a-z0-9]{1,6}){0,2}(/[a-z0-9]{1,6}){0,3}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,20}"),
        content in proptest::option::of(any::<[u8; 8]>()),
    ) {
        let mut text = format!("{registry}/{repository}");
        if let Some(tag) = &tag {
            text = format!("{text}:{tag}");
        }
        if let Some(content) = content {
            text = format!("{text}@{}", Digest::sha256(content));
        }
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(reference.to_string(), text.clone());
        prop_assert_eq!(text.parse::<Name>().unwrap(), Name::Full(reference));
    }

    #[test]
    fn no_text_panics_and_what_parses_prints_stably(text in "\\PC{0,80}") {
        if let Ok(value) = text.parse::<Reference>() {
            prop_assert_eq!(value.to_string().parse::<Reference>().unwrap(), value);
        }
        if let Ok(value) = text.parse::<Name>() {
            prop_assert_eq!(value.to_string().parse::<Name>().unwrap(), value);
        }
        if let Ok(value) = text.parse::<Version>() {
            prop_assert_eq!(value.to_string().parse::<Version>().unwrap(), value);
        }
        if let Ok(value) = text.parse::<Platform>() {
            prop_assert_eq!(value.to_string().parse::<Platform>().unwrap(), value);
        }
        let _ = text.parse::<Digest>();
    }

    #[test]
    fn near_references_do_not_panic(text in "[a-zA-Z0-9.:@/_\\[\\]-]{0,60}") {
        let _ = text.parse::<Reference>();
        let _ = text.parse::<Name>();
    }

    #[test]
    fn no_bytes_panic_a_document_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Manifest::from_slice(&bytes);
        let _ = ImageIndex::from_slice(&bytes);
        let _ = Document::from_slice(media::OCI_INDEX, &bytes);
        let _ = BundleConfig::from_slice(&bytes);
        let _ = ProbeConfig::from_slice(&bytes);
        let _ = Generation::from_slice(&bytes);
        let _ = Lock::from_slice(&bytes);
    }

    #[test]
    fn version_order_is_total(a in version(), b in version(), c in version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }
}

fn version() -> impl Strategy<Value = Version> {
    "[0-3]\\.[0-3]\\.[0-3](-(a|b|rc)\\.[0-3])?(\\+x)?".prop_map(|text| text.parse().unwrap())
}
