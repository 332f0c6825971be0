//! Precedence, origins and refusals of settings.

use super::*;
use eyas_artifact::Kind;

use crate::args::FlatArgs;
use crate::personality::Personality;

fn global() -> Global {
    Global {
        config: None,
        output: None,
        log_format: None,
        log_level: None,
        verbose: false,
        disable_styling: false,
        store: None,
        state_dir: None,
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
    Settings { environment, file, paths, section: "install", typed: Typed::default() }
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
    let said = ConfigFile::parse(Path::new("/c/eyas.yaml"), "artifact:\n  noVerify: perhaps\n");
    let said = said.expect_err("not a boolean").to_string();
    let expected = "the key `artifact.noVerify` of `/c/eyas.yaml` (line 2) is a text, expected `true` or `false`";
    assert_eq!(said, expected);
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
    let found = settings("indexes: 'one,file:///1;two,file:///2'", &[]);
    assert_eq!(found.indexes(&IndexArgs::default()).expect("as in a variable").len(), 2);
}

#[test]
fn a_value_of_a_wrong_type_is_refused_with_its_line() {
    for (yaml, line) in [
        ("a: 1\nindexes:\n- one\n", 3),
        ("indexes: {name: one}\n", 1),
        ("artifact:\n  install:\n    refs: {a: b}\n", 3),
        ("artifact:\n  install:\n    refs:\n    - [a]\n", 4),
        ("artifact: all\n", 1),
        ("store: [a]\n", 1),
        ("registries: {r: {}}\n", 1),
        ("registry:\n  auth:\n    basic: 3\n", 3),
    ] {
        let said = ConfigFile::parse(Path::new("/c/eyas.yaml"), yaml).expect_err(yaml);
        let said = said.to_string();
        assert!(said.contains("/c/eyas.yaml") && said.contains("expected"), "{said}");
        assert!(said.contains(&format!("(line {line})")) || yaml.contains("- "), "{yaml}: {said}");
    }
    for yaml in ["store: ~\n", "artifact:\n", "indexes: ~\n", "artifact: {install: {refs: a}}\n"] {
        assert!(ConfigFile::parse(Path::new("/c/eyas.yaml"), yaml).is_ok(), "{yaml}");
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
    let expected = Trust::Policy {
        file: "/c/trust.yaml".into(),
        explicit: false,
        trust_index: false,
        unsigned: Unsigned::Refused,
    };
    assert_eq!(found, expected);
    let found = settings("", &[("EYAS_POLICY", "/p.yaml")]).trust(&TrustArgs::default());
    let expected = Trust::Policy {
        file: "/p.yaml".into(),
        explicit: true,
        trust_index: false,
        unsigned: Unsigned::Refused,
    };
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
    assert_eq!(root.state(), Some("/var/lib/eyas".into()));
    let other = Paths::of(&Environment::fixed(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")], false));
    assert_eq!(other.state(), Some("/s/eyas".into()));
    assert_eq!(other.cache(), Some("/h/.cache/eyas".into()));
    let relative =
        Paths::of(&Environment::fixed(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")], false));
    assert_eq!(relative.state(), Some("/h/.local/state/eyas".into()));
    let homeless = Settings {
        environment: Environment::fixed(&[], false),
        file: ConfigFile::default(),
        paths: Paths::default(),
        section: "install",
        typed: Typed::default(),
    };
    assert!(matches!(homeless.store(&global()), Err(SettingsError::NoHome { .. })));
}

#[test]
fn a_key_without_effect_is_mentioned() {
    let yaml = "artifact:\n  instal: {refs: [a]}\n  follow: {tmpDir: /t}\nstore: /s\n";
    let said = settings(yaml, &[]).remarks();
    let found: Vec<(&str, bool)> =
        said.iter().map(|remark| (remark.text.as_str(), remark.missed)).collect();
    assert_eq!(
        found,
        [
            (
                "the key `artifact.follow.tmpDir` of `/c/eyas.yaml` (line 3) has no effect here",
                false
            ),
            (
                "the key `artifact.instal.refs` of `/c/eyas.yaml` (line 2) is not known and has no effect; \
                 is `artifact.install.refs` meant?",
                true
            ),
        ]
    );
}

#[test]
fn the_table_says_what_is_in_force() {
    fn theirs(key: &str) -> &'static str {
        table::find(key).and_then(|setting| setting.theirs).expect("another default")
    }
    let flat = Personality::Falcoctl.character().flat;
    for section in ["install", "follow"] {
        for (name, place) in [
            ("rulesfilesDir", flat.rulesfiles),
            ("pluginsDir", flat.plugins),
            ("assetsDir", flat.assets),
        ] {
            let place = place.expect("a default");
            assert_eq!(theirs(&format!("artifact.{section}.{name}")), format!("`{place}`"));
        }
    }
    let versions = Personality::Falcoctl.character().falco_versions.expect("a default");
    assert_eq!(theirs("artifact.follow.falcoVersions"), format!("`{versions}`"));
}

#[test]
fn deprecated_flags_still_mean_something() {
    let found = settings("", &[("EYAS_LOG_LEVEL", "warn")]);
    assert_eq!(found.log_level(&global()).expect("valid"), LogLevel::Warn);
    let verbose = Global { verbose: true, disable_styling: true, ..global() };
    assert_eq!(found.log_level(&verbose).expect("valid"), LogLevel::Debug);
    assert_eq!(found.log_format(&verbose).expect("valid"), Some(LogFormat::Json));
}

fn falcoctl(yaml: &str, variables: &[(&str, &str)]) -> Settings {
    let environment = Environment::fixed(variables, false).called(Personality::Falcoctl);
    let paths = Paths::of(&environment);
    let file = ConfigFile::parse(Path::new("/c/falcoctl.yaml"), yaml).expect("a valid file");
    Settings { environment, file, paths, section: "install", typed: Typed::default() }
}

#[test]
fn called_falcoctl_its_variables_come_first() {
    let both = [("EYAS_ARTIFACT_FOLLOW_EVERY", "2h"), ("FALCOCTL_ARTIFACT_FOLLOW_EVERY", "3h")];
    assert_eq!(falcoctl("", &both).every(None).expect("valid"), Duration::from_hours(3));
}

#[test]
fn called_falcoctl_its_places_are_the_defaults() {
    let found = falcoctl("", &[("HOME", "/h")]);
    assert_eq!(found.store(&global()).expect("a place"), Path::new("/var/lib/falcoctl/.eyas"));
    assert_eq!(found.book_dir(), Some("/h/.config/falcoctl".into()));
    let flat = found.flat(&FlatArgs::default());
    let unusable = |kind| flat.unusable.iter().find(|(of, _)| *of == kind).map(|(_, dir)| dir);
    let used = [
        (&flat.rulesfiles, Kind::Rulesfile, "/etc/falco"),
        (&flat.plugins, Kind::Plugin, "/usr/share/falco/plugins"),
        (&flat.assets, Kind::Asset, "/etc/falco/assets"),
    ];
    for (used, kind, place) in used {
        // Whether it can be written depends on who runs this test.
        assert_eq!(used.as_ref().or(unusable(kind)), Some(&PathBuf::from(place)));
    }
    let indexes = found.indexes(&IndexArgs::default()).expect("valid");
    assert_eq!(indexes[0].name, "falcosecurity");
    assert!(falcoctl("indexes: []", &[]).indexes(&IndexArgs::default()).expect("valid").is_empty());
}

#[test]
fn without_a_home_there_is_no_list_and_no_error() {
    assert_eq!(falcoctl("", &[]).book_dir(), None);
}

#[test]
fn directories_come_from_the_section_of_the_command() {
    let yaml = "artifact:\n  install: {rulesfilesDir: /i, stateDir: /si}\n  follow: {rulesfilesdir: /f, assetsDir: /fa}\n";
    let install = falcoctl(yaml, &[]).flat(&FlatArgs::default());
    assert_eq!(install.rulesfiles, Some("/i".into()));
    assert_eq!(install.assets, Some("/fa".into()), "as it always was");
    let follow = falcoctl(yaml, &[]).in_section("follow");
    let flat = follow.flat(&FlatArgs::default());
    assert_eq!(flat.rulesfiles, Some("/f".into()));
    assert_eq!(follow.store(&global()).expect("a place"), Path::new("/si/.eyas"));
    let typed = FlatArgs { rulesfiles_dir: Some("/t".into()), ..FlatArgs::default() };
    let variable = [("FALCOCTL_ARTIFACT_INSTALL_RULESFILESDIR", "/v")];
    let rules = |args: &FlatArgs| falcoctl(yaml, &variable).flat(args).rulesfiles;
    assert_eq!(rules(&typed), Some("/t".into()));
    assert_eq!(rules(&FlatArgs::default()), Some("/v".into()));
    let ours = settings("", &[]).flat(&FlatArgs::default());
    assert_eq!(ours, FlatDirectories::default(), "only what is asked for");
}

#[test]
fn called_falcoctl_a_named_file_may_be_absent() {
    let environment = Environment::fixed(&[], false).called(Personality::Falcoctl);
    let named = Global { config: Some("/nowhere/falcoctl.yaml".into()), ..global() };
    let found = Settings::load(&named, environment).expect("absent is fine");
    assert_eq!(found.config_file(), Some("/nowhere/falcoctl.yaml".into()));
    assert!(!Path::new("/nowhere").exists(), "nothing is written");
}

#[test]
fn called_falcoctl_nothing_is_refused_for_want_of_a_policy() {
    let found = falcoctl("", &[]).trust(&TrustArgs::default()).expect("valid");
    let Trust::Policy { trust_index, unsigned, .. } = found else { panic!("{found:?}") };
    assert!(trust_index);
    assert_eq!(unsigned, Unsigned::Accepted);
    let off = TrustArgs { no_verify: Some(false), ..TrustArgs::default() };
    let found = falcoctl("artifact: {noVerify: true}", &[]);
    assert_eq!(found.trust(&TrustArgs::default()).expect("valid"), Trust::NoVerify);
    assert!(matches!(found.trust(&off).expect("valid"), Trust::Policy { .. }));
}
