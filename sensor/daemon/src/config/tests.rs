//! Configuration files, settings on the command line, and what wrong ones get.

use clap::Parser;

use eyas_output::Target;

use super::*;

fn args(arguments: &[&str]) -> Args {
    Args::parse_from([&["eyasd"], arguments].concat())
}

fn with_file(text: &str, arguments: &[&str]) -> Result<Loaded, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    load(&args(&[&["--config", &path], arguments].concat()))
}

fn problem(text: &str) -> String {
    let error = with_file(text, &[]).unwrap_err().to_string();
    // The name of the file is in front.
    error.split_once("/.tmp").map_or(error.clone(), |(_, rest)| rest.to_owned())
}

#[test]
fn an_empty_file_is_the_default_configuration() {
    for text in ["", "# nothing\n", "{}\n", "---\n"] {
        assert_eq!(with_file(text, &[]).unwrap().config, Config::default(), "{text:?}");
    }
}

#[test]
fn the_printed_configuration_reads_back_the_same() {
    let printed = serde_saphyr::to_string(&Config::default()).unwrap();
    assert_eq!(with_file(&printed, &[]).unwrap().config, Config::default(), "{printed}");
}

#[test]
fn keys_of_a_falco_configuration_mean_the_same_or_are_said_to_be_ignored() {
    let loaded = with_file(
        "json_output: true\npriority: Notice\nrule_matching: all\nfile_output:\n  enabled: true\n  \
         filename: /var/log/alerts\nwebserver:\n  enabled: true\n  threadiness: 2\nengine:\n  kind: kmod\nrules:\n  - disable:\n      \
         rule: \"*\"\n  - enable:\n      tag: network\nappend_output:\n  - match:\n      source: \
         syscall\n    extra_output: on %evt.hostname\n    extra_fields: [evt.cpu, {key: x}]\n",
        &[],
    )
    .unwrap();
    assert!(loaded.config.json_output);
    assert_eq!(
        loaded.config.targets().unwrap(),
        [Target::Stdout, Target::File("/var/log/alerts".into())]
    );
    assert_eq!(loaded.ignored, ["engine", "webserver.threadiness"]);
    assert_eq!(loaded.engine.min_priority, Priority::Notice);
    assert_eq!(loaded.engine.matching, Matching::All);
    assert_eq!(loaded.engine.selections.len(), 2);
    assert_eq!(loaded.engine.append_output[0].extra_fields.len(), 2);
}

#[test]
fn unknown_keys_are_named_with_their_line_and_the_nearest_known_one() {
    let found = problem("store: /x\njson_ouput: true\ncontrol:\n  sockt: /y\n");
    assert!(
        found.contains(":2:1: unknown key `json_ouput`, did you mean `json_output`"),
        "{found}"
    );
    assert!(found.contains(":4:3: unknown key `control.sockt`, did you mean `socket`"), "{found}");
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    let found = problem("json_output: maybe\n");
    assert!(
        found.contains("`json_output` is the text `maybe`, expected the truth value"),
        "{found}"
    );
    let found = problem("control: yes please\n");
    assert!(found.contains("`control` is the text `yes please`, expected a mapping"), "{found}");
    let found = problem("outputs_queue:\n  capacity: -1\n");
    assert!(found.contains("`outputs_queue.capacity` is the number `-1`"), "{found}");
    assert!(
        problem("priority: loud\n").contains("`priority` is `loud`, expected one of `emergency`")
    );
    assert!(problem("rule_matching: some\n").contains("expected `first` or `all`"));
    assert!(problem("control:\n  mode: \"999\"\n").contains("octal"));
    assert!(problem("rules:\n  - enable:\n      name: x\n").contains("unknown field `name`"));
    assert!(problem("- a\n").contains("expected a mapping"));
    assert!(problem("a: [\n").contains("line"));
}

#[test]
fn the_command_line_wins() {
    let loaded = with_file(
        "json_output: false\nstore: /a\n",
        &["-o", "json_output=true", "-o", "file_output.filename=/x", "--store", "/b"],
    )
    .unwrap();
    assert!(loaded.config.json_output);
    assert_eq!(loaded.config.store, Some("/b".into()));
    assert_eq!(loaded.config.file_output.filename, Some("/x".into()));
    let rules = with_file("store: /a\n", &["-r", "/r.yaml"]).unwrap().config;
    assert_eq!((rules.store, rules.rules_files), (None, vec!["/r.yaml".into()]));
    let both = with_file("", &["-r", "/r.yaml", "--store", "/b"]).unwrap().config;
    assert_eq!(both.store, Some("/b".into()));
}

#[test]
fn settings_that_are_none_are_refused() {
    for option in ["json_output", "=x", "a..b=1"] {
        let found = with_file("", &["-o", option]).unwrap_err();
        assert!(matches!(found, ConfigError::Option { .. }), "{option}: {found}");
    }
    let found = with_file("", &["-o", "jsn_output=true"]).unwrap_err();
    assert!(found.to_string().contains("did you mean `json_output`"), "{found}");
}

#[test]
fn a_missing_file_is_an_error_only_when_it_was_named() {
    let found = load(&args(&["--config", "/no/such/file"])).unwrap_err();
    assert!(found.to_string().contains("/no/such/file"), "{found}");
}

#[test]
fn a_key_is_pointed_at_where_it_stands_and_not_where_another_has_its_name() {
    let text = "stdout_output:\n  enabled: true\nfile_output:\n  filename: /x\n  enabled: 7\n";
    let found = problem(text);
    assert!(found.contains(":5:3: `file_output.enabled` is the number `7`"), "{found}");
    let found = problem("stdout_output: {enabled: true}\nfile_output: {filename: /x, enabld: 7}\n");
    assert!(found.contains(":2:29: unknown key `file_output.enabld`"), "{found}");
    let found = problem("# enabled: no\n\"webserver\":\n    enabled: 3\n");
    assert!(found.contains(":3:5: `webserver.enabled`"), "{found}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// Whatever is done to a configuration, it is read or refused in words.
    #[test]
    fn any_text_is_read_or_refused(at in 0_usize..4000, cut in 0_usize..40, put in "[ -~\n]{0,12}") {
        let mut text = serde_saphyr::to_string(&Config::default()).unwrap();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &put);
        match with_file(&text, &[]) {
            Ok(loaded) => drop(loaded.config.targets()),
            Err(error) => proptest::prop_assert!(!error.to_string().is_empty()),
        }
    }
}
