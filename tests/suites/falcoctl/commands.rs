//! The whole command tree: flags, messages of every kind of command, and what is only a warning.

use std::collections::BTreeSet;
use std::fs;

use eyas_tests::registry::free_address;
use eyas_tests::{Finished, Registry, marker_rule};

use crate::world::{World, keys, messages, published, said, saying};

/// Every command and the flags that scripts may give it.
const TREE: [(&str, &str); 22] = [
    ("", "config log-format log-level verbose"),
    ("artifact search", "min-score type"),
    ("artifact list", "type index"),
    ("artifact info", "plain-http"),
    ("artifact config", "plain-http platform"),
    ("artifact manifest", "plain-http platform"),
    (
        "artifact install",
        "plain-http rulesfiles-dir plugins-dir assets-dir state-dir allowed-types platform \
         resolve-deps no-verify",
    ),
    (
        "artifact follow",
        "plain-http rulesfiles-dir plugins-dir assets-dir state-dir allowed-types no-verify every \
         cron startup-behavior tmp-dir falco-versions timeout",
    ),
    ("index add", ""),
    ("index list", ""),
    ("index remove", ""),
    ("index update", ""),
    (
        "registry push",
        "type version name tag add-floating-tags depends-on requires platform annotation-source \
         plain-http",
    ),
    ("registry pull", "platform dest-dir plain-http"),
    ("registry auth basic", "username password password-stdin"),
    ("registry auth oauth", "token-url client-id client-secret scopes"),
    ("registry auth gcp", ""),
    (
        "driver config",
        "update-falco namespace kubeconfig configmap falco-config-dir type version repo name \
         host-root kernelrelease kernelversion",
    ),
    (
        "driver install",
        "download compile download-headers http-insecure http-timeout http-headers type version",
    ),
    ("driver cleanup", "type version repo name host-root"),
    ("driver printenv", "type version repo name host-root kernelrelease kernelversion"),
    ("version", "output"),
];

/// Names of the flags that a help text lists.
fn flags(help: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let word = line.split_whitespace().find(|word| word.starts_with("--"))?;
        let end = word.find(['=', ',', '[', ' ']).unwrap_or(word.len());
        line.trim_start().starts_with('-').then(|| word[2..end].to_owned())
    };
    help.lines().filter_map(name).collect()
}

#[test]
fn every_command_shows_its_flags_and_their_defaults() {
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::flags");
    for (command, wanted) in TREE {
        let line = format!("{command} --help");
        let shown = ours.run(&line);
        shown.expect_code(0);
        let known = flags(&shown.stdout);
        for flag in wanted.split_whitespace() {
            assert!(known.contains(flag), "`{command}` lacks `--{flag}`: {known:?}");
        }
        for stranger in ["/etc/eyas", "/var/lib/eyas", "EYAS_"] {
            assert!(!shown.stdout.contains(stranger), "`{command}`: {}", shown.stdout);
        }
        if let Some(theirs) = &theirs {
            let listed = flags(&theirs.run(&line).stdout);
            let missing: Vec<_> = listed.difference(&known).collect();
            assert!(missing.is_empty(), "`{command}` lacks {missing:?}");
        }
    }
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let install = words(&ours.run("artifact install --help").stdout);
    for default in ["/etc/falco", "/usr/share/falco/plugins", "/etc/falco/assets"] {
        assert!(install.contains(&format!("[default: {default}]")), "{install}");
    }
    assert!(install.contains("FALCOCTL_ARTIFACT_INSTALL_RULESFILESDIR"), "{install}");
    assert!(words(&ours.run("--help").stdout).contains("/etc/falcoctl/falcoctl.yaml"));
}

fn push(world: &World, line: &str) -> Finished {
    world.write("demo.yaml", &marker_rule("One", "/eyas/test/marker"));
    world.run(&format!("registry push {line} --plain-http --log-format=json"))
}

#[test]
fn pushing_and_pulling_are_told_in_the_same_words() {
    let registry = Registry::embedded();
    let reference = registry.reference("team/pushed:1.0.0");
    let told = |world: &World| {
        let pushed =
            push(world, &format!("{reference} demo.yaml --type rulesfile --version 1.0.0"));
        pushed.expect_code(0);
        let pulled =
            world.run(&format!("registry pull {reference} --plain-http -o tmp --log-format=json"));
        pulled.expect_code(0);
        let (push, pull) = (messages(&pushed.stdout), messages(&pulled.stdout));
        let one = |all: &[serde_json::Value], text: &str| {
            let found = saying(all, text);
            assert_eq!(found.len(), 1, "{text}: {all:?}");
            found[0].clone()
        };
        let (before, after) =
            (one(&push, "Preparing to push artifact"), one(&push, "Artifact pushed"));
        assert_eq!(after["name"], reference, "{after}");
        let place = one(&pull, "Pulling artifact in");
        let end = one(&pull, "Artifact pulled");
        assert_eq!(after["digest"], end["digest"], "what was pushed is pulled");
        assert!(fs::read_dir(world.path("tmp")).expect("directory").count() > 0);
        (said(&before), keys(&after), said(&place), keys(&end))
    };
    let ours = told(&World::ours());
    if let Some(theirs) = World::theirs("falcoctl::push") {
        assert_eq!(ours, told(&theirs));
    }
}

#[test]
fn what_is_wrong_with_a_push_is_an_error_record() {
    let registry = Registry::embedded();
    let reference = registry.reference("team/pushed:1");
    let theirs = World::theirs("falcoctl::bad_push");
    let ours = World::ours();
    for line in [
        "REF demo.yaml --type rulesfile",
        "REF demo.yaml --type rulesfile --version nonsense",
        "REF absent.yaml --type rulesfile --version 1.0.0",
        "REF demo.yaml --type nonsense --version 1.0.0",
        "REF demo.yaml --type plugin --version 1.0.0 --platform nonsense",
        "REF --type rulesfile --version 1.0.0",
    ] {
        let line = line.replace("REF", &reference);
        let finished = push(&ours, &line);
        finished.expect_code(1);
        let all = messages(&finished.stdout);
        assert!(all.iter().any(|message| message["level"] == "ERROR"), "{line}: {all:?}");
        if let Some(theirs) = &theirs {
            push(theirs, &line).expect_code(1);
        }
    }
}

#[test]
fn one_repository_that_is_not_there_keeps_no_tags_back() {
    let (registry, repository) = published();
    let absent = registry.reference("team/absent");
    let info = |world: &World| {
        let line = format!("artifact info {absent} {repository} --plain-http --log-format=json");
        let finished = world.run(&line);
        finished.expect_code(0);
        let warned = finished.stdout.lines().filter(|line| line.contains("WARN")).count();
        assert_eq!(warned, 1, "{}", finished.stdout);
        assert!(finished.stdout.contains("latest"), "{}", finished.stdout);
    };
    info(&World::ours());
    if let Some(theirs) = World::theirs("falcoctl::absent") {
        info(&theirs);
    }
}

#[test]
fn advice_names_the_program_that_was_called() {
    let finished = World::ours().run("artifact install demo");
    finished.expect_code(1);
    assert!(finished.stdout.contains("`falcoctl index add`"), "{}", finished.stdout);
    assert!(!finished.stdout.contains("`eyas "), "{}", finished.stdout);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_a_warning() {
    let (_registry, repository) = published();
    let install = |world: &World| {
        let finished = world.run(&format!(
            "artifact install {repository}:latest --plain-http --rulesfiles-dir rules --plugins-dir \
             plugins --assets-dir assets --state-dir /proc/none/state --log-format=json"
        ));
        finished.expect_code(0);
        let all = messages(&finished.stdout);
        assert_eq!(saying(&all, "Artifact successfully installed").len(), 1, "{all:?}");
        assert!(all.iter().any(|message| message["level"] == "WARN"), "{all:?}");
        world.files("rules")
    };
    let ours = World::ours();
    let files = install(&ours);
    assert_eq!(files.len(), 1);
    // It is remembered all the same: nothing new, and what was changed is put right.
    assert_eq!(install(&ours), files);
    ours.write("rules/demo.yaml", "changed");
    assert_eq!(install(&ours), files);
    if let Some(theirs) = World::theirs("falcoctl::state") {
        assert_eq!(install(&theirs), files);
    }
}

#[test]
fn the_environment_of_drivers_is_the_same() {
    let line =
        "driver printenv --type kmod --version 1.0.0 --kernelrelease 5.10.0 --kernelversion 1";
    let ours = World::ours().run(line);
    ours.expect_code(0);
    assert!(ours.stdout.contains("DRIVER_VERSION=\"1.0.0\"\n"), "{}", ours.stdout);
    if let Some(theirs) = World::theirs("falcoctl::printenv") {
        assert_eq!(ours.stdout, theirs.run(line).stdout);
    }
}

#[test]
fn the_driver_that_was_chosen_is_remembered() {
    let remembered = |world: &World| {
        fs::create_dir(world.path("falco")).expect("directory");
        world.write("falco/falco.yaml", "engine:\n  kind: modern_ebpf\n");
        world
            .run("driver config --type kmod --version 1.0.0 --falco-config-dir falco")
            .expect_code(0);
        let printed = world.run("driver printenv --kernelrelease 5.10.0 --kernelversion 1");
        printed.expect_code(0);
        assert!(printed.stdout.contains("DRIVER=\"kmod\""), "{}", printed.stdout);
        let text = fs::read_to_string(world.path("falcoctl.yaml")).expect("configuration");
        let tree: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
        assert!(tree["indexes"].is_array(), "what was there stays: {text}");
        let engine = fs::read_to_string(world.path("falco/config.d/engine-kind-falcoctl.yaml"));
        let engine: serde_json::Value =
            serde_saphyr::from_str(&engine.expect("written")).expect("YAML");
        let driver = &tree["driver"];
        (driver["type"].clone(), driver["name"].clone(), driver["version"].clone(), engine)
    };
    let ours = remembered(&World::ours());
    if let Some(theirs) = World::theirs("falcoctl::driver_config") {
        assert_eq!(ours, remembered(&theirs));
    }
}

#[test]
fn failures_of_indexes_and_logins_are_error_records() {
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::failures_elsewhere");
    let gone = free_address();
    for line in [
        format!("index add gone http://{gone}/index.yaml"),
        "index add".to_owned(),
        "index update unknown".to_owned(),
        format!("registry auth basic {gone} -u user -p password"),
        "registry auth oauth registry.example.org".to_owned(),
        "artifact follow --every nonsense".to_owned(),
        "artifact install demo:1 --platform nonsense".to_owned(),
    ] {
        let line = format!("{line} --log-format=json");
        let finished = ours.run(&line);
        finished.expect_code(1);
        let errors = finished.stdout.lines().filter(|line| line.contains("ERROR")).count();
        assert_eq!(errors, 1, "{line}: {}", finished.stdout);
        if let Some(theirs) = &theirs {
            theirs.run(&line).expect_code(1);
        }
    }
}
