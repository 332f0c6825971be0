//! Precedence, origins and refusals of settings.

use super::*;

fn global() -> Global {
    Global {
        config: None,
        output: None,
        log_format: None,
        log_level: None,
        verbose: false,
        disable_styling: false,
        store: None,
    }
}

/// Settings of a file with this text.
pub(super) fn settings_of(yaml: &str, variables: &[(&str, &str)]) -> Settings {
    settings(yaml, variables)
}

fn settings(yaml: &str, variables: &[(&str, &str)]) -> Settings {
    let environment = Environment::fixed(variables, false);
    let paths = Paths::of(&environment);
    let file = ConfigFile::parse(Path::new("/c/eyas.yaml"), yaml).expect("a valid file");
    Settings { environment, file, paths }
}

#[test]
fn a_flag_beats_our_variable_beats_theirs_beats_the_file_beats_the_default() {
    let yaml = "artifact:\n  follow:\n    every: 4h\n";
    let (ours, theirs) =
        (("EYAS_ARTIFACT_FOLLOW_EVERY", "2h"), ("FALCOCTL_ARTIFACT_FOLLOW_EVERY", "3h"));
    let hours = |settings: &Settings, flag| settings.every(flag).expect("valid").as_secs() / 3600;
    let hour = Some(Duration::from_hours(1));
    assert_eq!(hours(&settings(yaml, &[ours, theirs]), hour), 1);
    assert_eq!(hours(&settings(yaml, &[ours, theirs]), None), 2);
    assert_eq!(hours(&settings(yaml, &[theirs]), None), 3);
    assert_eq!(hours(&settings(yaml, &[]), None), 4);
    assert_eq!(hours(&settings("", &[]), None), 168);
}

#[test]
fn keys_are_read_in_any_case() {
    let found = settings("Artifact:\n  Install:\n    REFS: [a, 'b:1']\n", &[]);
    assert_eq!(found.references(&[], "install").expect("valid"), ["a", "b:1"]);
}

#[test]
fn typed_references_replace_configured_ones() {
    let found = settings("artifact: {install: {refs: [a]}}", &[]);
    assert_eq!(found.references(&["z".to_owned()], "install").expect("valid"), ["z"]);
    let found = settings("", &[("FALCOCTL_ARTIFACT_FOLLOW_REFS", "a:1; b")]);
    assert_eq!(found.references(&[], "follow").expect("valid"), ["a:1", "b"]);
}

#[test]
fn a_wrong_value_names_its_origin() {
    let said = settings("", &[("EYAS_ARTIFACT_FOLLOW_EVERY", "soon")]).every(None);
    let said = said.expect_err("not a duration").to_string();
    assert!(said.starts_with("`soon` in the variable `EYAS_ARTIFACT_FOLLOW_EVERY`"), "{said}");
    let said = settings("artifact: {noVerify: perhaps}", &[]).trust(&TrustArgs::default());
    let said = said.expect_err("not a boolean").to_string();
    assert!(said.contains("`perhaps` in the key `artifact.noVerify` of `/c/eyas.yaml`"), "{said}");
    let said =
        settings("", &[("EYAS_OUTPUT", "xml")]).output(None).expect_err("unknown").to_string();
    assert!(said.ends_with("expected one of `text`, `json`"), "{said}");
}

#[test]
fn indexes_come_from_flags_environment_or_file() {
    let yaml = "indexes:\n- {name: one, url: 'https://i.example.org/one.yaml', backend: https}\n";
    let from = |settings: &Settings, args: &IndexArgs| {
        let found = settings.indexes(args).expect("valid");
        found.into_iter().map(|index| (index.name, index.url)).collect::<Vec<_>>()
    };
    let pair = |name: &str, url: &str| (name.to_owned(), url.to_owned());
    let none = IndexArgs::default();
    assert_eq!(from(&settings(yaml, &[]), &none), [pair("one", "https://i.example.org/one.yaml")]);
    let two = settings(yaml, &[("FALCOCTL_INDEXES", "two,https://i.example.org/two.yaml")]);
    assert_eq!(from(&two, &none), [pair("two", "https://i.example.org/two.yaml")]);
    let flag = IndexArgs { index_files: vec!["/tmp/three.yaml".into()], cache_dir: None };
    assert_eq!(from(&two, &flag), [pair("three", "/tmp/three.yaml")]);
}

#[test]
fn an_index_without_address_is_refused() {
    for (yaml, variables) in [
        ("indexes: [{name: one}]", &[][..]),
        ("indexes: one", &[][..]),
        ("", &[("EYAS_INDEXES", "one")][..]),
        ("", &[("EYAS_INDEXES", "one,two,three")][..]),
    ] {
        assert!(settings(yaml, variables).indexes(&IndexArgs::default()).is_err(), "{yaml}");
    }
}

#[test]
fn a_password_is_not_repeated_in_an_error() {
    let said = settings("", &[("EYAS_REGISTRY_AUTH_BASIC", "r.example.org,hunter2")])
        .transport(&TransportArgs::default());
    let said = said.err().expect("two fields").to_string();
    assert!(said.contains("`r.example.org`") && !said.contains("hunter2"), "{said}");
    let said = settings("registry: {auth: {basic: [{registry: r, password: hunter2}]}}", &[])
        .transport(&TransportArgs::default());
    let said = said.err().expect("no user").to_string();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn the_policy_lies_beside_the_configuration() {
    let found = settings("", &[]).trust(&TrustArgs::default()).expect("valid");
    let expected =
        Trust::Policy { file: "/c/trust.yaml".into(), explicit: false, trust_index: false };
    assert_eq!(found, expected);
    let found = settings("", &[("EYAS_POLICY", "/p.yaml")]).trust(&TrustArgs::default());
    let expected = Trust::Policy { file: "/p.yaml".into(), explicit: true, trust_index: false };
    assert_eq!(found.expect("valid"), expected);
}

#[test]
fn a_file_that_is_no_mapping_is_refused() {
    for yaml in ["- a\n", "just words", "a: [", "a: 1\na: 2\n"] {
        assert!(ConfigFile::parse(Path::new("x"), yaml).is_err(), "{yaml}");
    }
    assert!(ConfigFile::parse(Path::new("x"), "# only a comment\n").is_ok());
}

#[test]
fn a_named_file_must_exist_and_the_default_one_need_not() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path().to_str().expect("text").to_owned();
    let environment = || Environment::fixed(&[("HOME", &home)], false);
    let loaded = Settings::load(&global(), environment()).expect("no file is fine");
    assert_eq!(loaded.config_dir().expect("a home"), Path::new(&home).join(".config/eyas"));
    assert!(!Path::new(&home).join(".config").exists(), "nothing is written");
    let named = Global { config: Some("/nowhere/eyas.yaml".into()), ..global() };
    let said = Settings::load(&named, environment()).expect_err("absent");
    assert!(matches!(said, SettingsError::Missing { .. }));
    assert!(said.hint().is_some());
}

#[test]
fn a_file_at_the_size_limit_is_read_and_one_above_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("eyas.yaml");
    let mut text = "#".repeat(file::MAX_CONFIG_BYTES as usize - 1);
    text.push('\n');
    std::fs::write(&path, &text).expect("written");
    assert!(ConfigFile::read(&path).is_ok());
    text.push('\n');
    std::fs::write(&path, &text).expect("written");
    assert!(matches!(ConfigFile::read(&path), Err(SettingsError::Unreadable { .. })));
}

#[test]
fn root_gets_system_paths_and_others_their_own() {
    let root = Paths::of(&Environment::fixed(&[("HOME", "/root")], true));
    assert_eq!(root.store(), Some("/var/lib/eyas".into()));
    let other = Paths::of(&Environment::fixed(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")], false));
    assert_eq!(other.store(), Some("/s/eyas".into()));
    assert_eq!(other.cache(), Some("/h/.cache/eyas".into()));
    let relative =
        Paths::of(&Environment::fixed(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")], false));
    assert_eq!(relative.store(), Some("/h/.local/state/eyas".into()));
    let homeless = Settings {
        environment: Environment::default(),
        file: ConfigFile::default(),
        paths: Paths::default(),
    };
    assert!(matches!(homeless.store(&global()), Err(SettingsError::NoHome { .. })));
}

#[test]
fn a_key_without_effect_is_mentioned() {
    let yaml =
        "artifact: {install: {refs: [a], rulesfilesDir: /r}}\nstore: /s\ndriver: {name: x}\n";
    let said = settings(yaml, &[]).remarks();
    let found: Vec<(&str, bool)> =
        said.iter().map(|remark| (remark.text.as_str(), remark.missed)).collect();
    assert_eq!(
        found,
        [
            ("the key `artifact.install.rulesfilesdir` of `/c/eyas.yaml` has no effect here", true),
            ("the key `driver.name` of `/c/eyas.yaml` has no effect here", false),
        ]
    );
}

#[test]
fn deprecated_flags_still_mean_something() {
    let found = settings("", &[("EYAS_LOG_LEVEL", "warn")]);
    assert_eq!(found.log_level(&global()).expect("valid"), LogLevel::Warn);
    let verbose = Global { verbose: true, disable_styling: true, ..global() };
    assert_eq!(found.log_level(&verbose).expect("valid"), LogLevel::Debug);
    assert_eq!(found.log_format(&verbose).expect("valid"), Some(LogFormat::Json));
}

#[test]
fn the_documented_keys_are_those_that_are_read() {
    let text = include_str!("../../../docs/configuration.md");
    let mut documented: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_ascii_lowercase)
        .collect();
    documented.sort();
    assert_eq!(documented, file::KNOWN);
}
