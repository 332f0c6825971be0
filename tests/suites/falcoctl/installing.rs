//! Install: files, state, messages, exit codes.

use eyas_tests::Site;

use crate::world::{DIRECTORIES, World, messages, publish, published, said, saying};

const INSTALLED: &str = "Artifact successfully installed";

#[test]
fn files_state_and_messages_are_the_same() {
    let (_registry, repository) = published();
    let line = format!(
        "artifact install {repository}:latest --plain-http {DIRECTORIES} --log-format=json"
    );
    let install = |world: &World| {
        let finished = world.run(&line);
        finished.expect_code(0);
        let messages = messages(&finished.stdout);
        let installed: Vec<_> = saying(&messages, INSTALLED).into_iter().map(said).collect();
        assert_eq!(installed.len(), 1, "{}", finished.stdout);
        (installed, world.files("rules"), world.state())
    };
    let ours = World::ours();
    let first = install(&ours);
    assert_eq!(first.0[0]["directory"], "rules");
    assert_eq!(first.0[0]["type"], "rulesfile");
    assert_eq!(first.0[0]["name"], format!("{repository}:latest"));
    assert_eq!(first.1.keys().collect::<Vec<_>>(), ["demo.yaml"]);
    assert_eq!(first.2.len(), 1);
    // Again, as a unit does on every start.
    assert_eq!(install(&ours), first);
    if let Some(theirs) = World::theirs("falcoctl::install") {
        assert_eq!(first, install(&theirs));
    }
}

#[test]
fn messages_for_people_say_the_same() {
    let (_registry, repository) = published();
    let line = format!("artifact install {repository}:latest --plain-http {DIRECTORIES}");
    let lines = |world: &World| {
        let finished = world.run(&line);
        finished.expect_code(0);
        let text = finished.stdout.replace('\u{a0}', " ");
        let from = text.find(INSTALLED).expect("installed");
        text[from..].lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
    };
    let ours = lines(&World::ours());
    assert!(ours.iter().any(|line| line.trim_start().starts_with("├ type: rulesfile")), "{ours:?}");
    if let Some(theirs) = World::theirs("falcoctl::messages") {
        assert_eq!(ours, lines(&theirs));
    }
}

#[test]
fn what_the_other_installed_is_taken_over() {
    let Some(theirs) = World::theirs("falcoctl::take_over") else { return };
    let (_registry, repository) = published();
    let line = format!("artifact install {repository}:latest --plain-http {DIRECTORIES}");
    theirs.run(&line).expect_code(0);
    let before = theirs.files("rules");
    publish(&Site::new(), &repository, "1.1.0", "Two");
    let ours = World::ours();
    let finished = eyas_tests::run(ours.command(&line).current_dir(theirs.path("")));
    finished.expect_code(0);
    let after = theirs.files("rules");
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    assert_ne!(before, after);
}

#[test]
fn failures_end_with_one_and_say_so_on_standard_output() {
    let (_registry, repository) = published();
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::failures");
    for line in [
        format!("artifact install {DIRECTORIES}"),
        format!("artifact install no-such-name {DIRECTORIES}"),
        format!("artifact install {repository}:9.9.9 --plain-http {DIRECTORIES}"),
        format!("artifact install {repository} --plain-http --allowed-types plugin {DIRECTORIES}"),
        format!("artifact install {repository} --no-such-flag"),
        "artifact info".to_owned(),
        "index add".to_owned(),
        "index update unknown".to_owned(),
        "artifact search --min-score 2 word".to_owned(),
    ] {
        let finished = ours.run(&line);
        finished.expect_code(1);
        assert!(finished.stdout.contains("ERROR"), "{line}: {}", finished.stdout);
        assert!(finished.stderr.is_empty(), "{line}: {}", finished.stderr);
        if let Some(theirs) = &theirs {
            theirs.run(&line).expect_code(1);
        }
    }
    assert!(ours.files("rules").is_empty());
}

#[test]
fn switches_and_lists_are_written_as_always() {
    let (_registry, repository) = published();
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::grammar");
    for more in [
        "--plain-http=true --no-verify=true --resolve-deps=false",
        "--plain-http --allowed-types=rulesfile,plugin",
        "--plain-http --allowed-types rulesfile --allowed-types plugin",
        "--plain-http --log-level warn --log-level info",
        "--plain-http -v",
        "--plain-http --disable-styling",
        "--plain-http --platform linux/amd64",
    ] {
        let line = format!("artifact install {repository} {DIRECTORIES} {more}");
        ours.run(&line).expect_code(0);
        if let Some(theirs) = &theirs {
            theirs.run(&line).expect_code(0);
        }
    }
}

#[test]
fn variables_and_the_file_do_what_flags_do() {
    let (_registry, repository) = published();
    let by_variables = |world: &World| {
        let mut command = world.command("artifact install --plain-http --log-format json");
        command
            .env("FALCOCTL_ARTIFACT_INSTALL_REFS", format!("{repository}:1.0.0"))
            .env("FALCOCTL_ARTIFACT_INSTALL_RULESFILESDIR", world.path("rules"))
            .env("FALCOCTL_ARTIFACT_INSTALL_PLUGINSDIR", world.path("plugins"))
            .env("FALCOCTL_ARTIFACT_FOLLOW_ASSETSDIR", world.path("assets"))
            .env("FALCOCTL_ARTIFACT_INSTALL_STATEDIR", world.path("state"))
            .env("FALCOCTL_ARTIFACT_ALLOWEDTYPES", "rulesfile,plugin")
            .env("FALCOCTL_ARTIFACT_NOVERIFY", "true");
        eyas_tests::run(&mut command).expect_code(0);
        (world.files("rules"), world.state())
    };
    let by_file = |world: &World| {
        let dir = |name| world.path(name).display().to_string();
        world.write(
            "falcoctl.yaml",
            &format!(
                "indexes: []\nartifact:\n  allowedtypes: rulesfile,plugin\n  install:\n    refs: ['{repository}:1.0.0']\n    rulesfilesdir: {}\n    pluginsDir: {}\n    STATEDIR: {}\n  follow: {{assetsDir: {}}}\n",
                dir("rules"),
                dir("plugins"),
                dir("state"),
                dir("assets"),
            ),
        );
        world.run("artifact install --plain-http").expect_code(0);
        (world.files("rules"), world.state())
    };
    let ours = (by_variables(&World::ours()), by_file(&World::ours()));
    assert_eq!(ours.0, ours.1);
    assert_eq!((ours.0.0.len(), ours.0.1.len()), (1, 1));
    if let Some(theirs) = World::theirs("falcoctl::settings") {
        assert_eq!(ours.0, by_variables(&theirs));
    }
}
