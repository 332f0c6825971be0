//! Requirements against what a sensor offers.

use std::collections::BTreeMap;

use eyas_artifact::Requirement;
use eyas_index::check_requirements;

fn met(required: &str, offered: &str) -> bool {
    let wanted = [Requirement { name: "engine".to_owned(), version: required.to_owned() }];
    let offered = BTreeMap::from([("engine".to_owned(), offered.to_owned())]);
    check_requirements(&wanted, &offered).is_empty()
}

#[test]
fn integers_and_versions() {
    assert!(met("13", "13"));
    assert!(met("13", "26"));
    assert!(!met("13", "12"));
    assert!(met("0.31.0", "0.63.0"));
    assert!(met("0.31.0", "0.31.0"));
    assert!(!met("0.31.0", "0.30.9"));
    assert!(!met("1.0.0", "2.0.0"), "another major version promises nothing");
    assert!(!met("99.0.0", "0.63.0"));
    assert!(!met("soon", "0.63.0"));
    assert!(!met("1", "soon"));
}

#[test]
fn an_unknown_requirement_is_not_met_and_says_so() {
    let wanted = [Requirement { name: "warp_drive".to_owned(), version: "1".to_owned() }];
    let unmet = check_requirements(&wanted, &BTreeMap::new());
    assert_eq!(unmet[0].offered, None);
    assert!(unmet[0].to_string().contains("`warp_drive`"), "{}", unmet[0]);
}

#[test]
fn an_integer_of_the_engine_is_its_minor_version() {
    let check = |name: &str, required: &str, offered: (&str, &str)| {
        let wanted = [Requirement { name: name.to_owned(), version: required.to_owned() }];
        let offered = BTreeMap::from([(offered.0.to_owned(), offered.1.to_owned())]);
        check_requirements(&wanted, &offered).is_empty()
    };
    let (integer, version) = ("engine_version", "engine_version_semver");
    assert!(check(integer, "26", (version, "0.26.0")) && check(integer, "26", (version, "0.63.0")));
    assert!(!check(integer, "64", (version, "0.63.0")));
    assert!(
        check(version, "0.26.0", (integer, "26")) && !check(version, "0.27.0", (integer, "26"))
    );
    assert!(!check("plugin_api_version", "3", (version, "3.0.0")));
}

#[test]
fn a_later_kernel_does_for_an_earlier_one() {
    let wanted = |version: &str| {
        [Requirement { name: eyas_index::KERNEL.to_owned(), version: version.to_owned() }]
    };
    let offered = BTreeMap::from([(eyas_index::KERNEL.to_owned(), "6.1.0".to_owned())]);
    assert!(check_requirements(&wanted("5.8"), &offered).is_empty());
    assert_eq!(check_requirements(&wanted("6.2"), &offered).len(), 1);
}
