//! A real pod, made through containerd's Container Runtime Interface as Kubernetes' node agent makes it, on the live
//! kernel: the first alert says which pod it is.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_metadata::{Message, call_runtime};
use eyas_tests::{Sensor, kernel_gate, skip};
use serde_json::json;

const RULE: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
    container.id != host and proc.args contains eyas-pod-test\n  output: \"%proc.cmdline %container.full_id \
    %container.name %container.type %container.image.repository %container.image.tag %container.privileged \
    %k8s.pod.name %k8s.ns.name %k8s.pod.uid %k8s.pod.full_sandbox_id %k8s.pod.label[app] %k8s.pod.labels\"\n  \
    priority: NOTICE\n";
const BUSYBOX: &str = "/bin/busybox";
const IMAGE: &str = "localhost/eyas-pod:1";
const PATIENCE: Duration = Duration::from_mins(1);
/// `NamespaceMode.NODE` of the interface: the host's own.
const NODE: u64 = 2;

/// containerd, ended on drop with whatever it holds.
struct Containerd {
    child: Child,
    socket: PathBuf,
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM));
        let end = Instant::now() + Duration::from_secs(15);
        while self.child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tell(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}", text(&output.stderr)))
}

/// An image of busybox alone, in an archive as Docker saves it.
fn archive(root: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| error.to_string();
    let (tree, parts) = (root.join("tree"), root.join("parts"));
    for folder in [tree.join("bin"), tree.join("etc"), tree.join("proc"), parts.clone()] {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::copy(BUSYBOX, tree.join("bin/busybox")).map_err(failed)?;
    for applet in ["sh", "sleep"] {
        symlink("busybox", tree.join("bin").join(applet)).map_err(failed)?;
    }
    let layer = parts.join("layer.tar");
    tell(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&layer).arg("."))?;
    let digest = tell(Command::new("sha256sum").arg(&layer))?;
    let digest = digest.split(' ').next().unwrap_or_default();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/sleep", "600"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let list = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(parts.join("config.json"), config.to_string()).map_err(failed)?;
    fs::write(parts.join("manifest.json"), list.to_string()).map_err(failed)?;
    let file = root.join("image.tar");
    let names = ["manifest.json", "config.json", "layer.tar"];
    tell(Command::new("tar").arg("-C").arg(&parts).arg("-cf").arg(&file).args(names))?;
    Ok(file)
}

impl Containerd {
    /// One of its own, with all its state below the folder, and the image in it.
    fn start(root: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let socket = root.join("run/containerd/containerd.sock");
        fs::create_dir_all(root.join("run/containerd")).map_err(failed)?;
        let at = root.display();
        // Nothing is fetched, and nothing is asked for that a machine may refuse and this test is not about.
        let settings = format!(
            "version = 2\nroot = \"{at}/var/lib/containerd\"\nstate = \"{at}/run/containerd\"\n\
             [grpc]\naddress = \"{}\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{IMAGE}\"\ndisable_apparmor = true\n\
             restrict_oom_score_adj = true\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"native\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{at}/cni\"\nconf_dir = \"{at}/cni\"\n",
            socket.display()
        );
        fs::write(root.join("containerd.toml"), settings).map_err(failed)?;
        let log = fs::File::create(root.join("containerd.log")).map_err(failed)?;
        let child = Command::new("containerd")
            .arg("--config")
            .arg(root.join("containerd.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`containerd`: {error}"))?;
        let mut containerd = Self { child, socket };
        let start = Instant::now();
        while UnixStream::connect(&containerd.socket).is_err()
            || containerd.call("Version", &Message::new()).is_err()
        {
            if let Some(status) = containerd.child.try_wait().map_err(failed)? {
                return Err(format!("`containerd` ended with {status}"));
            }
            if start.elapsed() > PATIENCE {
                return Err("`containerd` does not answer".to_owned());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let mut import = Command::new("ctr");
        import.arg("--address").arg(&containerd.socket);
        import.args(["-n", "k8s.io", "images", "import", "--snapshotter", "native"]);
        tell(import.arg(archive(root)?))?;
        Ok(containerd)
    }

    fn call(&self, method: &str, request: &Message) -> Result<Message, String> {
        let path = format!("/runtime.v1.RuntimeService/{method}");
        call_runtime(&self.socket, &path, request, PATIENCE)
            .map_err(|error| format!("{method}: {error}"))
    }

    /// Id in the answer to a request.
    fn id_of(&self, method: &str, request: &Message) -> Result<String, String> {
        let answer = self.call(method, request)?;
        Ok(String::from_utf8_lossy(answer.bytes(1)).into_owned())
    }
}

/// A pod that runs, taken away on drop.
struct Sandbox {
    containerd: Containerd,
    id: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            let _ = self.containerd.call(method, &Message::new().text(1, &self.id));
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
        ("io.kubernetes.pod.uid", "11111111-2222-3333-4444-555555555555"),
    ] {
        message = message.with(field, &pair(key, value));
    }
    message
}

/// `PodSandboxConfig` of the interface: a pod on the host's network, which needs no plugins.
fn pod(root: &Path) -> Message {
    let metadata = Message::new()
        .text(1, "web-0")
        .text(2, "11111111-2222-3333-4444-555555555555")
        .text(3, "shop");
    let network = Message::new().with_number(1, NODE);
    let security = Message::new().with(1, &network);
    let config = Message::new()
        .with(1, &metadata)
        .text(3, &root.join("logs").display().to_string())
        .with(6, &pair("app", "web"))
        .with(8, &Message::new().with(2, &security));
    of_pod(config, 6)
}

/// `ContainerConfig` of the interface.
fn container(name: &str, script: &str) -> Message {
    let config = Message::new()
        .with(1, &Message::new().text(1, name))
        .with(2, &Message::new().text(1, IMAGE))
        .text(3, "/bin/sh")
        .text(4, "-c")
        .text(4, script)
        .with(9, &pair("io.kubernetes.container.name", name));
    of_pod(config, 9)
}

#[test]
fn the_first_alert_of_a_pod_says_which_it_is() {
    let name = "the_first_alert_of_a_pod_says_which_it_is";
    if !kernel_gate(name) {
        return;
    }
    if !Path::new(BUSYBOX).exists() {
        return skip(name, "a static busybox is needed");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    symlink("/proc", root.join("proc")).expect("a link");
    let pod = pod(root);
    let started = Containerd::start(root).and_then(|containerd| {
        let id = containerd.id_of("RunPodSandbox", &Message::new().with(1, &pod))?;
        Ok(Sandbox { containerd, id })
    });
    let sandbox = match started {
        Ok(sandbox) => sandbox,
        Err(why) => {
            let log = fs::read_to_string(root.join("containerd.log")).unwrap_or_default();
            let said = log.lines().rfind(|line| line.contains("level=error")).unwrap_or_default();
            return skip(name, &format!("pods cannot run here: {why} {said}"));
        }
    };
    let rules = root.join("rules.yaml");
    fs::write(&rules, RULE).expect("rules");
    let host_root = format!("containers.host_root={}", root.display());
    let rules = rules.display().to_string();
    let settings = ["-o", "control.group=null", "-o", &host_root, "-r", &rules];
    let sensor = Sensor::start(&root.join("store"), root, &settings);
    let script = "/bin/busybox echo eyas-pod-test; exec sleep 3";
    let request =
        Message::new().text(1, &sandbox.id).with(2, &container("app", script)).with(3, &pod);
    let id = sandbox.containerd.id_of("CreateContainer", &request).expect("a container");
    let containerd = &sandbox.containerd;
    containerd.call("StartContainer", &Message::new().text(1, &id)).expect("it starts");
    // The shell's own arguments have the words too: its alert is the first of the container.
    for words in ["Notice sh -c /bin/busybox echo", "Notice busybox echo eyas-pod-test"] {
        let alert = sensor.expect_alert("ran", words);
        let fields = &alert["output_fields"];
        for (field, value) in [
            ("container.full_id", id.as_str()),
            ("container.name", "app"),
            ("container.type", "containerd"),
            ("container.image.repository", "localhost/eyas-pod"),
            ("container.image.tag", "1"),
            ("k8s.pod.name", "web-0"),
            ("k8s.ns.name", "shop"),
            ("k8s.pod.uid", "11111111-2222-3333-4444-555555555555"),
            ("k8s.pod.full_sandbox_id", &sandbox.id),
            ("k8s.pod.label[app]", "web"),
        ] {
            assert_eq!(fields[field], value, "{field}: {alert}");
        }
        assert_eq!(fields["container.privileged"], false, "{alert}");
        let labels = fields["k8s.pod.labels"].as_str().unwrap_or_default();
        assert!(labels.contains("app:web"), "{alert}");
    }
    assert_eq!(sensor.stop(), 0);
}
