//! Bars of the command line in its compatible form: requirements, validation, configuration, indexes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use eyas_artifact::media;
use eyas_tests::stranger::{gzip, tar};
use eyas_tests::{
    Entry, Finished, Registry, Site, Stranger, both_registries, eyas, marker_rule, run,
};

/// A host that calls the program `falcoctl`, with directories for an engine.
struct Host {
    site: Site,
    registry: Registry,
}

impl Host {
    fn new() -> Self {
        let site = Site::new();
        for dir in ["bin", "rules", "plugins", "assets", "state", "home"] {
            fs::create_dir(site.path(dir)).expect("directory");
        }
        std::os::unix::fs::symlink(eyas(), site.path("bin/falcoctl")).expect("link");
        // The public index is not for tests.
        fs::write(site.path("falcoctl.yaml"), "indexes: []\n").expect("configuration");
        Self { site, registry: Registry::embedded() }
    }

    fn falcoctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.site.path("bin/falcoctl"));
        command
            .env_clear()
            .env("HOME", self.site.path("home"))
            .current_dir(self.site.folder())
            .args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Finished {
        run(&mut self.falcoctl(arguments))
    }

    /// `artifact install REF…` into the directories of this host.
    #[track_caller]
    fn install(&self, more: &[&str]) -> Finished {
        let mut arguments =
            vec!["artifact", "install", "--plain-http", "--config", "falcoctl.yaml"];
        arguments.extend(["--rulesfiles-dir", "rules", "--plugins-dir", "plugins"]);
        arguments.extend(["--assets-dir", "assets", "--state-dir", "state"]);
        arguments.extend(more);
        self.run(&arguments)
    }

    /// Pushes `demo-rules` with one file and the requirements that are given.
    fn publish(&self, version: &str, text: &str, more: &[&str]) -> String {
        let file = self.site.path("demo.yaml");
        fs::write(&file, text).expect("rules");
        let reference = self.registry.reference("team/demo-rules:latest");
        let file = file.display().to_string();
        let mut arguments = vec!["registry", "push", &reference, &file, "--type", "rulesfile"];
        arguments.extend(["--version", version, "--plain-http"]);
        arguments.extend(more);
        self.site.run(&arguments).expect_code(0);
        reference
    }

    /// Address of an index in which nothing is.
    fn index(&self) -> String {
        format!("file://{}", self.site.path("index.yaml").display())
    }

    fn installed(&self) -> PathBuf {
        self.site.path("rules/demo.yaml")
    }
}

fn rules(name: &str) -> String {
    marker_rule(name, "/eyas/test/marker")
}

/// Bundles whose content is no rules, each with a word of the refusal.
fn broken() -> Vec<(&'static str, String)> {
    let rule = rules("Broken");
    vec![
        ("not YAML", "- rule: x\n  desc: [\n".to_owned()),
        ("not a list", "engine:\n  kind: modern_ebpf\n".to_owned()),
        (
            "condition cut off",
            rule.replace("evt.type in (open, openat, openat2) and", "evt.type in ("),
        ),
        ("no priority", rule.replace("priority: NOTICE", "priority: LOUD")),
    ]
}

#[test]
fn bar_13_what_does_not_parse_is_not_installed() {
    let host = Host::new();
    let good = rules("Good");
    let reference = host.publish("1.0.0", &good, &[]);
    host.install(&[&reference]).expect_code(0);
    for (number, (what, text)) in broken().into_iter().enumerate() {
        host.publish(&format!("1.0.{}", number + 1), &text, &[]);
        let refused = host.install(&[&reference]);
        refused.expect_code(1);
        assert!(refused.stdout.contains("demo.yaml"), "{what}: {}", refused.stdout);
        let kept = fs::read_to_string(host.installed()).expect("still there");
        assert_eq!(kept, good, "{what}");
    }
    // What only the other engine can judge is left to it.
    let theirs = rules("Theirs").replace("fd.name =", "future.field =");
    host.publish("1.1.0", &theirs, &[]);
    host.install(&[&reference]).expect_code(0);
    assert_eq!(fs::read_to_string(host.installed()).expect("there"), theirs);
}

#[test]
fn bar_13_a_sensor_of_ours_is_stricter() {
    both_registries("bar_13", |registry| {
        let site = Site::new();
        site.trust_key(registry, "signer");
        site.publish(registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("Good"))]);
        site.install(&["demo-rules"]).expect_code(0);
        let before = site.snapshot();
        let unknown = rules("Bad").replace("fd.name =", "future.field =");
        site.publish(registry, "1.0.1", Some("signer"), &[("demo.yaml", &unknown)]);
        site.install(&["demo-rules"]).expect_code(6);
        let active = site.store().join("current/rules/demo-rules/demo.yaml");
        assert_eq!(fs::read_to_string(active).expect("there"), rules("Good"));
        assert!(before.keys().all(|path| site.snapshot().contains_key(path)));
    });
}

#[test]
fn bar_15_requirements_are_checked_by_install() {
    let site = Site::new();
    let registry = Registry::embedded();
    site.trust_key(&registry, "signer");
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules("Good"))]);
    site.install(&["demo-rules"]).expect_code(0);
    let file = site.path("next.yaml");
    fs::write(&file, rules("Next")).expect("rules");
    let reference = registry.reference("team/demo-rules:latest");
    let file = file.display().to_string();
    let push = ["registry", "push", &reference, &file, "--type", "rulesfile", "--version", "2.0.0"];
    let needs =
        ["--requires", "engine_version_semver:99.0.0", "--sign-key", "signer", "--plain-http"];
    site.run(&[&push[..], &needs[..]].concat()).expect_code(0);
    let before = site.generation();
    let refused = site.install(&["demo-rules"]);
    refused.expect_code(6);
    assert!(refused.stderr.contains("99.0.0"), "{}", refused.stderr);
    assert_eq!(site.generation(), before);
}

#[test]
fn bar_15_requirements_count_in_both_forms_and_for_follow() {
    let host = Host::new();
    let needs = ["--requires", "engine_version_semver:0.50.0", "--sign-key", "signer"];
    let reference = host.publish("1.0.0", &rules("Good"), &needs);
    host.site.trust_key(&host.registry, "signer");
    let versions = |version: &str| {
        let text = format!("{{\"engine_version_semver\": \"{version}\"}}");
        fs::write(host.site.path("versions.json"), text).expect("versions");
        fs::write(
            host.site.path("falcoctl.yaml"),
            "artifact: {follow: {falcoVersions: versions.json}}\n",
        )
        .expect("configuration");
    };
    // As falcoctl: the other engine says what it is.
    versions("0.49.0");
    let refused = host.install(&[&reference]);
    refused.expect_code(1);
    assert!(refused.stdout.contains("0.50.0"), "{}", refused.stdout);
    assert!(!host.installed().exists());
    versions("0.50.0");
    host.install(&[&reference]).expect_code(0);
    assert_eq!(fs::read_to_string(host.installed()).expect("there"), rules("Good"));
    // As eyas, where follow is told what another engine is.
    let follow = |site: &Site| {
        let words = ["follow", &reference, "--once", "--falco-versions", "versions.json"];
        site.run(&site.install_arguments(&words))
    };
    versions("0.49.0");
    follow(&host.site).expect_code(6).expect_stderr(&["0.50.0", "0.49.0"]);
    assert!(!host.site.store().join("current").exists());
    versions("0.51.0");
    follow(&host.site).expect_code(0);
    assert_eq!(host.site.generation()["number"], 1);
}

#[test]
fn bar_21_an_index_is_needed_for_its_names_only() {
    let host = Host::new();
    let reference = host.publish("1.0.0", &rules("Good"), &[]);
    // A port at which nobody listens.
    let gone = "http://127.0.0.1:9/index.yaml";
    fs::write(
        host.site.path("falcoctl.yaml"),
        format!("indexes:\n- name: gone\n  url: {gone}\n  backend: http\n"),
    )
    .expect("configuration");
    let installed = host.install(&[&reference]);
    installed.expect_code(0);
    assert_eq!(fs::read_to_string(host.installed()).expect("there"), rules("Good"));
    // That the index could have asked for a signature is not kept from anybody.
    assert!(
        installed.stdout.contains("WARN") && installed.stdout.contains("`gone`"),
        "{}",
        installed.stdout
    );
    let refused = host.install(&["demo-rules"]);
    refused.expect_code(1);
    assert!(
        refused.stdout.contains("`gone`") || refused.stdout.contains("127.0.0.1:9"),
        "{}",
        refused.stdout
    );
}

/// An index that knows `demo-rules`, with more lines about it, and `extra-rules`.
fn index_of(host: &Host, more: &str) {
    let (registry, site) = (host.registry.host(), &host.site);
    let entry = |name: &str| {
        format!(
            "- name: {name}\n  type: rulesfile\n  registry: {registry}\n  repository: team/{name}\n"
        )
    };
    fs::write(site.path("known.yaml"), entry("extra-rules") + &entry("demo-rules") + more)
        .expect("index");
    let url = format!("file://{}", site.path("known.yaml").display());
    let settings = format!("indexes: [{{name: known, url: '{url}'}}]\n");
    fs::write(site.path("falcoctl.yaml"), settings).expect("configuration");
}

#[test]
fn bar_18_the_whole_reference_does_not_get_around_what_an_index_asks_for() {
    let host = Host::new();
    let reference = host.publish("1.0.0", &rules("Good"), &[]);
    index_of(&host, "  signature: {cosign: {key: signer.pub, ignore-tlog: true}}\n");
    let state = host.site.path("state").display().to_string();
    let follow =
        ["artifact", "follow", &reference, "--once", "--plain-http", "--state-dir", &state];
    let directories = ["--rulesfiles-dir", "rules", "--falco-versions", "none.json"];
    for refused in [
        host.install(&["demo-rules"]),
        host.install(&[&reference]),
        host.run(&[&follow[..], &directories, &["--config", "falcoctl.yaml"]].concat()),
    ] {
        refused.expect_code(1);
        assert!(refused.stdout.contains("has no signature"), "{}", refused.stdout);
        assert!(!host.installed().exists());
    }
    let sign = ["sign", &reference, "--key", "signer", "--plain-http"];
    host.site.run(&sign).expect_code(0);
    let installed = host.install(&[&reference]);
    installed.expect_code(0);
    assert!(installed.stdout.contains("Signature successfully verified!"), "{}", installed.stdout);
}

#[test]
fn bar_21_what_a_whole_reference_depends_on_is_found_by_the_index() {
    let host = Host::new();
    let reference = host.publish("1.0.0", &rules("Good"), &["--depends-on", "extra-rules:1.0.0"]);
    let extra = host.registry.reference("team/extra-rules:1.0.0");
    fs::write(host.site.path("extra.yaml"), rules("Extra")).expect("rules");
    let push =
        ["registry", "push", &extra, "extra.yaml", "--type", "rulesfile", "--version", "1.0.0"];
    host.site.run(&[&push[..], &["--plain-http"]].concat()).expect_code(0);
    host.install(&[&reference]).expect_code(1);
    index_of(&host, "");
    host.install(&[&reference]).expect_code(0);
    let extra = host.installed().with_file_name("extra.yaml");
    assert_eq!(fs::read_to_string(extra).expect("there"), rules("Extra"));
}

#[test]
fn bar_21_a_copy_stands_in_with_its_age() {
    let site = Site::new();
    let served = Registry::embedded();
    site.trust_key(&served, "signer");
    site.publish(&served, "1.0.0", Some("signer"), &[("demo.yaml", &rules("Good"))]);
    let web = eyas_tests::registry::FileServer::new(&site.path("index.yaml"));
    fs::write(
        site.path("eyas.yaml"),
        format!("indexes:\n- {{name: web, url: '{}'}}\n", web.address()),
    )
    .expect("configuration");
    let install = |site: &Site| {
        site.run(&["artifact", "info", "demo-rules", "--plain-http", "--cache-dir", "cache"])
    };
    install(&site).expect_code(0);
    drop(web);
    let with_copy = install(&site);
    with_copy.expect_code(0);
    assert!(with_copy.stderr.contains("copy kept"), "{}", with_copy.stderr);
}

#[test]
fn bar_22_an_empty_entry_is_an_error_and_no_crash() {
    let host = Host::new();
    for (text, word) in [("- ~\n- name: a\n", "line"), ("- null\n", "line"), ("[{}]\n", "name")] {
        fs::write(host.site.path("index.yaml"), text).expect("index");
        let url = format!("file://{}", host.site.path("index.yaml").display());
        fs::write(
            host.site.path("falcoctl.yaml"),
            format!("indexes: [{{name: one, url: '{url}'}}]\n"),
        )
        .expect("configuration");
        let refused = host.run(&["artifact", "list", "--config", "falcoctl.yaml"]);
        refused.expect_code(1);
        assert!(
            refused.stdout.contains("ERROR") && refused.stdout.contains(word),
            "{}",
            refused.stdout
        );
    }
}

#[test]
fn bar_22_a_manifest_without_a_platform_is_no_crash() {
    let (stranger, site) = (Stranger::new(), Site::new());
    let one = |tag: &str, rule: &str| {
        let layer = gzip(&tar(&[Entry::file("demo.yaml", &rules(rule))]));
        stranger.rules(tag, layer);
        stranger.descriptor_of(tag)
    };
    let (bare, other) = (one("bare", "Bare"), one("other", "Other"));
    let of = |entry: &str, platform: &str| {
        format!("{},\"platform\":{platform}}}", entry.trim_end_matches('}'))
    };
    let index = |tag: &str, entries: &[String]| {
        let text = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"manifests\":[{}]}}",
            media::OCI_INDEX,
            entries.join(",")
        );
        stranger.manifest(tag, media::OCI_INDEX, text.into_bytes())
    };
    let elsewhere = of(&other, "{\"os\":\"plan9\",\"architecture\":\"mips\"}");
    let here = of(&other, "{\"os\":\"linux\",\"architecture\":\"amd64\"}");
    let install = |site: &Site, reference: &str, platform: &str| {
        let words = ["install", reference, "--no-verify", "--platform", platform];
        site.run(&site.install_arguments(&words))
    };
    // Beside others it is passed over, and the refusal says what there is.
    let mixed = index("mixed", &[bare.clone(), elsewhere]);
    let refused = install(&site, &mixed, "linux/amd64");
    refused.expect_code(3).expect_stderr(&["linux/amd64", "plan9/mips", "--platform"]);
    for entry in ["null", "{}", "{\"os\":null}", "[]", "7"] {
        let odd = index("odd", &[of(&bare, entry), bare.clone()]);
        let refused = install(&site, &odd, "linux/amd64");
        assert!((1..=8).contains(&refused.code()), "{entry}: {}", refused.stderr);
        assert!(refused.stderr.contains("team/demo"), "{entry}: {}", refused.stderr);
    }
    for nothing in [vec![], vec!["null".to_owned()], vec![bare.clone(), bare.clone()]] {
        let refused = install(&site, &index("none", &nothing), "linux/amd64");
        assert!((1..=8).contains(&refused.code()), "{nothing:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("team/demo"), "{nothing:?}: {}", refused.stderr);
    }
    assert!(!site.store().join("current").exists());
    // The one that fits is chosen; a single one without a platform is for all.
    install(&site, &index("both", &[bare.clone(), here]), "linux/amd64").expect_code(0);
    let file = site.store().join("current/rules/demo/demo.yaml");
    assert_eq!(fs::read_to_string(&file).expect("there"), rules("Other"));
    install(&site, &index("single", &[bare]), "plan9/mips").expect_code(0);
    assert_eq!(fs::read_to_string(&file).expect("there"), rules("Bare"));
}

#[test]
fn bar_30_a_read_only_root_and_no_home_stop_nothing() {
    let host = Host::new();
    let reference = host.publish("1.0.0", &rules("Good"), &[]);
    let list = |command: &mut Command| {
        run(command.env_remove("HOME").env("FALCOCTL_INDEXES", format!("one,{}", host.index())))
    };
    // The file does not exist and neither does its directory; nobody could make them as this user.
    let config = "/proc/eyas/falcoctl.yaml";
    list(&mut host.falcoctl(&["artifact", "list", "--config", config])).expect_code(0);
    list(&mut host.falcoctl(&["index", "list", "--config", config])).expect_code(0);
    let mut install =
        host.falcoctl(&["artifact", "install", "--plain-http", "--config", config, &reference]);
    install.args([
        "--rulesfiles-dir",
        "rules",
        "--plugins-dir",
        "plugins",
        "--assets-dir",
        "assets",
        "--state-dir",
        "state",
    ]);
    list(&mut install).expect_code(0);
    assert_eq!(fs::read_to_string(host.installed()).expect("there"), rules("Good"));
    let left: Vec<_> = fs::read_dir(host.site.path("home")).expect("home").collect();
    assert!(left.is_empty(), "{left:?}");
    // A home without a configuration stays without one.
    fs::remove_file(host.site.path("falcoctl.yaml")).expect("it was there");
    let again = ["artifact", "install", "--plain-http", "--config", "falcoctl.yaml", &reference];
    let mut again = host.falcoctl(&again);
    again
        .args(["--rulesfiles-dir", "rules", "--state-dir", "state"])
        .args(["--plugins-dir", "plugins"]);
    again.args(["--assets-dir", "assets"]).env("FALCOCTL_INDEXES", format!("one,{}", host.index()));
    run(&mut again).expect_code(0);
    assert!(!host.site.path("falcoctl.yaml").exists());
    assert!(!host.site.path("home/.config").exists());
}

#[test]
fn bar_34_the_name_of_an_index_stays_in_its_directory() {
    let host = Host::new();
    fs::remove_file(host.site.path("falcoctl.yaml")).expect("it was there");
    let url = host.index();
    for name in ["../escape", "a/b", "..", ".hidden", ""] {
        let refused = host.run(&["index", "add", "--config", "falcoctl.yaml", "--", name, &url]);
        refused.expect_code(1);
    }
    assert!(!host.site.path("home/.config").exists());
    assert!(!host.site.path("falcoctl.yaml").exists());
}

#[test]
fn bar_34_the_configuration_keeps_its_comments() {
    let host = Host::new();
    let index = host.site.path("index.yaml").display().to_string();
    let text = format!(
        "# looked after by the platform team\ndriver: {{name: falco}} # not ours\nindexes:\n  # the first\n  - name: one\n    url: file://{index}\n\nartifact:\n  follow: {{every: 6h}}\n"
    );
    let file = host.site.path("falcoctl.yaml");
    fs::write(&file, &text).expect("configuration");
    let url = format!("file://{index}");
    let added = host.run(&["index", "add", "two", &url, "file", "--config", "falcoctl.yaml"]);
    added.expect_code(0);
    assert!(added.stdout.contains("Index successfully added"), "{}", added.stdout);
    let first = format!("    url: file://{index}\n");
    let entry = format!("  - name: two\n    url: {url}\n    backend: file\n");
    let after = fs::read_to_string(&file).expect("there");
    assert_eq!(after, text.replacen(&first, &format!("{first}{entry}"), 1));
    let listed = host.run(&["index", "list", "--config", "falcoctl.yaml"]);
    listed.expect_code(0);
    assert!(listed.stdout.starts_with("NAME\tURL"), "{}", listed.stdout);
    assert!(listed.stdout.contains("two \t"), "{}", listed.stdout);
    host.run(&["index", "rm", "two", "--config", "falcoctl.yaml"]).expect_code(0);
    assert_eq!(fs::read_to_string(&file).expect("there"), text);
}
