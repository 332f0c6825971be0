//! Each runtime's state as it lies on disk, its sockets, and those that lie.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;

mod pods;

const DOCKER: &str = "var/lib/docker/containers";
const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task";
const STORED: &str = "run/containers/storage/overlay-containers";
const ID: &str = "3ad7b26ded6d8e7b23da7d48fe889434573036c27ae5a74837233de441c3601e";

fn claim(engine: Engine, id: &str) -> Claim {
    Claim { engine, id: id.into(), parent: "default".into() }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn look(root: &Path, claim: &Claim) -> Option<Arc<Container>> {
    let places = Places { root: root.into(), ..Places::default() };
    let witnesses = [6, 7].map(|pid| Witness { pid, mount_namespace: 0 });
    match look_up(&places, claim, &witnesses) {
        Verdict::Container(container) => Some(container),
        Verdict::Host => None,
    }
}

#[test]
fn dockers_files_are_read() {
    let root = tempfile::tempdir().unwrap();
    let config = format!(
        r#"{{"ID":"{ID}","Name":"/web","Image":"sha256:abc","Config":{{"Image":"nginx:1.25","Labels":{{"a":"b","long":"{}"}}}},
        "MountPoints":{{"/data":{{"Source":"/srv","Destination":"/data","RW":false,"Propagation":"rprivate"}}}},
        "NetworkSettings":{{"Networks":{{"bridge":{{"IPAddress":"172.17.0.2"}}}}}}}}"#,
        "x".repeat(101)
    );
    write(root.path(), &format!("var/lib/docker/containers/{ID}/config.v2.json"), &config);
    let host = r#"{"Privileged":true,"PidMode":"host","NetworkMode":"bridge","IpcMode":"private"}"#;
    write(root.path(), &format!("var/lib/docker/containers/{ID}/hostconfig.json"), host);
    let found = look(root.path(), &claim(Engine::Docker, ID)).unwrap();
    assert_eq!((found.id(), found.name.as_str(), found.kind), (&ID[..12], "web", "docker"));
    assert_eq!(
        (found.repository(), found.tag(), found.image_id.as_str()),
        ("nginx", "1.25", "abc")
    );
    assert_eq!(found.privileged, Some(true));
    assert_eq!((found.host_pid, found.host_network), (Some(true), Some(false)));
    assert_eq!(found.ip, "172.17.0.2");
    assert_eq!(found.labels.len(), 1, "a label that is too long is left out");
    assert_eq!((found.mounts[0].dest.as_str(), found.mounts[0].rdwr), ("/data", false));
    // The same id without a prefix in the path.
    assert!(look(root.path(), &claim(Engine::Any, ID)).is_some());
    // A file that speaks of another container proves nothing.
    write(root.path(), &format!("var/lib/docker/containers/{ID}/config.v2.json"), r#"{"ID":"x"}"#);
    assert_eq!(look(root.path(), &claim(Engine::Docker, ID)), None);
}

const SPEC: &str = r#"{"annotations":{
  "io.kubernetes.cri.container-name":"app","io.kubernetes.cri.image-name":"reg.example.com:5000/team/app:v2",
  "io.kubernetes.cri.sandbox-id":"5a5a","io.kubernetes.cri.sandbox-name":"app-1",
  "io.kubernetes.cri.sandbox-namespace":"prod","io.kubernetes.cri.sandbox-uid":"u-1"},
  "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
    {"destination":"/cfg","type":"bind","source":"/var/lib/kubelet/x","options":["rbind","rprivate","ro"]}],
  "process":{"capabilities":{"bounding":["CAP_CHOWN"]}},
  "linux":{"maskedPaths":["/proc/kcore"],"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"mount"}]}}"#;

#[test]
fn a_name_of_containerd_counts_in_its_namespace_only() {
    let root = tempfile::tempdir().unwrap();
    let base = "run/containerd/io.containerd.runtime.v2.task";
    write(root.path(), &format!("{base}/default/web/config.json"), "{}");
    assert!(look(root.path(), &claim(Engine::Any, "web")).is_some());
    let other = Claim { parent: "user.slice".into(), ..claim(Engine::Any, "web") };
    assert_eq!(look(root.path(), &other), None);
}

#[test]
fn podmans_containers_have_names_and_images() {
    let root = tempfile::tempdir().unwrap();
    let base = "containers/storage/overlay-containers";
    write(root.path(), &format!("run/{base}/{ID}/userdata/config.json"), r#"{"linux":{}}"#);
    let list = format!(
        r#"[{{"id":"other"}},{{"id":"{ID}","names":["web"],"image":"abc","metadata":"{{\"image-name\":\"quay.io/x/y:z\"}}"}}]"#
    );
    write(root.path(), &format!("var/lib/{base}/containers.json"), &list);
    let found = look(root.path(), &claim(Engine::Podman, ID)).unwrap();
    assert_eq!(
        (found.name.as_str(), found.image.as_str(), found.kind),
        ("web", "quay.io/x/y:z", "podman")
    );
}

#[test]
fn containers_of_users_need_more_than_their_own_files() {
    let root = tempfile::tempdir().unwrap();
    let base = format!("run/user/1000/containers/vfs-containers/{ID}/userdata/config.json");
    write(
        root.path(),
        &base,
        r#"{"linux":{},"annotations":{"io.podman.annotations.image":"a:b"}}"#,
    );
    assert_eq!(look(root.path(), &claim(Engine::Podman, ID)), None, "no process shows it");
    for (pid, to) in [("1", "mnt:[1]"), ("7", "mnt:[2]")] {
        let folder = root.path().join("proc").join(pid).join("ns");
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(to, folder.join("mnt")).unwrap();
    }
    let found = look(root.path(), &claim(Engine::Podman, ID)).unwrap();
    assert_eq!((found.image.as_str(), found.kind), ("a:b", "podman"));
}

#[test]
fn storage_of_every_driver_is_read() {
    for driver in ["overlay", "vfs", "btrfs", "zfs"] {
        let root = tempfile::tempdir().unwrap();
        let base = format!("containers/storage/{driver}-containers");
        write(root.path(), &format!("run/{base}/{ID}/userdata/config.json"), r#"{"linux":{}}"#);
        let list = format!(r#"[{{"id":"{ID}","names":["web"]}}]"#);
        write(root.path(), &format!("var/lib/{base}/containers.json"), &list);
        let found = look(root.path(), &claim(Engine::Crio, ID)).unwrap();
        assert_eq!((found.name.as_str(), found.kind), ("web", "cri-o"), "{driver}");
    }
}

#[test]
fn runc_by_itself_is_found_by_its_state() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "run/runc/web/state.json", r#"{"config":{"labels":["bundle=/b/web"]}}"#);
    write(root.path(), "b/web/config.json", SPEC);
    let found = look(root.path(), &claim(Engine::Any, "web")).unwrap();
    assert_eq!((found.kind, found.mounts.len()), ("runc", 1));
    assert_eq!(look(root.path(), &claim(Engine::Any, "ssh.service")), None);
}

#[test]
fn users_are_those_of_the_first_process_where_those_that_made_the_container_are_gone() {
    let users = "captain:x:0:0::/:/bin/sh\n";
    for (engine, parent, path, text) in [
        (
            Engine::Docker,
            "",
            format!("{DOCKER}/{ID}/config.v2.json"),
            format!(r#"{{"ID":"{ID}","State":{{"Pid":77}}}}"#),
        ),
        (
            Engine::Any,
            "",
            format!("run/runc/{ID}/state.json"),
            r#"{"init_process_pid":77}"#.to_owned(),
        ),
        (Engine::Any, "", format!("run/crun/{ID}/status"), r#"{"pid":77}"#.to_owned()),
        (
            Engine::Nspawn,
            "",
            format!("run/systemd/machines/{ID}"),
            "CLASS=container\nLEADER=77\n".to_owned(),
        ),
        (Engine::Any, "default", format!("{TASKS}/default/{ID}/init.pid"), "77".to_owned()),
        (Engine::Containerd, "", format!("{TASKS}/k8s.io/{ID}/init.pid"), "77".to_owned()),
        (Engine::Podman, "", format!("{STORED}/{ID}/userdata/pidfile"), "77\n".to_owned()),
    ] {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/1/root/etc/passwd", "root:x:0:0::/:/bin/sh\n");
        write(root.path(), "proc/77/root/etc/passwd", users);
        write(root.path(), &path, &text);
        if let Some((folder, _)) = path.rsplit_once('/').filter(|(_, name)| name.contains("pid")) {
            write(root.path(), &format!("{folder}/config.json"), "{}");
        }
        let places = Places { root: root.path().into(), ..Places::default() };
        let asked = Claim { parent: parent.into(), ..claim(engine, ID) };
        let gone = Witness { pid: 55, mount_namespace: 0 };
        let Verdict::Container(found) = look_up(&places, &asked, &[gone]) else { panic!("{path}") };
        let accounts = found.accounts.as_ref().unwrap_or_else(|| panic!("{path}"));
        assert_eq!(&*accounts.users[&0].name, b"captain", "{path}");
    }
}

#[test]
fn names_that_would_lead_elsewhere_are_not_looked_up() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "run/state.json", "{}");
    for name in ["..", ".", "", "a/../..", "/etc"] {
        assert_eq!(look(root.path(), &claim(Engine::Any, name)), None, "{name}");
    }
}

#[test]
fn a_path_alone_proves_nothing_and_other_mounts_do() {
    let root = tempfile::tempdir().unwrap();
    let link = |pid: &str, to: &str| {
        let folder = root.path().join("proc").join(pid).join("ns");
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(to, folder.join("mnt")).unwrap();
    };
    assert_eq!(look(root.path(), &claim(Engine::Docker, ID)), None);
    link("1", "mnt:[1]");
    link("7", "mnt:[1]");
    assert_eq!(look(root.path(), &claim(Engine::Docker, ID)), None);
    fs::remove_file(root.path().join("proc/7/ns/mnt")).unwrap();
    link("7", "mnt:[2]");
    let found = look(root.path(), &claim(Engine::Docker, ID)).unwrap();
    assert_eq!((found.id(), found.kind, found.name.as_str()), (&ID[..12], "docker", ""));
    assert_eq!(look(root.path(), &claim(Engine::Any, "odd")), None);
}

#[test]
fn a_process_that_is_gone_still_says_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("proc/1/ns")).unwrap();
    std::os::unix::fs::symlink("mnt:[41]", root.path().join("proc/1/ns/mnt")).unwrap();
    let places = Places { root: root.path().into(), ..Places::default() };
    let look = |mount_namespace| {
        look_up(&places, &claim(Engine::Docker, ID), &[Witness { pid: 5, mount_namespace }])
    };
    assert!(matches!(look(42), Verdict::Container(found) if found.full_id == ID));
    assert_eq!(look(41), Verdict::Host, "it saw what the host sees");
    assert_eq!(look(0), Verdict::Host, "nothing is known of it");
}

#[test]
fn a_runtime_at_work_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let places = Places { root: root.path().into(), ..Places::default() };
    let process = |pid: &str, line: &str| write(root.path(), &format!("proc/{pid}/cmdline"), line);
    process("7", "/usr/sbin/runc\0init\0");
    process("8", "/usr/bin/bash\0runc\0");
    let weak = claim(Engine::Any, "web");
    assert!(may_come(&places, &weak, 7));
    assert!(!may_come(&places, &weak, 8));
    assert!(!may_come(&places, &weak, 9));
    assert!(may_come(&places, &claim(Engine::Docker, ID), 9));
}

/// A runtime that answers every request with these bytes.
fn runtime(root: &Path, answer: Vec<u8>) -> thread::JoinHandle<String> {
    fs::create_dir_all(root.join("var/run")).unwrap();
    let listener = UnixListener::bind(root.join("var/run/docker.sock")).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let count = stream.read(&mut asked).unwrap();
        // Whoever asked may have had enough.
        let _ = stream.write_all(&answer);
        String::from_utf8_lossy(&asked[..count]).into_owned()
    })
}

#[test]
fn a_socket_answers_where_there_are_no_files() {
    let root = tempfile::tempdir().unwrap();
    let body = format!(
        r#"{{"Id":"{ID}","Name":"/web","Config":{{"Image":"a:b"}},"Mounts":[],"HostConfig":{{"Privileged":false}}}}"#
    );
    let asked = runtime(root.path(), format!("HTTP/1.0 200 OK\r\n\r\n{body}").into_bytes());
    let found = look(root.path(), &claim(Engine::Docker, ID)).unwrap();
    assert_eq!((found.name.as_str(), found.privileged), ("web", Some(false)));
    assert!(asked.join().unwrap().starts_with(&format!("GET /containers/{ID}/json HTTP/1.0\r\n")));
}

#[test]
fn a_socket_that_goes_and_comes_is_asked_again_at_once() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("var/run/docker.sock");
    let asked = claim(Engine::Docker, ID);
    let body = format!(r#"{{"Id":"{ID}","Name":"/web","Config":{{}},"HostConfig":{{}}}}"#);
    let answer = format!("HTTP/1.0 200 OK\r\n\r\n{body}").into_bytes();
    for _ in 0..3 {
        // Not there yet; there; its file left behind by one that ended; removed.
        assert_eq!(look(root.path(), &asked), None);
        let serves = runtime(root.path(), answer.clone());
        assert!(look(root.path(), &asked).is_some());
        serves.join().unwrap();
        assert_eq!(look(root.path(), &asked), None);
        fs::remove_file(&socket).unwrap();
    }
    // One that ends in the middle of its answer.
    let half = runtime(root.path(), answer[..answer.len() / 2].to_vec());
    assert_eq!(look(root.path(), &asked), None);
    half.join().unwrap();
    fs::remove_file(&socket).unwrap();
    let serves = runtime(root.path(), answer);
    assert!(look(root.path(), &asked).is_some());
    serves.join().unwrap();
}

#[test]
fn sockets_that_lie_flood_or_hang_cost_the_answer_and_no_more() {
    for answer in [
        b"HTTP/1.0 404 Not Found\r\n\r\n{}".to_vec(),
        b"HTTP/1.0 200 OK\r\n\r\nnot json".to_vec(),
        b"HTTP/1.0 200 OK\r\n\r\n{\"Id\":\"another\"}".to_vec(),
        b"garbage".to_vec(),
        vec![b'x'; 5 * 1024 * 1024],
    ] {
        let root = tempfile::tempdir().unwrap();
        let asked = runtime(root.path(), answer);
        assert_eq!(look(root.path(), &claim(Engine::Docker, ID)), None);
        asked.join().unwrap();
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("var/run")).unwrap();
    let _hangs = UnixListener::bind(root.path().join("var/run/docker.sock")).unwrap();
    assert_eq!(look(root.path(), &claim(Engine::Docker, ID)), None);
}

#[test]
fn a_runtime_that_accepts_nobody_any_more_keeps_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    for path in ["var/run/docker.sock", "run/containerd/containerd.sock"] {
        fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
        let listener = UnixListener::bind(root.path().join(path)).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        // No more than one fits into the queue.
        let queued = UnixStream::connect(root.path().join(path)).unwrap();
        std::mem::forget((listener, queued));
    }
    let (done, ended) = std::sync::mpsc::channel();
    let places = root.path().to_path_buf();
    thread::spawn(move || {
        let found =
            [Engine::Docker, Engine::Containerd].map(|engine| look(&places, &claim(engine, ID)));
        done.send(found).unwrap();
    });
    let found = ended.recv_timeout(Duration::from_mins(1)).expect("it waits for ever");
    assert_eq!(found, [None, None]);
}

#[test]
fn machines_are_known_by_the_folders_of_lxc_and_the_files_of_systemd() {
    let root = tempfile::tempdir().unwrap();
    for (folder, name) in [
        ("var/lib/lxc", "web"),
        ("var/snap/lxd/common/lxd/containers", "snapped"),
        ("var/lib/incus/containers", "in-cus"),
    ] {
        assert_eq!(look(root.path(), &claim(Engine::Lxc, name)), None, "{name}");
        fs::create_dir_all(root.path().join(folder).join(name)).unwrap();
        let found = look(root.path(), &claim(Engine::Lxc, name)).unwrap();
        assert_eq!((found.name.as_str(), found.kind, found.id()), (name, "lxc", name));
    }
    let machine = |class: &str| {
        format!(
            "# This is private data. Do not parse.\nNAME=my-web\nCLASS={class}\nSERVICE=systemd-nspawn\n"
        )
    };
    let path = "run/systemd/machines/my-web";
    let asked = claim(Engine::Nspawn, "my-web");
    assert_eq!(look(root.path(), &asked), None);
    write(root.path(), path, &machine("container"));
    let found = look(root.path(), &asked).unwrap();
    assert_eq!((found.name.as_str(), found.kind), ("my-web", "systemd-nspawn"));
    write(root.path(), path, &machine("vm"));
    assert_eq!(look(root.path(), &asked), None, "a virtual machine");
    for name in ["../../etc", "..", "a/b", ""] {
        assert_eq!(look(root.path(), &claim(Engine::Lxc, name)), None, "{name}");
        assert_eq!(look(root.path(), &claim(Engine::Nspawn, name)), None, "{name}");
    }
}

/// Ends a program, and what is left of it.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_runtime_understands_our_calls() {
    use crate::cri::call;
    use crate::message::Message;
    use std::process::{Command, Stdio};
    const LIMIT: Duration = Duration::from_millis(500);
    let root = tempfile::tempdir().unwrap();
    let at = root.path().display();
    let socket = root.path().join("containerd.sock");
    let started = Command::new("containerd")
        .args(["--root", &format!("{at}/root"), "--state", &format!("{at}/state"), "--address"])
        .arg(&socket)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(child) = started else {
        eprintln!("SKIPPED: a_real_runtime_understands_our_calls: containerd is not installed");
        return;
    };
    let mut child = Ended(child);
    let start = std::time::Instant::now();
    let version = loop {
        if let Ok(answer) =
            call(&socket, "/runtime.v1.RuntimeService/Version", &Message::new(), LIMIT)
        {
            break answer;
        }
        let ended = child.0.try_wait().unwrap();
        if ended.is_some() || start.elapsed() > Duration::from_mins(1) {
            eprintln!(
                "SKIPPED: a_real_runtime_understands_our_calls: containerd does not run: {ended:?}"
            );
            return;
        }
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(version.bytes(2), b"containerd");
    let none = call(
        &socket,
        "/runtime.v1.RuntimeService/ContainerStatus",
        &Message::new().text(1, ID),
        LIMIT,
    );
    assert!(none.unwrap_err().to_string().contains("no answer"));
}
