//! Real pods, made through the Container Runtime Interface as Kubernetes' node agent makes them, on the live kernel:
//! the first alert says which pod it is, whoever runs it and from wherever that is known.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod runtimes;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use eyas_metadata::Message;
use eyas_tests::{Sensor, kernel_gate, skip};
use serde_json::{Value, json};

use runtimes::{BUSYBOX, CONTAINERD, CRIO, IMAGE, Kind, Runtime};

const RULES: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
    proc.args contains eyas-pod-test\n  output: \"%proc.cmdline %container.id %container.full_id \
    %container.name %container.type %container.image.repository %container.image.tag \
    %container.privileged %container.host_network %container.host_pid %container.label[tier] \
    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.full_sandbox_id %k8s.pod.label[app] \
    %k8s.pod.labels\"\n  priority: NOTICE\n\
    - rule: overseer\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
    (proc.name in (conmon, pinns, containerd-shim) or proc.name = runc and \
    proc.pname in (conmon, containerd-shim))\n  output: \"%container.id %proc.name of %proc.pname\"\n  \
    priority: DEBUG\n\
    - rule: infra\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
    proc.args = 600 and container.id != host\n  output: \"%container.full_id holds namespaces of \
    %container.name %container.type %container.image.repository %k8s.pod.name %k8s.ns.name \
    %k8s.pod.uid %k8s.pod.full_sandbox_id %k8s.pod.label[app]\"\n  priority: DEBUG\n";
/// Runtimes, each with its pods: the sensor of one would ask its runtime about the others'.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(1);
const UID: &str = "11111111-2222-3333-4444-555555555555";
/// `NamespaceMode` of the interface: the pod's, one's own, and the host's.
const POD: u64 = 0;
const CONTAINER: u64 = 1;
const NODE: u64 = 2;

/// Where the sensor may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    FilesAndSocket,
    Files,
    Socket,
}

/// What every alert of a container of the pod says, besides ids.
const SAYS: [(&str, &str); 8] = [
    ("container.name", "app"),
    ("container.image.repository", "localhost/eyas-pod"),
    ("container.image.tag", "1"),
    ("container.label[tier]", "front"),
    ("k8s.pod.name", "web-0"),
    ("k8s.ns.name", "shop"),
    ("k8s.pod.uid", UID),
    ("k8s.pod.label[app]", "web"),
];

/// Control groups of the pods of this process, taken away on drop.
struct Groups(String);

impl Groups {
    fn new(mark: &str) -> Self {
        Self(format!("/eyas-{mark}-{}", std::process::id()))
    }

    /// As the node agent names them where there is no systemd.
    fn parent(&self) -> String {
        format!("{}/burstable/pod{UID}", self.0)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        fn remove(group: &Path) {
            for inner in fs::read_dir(group).into_iter().flatten().flatten() {
                if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove(&inner.path());
                }
            }
            let _ = fs::remove_dir(group);
        }
        let base = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(base).into_iter().flatten().flatten();
        for hierarchy in hierarchies.map(|entry| entry.path()).chain([base.to_path_buf()]) {
            remove(&hierarchy.join(self.0.trim_start_matches('/')));
        }
    }
}

/// A pod that runs, taken away on drop.
struct Sandbox {
    runtime: Runtime,
    config: Message,
    image: String,
    id: String,
    pid: u64,
    /// How many containers were made in it.
    made: u64,
    _groups: Groups,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Nobody else takes away what is in it.
        let _ = self.runtime.start();
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            let asked = Message::new().text(1, &self.id);
            let _ = self.runtime.call(&format!("RuntimeService/{method}"), &asked);
        }
    }
}

fn pair(key: &str, value: &str) -> Message {
    Message::new().text(1, key).text(2, value)
}

/// Labels that Kubernetes' node agent gives to all that belongs to a pod.
fn of_pod(mut message: Message, field: u32) -> Message {
    for (key, value) in [
        ("io.kubernetes.pod.name", "web-0"),
        ("io.kubernetes.pod.namespace", "shop"),
        ("io.kubernetes.pod.uid", UID),
    ] {
        message = message.with(field, &pair(key, value));
    }
    message
}

/// `PodSandboxConfig` of the interface: a pod on the host's network, which needs no plugins.
fn pod(root: &Path, groups: &Groups, pid: u64) -> Message {
    let metadata = Message::new().text(1, "web-0").text(2, UID).text(3, "shop");
    let namespaces = Message::new().with_number(1, NODE).with_number(2, pid);
    // It may have privileged containers.
    let security = Message::new().with(1, &namespaces).with_number(6, 1);
    let config = Message::new()
        .with(1, &metadata)
        .text(3, &root.join("logs").display().to_string())
        .with(6, &pair("app", "web"))
        // Whoever makes a pod may write down what they like; it must not be believed.
        .with(7, &pair("io.kubernetes.cri.container-name", "liar"))
        .with(7, &pair("io.kubernetes.cri.image-name", "liar:2"))
        .with(7, &pair("io.kubernetes.cri-o.ImageName", "liar:3"))
        .with(7, &pair("io.kubernetes.cri.sandbox-name", "liar"))
        .with(8, &Message::new().text(1, &groups.parent()).with(2, &security));
    of_pod(config, 6)
}

/// `ContainerConfig` of the interface.
fn container(attempt: u64, image: &str, script: &str, privileged: bool, pid: u64) -> Message {
    let name = "app";
    let namespaces = Message::new().with_number(1, NODE).with_number(2, pid);
    let security = Message::new().with_number(2, u64::from(privileged)).with(3, &namespaces);
    let config = Message::new()
        .with(1, &Message::new().text(1, name).with_number(2, attempt))
        // By its id, with the name that the user wrote beside it.
        .with(2, &Message::new().text(1, image).text(18, IMAGE))
        .text(3, "/bin/sh")
        .text(4, "-c")
        .text(4, script)
        .with(9, &pair("io.kubernetes.container.name", name))
        .with(9, &pair("tier", "front"))
        .with(15, &Message::new().with(2, &security));
    of_pod(config, 9)
}

impl Sandbox {
    /// A pod below control groups of that name, whose containers have process ids in that way.
    fn start(runtime: Runtime, world: &World, mark: &str, pid: u64) -> Result<Self, String> {
        let groups = Groups::new(&format!("{}-{mark}", runtime.kind.name));
        let config = pod(world.folder.path(), &groups, pid);
        let image = Message::new().with(1, &Message::new().text(1, IMAGE));
        let image = runtime.call("ImageService/ImageStatus", &image)?;
        let image = Message::decode(image.bytes(1)).ok_or("no image")?;
        let image = String::from_utf8_lossy(image.bytes(1)).into_owned();
        let id = runtime
            .id_of("RunPodSandbox", &Message::new().with(1, &config))
            .map_err(|why| format!("{why} {}", runtime.complaint()))?;
        Ok(Self { runtime, config, image, id, pid, made: 0, _groups: groups })
    }

    /// Runs a script in a new container, and gives the container's id.
    fn run(&mut self, script: &str, privileged: bool) -> Result<String, String> {
        let config = container(self.made, &self.image, script, privileged, self.pid);
        self.made += 1;
        let request = Message::new().text(1, &self.id).with(2, &config).with(3, &self.config);
        let complaint = |why: String| format!("{why} {}", self.runtime.complaint());
        let id = self.runtime.id_of("CreateContainer", &request).map_err(complaint)?;
        let asked = Message::new().text(1, &id);
        self.runtime.call("RuntimeService/StartContainer", &asked).map_err(complaint)?;
        Ok(id)
    }

    /// What an alert about one of its containers has to say.
    fn check(&self, alert: &Value, id: &str, privileged: bool, sight: Sight) {
        let fields = &alert["output_fields"];
        let kind = self.runtime.kind;
        let ids = [
            ("container.full_id", id),
            ("container.type", kind.name),
            ("k8s.pod.full_sandbox_id", &self.id),
        ];
        let labels_known = sight != Sight::Files || kind.pods_in_files;
        for (field, value) in SAYS.into_iter().chain(ids) {
            if labels_known || !field.contains("label") {
                assert_eq!(fields[field], value, "{field} by {sight:?}: {alert}");
            }
        }
        for (field, value) in [
            ("container.privileged", privileged),
            ("container.host_network", true),
            ("container.host_pid", false),
        ] {
            assert_eq!(fields[field], json!(value), "{field} by {sight:?}: {alert}");
        }
        let labels = fields["k8s.pod.labels"].as_str().unwrap_or_default();
        assert_eq!(labels.contains("app:web"), labels_known, "by {sight:?}: {alert}");
    }
}

/// A folder, a host's root in it with a runtime that has not been started, and another that shows its socket alone.
struct World {
    folder: tempfile::TempDir,
    host: PathBuf,
    bare: PathBuf,
}

impl World {
    fn new(kind: &Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (host, bare) = (folder.path().join("host"), folder.path().join("bare"));
        let socket = bare.join(kind.socket);
        fs::create_dir_all(socket.parent().expect("a folder")).expect("folders");
        symlink("/proc", bare.join("proc")).expect("a link");
        symlink(host.join(kind.socket), socket).expect("a link");
        fs::write(folder.path().join("rules.yaml"), RULES).expect("rules");
        Self { folder, host, bare }
    }

    fn sensor(&self, sight: Sight) -> Sensor {
        let root = if sight == Sight::Socket { &self.bare } else { &self.host };
        let folder = self.folder.path();
        let rules = folder.join("rules.yaml").display().to_string();
        let root = format!("containers.host_root={}", root.display());
        let mut settings = vec!["-o", "control.group=null", "-o", &root, "-r", &rules];
        if sight == Sight::Files {
            settings.extend(["-o", "containers.cri_sockets=[]"]);
        }
        Sensor::start(&folder.join("store"), folder, &settings)
    }
}

/// What is needed to try, for one after the other; says aloud what is not there.
fn gate(name: &str) -> Option<MutexGuard<'static, ()>> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if !kernel_gate(name) {
        return None;
    }
    if !Path::new(BUSYBOX).exists() {
        skip(name, "a static busybox is needed");
        return None;
    }
    Some(turn)
}

/// Says aloud why pods cannot run here.
fn can_run<T>(name: &str, tried: Result<T, String>) -> Option<T> {
    tried.inspect_err(|why| skip(name, &format!("pods cannot run here: {why}"))).ok()
}

/// A runtime that was just started, and a world around it.
fn started(name: &str, kind: &'static Kind) -> Option<(World, Runtime)> {
    let world = World::new(kind);
    let runtime = Runtime::prepare(kind, &world.host).and_then(|mut runtime| {
        runtime.start()?;
        Ok(runtime)
    });
    Some((world, can_run(name, runtime)?))
}

/// A container that says its words once, and one that does so every second.
const ONCE: &str = "/bin/busybox echo eyas-pod-test; exec sleep 3";
const AGAIN: &str = "while /bin/busybox echo eyas-pod-test; do sleep 1; done";

/// From wherever it is known, the first alert of a container says everything.
fn check_sights(name: &str, kind: &'static Kind) {
    let Some(_turn) = gate(name) else { return };
    let Some((world, runtime)) = started(name, kind) else { return };
    let sandbox = Sandbox::start(runtime, &world, "sights", CONTAINER);
    let Some(mut sandbox) = can_run(name, sandbox) else { return };
    for sight in [Sight::FilesAndSocket, Sight::Files, Sight::Socket] {
        let sensor = world.sensor(sight);
        let id = sandbox.run(ONCE, false).expect("a container");
        // The shell's own arguments have the words too: its alert is the first of the container.
        for words in ["sh -c", "busybox echo eyas-pod-test"] {
            let alert = sensor.expect_alert("ran", &id);
            let said = alert["output_fields"]["proc.cmdline"].as_str().unwrap_or_default();
            assert!(said.starts_with(words), "{alert}");
            sandbox.check(&alert, &id, false, sight);
        }
        match sandbox.run(ONCE, true) {
            Ok(id) => sandbox.check(&sensor.expect_alert("ran", &id), &id, true, sight),
            Err(why) => skip(name, &format!("privileged containers cannot run here: {why}")),
        }
        assert_eq!(sensor.stop(), 0);
    }
}

#[test]
fn containerds_pods_are_known_by_their_first_alert() {
    check_sights("containerds_pods_are_known_by_their_first_alert", &CONTAINERD);
}

#[test]
fn crios_pods_are_known_by_their_first_alert() {
    check_sights("crios_pods_are_known_by_their_first_alert", &CRIO);
}

/// Those who look after containers are on the host, and so are its own processes; what holds a pod's namespaces is in
/// a container of the pod, and what is run in a container later is in that.
fn check_host(name: &str, kind: &'static Kind) {
    let Some(_turn) = gate(name) else { return };
    let Some((world, runtime)) = started(name, kind) else { return };
    let sensor = world.sensor(Sight::FilesAndSocket);
    let sandbox = Sandbox::start(runtime, &world, "host", POD);
    let Some(mut sandbox) = can_run(name, sandbox) else { return };
    let id = sandbox.run(ONCE, false).expect("a container");
    let exec = ["/bin/busybox", "echo", "eyas-pod-test", "inside"];
    let exec = exec.iter().fold(Message::new().text(1, &id), |asked, word| asked.text(2, word));
    sandbox.runtime.call("RuntimeService/ExecSync", &exec).expect("it runs in the container");
    let inside = "busybox echo eyas-pod-test inside";
    let infra = format!("{} holds namespaces of POD", sandbox.id);
    let own = format!("eyas-pod-test of {}", std::process::id());
    let done = Command::new(BUSYBOX).args(["echo", &own]).output().expect("busybox");
    assert!(done.status.success());
    let mut missing: Vec<&str> = kind
        .overseers
        .iter()
        .chain(&[id.as_str(), own.as_str(), infra.as_str(), inside])
        .copied()
        .collect();
    while !missing.is_empty() {
        let alert = sensor.next_within(PATIENCE);
        let alert = alert.unwrap_or_else(|| panic!("{missing:?} not told: {}", sensor.log()));
        let output = alert["output"].as_str().unwrap_or_default();
        missing.retain(|text| !output.contains(text));
        if alert["rule"] == "overseer" || output.contains(&own) {
            assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
        }
        if output.contains(inside) {
            sandbox.check(&alert, &id, false, Sight::FilesAndSocket);
        }
        if output.contains(&infra) {
            // Of labels in nobody's files, the runtime tells when the pod is made.
            let labels = |field: &str| kind.pods_in_files || !field.contains("label");
            let pod = SAYS.iter().filter(|(field, _)| field.starts_with("k8s.") && labels(field));
            let ids = [("k8s.pod.full_sandbox_id", &*sandbox.id), ("container.type", kind.name)];
            for (field, value) in pod.chain(&ids) {
                assert_eq!(alert["output_fields"][field], *value, "{field}: {alert}");
            }
        }
    }
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn those_who_look_after_containerds_pods_are_on_the_host() {
    check_host("those_who_look_after_containerds_pods_are_on_the_host", &CONTAINERD);
}

#[test]
fn those_who_look_after_crios_pods_are_on_the_host() {
    check_host("those_who_look_after_crios_pods_are_on_the_host", &CRIO);
}

/// With nothing but its socket, a runtime may come when the sensor runs already, and go and come again.
fn check_restarts(name: &str, kind: &'static Kind) {
    let Some(_turn) = gate(name) else { return };
    let world = World::new(kind);
    let Some(mut runtime) = can_run(name, Runtime::prepare(kind, &world.host)) else { return };
    let sensor = world.sensor(Sight::Socket);
    let sandbox =
        runtime.start().and_then(|()| Sandbox::start(runtime, &world, "restarts", CONTAINER));
    let Some(mut sandbox) = can_run(name, sandbox) else { return };
    let first = sandbox.run(AGAIN, false).expect("a container");
    sandbox.check(&sensor.expect_alert("ran", &first), &first, false, Sight::Socket);
    sandbox.runtime.stop();
    // What is known stays known.
    for _ in 0..3 {
        sandbox.check(&sensor.expect_alert("ran", &first), &first, false, Sight::Socket);
    }
    assert_eq!(sensor.stop(), 0);
    // A sensor that starts while nobody answers knows which container it is, and no more.
    let sensor = world.sensor(Sight::Socket);
    let alert = sensor.expect_alert("ran", &first);
    assert_eq!(alert["output_fields"]["container.type"], kind.name, "{alert}");
    assert_ne!(alert["output_fields"]["container.name"], "app", "{alert}");
    for _ in 0..2 {
        sandbox.runtime.start().expect("it starts again");
        let named = |alert: &Value| alert["output_fields"]["container.name"] == "app";
        let end = Instant::now() + PATIENCE;
        let mut alert = sensor.expect_alert("ran", &first);
        while !named(&alert) && Instant::now() < end {
            alert = sensor.expect_alert("ran", &first);
        }
        sandbox.check(&alert, &first, false, Sight::Socket);
        let next = sandbox.run(ONCE, false).expect("a container");
        sandbox.check(&sensor.expect_alert("ran", &next), &next, false, Sight::Socket);
        sandbox.runtime.stop();
    }
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn containerd_may_come_late_and_restart() {
    check_restarts("containerd_may_come_late_and_restart", &CONTAINERD);
}

#[test]
fn crio_may_come_late_and_restart() {
    check_restarts("crio_may_come_late_and_restart", &CRIO);
}
