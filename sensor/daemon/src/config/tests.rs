//! Configuration files, settings on the command line, and what wrong ones get.

use clap::Parser;

use eyas_output::Target;
use eyas_rules::Matching;
use eyas_rules::collect::Priority;

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
    let printed = with_file("", &[]).unwrap().shown();
    assert_eq!(with_file(&printed, &[]).unwrap().config, Config::default(), "{printed}");
    let odd = r##"
static_fields: {a: "5", b: "true", c d: "x: y", e: "", f: "${HOME}", g: "$${HOME}", h: "null", i: "~", j: 5,
  k: "yes", l: "1e3", m: " lead", n: "line\nfeed", o: "#no", p: "- x", q: "a ${b", r: true}
program_output: {program: "echo $${X} \"a: b\" # c"}
append_output:
  - {match: {source: syscall, tags: [a, "5"]}, extra_output: "on %evt.cpu: x", extra_fields: [evt.cpu, {k: "v: %evt.time"}]}
rules: [{disable: {rule: "*"}}, {enable: {tag: "5"}}]
syscall_event_drops: {threshold: .1, actions: [exit, log]}
control: {mode: "0600", users: [5, "6", alice], group: null}
store: null
"##;
    let loaded = with_file(odd, &[]).unwrap();
    let printed = loaded.shown();
    let again = with_file(&printed, &[]).unwrap();
    assert_eq!(again.config, loaded.config, "{printed}");
    assert_eq!(again.shown(), printed);
    assert!(printed.contains("f: ${HOME}\n"), "{printed}");
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
    let ignored: Vec<&str> = loaded.ignored.iter().map(|one| one.key).collect();
    assert_eq!(ignored, ["engine", "webserver.threadiness"]);
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
        found.contains("`json_output` is the text `maybe`, expected `true` or `false`"),
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
    for (text, said) in [
        ("a: [\n", ":1:4: unclosed bracket"),
        ("log_level: info\nlog_level: debug\n", ":2:1: duplicate mapping key: log_level"),
        ("log_level: info\n---\nstore: null\n", ":3:1: multiple YAML documents detected"),
        ("control:\n\tmode: \"0600\"\n", ":2:2: tabs disallowed"),
    ] {
        let found = problem(text);
        assert!(found.contains(said) && found.lines().count() == 1, "{found}");
        assert!(!found.contains("from_str") && !found.contains("Policy"), "{found}");
    }
}

#[test]
fn values_that_are_none_of_those_allowed_are_named_with_their_line() {
    for (text, said) in [
        (
            "a: 1\nwebserver:\n  listen_port: 99999\n",
            ":3:3: `webserver.listen_port` is the number `99999`, expected at most 65535",
        ),
        (
            "syscall_event_drops:\n  actions: [log, lg]\n",
            ":2:3: `syscall_event_drops.actions` is wrong: unknown variant `lg`",
        ),
        (
            "rules:\n  - enable: {rule: x}\n  - disable: {}\n",
            ":3:5: `rules[1]` is wrong: it names neither",
        ),
        (
            "append_output:\n  - extra_fields: [5]\n",
            ":2:5: `append_output[0]` is wrong: `extra_fields` has `5`",
        ),
        (
            "append_output: [{extra_fields: [a.b, {a.b: x}]}]",
            "`append_output[0]` is wrong: `extra_fields` has `a.b` twice",
        ),
        (
            "append_output: [{suggestd_output: true}]",
            ":1:17: `append_output[0]` is wrong: unknown field `suggestd_output`",
        ),
        ("static_fields: {a: [1]}", "`static_fields` is wrong: `a` is `[1]`"),
        ("probe: {kind: kmod}", ":1:9: `probe.kind` is `kmod`, expected `auto` or `none`"),
        ("probe: {ring_events_bytes: 5}", "expected a power of two"),
        ("capture: {mode: some}", "`capture.mode` is `some`, expected `rules` or `all_rules`"),
        ("metrics: {interval: 1m1h}", "`metrics.interval` is `1m1h`"),
        ("control: {users: [bob, {}]}", ":1:24: `control.users[1]` is `{}`"),
        ("control: {socket: }", "`control.socket` is nothing, expected path string"),
        ("outputs_queue: {capacity: 99999999999}", "`outputs_queue.capacity` is `99999999999`"),
        ("http_output: {timeout: 0}", "`http_output.timeout` is `0`, expected a number from 1"),
        ("http_output: {url: \"ftp://x\"}", "expected an address with `http://`"),
        ("syslog_output: {facility: local9}", "`syslog_output.facility` is `local9`"),
        (
            "file_output: {filename: true}",
            "`file_output.filename` is the truth value `true`, expected a text",
        ),
        ("log_level: loud", "`log_level` is wrong: log level `loud` is not known"),
    ] {
        let found = problem(&text.replace("a: 1\n", "# a\n"));
        assert!(found.contains(said), "{text}: {found}");
    }
}

#[test]
fn a_whole_falco_configuration_is_taken() {
    let loaded = with_file(include_str!("falco.yaml"), &[]).unwrap();
    assert_eq!(loaded.config.capture.max_bytes, CaptureFiles::default().max_bytes);
    assert!(loaded.config.syslog_output.enabled);
    // What it asks for by default is not missed: all that is left out is told in one line.
    let lines = ignored_lines(&loaded.ignored);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("`load_plugins`") && lines[0].contains("`webserver.threadiness`"));
    // Its outputs can be enabled as they are.
    let on =
        ["file_output", "http_output", "program_output"].map(|name| format!("{name}.enabled=true"));
    let on: Vec<&str> = on.iter().flat_map(|option| ["-o", option]).collect();
    let more = [&on[..], &["-o", "http_output.url=http://localhost:2801"]].concat();
    let targets = with_file(include_str!("falco.yaml"), &more).unwrap().config.targets().unwrap();
    assert_eq!(targets.len(), 5);
}

#[test]
fn what_falco_does_and_we_do_not_is_told_with_what_to_do_instead() {
    for (text, said) in [
        ("load_plugins: [k8saudit]", "`load_plugins` is ignored: there are no plugins here"),
        ("load_plugins: [container]", "ignored, for they have no meaning here: `load_plugins`"),
        ("grpc: {enabled: true}", "`eyas sensor tail`"),
        ("engine: {kind: replay}", "`eyasd --replay FILE`"),
        ("engine: {kind: modern_ebpf}", "no meaning here: `engine`"),
        ("outputs: {rate: 1, max_burst: 10}", "`alert_limits`"),
        ("log_stderr: false", "standard error"),
        ("container_engines: {cri: {sockets: [/run/odd.sock]}}", "`containers.cri_sockets`"),
    ] {
        let lines = ignored_lines(&with_file(text, &[]).unwrap().ignored);
        assert!(lines.len() == 1 && lines[0].contains(said), "{text}: {lines:?}");
    }
    assert!(
        problem("webserver:\n  ssl_enabled: true\n")
            .contains(":2:3: `webserver.ssl_enabled` is set")
    );
    assert!(with_file("webserver: {ssl_enabled: false}", &[]).is_ok());
}

#[test]
fn keys_with_another_name_here_keep_their_meaning() {
    let config = |text: &str| with_file(text, &[]).unwrap().config;
    assert_eq!(config("rules_file: /a").rules_files, [PathBuf::from("/a")]);
    assert_eq!(config("rules_file: [/a, /b]").rules_files.len(), 2);
    assert!(
        problem("rules_file: /a\nrules_files: [/b]\n").contains(":1:1: `rules_file` is set beside")
    );
    assert_eq!(config("capture: {max_file_size_mb: 3}").capture.max_bytes, 3 << 20);
    assert!(
        problem("capture: {max_file_size_mb: many}").contains("expected a number of megabytes")
    );
}

#[test]
fn secrets_are_not_shown_and_what_is_shown_in_their_place_is_not_taken() {
    let shown =
        |url: &str| with_file(&format!("http_output: {{url: \"{url}\"}}"), &[]).unwrap().shown();
    let text = shown("https://user:secret@host:1/x?token=secret#f");
    assert!(
        !text.contains("secret") && text.contains("https://user:********@host:1/x?********"),
        "{text}"
    );
    assert!(
        with_file(&text, &[]).unwrap_err().to_string().contains("stands for what is not shown")
    );
    assert!(shown("https://host/x").contains("url: https://host/x\n"));
    let text = shown("https://user:${HOME}@host");
    assert!(text.contains("https://user:${HOME}@host"), "{text}");
}

#[test]
fn further_files_are_named_on_the_command_line_too() {
    let more = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(more.path(), "priority: error\n").unwrap();
    let option = format!("config_files={}", more.path().display());
    let loaded = with_file("config_files: [/no/such]\n", &["-o", &option]).unwrap();
    assert_eq!(loaded.config.priority, "error");
    let watched = loaded.config.watched(&args(&["-o", &option]));
    assert!(watched.contains(&more.path().to_path_buf()));
    assert!(load(&args(&["-o", "config_files=5"])).is_err());
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
    let list = ["-o", "rules[].disable.rule=*", "-o", "append_output[].extra_output=x"];
    let config = with_file("", &list).unwrap().config;
    assert_eq!((config.rules.len(), config.append_output.len()), (1, 2));
    let found = with_file("", &["-o", "rules[0].disable=*"]).unwrap_err().to_string();
    assert!(found.contains("`rules[0]` is wrong"), "{found}");
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
