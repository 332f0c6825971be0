//! Real containers, on the live kernel: who is in one, and who only looks like it.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use eyas_tests::programs::shared;
use eyas_tests::{Sensor, kernel_gate, skip};
use serde_json::{Value, json};

const RULE: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
                    proc.args contains eyas-container-test\n  output: \"%proc.cmdline %container.id \
                    %container.full_id %container.name %container.type %container.privileged \
                    %container.mount.dest[/etc] %proc.pcmdline\"\n  priority: NOTICE\n";
const BUSYBOX: &str = "/bin/busybox";
/// Names under which the containers' image has busybox, so that rules about programs have something to
/// see; most are none of its own.
const NAMES: [&str; 19] = [
    "sh", "nc", "wget", "mount", "ash", "true", "sleep", "cp", "tar", "unshare", "arping", "nmap",
    "apk", "scp", "debugfs", "crontab", "cat", "ip", "insmod",
];

/// A bundle of busybox for a low-level runtime.
fn bundle(folder: &Path, words: &[&str]) -> PathBuf {
    let bundle = folder.join("bundle");
    fs::create_dir_all(bundle.join("rootfs/bin")).expect("a root");
    fs::create_dir_all(bundle.join("rootfs/etc")).expect("a root");
    let made = Command::new("install").arg(BUSYBOX).arg(bundle.join("rootfs/bin/busybox")).status();
    assert!(made.is_ok_and(|status| status.success()));
    let done = Command::new("runc").args(["spec", "-b"]).arg(&bundle).status();
    assert!(done.is_ok_and(|status| status.success()));
    let file = bundle.join("config.json");
    let mut spec: Value =
        serde_json::from_slice(&fs::read(&file).expect("a specification")).expect("JSON");
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!([&["/bin/busybox"], words].concat());
    // Limits that an unprivileged machine may not set.
    spec["process"]["rlimits"] = json!([]);
    spec["linux"]["resources"] = json!({});
    let mounts = spec["mounts"].as_array_mut().expect("mounts");
    let bind =
        json!({"type": "bind", "source": "/etc", "destination": "/etc", "options": ["bind", "ro"]});
    mounts.push(bind);
    fs::write(file, spec.to_string()).expect("a specification");
    bundle
}

fn sensor(folder: &Path) -> Sensor {
    let rules = folder.join("rules.yaml");
    fs::write(&rules, RULE).expect("rules");
    let rules = rules.display().to_string();
    Sensor::start(&folder.join("store"), folder, &["-o", "control.group=null", "-r", &rules])
}

#[test]
fn the_first_alert_of_a_container_carries_what_its_runtime_knows() {
    let name = "the_first_alert_of_a_container_carries_what_its_runtime_knows";
    if !kernel_gate(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    if !Path::new(BUSYBOX).exists() || Command::new("runc").arg("--version").output().is_err() {
        skip(name, "runc and a static busybox are needed");
        return;
    }
    // It stays for a moment: what its runtime knows is read from files that go when it ends.
    let script = "busybox echo eyas-container-test && busybox sleep 3";
    let bundle = bundle(folder.path(), &["sh", "-c", script]);
    let id = format!("eyas-test-{}", std::process::id());
    let sensor = sensor(folder.path());
    let ran =
        Command::new("runc").args(["run", "-b"]).arg(&bundle).arg(&id).output().expect("runc");
    if !ran.status.success() {
        skip(name, &format!("runc cannot run here: {}", String::from_utf8_lossy(&ran.stderr)));
        return;
    }
    let alert = sensor.expect_alert("ran", "eyas-container-test");
    let fields = &alert["output_fields"];
    assert_eq!(fields["container.full_id"], id.as_str(), "{alert}");
    assert_eq!(fields["container.name"], id.as_str());
    assert_eq!(fields["container.type"], "runc");
    assert_eq!(fields["container.privileged"], false);
    assert_eq!(fields["container.mount.dest[/etc]"], "/etc");
    // The same program on the host is on the host.
    let host = Command::new(BUSYBOX).args(["echo", "eyas-container-test", "host"]).status();
    assert!(host.is_ok_and(|status| status.success()));
    let alert = sensor.expect_alert("ran", "eyas-container-test host");
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn what_is_known_of_a_container_survives_a_reload() {
    let name = "what_is_known_of_a_container_survives_a_reload";
    if !kernel_gate(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    if !Path::new(BUSYBOX).exists() || Command::new("runc").arg("--version").output().is_err() {
        return skip(name, "runc and a static busybox are needed");
    }
    // It goes on when it is told, and stays until all is given back.
    let script = "/bin/busybox echo eyas-container-test before; read go; \
                  /bin/busybox echo eyas-container-test after; read end";
    let bundle = bundle(folder.path(), &["sh", "-c", script]);
    let id = format!("eyas-kept-{}", std::process::id());
    let sensor = sensor(folder.path());
    let mut runs = Command::new("runc")
        .args(["run", "-b"])
        .arg(&bundle)
        .arg(&id)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runc");
    let echo = |when: &str| format!("busybox echo eyas-container-test {when}");
    if sensor.alert_within("ran", &echo("before"), Duration::from_secs(10)).is_none() {
        let _ = runs.kill();
        let said = runs.wait_with_output().expect("an end").stderr;
        return skip(name, &format!("runc cannot run here: {}", String::from_utf8_lossy(&said)));
    }
    // Whoever asks again learns nothing.
    let state = Path::new("/run/runc").join(&id).join("state.json");
    let taken = [(state.clone(), state.with_extension("taken")), {
        let spec = bundle.join("config.json");
        (spec.clone(), spec.with_extension("taken"))
    }];
    for (there, away) in &taken {
        fs::rename(there, away).expect("it is taken away");
    }
    fs::write(folder.path().join("rules.yaml"), RULE.replace("rule: ran", "rule: ran again"))
        .expect("rules");
    // The new rules are in force once the host's own processes are told by them.
    let told = (0..300).any(|_| {
        let _ = Command::new(BUSYBOX).args(["echo", "eyas-container-test", "host"]).output();
        sensor.alert_within("ran again", &echo("host"), Duration::from_millis(100)).is_some()
    });
    assert!(told, "{}", sensor.log());
    let mut stdin = runs.stdin.take().expect("piped");
    stdin.write_all(b"go\n").expect("it goes on");
    let alert = sensor.expect_alert("ran again", &echo("after"));
    for (there, away) in &taken {
        fs::rename(away, there).expect("it is given back");
    }
    drop(stdin);
    let _ = runs.wait().expect("an end");
    let fields = &alert["output_fields"];
    assert_eq!(fields["container.full_id"], id.as_str(), "{alert}");
    assert_eq!(fields["container.name"], id.as_str(), "{alert}");
    assert_eq!(fields["container.type"], "runc", "{alert}");
    assert_eq!(fields["container.mount.dest[/etc]"], "/etc", "{alert}");
    let parent = fields["proc.pcmdline"].as_str().unwrap_or_default();
    assert!(parent.contains("sh -c /bin/busybox echo"), "{alert}");
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn an_ordinary_process_in_an_odd_control_group_is_on_the_host() {
    let name = "an_ordinary_process_in_an_odd_control_group_is_on_the_host";
    if !kernel_gate(name) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let base = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"]
        .into_iter()
        .find(|base| Path::new(base).join("cgroup.procs").exists());
    let id = format!("{:064x}", std::process::id());
    let group = base.map(|base| Path::new(base).join(format!("docker-{id}.scope")));
    let Some(group) = group.filter(|group| fs::create_dir(group).is_ok()) else {
        skip(name, "control groups cannot be made here");
        return;
    };
    let sensor = sensor(folder.path());
    let script =
        format!("echo $$ > {}/cgroup.procs && exec /bin/echo eyas-container-test", group.display());
    let ran = Command::new("sh").args(["-c", &script]).status().expect("sh");
    let moved = ran.success();
    let alert = sensor.alert_within("ran", "echo", Duration::from_secs(30));
    let removed = fs::remove_dir(&group);
    if !moved {
        skip(name, "processes cannot be moved to control groups here");
        return;
    }
    let alert = alert.expect("an alert");
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    assert!(removed.is_ok(), "{removed:?}");
    assert_eq!(sensor.stop(), 0);
}

/// Programs that run containers, with all their state below one folder, which stands for the host's root.
mod engines {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Output, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use eyas_tests::modest_runc;

    use super::BUSYBOX;

    /// How long a service may take to be there, and one command to end.
    const PATIENCE: Duration = Duration::from_mins(1);
    /// Image that all containers here run.
    pub(super) const IMAGE: &str = "localhost/eyas-test:1";

    /// A service, ended on drop.
    struct Service(Child);

    impl Drop for Service {
        fn drop(&mut self) {
            let id = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
            let _ = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM));
            let end = Instant::now() + Duration::from_secs(15);
            while self.0.try_wait().is_ok_and(|status| status.is_none()) && Instant::now() < end {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// What runs here, and how a container is started with it.
    pub(super) struct Engine {
        pub(super) root: PathBuf,
        command: Vec<String>,
        /// In the order in which they end.
        _services: Vec<Service>,
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Runs a command to its end, within the time.
    fn run(command: &[String]) -> Result<Output, String> {
        let limit = PATIENCE.as_secs().to_string();
        let output = Command::new("timeout")
            .arg(limit)
            .args(command)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(format!("`{}`: {said}", command.join(" ")))
    }

    fn service(root: &Path, command: &str, socket: &Path) -> Result<Service, String> {
        let command = words(command);
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let name = Path::new(program).file_name().unwrap_or_default();
        let log = root.join(name).with_extension("log");
        let log = fs::File::create(log).map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("`{program}`: {error}"))?;
        let mut service = Service(child);
        let start = Instant::now();
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            let ended = service.0.try_wait().map_err(|error| error.to_string())?;
            if let Some(status) = ended {
                return Err(format!("`{program}` ended with {status}"));
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("`{program}` does not listen"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(service)
    }

    impl Engine {
        fn prepare(root: &Path) -> Result<(PathBuf, PathBuf), String> {
            let failed = |error: std::io::Error| error.to_string();
            for folder in ["run/containerd", "var/run", "image/bin", "image/etc"] {
                fs::create_dir_all(root.join(folder)).map_err(failed)?;
            }
            symlink("/proc", root.join("proc")).map_err(failed)?;
            fs::copy(BUSYBOX, root.join("image/bin/busybox")).map_err(failed)?;
            for name in super::NAMES {
                symlink("busybox", root.join("image/bin").join(name)).map_err(failed)?;
            }
            let users = "root:x:0:0:root:/root:/bin/sh\nworker:x:4711:4711::/work:/bin/ash\n";
            fs::write(root.join("image/etc/passwd"), users).map_err(failed)?;
            fs::write(root.join("image/etc/group"), "workers:x:4711:\n").map_err(failed)?;
            let archive = root.join("image.tar");
            let folder = root.join("image");
            run(&words(&format!("tar -C {} -cf {} .", folder.display(), archive.display())))?;
            Ok((root.to_path_buf(), archive))
        }

        fn containerd(root: &Path) -> Result<Service, String> {
            let at = root.display();
            let socket = root.join("run/containerd/containerd.sock");
            let command = format!(
                "containerd --root {at}/var/lib/containerd --state {at}/run/containerd --address {}",
                socket.display()
            );
            service(root, &command, &socket)
        }

        /// Docker on a containerd of its own, without networks.
        pub(super) fn docker(root: &Path) -> Result<Self, String> {
            let (root, archive) = Self::prepare(root)?;
            let containerd = Self::containerd(&root)?;
            let at = root.display();
            let socket = root.join("var/run/docker.sock");
            let runc = modest_runc(&root.join("bin"))?;
            let command = format!(
                "dockerd --data-root {at}/var/lib/docker --exec-root {at}/run/docker -H unix://{} \
                 --containerd {at}/run/containerd/containerd.sock --bridge=none --iptables=false \
                 --pidfile {at}/docker.pid --add-runtime modest={} --default-runtime modest",
                socket.display(),
                runc.display()
            );
            let docker = service(&root, &command, &socket)?;
            let command = words(&format!("docker -H unix://{}", socket.display()));
            let import = words(&format!("import {} {IMAGE}", archive.display()));
            run(&[command.clone(), import].concat())?;
            Ok(Self { root, command, _services: vec![docker, containerd] })
        }

        /// Podman by itself.
        pub(super) fn podman(root: &Path) -> Result<Self, String> {
            let (root, archive) = Self::prepare(root)?;
            let at = root.display();
            let command = words(&format!(
                "podman --root {at}/var/lib/containers/storage --runroot {at}/run/containers/storage \
                 --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime runc"
            ));
            let import = words(&format!("import -q {} {IMAGE}", archive.display()));
            run(&[command.clone(), import].concat())?;
            Ok(Self { root, command, _services: vec![] })
        }

        /// Whether images lie in overlays.
        pub(super) fn has_overlays(&self) -> bool {
            self.root.join("var/lib/docker/overlay2").exists()
        }

        /// Runs a script in a new container and waits for its end.
        pub(super) fn run(&self, name: &str, flags: &str, script: &str) -> Result<(), String> {
            let flags = format!("run --rm --network none --name {name} {flags} {IMAGE}");
            let script = ["/bin/sh", "-c", script].map(str::to_owned);
            run(&[self.command.clone(), words(&flags), script.to_vec()].concat()).map(drop)
        }
    }
}

const ENGINE_RULE: &str = "- rule: ran\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS \
    and container.id != host and proc.args contains eyas-container-test\n  output: \"%proc.cmdline \
    %container.id %container.full_id %container.name %container.type %container.image.repository \
    %container.image.tag %container.privileged %container.mount.dest[/etc] %user.name %group.name\"\n  \
    priority: NOTICE\n\
    - rule: overseer\n  desc: d\n  condition: evt.type = execve and evt.res = SUCCESS and \
    proc.name in (conmon, containerd-shim)\n  output: \"%proc.name %container.id\"\n  priority: DEBUG\n";
/// Limits that this machine may not raise.
const LIMITS: &str = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000";

/// An engine that can run containers here; says aloud why not.
fn engine(
    name: &str,
    folder: &Path,
    start: impl FnOnce(&Path) -> Result<engines::Engine, String>,
) -> Option<engines::Engine> {
    if !kernel_gate(name) {
        return None;
    }
    if !Path::new(BUSYBOX).exists() {
        skip(name, "a static busybox is needed");
        return None;
    }
    let started = start(folder).and_then(|engine| {
        engine.run("eyas-first", LIMITS, "true")?;
        Ok(engine)
    });
    started.inspect_err(|why| skip(name, &format!("containers cannot run here: {why}"))).ok()
}

fn sensor_below(root: &Path, rules: &[PathBuf], more: &[&str]) -> Sensor {
    let root_setting = format!("containers.host_root={}", root.display());
    let rules: Vec<String> = rules.iter().map(|path| path.display().to_string()).collect();
    let mut arguments = vec!["-o", "control.group=null", "-o", "rule_matching=all"];
    arguments.extend(["-o", &root_setting]);
    arguments.extend(more);
    for path in &rules {
        arguments.extend(["-r", path]);
    }
    Sensor::start(&root.join("store"), root, &arguments)
}

/// One engine: the first alert of its containers says everything, users are the container's own, and
/// those who look after containers are in none.
fn check_engine(
    name: &str,
    kind: &str,
    overseer: &str,
    start: impl FnOnce(&Path) -> Result<engines::Engine, String>,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(engine) = engine(name, folder.path(), start) else { return };
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, ENGINE_RULE).expect("rules");
    let sensor = sensor_below(&engine.root, &[rules], &[]);
    let script = "/bin/busybox echo eyas-container-test; sleep 3";
    let flags = format!("{LIMITS} --user 4711:4711 -v /etc:/hostetc:ro");
    engine.run("eyas-web", &flags, script).expect("a container");
    let alert = sensor.expect_alert("overseer", overseer);
    assert_eq!(alert["output_fields"]["container.id"], "host", "{alert}");
    // The shell's own arguments have the words too: its alert is the first of the container.
    for words in ["-c", "echo eyas-container-test"] {
        let alert = sensor.expect_alert("ran", words);
        let fields = &alert["output_fields"];
        assert_eq!(fields["container.name"], "eyas-web", "{alert}");
        assert_eq!(fields["container.type"], kind, "{alert}");
        assert_eq!(fields["container.image.repository"], "localhost/eyas-test", "{alert}");
        assert_eq!(fields["container.image.tag"], "1", "{alert}");
        assert_eq!(fields["container.privileged"], false, "{alert}");
        assert_eq!(fields["container.mount.dest[/etc]"], "/hostetc", "{alert}");
        assert_eq!(fields["user.name"], "worker", "{alert}");
        assert_eq!(fields["group.name"], "workers", "{alert}");
        assert_eq!(fields["container.full_id"].as_str().map(str::len), Some(64), "{alert}");
    }
    match engine.run("eyas-power", &format!("{LIMITS} --privileged"), script) {
        Ok(()) => {
            let alert = sensor.expect_alert("ran", "eyas-power");
            assert_eq!(alert["output_fields"]["container.privileged"], true, "{alert}");
        }
        Err(why) => skip(name, &format!("privileged containers cannot run here: {why}")),
    }
    assert_eq!(sensor.stop(), 0);
}

#[test]
fn docker_containers_are_known_by_their_first_alert() {
    let name = "docker_containers_are_known_by_their_first_alert";
    check_engine(name, "docker", "containerd-shim", engines::Engine::docker);
}

#[test]
fn podman_containers_are_known_by_their_first_alert() {
    let name = "podman_containers_are_known_by_their_first_alert";
    check_engine(name, "podman", "conmon", engines::Engine::podman);
}

/// What is done in a container (programs by their paths, for busybox's shell would run its own without
/// starting any), with which flags it is started, and the public rule that is for it.
const DONE: [(&str, &str, &str); 20] = [
    ("Netcat Remote Code Execution in Container", "", "/bin/nc -e /bin/true 127.0.0.1 9"),
    ("Launch Suspicious Network Tool in Container", "", "nmap"),
    ("Launch Package Management Process in Container", "", "apk"),
    ("Launch Remote File Copy Tools in Container", "", "scp"),
    ("Launch Ingress Remote File Copy Tools in Container", "", "/bin/wget http://127.0.0.1:9/"),
    ("Packet socket created in container", "", "arping -c 1 -w 1 -I lo 127.0.0.1"),
    (
        "Redirect STDOUT/STDIN to Network Connection in Container",
        "",
        "nc -l -p 7777 -e /bin/true & sleep 0.5; nc 127.0.0.1 7777 </dev/null",
    ),
    ("Drop and execute new binary in container", "", "cp /bin/busybox /dropped; /dropped true"),
    ("Change namespace privileges via unshare", "", "unshare -m true"),
    ("Launch Privileged Container", "--privileged", "true"),
    ("Launch Excessively Capable Container", "--cap-add SYS_ADMIN", "true"),
    ("Debugfs Launched in Privileged Container", "--privileged", "debugfs"),
    ("Mount Launched in Privileged Container", "--privileged", "/bin/mount -t tmpfs x /etc"),
    ("Detect release_agent File Container Escapes", "--cap-add SYS_ADMIN", ": > /release_agent"),
    ("Linux Kernel Module Injection Detected", "--cap-add SYS_MODULE", "/bin/insmod /bin/busybox"),
    ("Terminal shell in container", "-t", "true"),
    ("Read environment variable from /proc files", "", "cat /proc/self/environ"),
    (
        "Contact EC2 Instance Metadata Service From Container",
        "--cap-add NET_ADMIN",
        "/bin/ip addr add 169.254.169.254/32 dev lo; nc -l -p 80 & sleep 0.5; nc 169.254.169.254 80 </dev/null",
    ),
    (
        "Contact cloud metadata service from container",
        "--cap-add NET_ADMIN",
        "/bin/ip addr add 169.254.169.254/32 dev lo; nc -l -p 80 & sleep 0.5; nc 169.254.169.254 80 </dev/null",
    ),
    // Gone before anybody can look at it: what it is told by is what the kernel said.
    (
        "Exfiltrating Artifacts via Kubernetes Control Plane",
        "",
        "exec /bin/tar -c -f /dev/null /bin/busybox",
    ),
];

/// The rule whose alert ends the wait for others.
const LAST: &str = "Schedule Cron Jobs";
/// What is done on the host, and no rule for containers may report.
const ON_HOST: [&[&str]; 6] = [
    &["nmap"],
    &["apk"],
    &["scp"],
    &["debugfs"],
    &["nc", "-e", "/bin/true", "127.0.0.1", "9"],
    &["wget", "http://127.0.0.1:9/"],
];

/// The rules about containers that are performed with their condition about containers taken as true.
#[path = "performed/rows.rs"]
#[expect(dead_code, reason = "only names are needed here")]
mod rows;

#[test]
fn every_public_rule_about_containers_that_can_be_performed_is_done_in_one() {
    let about = rows::UPSTREAM.iter().filter(|row| row.world == rows::Where::Container);
    let missing: Vec<&str> = about
        .map(|row| row.rule)
        .filter(|rule| DONE.iter().all(|(done, ..)| done != rule))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn public_container_rules_fire_in_containers_and_not_on_the_host() {
    let name = "public_container_rules_fire_in_containers_and_not_on_the_host";
    let Some(files) = shared("upstream-rules") else {
        return skip(name, "the public rules are not here");
    };
    let folder = tempfile::tempdir().expect("a folder");
    let Some(engine) = engine(name, folder.path(), engines::Engine::docker) else { return };
    let rules = ["falco_rules.yaml", "falco-incubating_rules.yaml"].map(|file| files.join(file));
    // Only these: a busy host gives the others much to say.
    let names = DONE.iter().map(|(rule, ..)| *rule).chain([LAST]);
    let enabled: Vec<String> =
        names.map(|rule| format!("{{enable: {{rule: \"{rule}\"}}}}")).collect();
    let chosen = format!("rules=[{{disable: {{rule: \"*\"}}}}, {}]", enabled.join(", "));
    let sensor = sensor_below(&engine.root, &rules, &["-o", &chosen]);
    let mut silent = Vec::new();
    for (place, (rule, flags, script)) in DONE.into_iter().enumerate() {
        // Most of what is done fails, which is not what the rules are about. The container stays until
        // its runtime's files are read.
        let script = format!("{script}; /bin/sleep 1");
        let ran = engine.run(&format!("eyas-{place}"), &format!("{LIMITS} {flags}"), &script);
        if let Err(why) = ran {
            // Not every machine may hand out every right.
            assert!(!flags.is_empty(), "{rule}: {why}");
            skip(name, &format!("`{rule}` cannot be performed here: {why}"));
            continue;
        }
        match sensor.alert_within(rule, "", Duration::from_secs(10)) {
            Some(alert) => assert_ne!(alert["output_fields"]["container.id"], "host", "{alert}"),
            None => silent.push(rule),
        }
    }
    // Whether files of an image are told from new ones takes overlays, which may not be had here.
    silent.retain(|rule| !rule.starts_with("Drop and execute") || engine.has_overlays());
    assert_eq!(silent, Vec::<&str>::new(), "performed in containers and not reported");
    let bin = engine.root.join("image/bin");
    for command in ON_HOST.iter().chain([&["crontab", "-l"].as_slice()]) {
        let (program, arguments) = command.split_first().expect("a program");
        // Most of it fails, which is not what the rules are about.
        let done = Command::new(bin.join(program)).args(arguments).output();
        assert!(done.is_ok(), "{program}");
    }
    let mut on_host = Vec::new();
    let ended = loop {
        let Some(alert) = sensor.next_within(Duration::from_secs(30)) else {
            break false;
        };
        if alert["rule"] == LAST {
            break true;
        }
        if alert["output_fields"]["container.id"] == "host" {
            on_host.push(alert);
        }
    };
    assert!(ended, "no alert `{LAST}`: {}", sensor.log());
    assert_eq!(on_host, Vec::<Value>::new(), "rules for containers about the host");
    assert_eq!(sensor.stop(), 0);
}
