//! Commands that ask, and those for indexes.

use std::fs;

use eyas_tests::programs::shared;

use crate::world::{World, cells, published};

/// A few entries, in case the public index is not at hand.
const INDEX: &str = "\
- name: cloudtrail
  type: plugin
  registry: ghcr.io
  repository: falcosecurity/plugins/plugin/cloudtrail
  keywords: [cloudtrail, aws]
- name: falco-rules
  type: rulesfile
  registry: ghcr.io
  repository: falcosecurity/rules/falco-rules
  keywords: [falco-rules]
- name: k8saudit
  type: plugin
  registry: ghcr.io
  repository: falcosecurity/plugins/plugin/k8saudit
  keywords: [audit, kubernetes]
";

/// A user with one index of that name in the configuration.
fn with_index(world: World) -> World {
    let text = shared("data/falco-index.yaml")
        .map_or_else(|| INDEX.to_owned(), |path| fs::read_to_string(path).expect("index"));
    world.write("index.yaml", &text);
    let url = format!("file://{}", world.path("index.yaml").display());
    world.write(
        "falcoctl.yaml",
        &format!("indexes:\n- name: falcosecurity\n  url: {url}\n  backend: file\n"),
    );
    world
}

#[test]
fn tables_have_the_same_cells() {
    let ours = with_index(World::ours());
    let theirs = World::theirs("falcoctl::tables").map(with_index);
    for line in [
        "artifact list",
        "artifact ls --type plugin",
        "artifact list --index falcosecurity --type rulesfile",
        "artifact search cloudtrail",
        "artifact search falco-rules --min-score 0.9",
        "artifact search k8s --type plugin",
        "artifact search nothing-like-this",
    ] {
        let finished = ours.run(line);
        finished.expect_code(0);
        let mut table = cells(&finished.stdout);
        let header = ["INDEX", "ARTIFACT", "TYPE", "REGISTRY", "REPOSITORY"];
        assert_eq!(table[0], header, "{line}");
        assert!(finished.stderr.is_empty(), "{line}: {}", finished.stderr);
        if let Some(theirs) = &theirs {
            let mut expected = cells(&theirs.run(line).stdout);
            // The order of a search is not promised.
            table.sort();
            expected.sort();
            assert_eq!(table, expected, "{line}");
        }
    }
}

#[test]
fn indexes_are_added_listed_and_removed_alike() {
    let lines = [
        "index add demo URL file",
        "index add demo URL file",
        "index list",
        "index update demo",
        "index ls",
        "index update unknown",
        "index rm demo",
        "index list",
    ];
    let report = |world: &World| {
        let url = format!("file://{}", world.path("index.yaml").display());
        let mut report = Vec::new();
        for line in lines {
            let finished = world.run(&line.replace("URL", &url));
            let names: Vec<Vec<String>> = if line.starts_with("index l") {
                cells(&finished.stdout).into_iter().map(|row| row[..1].to_vec()).collect()
            } else {
                Vec::new()
            };
            let done = ["added", "updated", "removed"]
                .iter()
                .find(|how| finished.stdout.contains(&format!("successfully {how}")));
            let book = world.path("home/.config/falcoctl/indexes.yaml").exists();
            let copy = world.path("home/.config/falcoctl/indexes/demo.yaml").exists();
            report.push((line, finished.code(), names, done, book, copy));
        }
        report
    };
    let ours = with_index(World::ours());
    let said = report(&ours);
    assert_eq!(said[0].1, 0, "{said:?}");
    assert_eq!(said[2].2, [["NAME"], ["demo"]], "{said:?}");
    assert_eq!(said[5].1, 1, "{said:?}");
    assert!(said[0].4 && said[0].5 && !said[6].5, "{said:?}");
    if let Some(theirs) = World::theirs("falcoctl::indexes").map(with_index) {
        assert_eq!(said, report(&theirs));
    }
}

#[test]
fn each_reads_the_list_of_the_other() {
    let Some(theirs) = World::theirs("falcoctl::list_of_indexes").map(with_index) else { return };
    let ours = with_index(World::ours());
    let url = format!("file://{}", theirs.path("index.yaml").display());
    theirs.run(&format!("index add demo {url} file")).expect_code(0);
    let list = |world: &World, home: &World| {
        let mut command = world.command("index list");
        let finished = eyas_tests::run(command.env("HOME", home.path("home")));
        finished.expect_code(0);
        cells(&finished.stdout)
    };
    assert_eq!(list(&ours, &theirs), list(&theirs, &theirs));
    ours.run(&format!("index add other {url} file")).expect_code(0);
    assert_eq!(list(&theirs, &ours), list(&ours, &ours));
}

#[test]
fn what_a_registry_says_is_passed_on_alike() {
    let (_registry, repository) = published();
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::registry");
    for line in ["artifact config REF:latest", "artifact manifest REF:latest", "artifact info REF"]
    {
        let line = format!("{} --plain-http", line.replace("REF", &repository));
        let finished = ours.run(&line);
        finished.expect_code(0);
        assert!(!finished.stdout.trim().is_empty(), "{line}");
        if let Some(theirs) = &theirs {
            let sorted = |text: &str| {
                let mut cells = cells(text);
                for cell in cells.iter_mut().flatten().filter(|cell| !cell.contains('{')) {
                    // The order of tags is the registry's.
                    let mut words: Vec<&str> = cell.split(", ").collect();
                    words.sort_unstable();
                    *cell = words.join(", ");
                }
                cells
            };
            assert_eq!(sorted(&finished.stdout), sorted(&theirs.run(&line).stdout), "{line}");
        }
    }
}

#[test]
fn the_version_has_the_same_forms() {
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::version");
    let line = ours.run("version");
    line.expect_code(0);
    assert!(line.stdout.starts_with("Client Version: 0."), "{}", line.stdout);
    for form in ["json", "yaml"] {
        let keys = |world: &World| {
            let finished = world.run(&format!("version -o {form}"));
            finished.expect_code(0);
            let (head, rest) = finished.stdout.split_once('\n').expect("two lines");
            assert_eq!(head.trim(), "Client Version:");
            let value: serde_json::Value = serde_saphyr::from_str(rest).expect("a document");
            let keys: Vec<String> = value.as_object().expect("object").keys().cloned().collect();
            keys.into_iter().collect::<std::collections::BTreeSet<_>>()
        };
        let said = keys(&ours);
        let wanted = if form == "json" { "semVersion" } else { "semversion" };
        assert!(said.contains(wanted), "{said:?}");
        if let Some(theirs) = &theirs {
            assert_eq!(said, keys(theirs), "{form}");
        }
    }
}

#[test]
fn the_command_tree_is_there() {
    let ours = World::ours();
    let theirs = World::theirs("falcoctl::tree");
    for line in [
        "--help",
        "help",
        "artifact --help",
        "artifact install --help",
        "artifact follow -h",
        "help artifact info",
        "index --help",
        "registry push --help",
        "registry pull --help",
        "completion bash",
        "completion zsh",
        "completion fish",
        "completion powershell",
    ] {
        let finished = ours.run(line);
        finished.expect_code(0);
        assert!(finished.stdout.contains("falcoctl"), "{line}: {}", finished.stdout);
        if let Some(theirs) = &theirs {
            theirs.run(line).expect_code(0);
        }
    }
}
