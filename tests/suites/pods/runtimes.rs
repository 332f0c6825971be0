//! Kubernetes' runtimes, each with all its state below one folder, which stands for the host's root.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eyas_metadata::{Message, call_runtime};
use eyas_tests::{modest_runc, peer};
use serde_json::json;

pub(crate) const BUSYBOX: &str = "/bin/busybox";
/// Image that all containers here run, pods' own included.
pub(crate) const IMAGE: &str = "localhost/eyas-pod:1";
/// How long a runtime may take over anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which of them, and what is different about it.
pub(crate) struct Kind {
    /// As `container.type` has it.
    pub(crate) name: &'static str,
    /// Its socket below the host's root.
    pub(crate) socket: &'static str,
    /// Those who look after its containers and are in none, each with whose child it is.
    pub(crate) overseers: &'static [&'static str],
    /// Labels and address of a pod lie in its files.
    pub(crate) pods_in_files: bool,
    prepare: fn(&Path, &Path) -> Result<Command, String>,
    import: fn(&Path, &Path) -> Result<(), String>,
}

/// containerd with its plugin for Kubernetes.
pub(crate) const CONTAINERD: Kind = Kind {
    name: "containerd",
    socket: "run/containerd/containerd.sock",
    overseers: &["containerd-shim of containerd", "runc of containerd-shim"],
    pods_in_files: false,
    prepare: containerd,
    import: import_with_ctr,
};

/// CRI-O, with a monitor for each container and one that keeps namespaces.
pub(crate) const CRIO: Kind = Kind {
    name: "cri-o",
    socket: "run/crio/crio.sock",
    overseers: &["conmon of crio", "pinns of crio", "runc of conmon"],
    pods_in_files: true,
    prepare: crio,
    import: import_with_podman,
};

/// One of them, ended on drop; what it holds stays until it is taken away.
pub(crate) struct Runtime {
    pub(crate) kind: &'static Kind,
    root: PathBuf,
    child: Option<Child>,
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command to its end.
fn tell(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}", text(&output.stderr)))
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` wants")]
fn failed(error: std::io::Error) -> String {
    error.to_string()
}

/// Writes a file, with the folders it needs.
fn put(path: &Path, text: &str) -> Result<(), String> {
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
    fs::write(path, text).map_err(failed)
}

impl Runtime {
    /// Makes ready what it needs below the root, the image in its storage included; it does not run yet.
    pub(crate) fn prepare(kind: &'static Kind, root: &Path) -> Result<Self, String> {
        fs::create_dir_all(root.join(kind.socket).parent().unwrap_or(root)).map_err(failed)?;
        symlink("/proc", root.join("proc")).map_err(failed)?;
        Ok(Self { kind, root: root.to_path_buf(), child: None })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join(self.kind.socket)
    }

    /// Starts it, unless it runs, and waits until it answers.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        if self.child.is_some() {
            return Ok(());
        }
        let mut command = (self.kind.prepare)(&self.root, &self.socket())?;
        let log = fs::File::options().create(true).append(true).open(self.log()).map_err(failed)?;
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().map_err(|error| format!("`{program}`: {error}"))?;
        let start = Instant::now();
        while UnixStream::connect(self.socket()).is_err()
            || self.call("RuntimeService/Version", &Message::new()).is_err()
        {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Err(format!("`{program}` ended with {status}"));
            }
            if start.elapsed() > PATIENCE {
                self.child = Some(child);
                return Err(format!("`{program}` does not answer"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.child = Some(child);
        let archive = self.root.join("image.tar");
        if !archive.exists() {
            image(&self.root, &archive)?;
            (self.kind.import)(&self.root, &archive)?;
        }
        Ok(())
    }

    /// Ends it. Containers go on.
    pub(crate) fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let _ = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM));
        let end = Instant::now() + Duration::from_secs(15);
        while child.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    fn log(&self) -> PathBuf {
        self.root.join("runtime.log")
    }

    /// What it said last that was wrong.
    pub(crate) fn complaint(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let wrong = |line: &&str| ["level=error", "level=fatal"].iter().any(|it| line.contains(it));
        log.lines().rfind(wrong).unwrap_or_default().to_owned()
    }

    /// `SERVICE/METHOD` of its interface.
    pub(crate) fn call(&self, method: &str, request: &Message) -> Result<Message, String> {
        call_runtime(&self.socket(), &format!("/runtime.v1.{method}"), request, PATIENCE)
            .map_err(|error| format!("{method}: {error}"))
    }

    /// Id in the answer to a request.
    pub(crate) fn id_of(&self, method: &str, request: &Message) -> Result<String, String> {
        let answer = self.call(&format!("RuntimeService/{method}"), request)?;
        Ok(String::from_utf8_lossy(answer.bytes(1)).into_owned())
    }
}

/// An image of busybox alone, in an archive as Docker saves it.
fn image(root: &Path, file: &Path) -> Result<(), String> {
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
        "architecture": architecture, "os": "linux",
        // Which would otherwise be waited for, as a first process without a handler hears no other.
        "config": {"Cmd": ["/bin/sleep", "600"], "StopSignal": "SIGKILL"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let list = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    put(&parts.join("config.json"), &config.to_string())?;
    put(&parts.join("manifest.json"), &list.to_string())?;
    let names = ["manifest.json", "config.json", "layer.tar"];
    tell(Command::new("tar").arg("-C").arg(&parts).arg("-cf").arg(file).args(names)).map(drop)
}

fn containerd(root: &Path, socket: &Path) -> Result<Command, String> {
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
    let file = root.join("containerd.toml");
    put(&file, &settings)?;
    let mut command = Command::new("containerd");
    command.arg("--config").arg(file);
    Ok(command)
}

fn import_with_ctr(root: &Path, archive: &Path) -> Result<(), String> {
    let mut import = Command::new("ctr");
    import.arg("--address").arg(root.join(CONTAINERD.socket));
    import.args(["-n", "k8s.io", "images", "import", "--snapshotter", "native"]);
    tell(import.arg(archive)).map(drop)
}

/// Storage driver that asks nothing of the file system below.
const DRIVER: &str = "vfs";

fn crio(root: &Path, socket: &Path) -> Result<Command, String> {
    // Under the names that they have where they are installed.
    let program = |name: &str| {
        let variable = name.to_uppercase();
        let found = peer(&variable).ok_or_else(|| {
            format!("`{variable}` is not given (`scripts/peers crio pinns` builds both)")
        })?;
        let link = root.join("bin").join(name);
        fs::create_dir_all(root.join("bin")).map_err(failed)?;
        if !link.exists() {
            symlink(found, &link).map_err(failed)?;
        }
        Ok::<_, String>(link)
    };
    let (crio, pinns, runc) =
        (program("crio")?, program("pinns")?, modest_runc(&root.join("bin"))?);
    let at = root.display();
    let settings = format!(
        "[crio]\nroot = \"{at}/var/lib/containers/storage\"\n\
         runroot = \"{at}/run/containers/storage\"\nstorage_driver = \"{DRIVER}\"\n\
         log_dir = \"{at}/var/log/crio\"\nversion_file = \"{at}/run/crio/version\"\n\
         version_file_persist = \"\"\ninternal_wipe = false\n\
         clean_shutdown_file = \"{at}/var/lib/crio/clean.shutdown\"\n\
         [crio.api]\nlisten = \"{}\"\nstream_port = \"0\"\n\
         [crio.runtime]\ncgroup_manager = \"cgroupfs\"\nconmon_cgroup = \"pod\"\n\
         apparmor_profile = \"unconfined\"\nselinux = false\nenable_criu_support = false\n\
         pinns_path = \"{}\"\nnamespaces_dir = \"{at}/run\"\nhooks_dir = []\ncdi_spec_dirs = []\n\
         decryption_keys_path = \"{at}/etc/crio/keys\"\n\
         container_exits_dir = \"{at}/run/crio/exits\"\n\
         container_attach_socket_dir = \"{at}/run/crio\"\ndefault_runtime = \"runc\"\n\
         [crio.runtime.runtimes.runc]\nruntime_path = \"{}\"\nruntime_root = \"{at}/run/runc\"\n\
         [crio.image]\npause_image = \"{IMAGE}\"\npause_command = \"\"\n\
         signature_policy = \"{at}/etc/containers/policy.json\"\n\
         signature_policy_dir = \"{at}/etc/crio/policies\"\n\
         [crio.network]\nnetwork_dir = \"{at}/etc/cni\"\nplugin_dirs = [\"{at}/opt/cni\"]\n\
         [crio.nri]\nenable_nri = false\n",
        socket.display(),
        pinns.display(),
        runc.display(),
    );
    put(&root.join("etc/crio.conf"), &settings)?;
    put(
        &root.join("etc/containers/policy.json"),
        &json!({"default": [{"type": "insecureAcceptAnything"}]}).to_string(),
    )?;
    put(&root.join("etc/containers/registries.conf"), "unqualified-search-registries = []\n")?;
    let mut command = Command::new(crio);
    command.arg("--config").arg(root.join("etc/crio.conf")).args(["--config-dir", ""]);
    command.env("CONTAINERS_REGISTRIES_CONF", root.join("etc/containers/registries.conf"));
    Ok(command)
}

/// CRI-O brings nothing that imports; Podman has the same storage.
fn import_with_podman(root: &Path, archive: &Path) -> Result<(), String> {
    let mut load = Command::new("podman");
    load.arg("--root").arg(root.join("var/lib/containers/storage"));
    load.arg("--runroot").arg(root.join("run/containers/storage"));
    load.args(["--storage-driver", DRIVER, "--cgroup-manager", "cgroupfs", "load", "-q", "-i"]);
    tell(load.arg(archive)).map(drop)
}
