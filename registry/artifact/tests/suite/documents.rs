//! Manifests, indexes and configuration documents as registries and publishers write them.

use eyas_artifact::{
    Alternative, ArtifactError, BundleConfig, Dependency, Descriptor, Digest, Document, ImageIndex,
    Kind, MAX_CONFIG_BYTES, MAX_EMBEDDED_BYTES, MAX_MANIFEST_BYTES, Manifest, Platform,
    ProbeConfig, Requirement, media,
};

fn descriptor(media_type: &str) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":3,"annotations":null,"future":[1]}}"#,
        Digest::sha256(b"abc")
    )
}

fn manifest_text(layer: &str, more: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]{more}}}"#,
        descriptor(media::RULESFILE_CONFIG),
        descriptor(layer)
    )
}

#[test]
fn reads_a_manifest_and_knows_its_kind() {
    for kind in Kind::ALL {
        let text = manifest_text(kind.layer_media_type(), r#","x-unknown":{}"#);
        let manifest = Manifest::from_slice(text.as_bytes()).unwrap();
        assert_eq!(manifest.kind(), Some(kind));
        assert_eq!(manifest.layers[0].size, 3);
    }
    let other = manifest_text("application/octet-stream", "");
    assert_eq!(Manifest::from_slice(other.as_bytes()).unwrap().kind(), None);
}

#[test]
fn what_we_write_we_read() {
    let layer = Descriptor::of(media::RULESFILE_LAYER, b"layer")
        .with_annotation(media::ANNOTATION_TITLE, "demo.tar.gz");
    let manifest = Manifest::new(Descriptor::of(media::RULESFILE_CONFIG, b"{}"), vec![layer]);
    let bytes = manifest.to_vec().unwrap();
    assert_eq!(Manifest::from_slice(&bytes).unwrap(), manifest);

    let entry =
        Descriptor::of(media::OCI_MANIFEST, &bytes).with_platform("linux/amd64".parse().unwrap());
    let index = ImageIndex::new(vec![entry]);
    let text = index.to_vec().unwrap();
    assert_eq!(ImageIndex::from_slice(&text).unwrap(), index);
    assert!(matches!(Document::from_slice(media::OCI_INDEX, &text), Ok(Document::Index(_))));
    assert!(matches!(Document::from_slice(media::OCI_MANIFEST, &bytes), Ok(Document::Manifest(_))));
    assert!(Document::from_slice("text/html", &bytes).is_err());
}

#[test]
fn a_document_that_could_be_two_things_is_refused() {
    let both = manifest_text(media::RULESFILE_LAYER, r#","manifests":[]"#);
    assert!(Manifest::from_slice(both.as_bytes()).is_err());
    assert!(ImageIndex::from_slice(both.as_bytes()).is_err());
    let lying =
        manifest_text(media::RULESFILE_LAYER, &format!(r#","mediaType":"{}""#, media::OCI_INDEX));
    let error = Manifest::from_slice(lying.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`mediaType`"), "{error}");
}

#[test]
fn malformed_manifests_are_errors_with_a_place() {
    let negative = manifest_text(media::RULESFILE_LAYER, "").replace("\"size\":3", "\"size\":-1");
    let cases = [
        "",
        "null",
        "[]",
        "{",
        r#"{"schemaVersion":1}"#,
        r#"{"schemaVersion":2}"#,
        r#"{"schemaVersion":2,"config":null,"layers":[]}"#,
        negative.as_str(),
    ];
    for text in cases {
        let error = Manifest::from_slice(text.as_bytes()).expect_err(text);
        assert!(
            matches!(error, ArtifactError::Json { .. } | ArtifactError::Document { .. }),
            "{text}: {error}"
        );
    }
    let null_entry = r#"{"schemaVersion":2,"manifests":[null]}"#;
    let error = ImageIndex::from_slice(null_entry.as_bytes()).unwrap_err();
    assert!(matches!(error, ArtifactError::Json { line: 1, column, .. } if column > 1), "{error}");
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(r#"{{"schemaVersion":2,"x":{deep}}}"#);
    assert!(Manifest::from_slice(text.as_bytes()).is_err());
}

#[test]
fn size_limits_hold_at_their_edge() {
    let base = manifest_text(media::RULESFILE_LAYER, "");
    let pad = |text: &str, limit: u64| format!("{text}{}", " ".repeat(limit as usize - text.len()));
    let full = pad(&base, MAX_MANIFEST_BYTES);
    assert!(Manifest::from_slice(full.as_bytes()).is_ok());
    let over = full + " ";
    assert!(matches!(
        Manifest::from_slice(over.as_bytes()),
        Err(ArtifactError::TooLarge { limit: MAX_MANIFEST_BYTES, .. })
    ));
    let config = pad(r#"{"name":"a","version":"1"}"#, MAX_CONFIG_BYTES);
    assert!(BundleConfig::from_slice(config.as_bytes()).is_ok());
    assert!(BundleConfig::from_slice((config + " ").as_bytes()).is_err());
}

#[test]
fn selects_the_platform_and_passes_over_entries_without_one() {
    let plain = Descriptor::of(media::OCI_MANIFEST, b"none");
    let arm =
        Descriptor::of(media::OCI_MANIFEST, b"arm").with_platform("linux/arm64".parse().unwrap());
    let amd =
        Descriptor::of(media::OCI_MANIFEST, b"amd").with_platform("linux/amd64".parse().unwrap());
    let index = ImageIndex::new(vec![plain, arm, amd.clone()]);
    let wanted: Platform = "linux/amd64".parse().unwrap();
    assert_eq!(index.select(&wanted), Some(&amd));
    assert_eq!(index.select(&"windows/amd64".parse().unwrap()), None);
    assert_eq!(index.platforms().len(), 2);
}

#[test]
fn reads_a_bundle_configuration() {
    let text = r#"{"name":"demo-rules","version":"1.4.0","dependencies":[{"name":"demo-plugin",
        "version":"0.2.0","alternatives":[{"name":"demo-plugin-cloud","version":"v0.1"}]}],
        "requirements":[{"name":"engine_version_semver","version":"0.31.0"}],"later":true}"#;
    let config = BundleConfig::from_slice(text.as_bytes()).unwrap();
    assert_eq!(config.name, "demo-rules");
    assert_eq!(config.dependencies[0].alternatives[0].version.to_string(), "0.1.0");
    assert_eq!(config.requirements[0].name, "engine_version_semver");
    let none = r#"{"name":"a","version":"1","dependencies":null,"requirements":null}"#;
    assert!(BundleConfig::from_slice(none.as_bytes()).unwrap().dependencies.is_empty());
}

#[test]
fn a_configuration_needs_a_safe_name_and_a_version() {
    for text in [
        r#"{"version":"1.0.0"}"#,
        r#"{"name":"a"}"#,
        r#"{"name":"a","version":"soon"}"#,
        r#"{"name":"../a","version":"1.0.0"}"#,
        r#"{"name":"","version":"1.0.0"}"#,
        r#"{"name":"A","version":"1.0.0"}"#,
    ] {
        assert!(BundleConfig::from_slice(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn the_same_configuration_has_the_same_bytes() {
    let dependency = |name: &str| Dependency {
        name: name.to_owned(),
        version: "1".parse().unwrap(),
        alternatives: vec![Alternative { name: "z".to_owned(), version: "2".parse().unwrap() }],
    };
    let requirement = |name: &str| Requirement { name: name.to_owned(), version: "3".to_owned() };
    let mut config = BundleConfig {
        name: "a".to_owned(),
        version: "1.0.0".parse().unwrap(),
        dependencies: vec![dependency("y"), dependency("x")],
        requirements: vec![requirement("r"), requirement("q")],
    };
    let first = config.to_vec().unwrap();
    config.dependencies.reverse();
    config.requirements.reverse();
    assert_eq!(config.to_vec().unwrap(), first);
}

#[test]
fn a_probe_names_one_plain_file() {
    let probe = |object: &str| {
        format!(
            r#"{{"name":"probe","version":"1.0.0","architecture":"amd64","layout_hash":"ab",
            "kernel":{{"features":["btf"],"min_release":"5.8"}},"object":"{object}",
            "object_digest":"{}","object_size":9}}"#,
            Digest::sha256(b"o")
        )
    };
    let config = ProbeConfig::from_slice(probe("probe.o").as_bytes()).unwrap();
    assert_eq!(config.kernel.features, ["btf"]);
    assert_eq!(ProbeConfig::from_slice(&config.to_vec().unwrap()).unwrap(), config);
    // The part that every kind has in common can be read on its own.
    assert_eq!(BundleConfig::from_slice(probe("probe.o").as_bytes()).unwrap().name, "probe");
    for object in ["", ".", "..", "a/b", "/etc/passwd"] {
        assert!(ProbeConfig::from_slice(probe(object).as_bytes()).is_err(), "`{object}`");
    }
}

#[test]
fn content_that_comes_along_is_what_the_descriptor_says_or_absent() {
    let descriptor = Descriptor::of(media::OCI_EMPTY, b"{}").with_data(b"{}");
    let json = serde_json::to_string(&descriptor).unwrap();
    assert!(json.contains(r#""data":"e30=""#), "{json}");
    let read: Descriptor = serde_json::from_str(&json).unwrap();
    assert_eq!(read.embedded().as_deref(), Some(&b"{}"[..]));
    // Other bytes, the right bytes with another size, and what is no base64.
    for (from, to) in [("e30=", "e31="), ("\"size\":2", "\"size\":3"), ("e30=", "%")] {
        let changed: Descriptor = serde_json::from_str(&json.replace(from, to)).unwrap();
        assert_eq!(changed.embedded(), None, "{to}");
    }
    assert_eq!(Descriptor::of(media::OCI_EMPTY, b"{}").embedded(), None);
    let limit = MAX_EMBEDDED_BYTES as usize;
    for (bytes, along) in [(limit, true), (limit + 1, false)] {
        let content = vec![b' '; bytes];
        let descriptor = Descriptor::of(media::OCI_EMPTY, &content).with_data(&content);
        assert_eq!(descriptor.data.is_some(), along, "{bytes}");
    }
}
