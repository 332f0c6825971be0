//! Follow: what is said when something new is there, and when it is told to stop.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use eyas_tests::Site;
use eyas_tests::registry::FileServer;
use serde_json::Value;

use crate::world::{DIRECTORIES, World, keys, messages, publish, published, saying};

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// A follower under way, and its lines.
struct Follower {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: String,
}

impl Follower {
    fn start(world: &World, line: &str) -> Self {
        let mut child = world
            .command(line)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let stdout = child.stdout.take().expect("piped");
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, seen: String::new() }
    }

    /// Waits for a message, which is given.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no `{text}` in:\n{}", self.seen));
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return serde_json::from_str(&line).expect("JSON");
            }
        }
    }

    /// Tells it to stop, and gives its exit code and all that it said.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told");
        let code = self.child.wait().expect("ended").code();
        for line in &self.lines {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_update_is_told_in_the_same_words() {
    let follow = |world: &World| {
        let (_registry, repository) = published();
        world.write(
            "versions.json",
            "{\"engine_version_semver\": \"0.60.0\", \"engine_version\": \"60\"}\n",
        );
        let versions = FileServer::new(&world.path("versions.json"));
        let mut follower = Follower::start(
            world,
            &format!(
                "artifact follow {repository}:latest --plain-http {DIRECTORIES} --log-format=json \
                 --every 1s --startup-behavior immediate --falco-versions {} --timeout 30s \
                 --tmp-dir {}",
                versions.address(),
                world.path("tmp").display()
            ),
        );
        let first = follower.wait_for("Artifact correctly installed");
        let before = world.files("rules");
        publish(&Site::new(), &repository, "1.1.0", "Two");
        let second = follower.wait_for("Artifact correctly installed");
        assert_ne!(world.files("rules"), before);
        let (code, text) = follower.stop();
        let all = messages(&text);
        let found = saying(&all, "Found new artifact version");
        assert_eq!(found.len(), 2, "{text}");
        assert_eq!(found[0]["tag"], "latest");
        assert!(
            all.iter().any(|message| message["msg"]
                .as_str()
                .is_some_and(|said| said.starts_with("Received signal"))),
            "{text}"
        );
        assert_ne!(first["digest"], second["digest"]);
        assert_eq!(second["artifactName"], format!("{repository}:latest"));
        assert_eq!(second["directory"], "rules");
        (code, keys(&first), keys(found[0]), world.state().len())
    };
    let ours = follow(&World::ours());
    assert_eq!(ours.0, Some(0));
    if let Some(theirs) = World::theirs("falcoctl::follow") {
        assert_eq!(ours, follow(&theirs));
    }
}
