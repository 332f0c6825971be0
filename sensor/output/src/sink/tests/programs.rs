//! Programs that take alerts, and the one that posts them.

use super::*;
use crate::relay::{HttpTarget, Post};

fn program(command: String, keep_alive: bool) -> Program {
    Program::new(ProgramTarget { command, keep_alive })
}

fn in_dir() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out").display().to_string();
    (dir, out)
}

#[test]
fn a_program_is_run_for_each_alert() {
    let (_dir, out) = in_dir();
    let mut sink = program(format!("echo start >> {out}; cat >> {out}"), false);
    let delivery = sink.deliver(&batch(&["one", "two"]));
    assert_eq!((delivery.written, delivery.error.is_none()), (2, true));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "start\none\nstart\ntwo\n");
}

#[test]
fn a_program_that_stays_is_started_once_and_ends_with_its_input() {
    let (_dir, out) = in_dir();
    let mut sink = program(format!("echo start >> {out}; cat >> {out}; echo end >> {out}"), true);
    assert_eq!(sink.deliver(&batch(&["one"])).written, 1);
    assert_eq!(sink.deliver(&batch(&["two"])).written, 1);
    drop(sink);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "start\none\ntwo\nend\n");
}

#[test]
fn a_program_that_stays_is_started_anew_when_asked() {
    let (_dir, out) = in_dir();
    let mut sink = program(format!("echo start >> {out}; cat >> {out}"), true);
    assert_eq!(sink.deliver(&batch(&["one"])).written, 1);
    sink.reopen().unwrap();
    assert_eq!(sink.deliver(&batch(&["two"])).written, 1);
    drop(sink);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "start\none\nstart\ntwo\n");
}

#[test]
fn a_program_that_fails_is_counted_by_its_exit_code() {
    let delivery = program("cat >/dev/null; exit 3".into(), false).deliver(&batch(&["a", "b"]));
    assert_eq!(delivery.written, 0);
    assert!(delivery.error.unwrap().to_string().contains("exit status: 3"));
}

#[test]
fn a_program_that_does_not_read_but_ends_well_has_taken_its_alert() {
    let long = "x".repeat(1 << 20);
    assert_eq!(program("true".into(), false).deliver(&batch(&[&long])).written, 1);
}

#[test]
fn a_program_that_ended_is_started_again_after_a_pause() {
    let (_dir, out) = in_dir();
    let mut sink = program(format!("read line; echo $line >> {out}"), true);
    assert_eq!(sink.deliver(&batch(&["one"])).written, 1);
    let start = Instant::now();
    while sink.look_around().is_ok() {
        assert!(start.elapsed() < LONG);
    }
    let refused = sink.deliver(&batch(&["two"]));
    assert_eq!(refused.written, 0);
    assert!(refused.error.unwrap().to_string().contains("after a pause"));
    while sink.deliver(&batch(&["three"])).written == 0 {
        assert!(start.elapsed() < LONG);
        thread::sleep(FINISH_STEP);
    }
    drop(sink);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "one\nthree\n");
}

fn http(script: &str) -> Http {
    posting("/bin/sh", script)
}

fn posting(program: &str, script: &str) -> Http {
    let post = Post {
        url: "http://user:secret@localhost/x?token=1".into(),
        user_agent: "eyasd".into(),
        json: true,
        insecure: false,
        authorities: Vec::new(),
        identity: None,
        compress: false,
        keep_alive: true,
        batch: 1,
        timeout_s: 1,
        give_up_s: 1,
    };
    let program = (program.into(), vec!["-c".to_owned(), script.to_owned()]);
    Http::new(HttpTarget { post, program, user: None })
}

#[test]
fn the_posting_child_gets_its_orders_and_answers_for_each_batch() {
    let (_dir, out) = in_dir();
    let mut sink = http(&format!(
        "read orders; echo \"$orders\" > {out}
         while read n; do
           for i in $(seq $n); do read line; echo $line >> {out}; done
           echo '{{\"delivered\":1,\"error\":\"answered 500\"}}'
         done"
    ));
    let delivery = sink.deliver(&batch(&["one", "two"]));
    assert_eq!(delivery.written, 1);
    assert_eq!(delivery.error.unwrap().to_string(), "answered 500");
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("{\"url\":\"http://user:secret@localhost/x?token=1\""), "{text}");
    assert!(text.ends_with("}\none\ntwo\n"), "{text}");
}

#[test]
fn the_posting_child_has_nobodys_home() {
    let (_dir, out) = in_dir();
    let mut sink =
        http(&format!("env > {out}; read orders; read n; read line; echo '{{\"delivered\":1}}'"));
    assert_eq!(sink.deliver(&batch(&["one"])).written, 1);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("PATH="), "{text}");
    for name in ["HOME=", "CARGO_"] {
        assert!(!text.contains(name), "{text}");
    }
}

#[test]
fn a_posting_child_that_ended_while_idle_costs_nothing() {
    let mut sink = http("read orders; read n; read line; echo '{\"delivered\":1}'");
    for line in ["one", "two", "three"] {
        let delivery = sink.deliver(&batch(&[line]));
        assert_eq!(delivery.written, 1, "{line}: {:?}", delivery.error);
    }
}

#[test]
fn a_posting_child_that_cannot_be_started_is_named_and_tried_again_later() {
    let mut sink = http("exit 1");
    sink.deliver(&batch(&["one"])).error.unwrap();
    let again = sink.deliver(&batch(&["two"])).error.unwrap();
    assert!(again.to_string().contains("after a pause"), "{again}");
    let error = posting("/no/such/eyas", "").deliver(&batch(&["one"])).error.unwrap();
    assert!(error.to_string().starts_with("`/no/such/eyas`"), "{error}");
}

#[test]
fn names_of_sinks_show_no_secrets() {
    for (url, shown) in [
        ("http://user:secret@localhost:2801/x?token=1", "http://localhost:2801"),
        ("https://example.com", "https://example.com"),
        ("https://example.com?token=1", "https://example.com"),
        ("https://example.com/a@b", "https://example.com"),
        ("https://example.com/services/secret", "https://example.com"),
    ] {
        assert_eq!(without_secrets(url), shown);
    }
    assert_eq!(first_word("TOKEN=secret curl -H 'x: secret' https://x"), "curl");
    assert_eq!(first_word(" "), "");
}
