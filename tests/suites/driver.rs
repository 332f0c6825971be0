//! The driver commands on a made-up host: its root is a folder, its programs are scripts that note how they were
//! called.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use eyas_artifact::Digest;
use eyas_tests::{Finished, Site, Stranger, run};

const RELEASE: &str = "6.1.0-10-amd64";
const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.38-2 (2023-07-27)";
const DRIVER: &str = "7.3.0+driver";
const VERIFICATION: i32 = 5;

/// A host with Debian on it, and nothing loaded.
struct Host {
    site: Site,
    repository: Stranger,
}

impl Host {
    fn new() -> Self {
        let host = Self { site: Site::new(), repository: Stranger::new() };
        host.file("root/etc/os-release", "ID=debian\nVERSION_ID=12\n");
        fs::create_dir_all(host.site.path("bin")).expect("folder");
        host.program("lsmod", "echo 'Module Size Used by'");
        for program in ["insmod", "rmmod", "chcon"] {
            host.program(program, "exit 0");
        }
        host.program("modprobe", "echo 'module not found' >&2; exit 1");
        host
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.site.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        fs::write(path, text).expect("file");
    }

    /// A program that notes its call, then does this.
    fn program(&self, name: &str, script: &str) {
        let log = self.site.path("calls").display().to_string();
        let text = format!("#!/bin/sh\necho \"{name} $*\" >> {log}\n{script}\n");
        let draft = self.site.path("draft");
        fs::write(&draft, text).expect("script");
        // Another process writes what is run, so that nobody has it open for writing.
        let target = self.site.path("bin").join(name);
        let status = Command::new("install").args(["-m", "755"]).arg(&draft).arg(target).status();
        assert!(status.expect("install runs").success());
    }

    /// Every call so far.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.site.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn run(&self, command: &[&str]) -> Finished {
        let root = self.site.path("root").display().to_string();
        let repository = format!("http://{}/driver", self.repository.host());
        let mut arguments = vec!["driver"];
        arguments.extend(command);
        arguments.extend(["--host-root", &root, "--repo", &repository, "--version", DRIVER]);
        arguments.extend(["--kernelrelease", RELEASE, "--kernelversion", VERSION]);
        let path = format!("{}:/usr/bin:/bin", self.site.path("bin").display());
        run(self.site.eyas(&arguments).env("PATH", path))
    }

    fn install(&self, more: &[&str]) -> Finished {
        self.run(&[&["install", "--type", "kmod", "--unload-timeout", "0"], more].concat())
    }

    /// Serves a driver; gives its digest in hexadecimal digits.
    fn serve(&self, module: &[u8]) -> String {
        let path = address();
        self.repository.put(&path, "application/octet-stream", module.to_vec());
        Digest::sha256(module).hex()
    }

    fn kept(&self) -> std::path::PathBuf {
        let folder = self.site.path(&format!(".falco/{DRIVER}/{}", machine()));
        folder.join(file_name())
    }

    /// Sources and headers, and a `make` that makes this module.
    fn buildable(&self, module: &[u8]) {
        self.file(&format!("root/usr/src/falco-{DRIVER}/Makefile"), "all:\n");
        fs::create_dir_all(self.site.path(&format!("root/lib/modules/{RELEASE}/build")))
            .expect("x");
        fs::write(self.site.path("made.ko"), module).expect("module");
        let made = self.site.path("made.ko").display().to_string();
        self.program("make", &format!("test -f Makefile && cp {made} falco.ko"));
    }
}

fn machine() -> &'static str {
    if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" }
}

fn file_name() -> String {
    "falco_debian_6.1.38-2-amd64_1.ko".to_owned()
}

fn address() -> String {
    format!("/driver/7.3.0%2Bdriver/{}/{}", machine(), file_name())
}

/// The first bytes of a module for this machine, and some more.
fn module() -> Vec<u8> {
    let number = if machine() == "aarch64" { 183 } else { 62 };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1];
    bytes.resize(16, 0);
    bytes.extend([1, 0, number, 0]);
    bytes.resize(4096, 7);
    bytes
}

fn loaded(calls: &[String]) -> Vec<&String> {
    calls.iter().filter(|call| call.starts_with("insmod") || call.starts_with("modprobe")).collect()
}

#[test]
fn variables_are_printed_in_their_form() {
    let host = Host::new();
    let finished = host.run(&["printenv", "--type", "kmod"]);
    finished.expect_code(0);
    let root = host.site.path("root").display().to_string();
    let expected = format!(
        "DRIVER=\"kmod\"\nDRIVERS_REPO=\"http://{}/driver\"\nDRIVER_VERSION=\"{DRIVER}\"\nDRIVER_NAME=\"falco\"\nHOST_ROOT=\"{root}\"\nTARGET_ID=\"debian\"\nARCH=\"{}\"\nKERNEL_RELEASE=\"{RELEASE}\"\nKERNEL_VERSION=\"{VERSION}\"\nFIXED_KERNEL_RELEASE=\"6.1.38-2-amd64\"\nFIXED_KERNEL_VERSION=\"1\"\n",
        host.repository.host(),
        machine()
    );
    assert_eq!(finished.stdout, expected);
    let document = host.run(&["printenv", "--type", "kmod", "--output", "json"]);
    let document: serde_json::Value = serde_json::from_str(&document.stdout).expect("JSON");
    assert_eq!(
        (&document["kind"], &document["target_id"]),
        (&"driver.printenv".into(), &"debian".into())
    );
}

#[test]
fn a_version_is_mandatory() {
    let site = Site::new();
    fs::create_dir(site.path("root")).expect("folder");
    let root = site.path("root").display().to_string();
    let arguments =
        ["driver", "printenv", "--type", "kmod", "--host-root", &root, "--name", "no-such-driver"];
    site.run(&arguments).expect_code(2).expect_stderr(&["no-such-driver", "--version"]);
    fs::create_dir_all(site.path("root/usr/src/no-such-driver-1.2.3")).expect("sources");
    let finished = site.run(&arguments);
    finished.expect_code(0);
    assert!(finished.stdout.contains("DRIVER_VERSION=\"1.2.3\""), "{}", finished.stdout);
}

#[test]
fn a_fetched_driver_is_loaded_when_its_digest_is_right() {
    let host = Host::new();
    let digest = host.serve(&module());
    host.install(&["--sha256", &digest]).expect_code(0);
    let kept = host.kept();
    assert_eq!(fs::read(&kept).expect("the driver is kept"), module());
    assert_eq!(loaded(&host.calls()), [&format!("insmod {}", kept.display())]);
    // The next time it is there already.
    let finished = host.install(&["--sha256", &digest]);
    finished.expect_code(0).expect_stderr(&["already"]);
    assert_eq!(loaded(&host.calls()).len(), 2);
}

#[test]
fn nothing_unchecked_is_loaded() {
    let host = Host::new();
    host.serve(&module());
    let other = Digest::sha256(b"other").hex();
    for (more, words) in [
        (&["--compile=false"][..], &["nothing to check it against", "--sha256", "--key"][..]),
        (&["--compile=false", "--sha256", &other], &["expected digest", &other]),
        (&["--compile=false", "--trust-checksum"], &[".sha256", "missing"]),
    ] {
        let finished = host.install(more);
        finished.expect_code(VERIFICATION).expect_stderr(words);
        assert!(!host.kept().exists(), "{more:?}: an unchecked driver was kept");
    }
    let calls = host.calls();
    assert!(!calls.iter().any(|call| call.starts_with("insmod")), "{calls:?}");
    assert!(!calls.iter().any(|call| call.starts_with("rmmod")), "the old driver went: {calls:?}");
}

#[test]
fn what_is_no_module_is_not_loaded_even_with_the_right_digest() {
    let host = Host::new();
    for (bytes, word) in [
        (b"<html>moved</html>".to_vec(), "no kernel module"),
        (
            module().into_iter().enumerate().map(|(at, b)| if at == 18 { 8 } else { b }).collect(),
            "not for",
        ),
    ] {
        let digest = host.serve(&bytes);
        let finished = host.install(&["--compile=false", "--sha256", &digest]);
        finished.expect_code(VERIFICATION).expect_stderr(&[word]);
    }
    assert!(!host.calls().iter().any(|call| call.starts_with("insmod")));
}

#[test]
fn a_signature_by_the_builder_is_enough() {
    let host = Host::new();
    host.serve(&module());
    let Some(openssl) = eyas_tests::peer("OPENSSL") else {
        eyas_tests::skip("driver::signature", "openssl is not installed");
        return;
    };
    let run = |arguments: &[&str]| {
        let status =
            Command::new(&openssl).args(arguments).current_dir(host.site.folder()).output();
        assert!(status.expect("openssl runs").status.success(), "{arguments:?}");
    };
    fs::write(host.site.path("module"), module()).expect("module");
    run(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "builder.key"]);
    run(&["ec", "-in", "builder.key", "-pubout", "-out", "builder.pub"]);
    run(&["dgst", "-sha256", "-sign", "builder.key", "-out", "module.sig", "module"]);
    let signature = fs::read(host.site.path("module.sig")).expect("signature");
    host.repository.put(&format!("{}.sig", address()), "application/octet-stream", signature);
    host.install(&["--compile=false", "--key", "signer.pub"]).expect_code(VERIFICATION);
    assert!(loaded(&host.calls()).iter().all(|call| call.starts_with("modprobe")));
    host.install(&["--compile=false", "--key", "builder.pub"]).expect_code(0);
    assert!(loaded(&host.calls()).iter().any(|call| call.starts_with("insmod")));
}

#[test]
fn a_checksum_beside_counts_only_when_asked_for() {
    let host = Host::new();
    let digest = host.serve(&module());
    let sum = format!("{digest}  {}\n", file_name());
    host.repository.put(&format!("{}.sha256", address()), "text/plain", sum.into_bytes());
    host.install(&["--compile=false"]).expect_code(VERIFICATION);
    host.install(&["--compile=false", "--trust-checksum"]).expect_code(0);
}

#[test]
fn a_driver_is_built_when_none_can_be_fetched() {
    let host = Host::new();
    host.buildable(&module());
    let finished = host.install(&[]);
    finished.expect_code(0).expect_stderr(&["nothing to check it against", "building"]);
    let calls = host.calls();
    let headers = host.site.path(&format!("root/lib/modules/{RELEASE}/build"));
    assert!(calls.contains(&format!("make KERNELDIR={}", headers.display())), "{calls:?}");
    assert_eq!(loaded(&calls), [&format!("insmod {}", host.kept().display())]);
    let folder = host.kept();
    let left = fs::read_dir(folder.parent().expect("folder")).expect("folder").count();
    assert_eq!(left, 2, "the driver and its digest, and nothing of the build");
}

#[test]
fn a_build_that_fails_says_what_the_compiler_said() {
    let host = Host::new();
    host.buildable(&module());
    host.program("make", "echo 'main.c:7: error: no such thing' >&2; exit 2");
    let finished = host.install(&[]);
    finished.expect_code(1).expect_stderr(&["main.c:7: error: no such thing", "hint"]);
    assert!(!host.calls().iter().any(|call| call.starts_with("insmod")));
}

#[test]
fn headers_are_installed_when_they_are_missing() {
    let host = Host::new();
    host.buildable(&module());
    let headers = host.site.path(&format!("root/lib/modules/{RELEASE}/build"));
    fs::remove_dir(&headers).expect("no headers");
    host.install(&["--download-headers=false"]).expect_code(1).expect_stderr(&[RELEASE, "headers"]);
    host.program("apt-get", &format!("mkdir {}", headers.display()));
    host.install(&[]).expect_code(0);
    assert!(host.calls().contains(&format!("apt-get install -y linux-headers-{RELEASE}")));
}

#[test]
fn a_module_of_the_host_is_the_last_resort() {
    let host = Host::new();
    host.program("modprobe", "exit 0");
    let finished = host.install(&["--compile=false"]);
    finished.expect_code(0).expect_stderr(&["nothing to check it against"]);
    assert_eq!(loaded(&host.calls()), ["modprobe falco"]);
    assert!(finished.stdout.contains("of the host"), "{}", finished.stdout);
}

#[test]
fn cleanup_unloads_and_removes() {
    let host = Host::new();
    host.program("lsmod", "echo 'falco 1064960 0'");
    host.program(
        "dkms",
        "[ \"$1\" = status ] && echo 'falco/7.0.0+driver, 6.1.0, x86_64: installed'; exit 0",
    );
    host.run(&["cleanup", "--type", "kmod"]).expect_code(0);
    let calls = host.calls();
    assert!(calls.contains(&"rmmod falco".to_owned()), "{calls:?}");
    assert!(calls.contains(&"dkms remove -m falco -v 7.0.0+driver --all".to_owned()), "{calls:?}");
}

#[test]
fn a_module_in_use_is_said() {
    let host = Host::new();
    host.program("lsmod", "echo 'falco 1064960 1'");
    host.program("rmmod", "echo 'Module falco is in use' >&2; exit 1");
    let finished = host.run(&["cleanup", "--type", "kmod", "--unload-timeout", "0"]);
    finished.expect_code(1).expect_stderr(&["falco", "is in use", "lsmod"]);
    let digest = host.serve(&module());
    host.install(&["--sha256", &digest]).expect_code(1);
    assert!(!host.calls().iter().any(|call| call.starts_with("insmod")));
}

#[test]
fn a_host_that_takes_no_modules_is_told_why() {
    let host = Host::new();
    host.file("root/etc/os-release", "ID=cos\nBUILD_ID=17800\n");
    let finished = host.install(&[]);
    finished.expect_code(1).expect_stderr(&["cos", "kmod", "Container-Optimized"]);
    host.file("root/etc/os-release", "ID=bottlerocket\n");
    host.install(&[]).expect_code(1).expect_stderr(&["bottlerocket", "VERSION_ID"]);
}

#[test]
fn an_unknown_distribution_builds() {
    let host = Host::new();
    fs::remove_file(host.site.path("root/etc/os-release")).expect("no description");
    let finished = host.install(&["--compile=false"]);
    finished.expect_code(1).expect_stderr(&["unknown distribution", "--compile"]);
    host.buildable(&module());
    host.install(&[]).expect_code(0);
}

#[test]
fn falco_is_told_which_driver() {
    let host = Host::new();
    let config = |more: &[&str]| {
        let falco = host.site.path("falco").display().to_string();
        let all = [&["config", "--type", "kmod", "--falco-config-dir", &falco], more].concat();
        host.run(&all)
    };
    config(&[]).expect_code(1).expect_stderr(&["falco.yaml", "--falco-config-dir"]);
    host.file("falco/falco.yaml", "engine:\n  kind: modern_ebpf\n");
    let fragment = host.site.path("falco/config.d/engine-kind-falcoctl.yaml");
    config(&["--update-falco=false"]).expect_code(0);
    assert!(!fragment.exists());
    config(&[]).expect_code(0);
    assert_eq!(text(&fragment), "engine:\n  kind: kmod\n");
    fs::remove_file(&fragment).expect("removed");
    host.file("falco/falco.yaml", "engine:\n  kind: nodriver\n");
    let finished = config(&[]);
    finished.expect_code(0);
    assert!(finished.stdout.contains("nodriver") && !fragment.exists());
    config(&["--namespace", "falco"]).expect_code(2).expect_stderr(&["--configmap"]);
}

#[test]
fn the_cluster_says_how_falco_is_configured() {
    let host = Host::new();
    let server = Stranger::new();
    let map = br#"{"data":{"falco.yaml":"engine:\n  kind: modern_ebpf\n"}}"#;
    let path = "/api/v1/namespaces/falco/configmaps/falco";
    server.put(path, "application/json", map.to_vec());
    host.file(
        "kubeconfig",
        &format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nclusters: [{{name: c, cluster: {{server: \"http://{}\"}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n",
            server.host()
        ),
    );
    let falco = host.site.path("falco").display().to_string();
    let arguments = |name: &'static str| {
        [
            "config",
            "--type",
            "kmod",
            "--namespace",
            "falco",
            "--configmap",
            name,
            "--kubeconfig",
            "kubeconfig",
        ]
    };
    let finished = host.run(&[&arguments("falco")[..], &["--falco-config-dir", &falco]].concat());
    finished.expect_code(0);
    let fragment = host.site.path("falco/config.d/engine-kind-falcoctl.yaml");
    assert_eq!(text(&fragment), "engine:\n  kind: kmod\n");
    let missing = host.run(&[&arguments("other")[..], &["--falco-config-dir", &falco]].concat());
    missing.expect_code(4).expect_stderr(&["`other`", "`falco`"]);
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
