//! Every document has the fields that `docs/output.md` promises, no more and no fewer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Site, User};

/// Fields by kind, as documented.
fn promised() -> BTreeMap<String, BTreeSet<String>> {
    let text = include_str!("../../../docs/output.md");
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    text.lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            (quoted(cells[0]).remove(0), quoted(cells[2]).into_iter().collect())
        })
        .collect()
}

#[track_caller]
fn hold(document: &Value, kind: &str) {
    assert_eq!(document["kind"], kind);
    assert_eq!(document["schema"], 1);
    let fields = document.as_object().expect("an object").keys();
    let found: BTreeSet<String> =
        fields.filter(|name| !matches!(name.as_str(), "schema" | "kind")).cloned().collect();
    assert_eq!(Some(&found), promised().get(kind), "{kind}");
}

/// Documents that no command of this suite can give, and where they are held to the promise.
const ELSEWHERE: [(&str, &str); 11] = [
    ("capture.count", "needs a capture: tests/suites/capture.rs"),
    ("capture.info", "the same"),
    ("sensor.status", "needs a sensor: tests/suites/control.rs"),
    ("sensor.reload", "the same"),
    ("sensor.metrics", "the same"),
    ("sensor.rules", "the same"),
    ("sensor.loglevel", "the same"),
    ("sensor.record", "the same"),
    ("sensor.validate", "the same"),
    ("sensor.top", "the same"),
    ("trust.refresh", "needs a repository of trusted roots"),
];

#[test]
fn documents_are_as_promised() {
    let site = Site::new();
    let mut given = BTreeSet::new();
    let mut hold = |document: &Value, kind: &str| {
        hold(document, kind);
        given.insert(kind.to_owned());
    };
    hold(&site.publish("1.0.0").expect(0).json(), "registry.push");
    site.user.write("predicate.json", "{\"passed\": 1}");
    let case = "- case: it is opened\n  event: open\n  fields: {fd.name: /x}\n  matches: a\n";
    site.user.write("demo.cases", case);
    std::fs::create_dir(site.user.path("falco")).expect("directory");
    site.user.write("falco/falco.yaml", "engine:\n  kind: kmod\n");
    let reference = format!("{}/team/demo:latest", site.host);
    let indexed = "--index-file index.yaml --output json";
    for (line, kind) in [
        ("version --output json".to_owned(), "version"),
        (format!("artifact install demo {indexed}"), "artifact.install"),
        (format!("artifact list {indexed}"), "artifact.list"),
        (format!("artifact search demo {indexed}"), "artifact.list"),
        (format!("artifact info demo {indexed}"), "artifact.info"),
        (format!("artifact verify demo {indexed}"), "artifact.verify"),
        ("artifact list --installed --output json".to_owned(), "artifact.installed"),
        ("artifact status --output json".to_owned(), "artifact.status"),
        ("artifact history --output json".to_owned(), "artifact.history"),
        ("artifact repair --output json".to_owned(), "artifact.repair"),
        ("artifact gc --output json".to_owned(), "artifact.gc"),
        (format!("artifact lock demo {indexed}"), "artifact.lock"),
        (format!("artifact install --locked {indexed}"), "artifact.install"),
        (format!("artifact diff demo {indexed}"), "artifact.diff"),
        ("artifact diff 1 1 --output json".to_owned(), "artifact.diff"),
        ("artifact pin demo --output json".to_owned(), "artifact.pin"),
        ("artifact unpin demo --output json".to_owned(), "artifact.pin"),
        ("artifact uninstall demo --dry-run --output json".to_owned(), "artifact.uninstall"),
        ("driver printenv --type kmod --version 1.0.0 --output json".to_owned(), "driver.printenv"),
        ("tls install --path certs --output json".to_owned(), "tls.install"),
        ("index add local index.yaml --output json".to_owned(), "index.change"),
        ("index update local --output json".to_owned(), "index.change"),
        ("index remove local --output json".to_owned(), "index.change"),
        ("man pages --output json".to_owned(), "man"),
        ("index list --output json".to_owned(), "index.list"),
        ("registry keygen other --output json".to_owned(), "registry.keygen"),
        (format!("registry pull {reference} -o pulled --output json"), "registry.pull"),
        (format!("sign {reference} --key signer --output json"), "sign"),
        ("rules check demo.yaml --output json".to_owned(), "rules.check"),
        ("rules list --fields --output json".to_owned(), "rules.list"),
        ("rules diff demo.yaml demo.yaml --output json".to_owned(), "rules.diff"),
        ("rules explain a demo.yaml --output json".to_owned(), "rules.explain"),
        ("rules test demo.yaml demo.cases --output json".to_owned(), "rules.test"),
        (
            format!(
                "registry push {}/team/index:1 index.yaml --type index --version 1.0.0 --output json",
                site.host
            ),
            "registry.push-index",
        ),
        (
            format!(
                "attest {reference} --type rule-tests --predicate predicate.json --key signer \
                 --output json"
            ),
            "attest",
        ),
        (format!("registry auth basic {} -u u -p p --output json", site.host), "registry.auth"),
        (format!("registry logout {} --output json", site.host), "registry.logout"),
        ("trust show --output json".to_owned(), "trust.show"),
        ("trust add r.example.org/** --key signer.pub --output json".to_owned(), "trust.add"),
        (format!("trust test {reference} --output json"), "trust.test"),
        (
            "driver config --type modern_ebpf --version 1.0.0 --falco-config-dir falco --output json"
                .to_owned(),
            "driver.config",
        ),
        (
            "driver install --type modern_ebpf --version 1.0.0 --output json".to_owned(),
            "driver.install",
        ),
        (
            "driver cleanup --type modern_ebpf --version 1.0.0 --output json".to_owned(),
            "driver.install",
        ),
    ] {
        hold(&site.user.run(&line).expect(0).json(), kind);
    }
    // Whether a probe can run here or not.
    hold(&site.user.run("probe check --output json").json(), "probe.check");
    hold(&served(&site.user), "registry.serve");
    site.publish("1.1.0").expect(0);
    site.user.run(&format!("artifact install demo {indexed}")).expect(0);
    hold(&site.user.run("artifact rollback --output json").expect(0).json(), "artifact.rollback");
    let elsewhere = |kind: &String| ELSEWHERE.iter().any(|(other, _)| other == kind);
    let missing: Vec<String> =
        promised().into_keys().filter(|kind| !given.contains(kind) && !elsewhere(kind)).collect();
    assert_eq!(missing, Vec::<String>::new(), "no command gave these");
}

/// What a registry says before it answers anybody.
fn served(user: &User) -> Value {
    let mut command = user.command("registry serve served --listen 127.0.0.1:0 --output json");
    let mut registry = command.stdout(Stdio::piped()).spawn().expect("it serves");
    let mut said = String::new();
    for line in BufReader::new(registry.stdout.take().expect("piped")).lines() {
        said.push_str(&line.expect("a line"));
        if said.ends_with('}') {
            break;
        }
    }
    registry.kill().and_then(|()| registry.wait()).expect("it ends");
    serde_json::from_str(&said).expect("a document")
}

/// Commands that answer with something else than a document of ours, and why.
const EXEMPT: [(&str, &str); 5] = [
    ("artifact-manifest", "what the registry serves, byte for byte"),
    ("artifact-config", "what the registry serves, byte for byte"),
    ("artifact-follow", "one document per update, of `artifact install`"),
    ("capture-read", "one object per event, with the fields of the format"),
    ("completion", "a script for a shell"),
];

#[test]
fn every_command_has_a_documented_answer() {
    let user = User::new();
    user.run("man pages").expect(0);
    let pages = std::fs::read_dir(user.path("pages")).expect("pages").flatten();
    let names: BTreeSet<String> = pages
        .map(|page| page.file_name().to_string_lossy().into_owned())
        .filter_map(|name| Some(name.strip_prefix("eyas-")?.strip_suffix(".1")?.to_owned()))
        .collect();
    let is_leaf =
        |name: &&String| !names.iter().any(|other| other.starts_with(&format!("{name}-")));
    let leaves: Vec<&String> = names.iter().filter(is_leaf).collect();
    assert!(leaves.len() > 25, "{leaves:?}");
    let documented = include_str!("../../../docs/output.md");
    for name in leaves {
        let command = format!("`{}`", name.replace('-', " "));
        let exempt = EXEMPT.iter().any(|(other, _)| other == name);
        assert!(
            exempt || documented.contains(&command),
            "docs/output.md does not say what {command} answers with `--output json`"
        );
    }
}

#[test]
fn what_a_command_did_not_do_is_one_record_on_standard_error() {
    let user = User::new();
    user.write("eyas.yaml", "");
    for line in [
        "artifact install nowhere:1",
        "artifact uninstall absent",
        "artifact pin absent",
        "artifact diff 1 2",
        "artifact install --locked",
        "artifact rollback",
    ] {
        let done = user.run(&format!("{line} --output json"));
        assert_ne!(done.code, 0, "{line}");
        assert_eq!(done.stdout, "", "{line}");
        let records = done.stderr.lines().filter(|line| line.starts_with('{'));
        let errors: Vec<Value> =
            records.map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(errors.len(), 1, "{line}: {errors:?}");
        assert_eq!(errors[0]["level"], "ERROR", "{line}");
        assert_eq!(errors[0]["exit_code"], done.code, "{line}");
    }
}

#[test]
fn the_raw_documents_are_byte_for_byte() {
    let site = Site::new();
    let digest = site.publish("1.0.0").expect(0).json()["digest"].clone();
    let line = "artifact manifest demo --index-file index.yaml --output json";
    let manifest = site.user.run(line).expect(0).stdout;
    let found = eyas_artifact::Digest::sha256(manifest).to_string();
    assert_eq!(digest, found.as_str());
}

#[test]
fn a_check_of_rules_answers_also_when_they_are_wrong() {
    let user = User::new();
    user.write("eyas.yaml", "");
    user.write(
        "wrong.yaml",
        "- rule: a\n  desc: d\n  condition: no.such = 1\n  output: o\n  priority: INFO\n",
    );
    let done = user.run("rules check wrong.yaml --output json").expect(1);
    let document = done.json();
    hold(&document, "rules.check");
    assert_eq!(document["falco_load_results"][0]["successful"], false);
    let text = user.run("rules check wrong.yaml").expect(1).stdout;
    assert!(text.starts_with("wrong.yaml: Invalid\n1 Error:\n"), "{text}");
    let absent = user.run("rules check absent.yaml --output json").expect(1).json();
    hold(&absent, "rules.check");
    assert_eq!(absent["falco_load_results"][0]["errors"][0]["code"], "LOAD_ERR_FILE_READ");
}
