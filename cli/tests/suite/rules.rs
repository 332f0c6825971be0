//! `eyas rules …` as people and programs use it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Done, User, finish};

const RULES: &str = "\
- list: shells
  items: [bash, sh]

- macro: spawned
  condition: (evt.type in (execve, execveat))

- rule: Shell started
  desc: A shell was started.
  condition: spawned and proc.name in (shells)
  output: shell %proc.name by %proc.pname
  priority: NOTICE
";

const CASES: &str = "\
- case: a shell
  event: execve
  fields: {proc.name: bash, proc.pname: nginx}
  matches: Shell started
  says: by nginx
- case: no shell
  event: execve
  fields: {proc.name: ls}
  misses: Shell started
";

fn user() -> User {
    let user = User::new();
    user.write("eyas.yaml", "");
    user.write("demo.yaml", RULES);
    user.write("demo.cases", CASES);
    user
}

fn fed(mut command: Command, input: &[u8]) -> Done {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("piped").write_all(input).expect("written");
    let output = child.wait_with_output().expect("it ends");
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn every_line_is_answered_in_order() {
    let user = user();
    let input = b"{\"grammar\":\"a and b\"}\n\nnonsense\n{\"condition\":\"evt.type = open and proc.name = cat\",\"fields\":{\"evt.type\":\"open\",\"proc.name\":\"cat\"}}\n\xff\n{\"grammar\":\"a andb\"}";
    let done = fed(user.command("rules eval"), input).expect(0);
    let answers: Vec<Value> =
        done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ok: Vec<bool> = answers.iter().map(|one| one["ok"] == true).collect();
    assert_eq!(ok, [true, false, false, true, false, false]);
    assert_eq!(answers[3]["match"], true);
    assert_eq!(answers[3]["event_types"][0], "open");
    assert_eq!(answers[5]["error"]["code"], "syntax-missing-blank");
}

#[test]
fn a_condition_that_nests_as_deep_as_rules_may_is_answered() {
    let deep = format!("{}proc.name = a{}", "(".repeat(199), ")".repeat(199));
    let rule =
        format!("- rule: r\\n  desc: d\\n  condition: {deep}\\n  output: o\\n  priority: INFO\\n");
    let line = format!("{{\"rules\":[\"{rule}\"]}}\n{{\"grammar\":\"a\"}}\n");
    let done = fed(user().command("rules eval"), line.as_bytes()).expect(0);
    assert_eq!(done.stdout.lines().count(), 2, "{}", done.stdout);
}

#[test]
fn the_repl_answers_lines_without_a_terminal_too() {
    let input = b":set proc.name sh\nspawned and proc.name in (shells)\n:quit\nproc.pid = 1\n";
    let done = fed(user().command("rules repl demo.yaml"), input).expect(0);
    assert!(done.stdout.contains("events: execve, execveat"), "{}", done.stdout);
    assert!(!done.stdout.contains("proc.pid"), "{}", done.stdout);
}

#[test]
fn a_rule_is_explained() {
    let user = user();
    let text = user.command_with("rules explain", &["Shell started", "demo.yaml"]).expect(0).stdout;
    for wanted in ["proc.name in (bash, sh)", "events:     execve, execveat", "macros:     spawned"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let done = user.command_with("rules explain", &["Shell startd", "demo.yaml"]).expect(3);
    assert!(done.stderr.contains("did you mean `Shell started`?"), "{}", done.stderr);
    let done = user.command_with("rules explain", &["Shell started"]).expect(2);
    assert!(done.stderr.contains("no rules are installed"), "{}", done.stderr);
}

#[test]
fn the_language_and_the_rules_are_listed() {
    let user = user();
    let fields = user.run("rules list --fields").expect(0).stdout;
    assert!(fields.contains("proc.aname[N]"), "{fields}");
    let names = user.run("rules list --fields --names-only --output json").expect(0).json();
    assert!(names["fieldnames"].as_array().is_some_and(|all| all.len() > 200));
    assert!(user.run("rules list --events").expect(0).stdout.contains("openat"));
    assert!(user.run("rules list --operators").expect(0).stdout.contains("startswith anyof"));
    let rules = user.run("rules list --rules demo.yaml --output json").expect(0).json();
    assert_eq!(rules["rules"][0]["info"]["name"], "Shell started");
    user.run("rules list").expect(2);
    user.run("rules list --fields --events").expect(2);
}

#[test]
fn cases_are_run_and_what_they_leave_out_is_told() {
    let user = user();
    let text = user.run("rules test .").expect(0).stdout;
    assert!(text.starts_with("2 of 2 cases passed"), "{text}");
    user.run("rules test --covered .").expect(0);
    user.write("demo.cases", &CASES.replace("proc.name: bash", "proc.name: ls"));
    let done = user.run("rules test demo.yaml demo.cases").expect(1);
    assert!(done.stdout.contains("demo.cases:1: a shell"), "{}", done.stdout);
    assert!(done.stdout.contains("`Shell started` does not match"), "{}", done.stdout);
    user.write("demo.cases", "- case: x\n  event: open\n  misses: Shell started\n");
    let done = user.run("rules test --covered .").expect(1);
    assert!(done.stdout.contains("1 of 1 rules no case expects to match"), "{}", done.stdout);
    user.run("rules test demo.yaml").expect(2);
}

#[test]
fn files_are_laid_out_and_stay_so() {
    let user = user();
    user.run("rules fmt --check demo.yaml").expect(0);
    user.write("wild.yaml", "- list: a   \n  items: [x]\n- list: b\n  items: [y]\n\n\n");
    let done = user.run("rules fmt --check wild.yaml").expect(1);
    assert!(done.stderr.contains("wild.yaml"), "{}", done.stderr);
    user.run("rules fmt wild.yaml").expect(0);
    user.run("rules fmt --check wild.yaml").expect(0);
    let found = std::fs::read_to_string(user.path("wild.yaml")).expect("readable");
    assert_eq!(found, "- list: a\n  items: [x]\n\n- list: b\n  items: [y]\n");
    let done = fed(user.command("rules fmt -"), b"- list: a\n  items: [x]\n\n\n").expect(0);
    assert_eq!(done.stdout, "- list: a\n  items: [x]\n");
    user.write("broken.yaml", "- [");
    user.run("rules fmt broken.yaml").expect(1);
}

#[test]
fn what_differs_is_told_by_rule() {
    let user = user();
    user.run("rules diff demo.yaml demo.yaml").expect(0);
    user.write("new.yaml", &RULES.replace("NOTICE", "ERROR"));
    let done = user.run("rules diff demo.yaml new.yaml").expect(1);
    assert!(done.stdout.contains("~ rule Shell started"), "{}", done.stdout);
    let json = user.run("rules diff demo.yaml new.yaml --output json").expect(1).json();
    assert_eq!(json["rules"]["changed"][0]["changes"][0]["field"], "priority");
}

#[test]
fn every_mistake_of_a_condition_is_told_at_once() {
    let user = user();
    user.write(
        "bad.yaml",
        &RULES.replace("proc.name in (shells)", "proc.nam = a and proc.pid = b"),
    );
    let done = user.run("rules check bad.yaml").expect(1);
    for wanted in ["did you mean `proc.name`?", "`b` is not a signed integer"] {
        assert!(done.stdout.contains(wanted), "{wanted}: {}", done.stdout);
    }
}

trait WithWords {
    fn command_with(&self, line: &str, words: &[&str]) -> Done;
}

impl WithWords for User {
    /// A command line of which some words have blanks.
    fn command_with(&self, line: &str, words: &[&str]) -> Done {
        let mut command = self.command(line);
        command.args(words);
        finish(command)
    }
}
