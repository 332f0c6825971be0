//! Bars of the way to registries: retries, stalls, resumption, credentials.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eyas_tests::registry::free_address;
use eyas_tests::{
    Between, Fate, Finished, Registry, Seen, Site, eyas, marker_rule, noise, peer, run, skip,
};

/// `me` with the password `s3cret pass`, as `htpasswd -B` writes it.
const USERS: &str = "me:$2b$04$7MQPqs1s5lpKu.tfSFRXwu4Qe1jaipTKWDAR7h8j1wbMeoIITbYOG\n";
const PASSWORD: &str = "s3cret pass";

fn rules() -> String {
    marker_rule("Marker opened", "/eyas/test/marker")
}

/// A host with version 1.0.0 of `team/demo-rules` in this registry.
fn published(registry: &Registry) -> Site {
    let site = Site::new();
    site.publish(registry, "1.0.0", None, &[("demo.yaml", &rules())]);
    site
}

fn install(site: &Site, reference: &str) -> Finished {
    let socket = ["--sensor-socket", "control.sock"];
    let command = ["artifact", "install", reference, "--no-verify", "--plain-http"];
    site.run(&[&command[..], &socket[..]].concat())
}

fn is_installed(site: &Site) -> bool {
    let file = site.store().join("current/rules/demo-rules/demo.yaml");
    fs::read_to_string(file).is_ok_and(|text| text == rules())
}

#[test]
fn bar_23_a_registry_that_is_busy_is_asked_again() {
    let registry = Registry::embedded();
    let site = published(&registry);
    // Every address refuses twice, in three ways, before it answers.
    let between = Between::before(&registry.host(), |seen, before| match before {
        0 if seen.line.contains("/blobs/") => Fate::Refuse(500, ""),
        0 => Fate::Refuse(429, "retry-after: 0\r\n"),
        1 => Fate::Refuse(503, "retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n"),
        _ => Fate::Pass,
    });
    let reference = format!("{}/team/demo-rules:1.0.0", between.host());
    install(&site, &reference).expect_code(0).expect_stderr(&["trying again in"]);
    assert!(is_installed(&site));
}

#[test]
fn bar_23_a_registry_that_stays_busy_is_given_up() {
    let registry = Registry::embedded();
    let site = published(&registry);
    for (status, headers, requests) in [
        (503, "", 5),
        (429, "retry-after: 0\r\n", 5),
        // Longer than anybody waits: said at once.
        (429, "retry-after: 3600\r\n", 1),
        (404, "", 1),
    ] {
        let between = Between::before(&registry.host(), move |_, _| Fate::Refuse(status, headers));
        let reference = format!("{}/team/demo-rules:1.0.0", between.host());
        let finished = install(&site, &reference);
        finished.expect_code(if status == 404 { 3 } else { 4 });
        assert_eq!(between.take().len(), requests, "{status} {headers}: {}", finished.stderr);
        assert!(!is_installed(&site));
    }
}

fn is_layer(seen: &Seen, size: u64) -> bool {
    // The layer is the larger of the two blobs: it alone is asked for in parts, or spoiled.
    seen.line.contains("/blobs/") && size > 0
}

#[test]
fn bar_24_a_transfer_that_stalls_goes_on_where_it_stopped() {
    let registry = Registry::embedded();
    let site = published(&registry);
    fs::write(site.path("eyas.yaml"), "registry: {timeouts: {stall: 1s}}\n").expect("written");
    for spoil in [Fate::Stall(40), Fate::Cut(40)] {
        let rule = spoil.clone();
        let between = Between::before(&registry.host(), move |seen, before| {
            if is_layer(seen, 1) && before == 0 { rule.clone() } else { Fate::Pass }
        });
        let reference = format!("{}/team/demo-rules:1.0.0", between.host());
        let fresh = Site::new();
        fs::copy(site.path("eyas.yaml"), fresh.path("eyas.yaml")).expect("copied");
        install(&fresh, &reference).expect_code(0).expect_stderr(&["goes on at byte 40"]);
        assert!(is_installed(&fresh), "{spoil:?}");
        let seen = between.take();
        let part = |seen: &Seen| seen.headers.iter().any(|header| header == "range: bytes=40-");
        assert!(seen.iter().any(part), "{spoil:?}: {seen:?}");
    }
}

#[test]
fn bar_24_a_transfer_that_never_moves_ends() {
    let registry = Registry::embedded();
    let site = published(&registry);
    fs::write(site.path("eyas.yaml"), "registry: {timeouts: {stall: 100ms}}\n").expect("written");
    let between = Between::before(&registry.host(), |seen, _| {
        if is_layer(seen, 1) { Fate::Stall(0) } else { Fate::Pass }
    });
    let reference = format!("{}/team/demo-rules:1.0.0", between.host());
    install(&site, &reference).expect_code(4).expect_stderr(&["stalled"]);
    assert!(!is_installed(&site));
}

#[test]
fn an_artifact_takes_three_requests_and_nothing_new_takes_one() {
    let registry = Registry::embedded();
    let site = published(&registry);
    let between = Between::before(&registry.host(), |_, _| Fate::Pass);
    let reference = format!("{}/team/demo-rules:1.0.0", between.host());
    install(&site, &reference).expect_code(0);
    let cold = between.take();
    assert!(cold.len() <= 3, "{cold:#?}");
    install(&site, &reference).expect_code(0);
    let again = between.take();
    assert_eq!(again.len(), 1, "{again:#?}");
    assert!(again[0].line.starts_with("HEAD "), "without a body: {again:#?}");
}

#[test]
fn nothing_new_is_looked_at_anew_when_what_decides_has_changed() {
    let (registry, site) = (Registry::embedded(), Site::new());
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules())]);
    let between = Between::before(&registry.host(), |_, _| Fate::Pass);
    let reference = format!("{}/team/demo-rules:1.0.0", between.host());
    let rule = |keys: &str| {
        site.write_policy(&format!(
            "version: 1\nrules:\n  - match: '{}/**'\n    accept: [{keys}]\n",
            between.host()
        ));
    };
    let install = |more: &[&str]| {
        let arguments = site.install_arguments(&["install", &reference]);
        let finished = site.run(&[&arguments[..], more].concat());
        (finished, between.take())
    };
    site.keygen("other");
    rule("key: {file: signer.pub}");
    let (first, _) = install(&[]);
    first.expect_code(0);
    let (again, asked) = install(&[]);
    again.expect_code(0);
    assert!(again.stdout.contains("unchanged demo-rules 1.0.0"), "{}", again.stdout);
    assert_eq!(asked.len(), 1, "{asked:#?}");
    // That another kind is allowed now counts.
    install(&["--allowed-types", "plugin"]).0.expect_code(5);
    // So does the rule: whoever signed it is trusted no more.
    rule("key: {file: other.pub}");
    let (refused, asked) = install(&[]);
    refused.expect_code(5);
    assert!(asked.len() > 1, "{asked:#?}");
    rule("{key: {file: other.pub}}, {key: {file: signer.pub}}");
    install(&[]).0.expect_code(0);
    assert_eq!(site.generation()["number"], 1);
    // And a file that was changed is put right although nothing is fetched.
    let file = site.store().join("current/rules/demo-rules/demo.yaml");
    let before = fs::read(&file).expect("installed");
    fs::remove_file(&file).expect("removed");
    let (repaired, asked) = install(&[]);
    repaired.expect_code(0);
    assert!(
        asked.len() > 1,
        "the generation remembers the rule that accepted it first: {asked:#?}"
    );
    assert_eq!(fs::read(&file).expect("put right"), before);
}

/// Pushes an asset with this content; gives its path in the registry.
fn asset(site: &Site, registry: &Registry, name: &str, content: &str) -> String {
    fs::write(site.path("content.txt"), content).expect("written");
    let reference = registry.reference(&format!("team/{name}:1.0.0"));
    let push = ["registry", "push", &reference, "content.txt", "--type", "asset"];
    site.run(&[&push[..], &["--version", "1.0.0", "--plain-http"]].concat()).expect_code(0);
    format!("team/{name}:1.0.0")
}

fn install_both(site: &Site, between: &Between, paths: &[String; 2]) {
    let references = paths.each_ref().map(|path| format!("{}/{path}", between.host()));
    let words = ["install", &references[0], &references[1], "--no-verify"];
    site.run(&site.install_arguments(&words)).expect_code(0);
    assert_eq!(site.generation()["entries"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_archive_that_two_artifacts_share_is_fetched_once() {
    let (registry, site) = (Registry::embedded(), Site::new());
    let paths = ["one", "two"].map(|name| asset(&site, &registry, name, &noise(100_000)));
    let between = Between::before(&registry.host(), |_, _| Fate::Pass);
    install_both(&site, &between, &paths);
    let digest = site.generation()["entries"][0]["layer_digest"].clone();
    let digest = digest.as_str().expect("a digest");
    let fetched = between.take().into_iter().filter(|seen| seen.line.ends_with(digest)).count();
    assert_eq!(fetched, 1);
}

#[test]
fn several_archives_are_fetched_at_once() {
    let (registry, site) = (Registry::embedded(), Site::new());
    let paths = ["one", "two"].map(|name| asset(&site, &registry, name, &(noise(100_000) + name)));
    // Whoever asks for one of them is answered when both were asked for, or after a while.
    let (asked, met) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let both = Arc::clone(&met);
    let between = Between::before(&registry.host(), move |seen, _| {
        let is_large =
            seen.line.contains("/blobs/") && !seen.headers.iter().any(|h| h.starts_with("range"));
        // The descriptions are asked for first, one after the other.
        if is_large && asked.fetch_add(1, Ordering::SeqCst) >= 2 {
            for _ in 0..200 {
                if asked.load(Ordering::SeqCst) == 4 {
                    both.store(true, Ordering::SeqCst);
                    break;
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Fate::Pass
    });
    install_both(&site, &between, &paths);
    assert!(met.load(Ordering::SeqCst), "the second was asked for only when the first was there");
}

/// A program that listens, stopped when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command, address: &str) -> Running {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("started"));
    let begin = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody listens on {address}");
        thread::sleep(Duration::from_millis(20));
    }
    running
}

fn guarded_registry(folder: &Path, tls: bool) -> (Running, u16) {
    let address = free_address();
    fs::write(folder.join("users"), USERS).expect("written");
    let mut command = Command::new(eyas());
    command.args(["registry", "serve"]).arg(folder.join("layout"));
    command.args(["--listen", &address.to_string(), "--user-file"]).arg(folder.join("users"));
    if tls {
        command.arg("--tls-cert").arg(folder.join("cert.pem"));
        command.arg("--tls-key").arg(folder.join("key.pem"));
    }
    (start(&mut command, &address.to_string()), address.port())
}

fn with_input(command: &mut Command, input: &str) -> Finished {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("started");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Finished { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn push(site: &Site, reference: &str, transport: &[&str]) -> Finished {
    fs::write(site.path("demo.yaml"), rules()).expect("written");
    let command =
        ["registry", "push", reference, "demo.yaml", "--type", "rulesfile", "--version", "1.0.0"];
    site.run(&[&command[..], transport].concat())
}

#[test]
fn bar_31_a_login_works_without_tls() {
    let site = Site::new();
    let (_registry, port) = guarded_registry(site.folder(), false);
    let host = format!("127.0.0.1:{port}");
    let reference = format!("{host}/team/demo-rules:1.0.0");
    push(&site, &reference, &["--plain-http"]).expect_code(4).expect_stderr(&["registry auth"]);
    let login =
        ["registry", "auth", "basic", &host, "-u", "me", "--password-stdin", "--plain-http"];
    let wrong = with_input(&mut site.eyas(&login), "wrong\n");
    assert_eq!(wrong.code(), 4, "{wrong:?}");
    assert!(!site.path(".docker/config.json").exists(), "what is wrong is not kept");
    with_input(&mut site.eyas(&login), &format!("{PASSWORD}\n")).expect_code(0);
    push(&site, &reference, &["--plain-http"]).expect_code(0);
    install(&site, &reference).expect_code(0);
    site.run(&["registry", "logout", &host]).expect_code(0);
    install(&Site::new(), &reference).expect_code(4);
    // The same from the configuration alone: nothing is written for it.
    let other = Site::new();
    let text = format!(
        "registry:\n  plainHttp: true\n  auth:\n    basic:\n      - {{registry: '{host}', user: me, password: {PASSWORD}}}\n"
    );
    fs::write(other.path("eyas.yaml"), text).expect("written");
    install(&other, &reference).expect_code(0);
    assert!(!other.path(".docker").exists());
    // And from variables, as a chart gives them.
    let third = Site::new();
    let mut command = third.eyas(&["artifact", "info", &reference, "--plain-http"]);
    command.env("FALCOCTL_REGISTRY_AUTH_BASIC", format!("{host},me,{PASSWORD}"));
    run(&mut command).expect_code(0);
}

/// A certificate for `localhost` and its key in `folder`, if `openssl` is there.
fn certificate(folder: &Path) -> bool {
    let Some(openssl) = peer("OPENSSL") else { return false };
    let mut command = Command::new(openssl);
    command.current_dir(folder).args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    command.args([
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]);
    command.args(["-addext", "subjectAltName=DNS:localhost", "-addext"]);
    command.args(["basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"]);
    run(&mut command).expect_code(0);
    true
}

/// A variable that names the certificates of the system counts, and one that names none is an error: the
/// built-in ones must not stand in for it.
fn certificates_by_variable(site: &Site, reference: &str) {
    let info = |variable: &str, value: &str| {
        let mut command = site.eyas(&["artifact", "info", reference]);
        run(command.env(variable, value))
    };
    // Who is not let in has been spoken to: the certificate is trusted.
    info("SSL_CERT_FILE", "cert.pem").expect_code(4).expect_stderr(&["user and a password"]);
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let absent = info(variable, "absent");
        assert_ne!(absent.code(), 0, "{absent:?}");
        absent.expect_stderr(&[variable]);
    }
}

/// Logs in, pushes and installs at a registry with users and TLS.
fn whole_way(site: &Site, port: u16) {
    let host = format!("localhost:{port}");
    let reference = format!("{host}/team/demo-rules:1.0.0");
    let login = ["registry", "auth", "basic", &host, "-u", "me", "--password-stdin"];
    let unknown = with_input(&mut site.eyas(&login), PASSWORD);
    assert_eq!(unknown.code(), 4, "the certificate is not trusted by itself: {unknown:?}");
    certificates_by_variable(site, &reference);
    let text = format!("registries:\n  - {{registry: '{host}', caFiles: [cert.pem]}}\n");
    fs::write(site.path("eyas.yaml"), text).expect("written");
    with_input(&mut site.eyas(&login), PASSWORD).expect_code(0);
    push(site, &reference, &[]).expect_code(0);
    let arguments = ["artifact", "install", &reference, "--no-verify"];
    site.run(&[&arguments[..], &["--sensor-socket", "control.sock"]].concat()).expect_code(0);
    assert!(is_installed(site));
}

#[test]
fn bar_31_users_and_tls_with_the_embedded_registry() {
    let site = Site::new();
    if !certificate(site.folder()) {
        return skip("bar_31_users_and_tls_with_the_embedded_registry", "openssl is not installed");
    }
    let (_registry, port) = guarded_registry(site.folder(), true);
    whole_way(&site, port);
}

#[test]
fn bar_31_users_and_tls_with_the_distributions_registry() {
    let test = "bar_31_users_and_tls_with_the_distributions_registry";
    let site = Site::new();
    let Some(program) = peer("DOCKER_REGISTRY") else {
        return skip(test, "docker-registry is not installed");
    };
    if !certificate(site.folder()) {
        return skip(test, "openssl is not installed");
    }
    let address = free_address();
    fs::write(site.path("users"), USERS).expect("written");
    let at = |name: &str| site.path(name).display().to_string();
    let settings = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\nhttp:\n  addr: '{address}'\n  tls: {{certificate: {}, key: {}}}\n",
        at("data"),
        at("users"),
        at("cert.pem"),
        at("key.pem")
    );
    fs::write(site.path("config.yml"), settings).expect("written");
    let mut command = Command::new(program);
    command.arg("serve").arg(site.path("config.yml")).env("OTEL_TRACES_EXPORTER", "none");
    let _registry = start(&mut command, &address.to_string());
    whole_way(&site, address.port());
}

#[test]
fn a_directory_stands_where_a_registry_can() {
    let site = Site::new();
    push(&site, "oci-layout:mirror:1.0.0", &[]).expect_code(0);
    let finished = site.run(&[
        "artifact",
        "install",
        "oci-layout:mirror:1.0.0",
        "--no-verify",
        "--sensor-socket",
        "control.sock",
    ]);
    finished.expect_code(0);
    assert_eq!(site.generation()["entries"].as_array().map(Vec::len), Some(1));
    site.run(&["artifact", "info", "oci-layout:mirror"]).expect_code(0);
    let missing = site.run(&["artifact", "info", "oci-layout:nothing-here"]);
    assert_ne!(missing.code(), 0);
}

#[test]
fn an_index_lives_in_a_registry() {
    let registry = Registry::embedded();
    let site = published(&registry);
    let reference = registry.reference("team/index:1");
    let push = ["registry", "push", &reference, "index.yaml", "--type", "index", "--plain-http"];
    site.run(&push).expect_code(0);
    let text = format!(
        "registry: {{plainHttp: true}}\nindexes:\n  - {{name: ours, url: 'oci://{reference}'}}\n"
    );
    fs::write(site.path("eyas.yaml"), text).expect("written");
    let found = site.run(&["artifact", "search", "demo-rules"]);
    found.expect_code(0);
    assert!(found.stdout.contains("team/demo-rules"), "{}", found.stdout);
    // It is an artifact of a repository that the policy has a rule about, and nobody signed it.
    site.trust_key(&registry, "signer");
    let words = ["artifact", "install", "demo-rules:1.0.0", "--no-reload"];
    let refused = site.run(&words);
    refused.expect_code(5).expect_stderr(&["team/index"]);
    assert!(!is_installed(&site));
    site.run(&[&push[..], &["--sign-key", "signer"]].concat()).expect_code(0);
    site.publish(&registry, "1.0.0", Some("signer"), &[("demo.yaml", &rules())]);
    site.run(&words).expect_code(0);
    assert!(is_installed(&site));
    // What is no index is not published as one.
    fs::write(site.path("index.yaml"), "name: no list\n").expect("written");
    assert_ne!(site.run(&push).code(), 0);
}

#[test]
fn a_proxy_of_the_environment_counts_except_for_this_machine() {
    let registry = Registry::embedded();
    let site = published(&registry);
    let between = Between::before(&registry.host(), |_, _| Fate::Pass);
    let proxy = format!("http://{}", between.host());
    let ask = |reference: &str, variables: &[(&str, &str)]| {
        let mut command = site.eyas(&["artifact", "info", reference, "--plain-http"]);
        command.envs(variables.iter().copied());
        (run(&mut command).code(), between.take().len())
    };
    let far = "r.example.org/team/demo-rules";
    for name in ["HTTP_PROXY", "http_proxy"] {
        assert_eq!(ask(far, &[(name, &proxy)]), (0, 1), "{name}");
        for exception in ["NO_PROXY", "no_proxy"] {
            let excepted = [(name, proxy.as_str()), (exception, "example.org")];
            assert_eq!(ask(far, &excepted), (4, 0), "{name} {exception}");
        }
        let near = registry.reference("team/demo-rules");
        assert_eq!(ask(&near, &[(name, &proxy)]), (0, 0), "{name}");
    }
}
