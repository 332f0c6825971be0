//! Client and server against each other, and each against a peer that misbehaves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "what is skipped is said aloud")]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use eyas_control::{
    Allowed, Client, ClientOptions, Code, ControlError, Handler, Hello, MAX_FRAME_BYTES, Peer,
    ProbeSource, ProbeState, Refusal, Reload, ReloadReport, Reply, Report, Request, RuleCounts,
    Running, Server, ServerOptions, Severity, read_frame, write_frame,
};
use proptest::prelude::*;

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

/// Takes generation 2, refuses the others, panics at 13.
struct Takes2;

impl Handler for Takes2 {
    fn handle(&self, peer: &Peer, request: Request) -> Result<Reply, Refusal> {
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        match request {
            Request::Hello {} => Ok(Reply::Hello(hello())),
            Request::Reload(Reload { generation: Some(13), .. }) => panic!("thirteen"),
            Request::Reload(Reload { generation: None, .. }) => {
                Err(Refusal::new(Code::Store, "no generation is active"))
            }
            Request::Reload(reload) => Ok(Reply::Reload(report(reload.generation))),
            _ => Err(Refusal::new(Code::BadRequest, "not here")),
        }
    }
}

fn hello() -> Hello {
    Hello {
        name: "eyasd".into(),
        version: "0.1.0".into(),
        requests: vec!["hello".into()],
        capabilities: eyas_control::Capabilities {
            engine_version: "0.63.0".into(),
            layout_hash: "abc".into(),
            kernel_events: false,
        },
    }
}

fn report(generation: Option<u64>) -> ReloadReport {
    let accepted = generation == Some(2);
    let refusal = Report {
        code: "LOAD_ERR_VALIDATE".into(),
        severity: Severity::Error,
        message: "undefined macro `x`".into(),
        file: Some("a.yaml".into()),
        line: Some(3),
        column: Some(1),
        hint: None,
        text: "a.yaml:3:1: undefined macro `x`".into(),
    };
    ReloadReport {
        accepted,
        generation,
        previous: Some(1),
        rules: RuleCounts { loaded: 5, enabled: 4 },
        probe: ProbeState {
            source: ProbeSource::Embedded,
            version: None,
            object_digest: None,
            reason: None,
        },
        reports: if accepted { vec![] } else { vec![refusal] },
    }
}

fn serve(path: &Path, options: ServerOptions) -> Running {
    Server::bind(path, options).unwrap().serve(Arc::new(Takes2)).unwrap()
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    (dir, path)
}

fn reload(generation: u64) -> Reload {
    Reload { generation: Some(generation), ..Reload::default() }
}

#[test]
fn one_connection_carries_many_requests_and_a_refused_reload_is_an_answer() {
    let (_dir, path) = socket();
    let server = serve(&path, ServerOptions::default());
    let mut client = Client::connect(&path).unwrap();
    assert_eq!(client.hello().unwrap(), hello());
    let taken = client.reload(reload(2)).unwrap();
    assert_eq!(taken.lines(), ["sensor runs generation 2: 5 rules, 4 enabled"]);
    let refused = client.reload(reload(3)).unwrap();
    assert_eq!(
        refused.lines(),
        [
            "sensor refused generation 3 and keeps running generation 1",
            "a.yaml:3:1: undefined macro `x`"
        ]
    );
    let error = client.reload(Reload::default()).unwrap_err();
    assert!(matches!(error, ControlError::Refused { code: Code::Store, .. }), "{error}");
    server.stop();
    assert!(!path.exists());
    assert!(matches!(client.hello(), Err(ControlError::Closed { .. })));
    assert!(matches!(Client::connect(&path), Err(ControlError::NotRunning { .. })));
}

#[test]
fn a_panic_in_the_handler_is_an_answer_and_the_server_goes_on() {
    let (_dir, path) = socket();
    let _server = serve(&path, ServerOptions::default());
    let mut client = Client::connect(&path).unwrap();
    let error = client.reload(reload(13)).unwrap_err();
    assert!(matches!(error, ControlError::Refused { code: Code::Internal, .. }), "{error}");
    assert!(client.reload(reload(2)).unwrap().accepted);
    assert!(Client::connect(&path).unwrap().hello().is_ok());
}

#[test]
fn clients_are_served_at_the_same_time() {
    struct Meet(Barrier);
    impl Handler for Meet {
        fn handle(&self, _: &Peer, _: Request) -> Result<Reply, Refusal> {
            // Returns only when both requests are inside at once.
            self.0.wait();
            Ok(Reply::Hello(hello()))
        }
    }
    let (_dir, path) = socket();
    let server = Server::bind(&path, ServerOptions::default()).unwrap();
    let _running = server.serve(Arc::new(Meet(Barrier::new(2)))).unwrap();
    let other = path.clone();
    let thread = std::thread::spawn(move || Client::connect(other).unwrap().hello().unwrap());
    assert_eq!(Client::connect(&path).unwrap().hello().unwrap(), thread.join().unwrap());
}

#[test]
fn one_client_more_than_allowed_is_told_so_and_a_place_comes_free_again() {
    let (_dir, path) = socket();
    let options = ServerOptions { max_clients: 2, ..ServerOptions::default() };
    let _server = serve(&path, options);
    let mut first = Client::connect(&path).unwrap();
    let mut second = Client::connect(&path).unwrap();
    first.hello().unwrap();
    second.hello().unwrap();
    let error = Client::connect(&path).unwrap().hello().unwrap_err();
    assert!(matches!(error, ControlError::Refused { code: Code::Busy, .. }), "{error}");
    assert!(error.hint().is_some());
    drop(first);
    let freed = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        Client::connect(&path).unwrap().hello().is_ok()
    });
    assert!(freed);
    second.hello().unwrap();
}

#[test]
fn an_idle_client_is_dropped_and_another_gets_its_place() {
    let (_dir, path) = socket();
    let options = ServerOptions { max_clients: 1, idle_timeout: SHORT, ..ServerOptions::default() };
    let _server = serve(&path, options);
    let mut idle = UnixStream::connect(&path).unwrap();
    assert!(read_frame(&mut idle, LONG, LONG).unwrap().is_none());
    assert!(Client::connect(&path).unwrap().hello().is_ok());
}

#[test]
fn a_client_that_stops_in_the_middle_of_a_message_is_dropped() {
    let (_dir, path) = socket();
    let options = ServerOptions { message_timeout: SHORT, ..ServerOptions::default() };
    let _server = serve(&path, options);
    let mut slow = UnixStream::connect(&path).unwrap();
    slow.write_all(&[0, 0, 0, 9, b'{']).unwrap();
    assert!(read_frame(&mut slow, LONG, LONG).unwrap().is_none());
}

#[test]
fn the_file_gets_its_mode_whatever_the_umask_and_its_group() {
    let (_dir, path) = socket();
    let group = rustix::process::getegid().as_raw();
    let options = ServerOptions { mode: 0o600, group: Some(group), ..ServerOptions::default() };
    let server = serve(&path, options);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    server.stop();
    let _server = serve(&path, ServerOptions::default());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
}

#[test]
fn a_stale_socket_is_replaced_a_live_one_and_other_files_are_not() {
    let (dir, path) = socket();
    drop(UnixListener::bind(&path).unwrap());
    assert!(matches!(Client::connect(&path), Err(ControlError::NotRunning { .. })));
    let server = serve(&path, ServerOptions::default());
    let second = Server::bind(&path, ServerOptions::default());
    assert!(matches!(second, Err(ControlError::AlreadyRunning { .. })));
    assert!(Client::connect(&path).unwrap().hello().is_ok());
    server.stop();

    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "precious").unwrap();
    for (path, expected) in [(file.as_path(), "a file"), (dir.path(), "a directory")] {
        for error in [
            Server::bind(path, ServerOptions::default()).unwrap_err(),
            Client::connect(path).unwrap_err(),
        ] {
            assert!(
                matches!(&error, ControlError::NotASocket { found, .. } if *found == expected),
                "{error}"
            );
        }
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn stopping_leaves_a_file_that_took_our_place() {
    let (_dir, path) = socket();
    let server = serve(&path, ServerOptions::default());
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "somebody else's").unwrap();
    server.stop();
    assert!(path.exists());
}

#[test]
fn a_path_of_the_longest_length_works_and_one_byte_more_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let room = 107 - dir.path().as_os_str().len() - 1;
    let longest = dir.path().join("s".repeat(room));
    let _server = serve(&longest, ServerOptions::default());
    assert!(Client::connect(&longest).unwrap().hello().is_ok());
    let longer = dir.path().join("s".repeat(room + 1));
    assert!(matches!(
        Client::connect(&longer),
        Err(ControlError::PathTooLong { found: 108, limit: 107, .. })
    ));
}

#[test]
fn a_server_that_never_accepts_runs_into_the_time_limit() {
    let (_dir, path) = socket();
    let _listener = UnixListener::bind(&path).unwrap();
    let options = ClientOptions { timeout: SHORT, reload_timeout: SHORT, ..Default::default() };
    // The queue of new connections fills up; every client is answered, none waits for ever.
    let mut kept = Vec::new();
    for _ in 0..200 {
        match Client::connect_with(&path, options.clone()) {
            Ok(client) => kept.push(client),
            Err(error) => {
                assert!(matches!(error, ControlError::Timeout { .. }), "{error}");
                break;
            }
        }
    }
    let mut first = kept.swap_remove(0);
    assert!(matches!(first.hello(), Err(ControlError::Timeout { .. })));
    assert!(matches!(first.reload(reload(1)), Err(ControlError::Timeout { .. })));
}

/// Answers each frame with `reply`, whatever it is.
fn impostor(reply: Vec<u8>) -> (tempfile::TempDir, PathBuf) {
    let (dir, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            while let Ok(Some(_)) = read_frame(&mut stream, LONG, LONG) {
                write_frame(&mut stream, &reply, LONG).unwrap();
            }
        }
    });
    (dir, path)
}

#[test]
fn answers_that_do_not_fit_the_question_are_protocol_errors() {
    for reply in [
        &b"not json"[..],
        b"{}",
        br#"{"version":1,"id":1}"#,
        br#"{"version":2,"id":1,"ok":{"hello":{}}}"#,
        br#"{"version":1,"id":1,"ok":{"unheard_of":{}}}"#,
    ] {
        let (_dir, path) = impostor(reply.to_vec());
        let found = Client::connect(&path).unwrap().hello();
        assert!(matches!(found, Err(ControlError::Protocol { .. })), "{found:?}");
    }
    let other = serde_json::json!({"version": 1, "id": 1, "ok": Reply::Hello(hello())});
    let (_dir, path) = impostor(other.to_string().into_bytes());
    let found = Client::connect(&path).unwrap().status();
    assert!(matches!(found, Err(ControlError::Protocol { .. })), "{found:?}");
}

#[test]
fn an_error_code_of_a_newer_daemon_is_still_an_error_with_its_words() {
    let reply = br#"{"version":1,"id":1,"error":{"code":"too_tired","message":"later","x":1}}"#;
    let (_dir, path) = impostor(reply.to_vec());
    let found = Client::connect(&path).unwrap().hello().unwrap_err();
    assert_eq!(found.to_string(), "the sensor answered `other`: later");
}

fn exchange(path: &Path, body: &[u8]) -> serde_json::Value {
    let mut stream = UnixStream::connect(path).unwrap();
    write_frame(&mut stream, body, LONG).unwrap();
    let frame = read_frame(&mut stream, LONG, LONG).unwrap().unwrap();
    serde_json::from_slice(&frame).unwrap()
}

#[test]
fn requests_that_are_wrong_are_told_what_is_wrong() {
    let (_dir, path) = socket();
    let _server = serve(&path, ServerOptions::default());
    for (body, id, code) in [
        (r"[]", 0, "bad_request"),
        (r#"{"version":1}"#, 0, "bad_request"),
        (r#"{"version":7,"id":4,"request":{"hello":{}}}"#, 4, "unsupported_version"),
        (r#"{"version":1,"id":5,"request":{"dance":{}}}"#, 5, "unknown_request"),
        (r#"{"version":1,"id":6,"request":{"reload":{"generation":"x"}}}"#, 6, "bad_request"),
        (r#"{"version":1,"id":7,"request":{"reload":{"lock_digest":"x"}}}"#, 7, "bad_request"),
    ] {
        let found = exchange(&path, body.as_bytes());
        assert_eq!(found["id"], id, "{body}");
        assert_eq!(found["error"]["code"], code, "{body}: {found}");
    }
    let by_hand = exchange(&path, br#"{"version":1,"id":8,"request":"hello"}"#);
    assert_eq!(by_hand["ok"]["hello"]["name"], "eyasd");
    let newer = exchange(
        &path,
        br#"{"version":1,"id":9,"request":{"reload":{"generation":2,"new":[]}},"extra":0}"#,
    );
    assert_eq!(newer["ok"]["reload"]["accepted"], true);
}

#[test]
fn a_frame_over_the_limit_is_answered_and_the_connection_closed() {
    let (_dir, path) = socket();
    let _server = serve(&path, ServerOptions::default());
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(&(MAX_FRAME_BYTES + 1).to_be_bytes()).unwrap();
    let frame = read_frame(&mut stream, LONG, LONG).unwrap().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&frame).unwrap();
    assert_eq!(found["error"]["code"], "bad_request");
    assert!(read_frame(&mut stream, LONG, LONG).unwrap().is_none());
}

/// Runs `command` as the unprivileged user 65534, or says why that cannot be done.
fn as_nobody(command: &str, argument: &Path) -> Option<std::process::Output> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to act as another user");
        return None;
    }
    let program =
        "import os,sys,socket,struct,time\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\n";
    let output = std::process::Command::new("python3")
        .arg("-c")
        .arg(format!("{program}{command}"))
        .arg(argument)
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("SKIPPED: python3 is not available: {error}");
            None
        }
    }
}

const ASK: &str = r#"
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
b = b'{"version":1,"id":1,"request":{"hello":{}}}'
try: s.sendall(struct.pack('>I', len(b)) + b)
except BrokenPipeError: pass
n = struct.unpack('>I', s.recv(4))[0]
print(s.recv(n).decode())
"#;

#[test]
fn another_user_is_refused_unless_listed() {
    let (dir, path) = socket();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for (allowed, expected) in [
        (Allowed::default(), "not_permitted"),
        (Allowed { uids: vec![1], gids: vec![1] }, "not_permitted"),
        (Allowed { uids: vec![65534], gids: vec![] }, "eyasd"),
        (Allowed { uids: vec![], gids: vec![65534] }, "eyasd"),
    ] {
        struct Greets;
        impl Handler for Greets {
            fn handle(&self, peer: &Peer, _: Request) -> Result<Reply, Refusal> {
                assert_eq!((peer.uid, peer.gid), (65534, 65534));
                Ok(Reply::Hello(hello()))
            }
        }
        let options = ServerOptions { mode: 0o666, allowed, ..ServerOptions::default() };
        let running = Server::bind(&path, options).unwrap().serve(Arc::new(Greets)).unwrap();
        let Some(output) = as_nobody(ASK, &path) else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(expected), "{text} {}", String::from_utf8_lossy(&output.stderr));
        running.stop();
    }
}

#[test]
fn a_socket_of_another_user_is_not_talked_to() {
    let (dir, path) = socket();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let shown = path.clone();
    let serving = std::thread::spawn(move || {
        as_nobody(
            "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n\
             s.settimeout(20)\nc, _ = s.accept()\nprint(len(c.recv(10)))",
            &shown,
        )
    });
    let found = loop {
        match Client::connect(&path) {
            Err(ControlError::NotRunning { .. }) if !serving.is_finished() => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => break other,
        }
    };
    let Some(output) = serving.join().unwrap() else { return };
    let error = found.unwrap_err();
    assert!(matches!(error, ControlError::Foreign { uid: 65534, ours: 0, .. }), "{error}");
    // Not a byte was sent to it.
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
}

#[test]
fn a_socket_in_a_folder_that_root_gave_to_its_daemon_is_talked_to() {
    // Nothing above it may belong to anybody but root.
    let Ok(dir) = tempfile::Builder::new().prefix("eyas-test").tempdir_in("/run") else {
        eprintln!("SKIPPED: needs root to make a folder for another user");
        return;
    };
    let path = dir.path().join("control.sock");
    let serves = |mode: u32| {
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let shown = path.clone();
        let serving = std::thread::spawn(move || {
            as_nobody(
                "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n\
                 s.settimeout(20)\nc, _ = s.accept()\nc.recv(10)\nos.unlink(sys.argv[1])",
                &shown,
            )
        });
        let found = loop {
            match Client::connect(&path) {
                Err(ControlError::NotRunning { .. }) if !serving.is_finished() => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                other => break other.map(drop),
            }
        };
        serving.join().unwrap().map(|_| found)
    };
    if std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).is_err() {
        eprintln!("SKIPPED: needs root to make a folder for another user");
        return;
    }
    let Some(given) = serves(0o755) else { return };
    assert!(given.is_ok(), "{given:?}");
    let Some(open_to_all) = serves(0o777) else { return };
    assert!(matches!(open_to_all, Err(ControlError::Foreign { .. })), "{open_to_all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_frame_gets_one_answer_and_the_server_lives(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_dir, path) = socket();
        let _server = serve(&path, ServerOptions::default());
        let found = exchange(&path, &body);
        prop_assert!(found["error"].is_object() || found["ok"].is_object());
        prop_assert!(Client::connect(&path).unwrap().hello().is_ok());
    }

    #[test]
    fn any_bytes_at_all_leave_the_server_serving(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let (_dir, path) = socket();
        let options = ServerOptions { message_timeout: SHORT, ..ServerOptions::default() };
        let _server = serve(&path, options);
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(&bytes).unwrap();
        drop(stream);
        prop_assert!(Client::connect(&path).unwrap().hello().is_ok());
    }
}
