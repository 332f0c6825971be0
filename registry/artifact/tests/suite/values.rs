//! Versions, platforms and kinds.

use eyas_artifact::{Kind, Platform, Version};

#[test]
fn versions_are_read_tolerantly_and_printed_in_full() {
    let cases = [
        ("1.4.0", "1.4.0"),
        ("v1", "1.0.0"),
        ("1.2", "1.2.0"),
        (" 1.2.3 ", "1.2.3"),
        ("01.002.3", "1.2.3"),
        ("0", "0.0.0"),
        ("1.2.3-rc.1", "1.2.3-rc.1"),
        ("v1.2.3+build.5", "1.2.3+build.5"),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Version>().unwrap().to_string(), expected, "{text}");
    }
    for text in ["", "v", "latest", "1.", ".1", "1.2.3.4", "1.2-rc1", "1.2.3-", "1.x", "-1", "vv1"]
    {
        let error = text.parse::<Version>().expect_err(text);
        assert!(error.to_string().starts_with(&format!("`{text}` is not a version")), "{error}");
    }
    assert!("18446744073709551616.0.0".parse::<Version>().is_err(), "does not fit a number");
}

#[test]
fn versions_are_ordered_by_precedence() {
    let ordered = ["0.9.0", "1.0.0-alpha", "1.0.0-rc.2", "1.0.0-rc.10", "1.0.0", "1.0.1", "1.10.0"];
    for pair in ordered.windows(2) {
        let (low, high): (Version, Version) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
        assert!(low < high, "{low} < {high}");
    }
    let (one, two): (Version, Version) = ("1.0.0+a".parse().unwrap(), "1.0.0+b".parse().unwrap());
    assert_eq!(one, two, "build metadata has no precedence");
}

#[test]
fn a_requirement_is_met_within_a_major_version() {
    let met = |found: &str, required: &str| {
        found.parse::<Version>().unwrap().satisfies(&required.parse().unwrap())
    };
    assert!(met("1.2.0", "1.2.0"));
    assert!(met("1.3.0", "1.2.9"));
    assert!(!met("1.1.0", "1.2.0"));
    assert!(!met("2.0.0", "1.2.0"));
}

#[test]
fn floating_tags_spare_prereleases() {
    let tags = |text: &str| text.parse::<Version>().unwrap().floating_tags();
    assert_eq!(tags("1.4.2"), ["1.4.2", "1", "1.4"]);
    assert_eq!(tags("2.0.0-rc1"), ["2.0.0-rc1"]);
}

#[test]
fn platforms() {
    let platform: Platform = "linux/arm/v7".parse().unwrap();
    assert_eq!(platform.to_string(), "linux/arm/v7");
    assert_eq!(platform.variant.as_deref(), Some("v7"));
    for text in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd 64"] {
        assert!(text.parse::<Platform>().is_err(), "`{text}`");
    }
    let host = Platform::host();
    assert_eq!(host, host.to_string().parse().unwrap());
    assert_ne!(host.architecture, "x86_64", "OCI says amd64");
}

#[test]
fn a_variant_matters_when_both_name_one() {
    let accepts = |wanted: &str, offered: &str| {
        wanted.parse::<Platform>().unwrap().accepts(&offered.parse().unwrap())
    };
    assert!(accepts("linux/amd64", "linux/amd64"));
    assert!(accepts("linux/arm", "linux/arm/v7"));
    assert!(accepts("linux/arm64/v8", "linux/arm64"));
    assert!(!accepts("linux/arm/v6", "linux/arm/v7"));
    assert!(!accepts("linux/amd64", "linux/arm64"));
    assert!(!accepts("linux/amd64", "darwin/amd64"));
}

#[test]
fn kinds_have_distinct_media_types_and_directories() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse::<Kind>().unwrap(), kind);
        assert_eq!(Kind::from_layer_media_type(kind.layer_media_type()), Some(kind));
        assert_eq!(Kind::from_layer_media_type(kind.config_media_type()), None);
        let same = Kind::ALL.iter().filter(|other| other.directory() == kind.directory()).count();
        assert_eq!(same, 1, "{kind}");
    }
    assert!("Rulesfile".parse::<Kind>().is_err());
    assert_eq!(serde_json::to_string(&Kind::Probe).unwrap(), "\"probe\"");
}
