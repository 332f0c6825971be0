//! Messages, exit codes, and what is never written.

use std::fs;
use std::process::Stdio;

use crate::program::{Site, User, finish};

#[test]
fn a_failure_is_one_message_with_a_class_and_nothing_on_stdout() {
    let user = User::new();
    user.write("eyas.yaml", "");
    for (line, code, class, told) in [
        ("artifact install", 2, "usage", "artifact.install.refs"),
        ("artifact install UPPER/Case::x", 2, "usage", "UPPER/Case::x"),
        ("artifact install demo", 3, "not-found", "`demo`"),
        ("artifact rollback", 3, "not-found", "no generation"),
        ("artifact rollback --to 7", 3, "not-found", "7"),
        ("sensor status", 7, "sensor", "control.sock"),
        ("index remove nosuch", 3, "not-found", "nosuch"),
        ("index add ../x https://i.example.org/i.yaml", 2, "usage", "../x"),
        ("index add x ftp://i.example.org/i.yaml", 2, "usage", "ftp"),
        (
            "registry push 127.0.0.1:1/a/b nofile --type rulesfile --version 1.0.0",
            2,
            "usage",
            "nofile",
        ),
        (
            "registry push 127.0.0.1:1/a/b eyas.yaml --type thing --version 1.0.0",
            2,
            "usage",
            "`thing`",
        ),
        ("registry push 127.0.0.1:1/a/b eyas.yaml --type rulesfile --version x", 2, "usage", "`x`"),
        (
            "registry push 127.0.0.1:1/a/b eyas.yaml --type probe --version 1.0.0",
            6,
            "validation",
            "probe",
        ),
    ] {
        let done = user.run(&format!("{line} --log-format json")).expect(code);
        assert_eq!(done.stdout, "", "{line}");
        let last = done.messages().pop().unwrap_or_else(|| panic!("{line}: nothing was said"));
        assert_eq!(last["level"], "ERROR", "{line}");
        assert_eq!(
            (last["class"].as_str(), last["exit_code"].as_i64()),
            (Some(class), Some(code.into()))
        );
        assert!(last.to_string().contains(told), "{line}: {last}");
    }
    assert!(!user.path("store").exists(), "a failure writes nothing");
}

#[test]
fn arguments_that_do_not_parse_are_usage() {
    let user = User::new();
    for line in [
        "nonsense",
        "artifact install --nonsense",
        "artifact search",
        "artifact follow x --every soon",
    ] {
        let done = user.run(line).expect(2);
        assert!(done.stdout.is_empty() && !done.stderr.is_empty(), "{line}");
    }
    assert!(user.run("--help").expect(0).stdout.contains("Exit codes"));
    assert!(user.run("--version").expect(0).stdout.starts_with("eyas "));
}

#[test]
fn a_wrong_configuration_is_named() {
    let user = User::new();
    user.run("artifact status").expect(2);
    user.run("version").expect(0);
    user.write("eyas.yaml", "artifact: [");
    assert!(user.run("artifact status").expect(2).stderr.contains("eyas.yaml"));
    user.write("eyas.yaml", "artifact: {follow: {every: soon}}\n");
    let done = user.run("artifact follow r.example.org/a/b").expect(2);
    assert!(done.stderr.contains("`soon` in the key `artifact.follow.every`"), "{}", done.stderr);
}

#[test]
fn no_file_is_made_that_was_not_asked_for() {
    let user = User::new();
    let mut command = user.command("artifact status");
    command.env_remove("EYAS_CONFIG").env_remove("EYAS_STORE").env_remove("EYAS_CACHE_DIR");
    let done = finish(command).expect(0);
    assert!(done.stdout.starts_with("nothing is installed in "), "{}", done.stdout);
    assert_eq!(fs::read_dir(user.path(".")).expect("listed").count(), 0);
}

#[test]
fn version_works_without_anything() {
    let user = User::new();
    let mut command = user.command("version -o json");
    command.env_clear();
    let document = finish(command).expect(0).json();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert!(user.command("version").env_clear().status().expect("runs").success());
    let yaml = {
        let mut command = user.command("version -o yaml");
        command.env_clear();
        finish(command).expect(0).stdout
    };
    assert!(yaml.contains("name: eyas"), "{yaml}");
}

#[test]
fn piped_messages_have_no_colour() {
    let user = User::new();
    user.write("eyas.yaml", "");
    for format in ["color", "text", "json"] {
        let done = user.run(&format!("artifact install demo --log-format {format}")).expect(3);
        assert!(!done.stderr.contains('\u{1b}'), "{format}: {}", done.stderr);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let user = User::new();
    user.write("eyas.yaml", "");
    let mut child = user.command("completion bash").stdout(Stdio::piped()).spawn().expect("runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("ends").success());
}

#[test]
fn a_key_is_never_overwritten_and_is_ours_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::new();
    user.write("eyas.yaml", "");
    user.run("registry keygen signer").expect(0);
    let before = fs::read(user.path("signer")).expect("a key");
    let mode = fs::metadata(user.path("signer")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    user.run("registry keygen signer").expect(2);
    assert_eq!(fs::read(user.path("signer")).expect("a key"), before);
}

#[test]
fn indexes_are_added_listed_updated_and_removed() {
    let site = Site::new();
    let user = &site.user;
    site.publish("1.0.0").expect(0);
    user.run("index add local index.yaml").expect(0);
    user.run("index add local index.yaml").expect(0);
    user.write("other.yaml", "[]\n");
    user.run("index add local other.yaml").expect(2);
    let listed = user.run("index list --output json").expect(0).json();
    assert_eq!(listed["indexes"][0]["from"], "added");
    user.run("artifact install demo").expect(0);
    user.run("index update local").expect(0);
    user.run("index update nosuch").expect(3);
    user.run("index remove local").expect(0);
    user.run("artifact list").expect(0);
    user.run("artifact install demo").expect(3);
}

#[test]
fn an_absent_policy_says_where_it_would_be() {
    let site = Site::new();
    site.publish("1.0.0").expect(0);
    fs::remove_file(site.user.path("trust.yaml")).expect("removed");
    let done = site.user.run("artifact install demo --index-file index.yaml").expect(5);
    assert!(done.stderr.contains("trust.yaml (which does not exist yet)"), "{}", done.stderr);
    site.user.run("artifact install demo --index-file index.yaml --policy trust.yaml").expect(2);
    site.user.run("artifact install demo --index-file index.yaml --trust-index").expect(0);
}

#[test]
fn verification_can_be_waived_aloud() {
    let site = Site::new();
    site.publish("1.0.0").expect(0);
    fs::remove_file(site.user.path("trust.yaml")).expect("removed");
    let done = site.user.run("artifact install demo --index-file index.yaml --no-verify").expect(0);
    assert!(done.stderr.contains("nothing is verified"), "{}", done.stderr);
    let status = site.user.run("artifact status --output json").expect(0).json();
    assert_eq!(status["generation"]["entries"][0]["signer"]["form"], "unsigned-accepted");
}

#[test]
fn a_changed_file_is_found_and_restored() {
    let site = Site::new();
    site.publish("1.0.0").expect(0);
    site.user.run("artifact install demo --index-file index.yaml").expect(0);
    let file = site.user.path("store/current/rules/demo/demo.yaml");
    let before = fs::read(&file).expect("installed");
    fs::write(&file, "changed").expect("written");
    let found = site.user.run("artifact repair --dry-run --output json").expect(0).json();
    assert_eq!(found["files"][0]["fault"], "changed");
    assert_eq!(fs::read(&file).expect("there"), b"changed");
    site.user.run("artifact repair").expect(0);
    assert_eq!(fs::read(&file).expect("there"), before);
}

#[test]
fn follow_once_says_how_it_went() {
    let site = Site::new();
    site.publish("1.0.0").expect(0);
    let line = "artifact follow demo --index-file index.yaml --once --log-format json";
    let done = site.user.run(line).expect(0);
    assert!(done.messages().iter().any(|line| line["msg"].to_string().contains("was updated")));
    site.user.run(line).expect(0);
    let status = site.user.run("artifact status --output json").expect(0).json();
    assert_eq!(status["last_check"]["references"][0]["standing"], "current");
    site.user.run("artifact follow nosuch --index-file index.yaml --once").expect(3);
}

#[test]
fn what_was_typed_wrong_is_named_with_a_remedy() {
    let user = User::new();
    user.write("eyas.yaml", "");
    user.write("file", "");
    fs::create_dir(user.path("directory")).expect("directory");
    for (line, named) in [
        ("artifact install --store file r.example.org/a:1 --no-verify", "`file`"),
        ("artifact status --config directory", "`directory`"),
        ("artifact rollback", "before"),
        ("artifact diff", "store`"),
        ("registry push r.example.org/a:1 absent --type asset --version 1.0.0", "`absent`"),
        ("registry serve file", "`file`"),
        ("registry serve directory --listen 192.0.2.1:1", "`192.0.2.1:1`"),
        ("index add one absent.yaml", "absent.yaml"),
        ("tls install --path file", "`file`"),
        ("artifact install demo --index-file absent.yaml", "`absent.yaml`"),
    ] {
        let done = user.run(line);
        assert!((1..=8).contains(&done.code), "{line}: {}", done.code);
        assert!(done.stderr.contains(named), "{line}: {}", done.stderr);
        assert!(done.stderr.contains("hint: "), "{line}: {}", done.stderr);
    }
}

#[test]
fn roots_that_are_named_elsewhere_are_not_passed_over_in_silence() {
    let user = User::new();
    user.write("eyas.yaml", "");
    let mut command = user.command("artifact verify 127.0.0.1:1/a/b:1");
    command.env("SIGSTORE_ROOT_FILE", "roots.pem");
    let done = finish(command);
    assert!(done.stderr.contains("`SIGSTORE_ROOT_FILE` has no effect"), "{}", done.stderr);
}

#[test]
fn the_web_is_one_backend() {
    let user = User::new();
    user.write("eyas.yaml", "");
    let refused = |line: &str| user.run(line).expect(2).stderr;
    assert!(refused("index add one http://127.0.0.1:1/i.yaml s3").contains("`s3` does not fit"));
    let done = user.run("index add one http://127.0.0.1:1/i.yaml https").expect(4);
    assert!(!done.stderr.contains("does not fit"), "{}", done.stderr);
}
