//! Kubeconfig files, good and bad, and a small API server on loopback.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::*;

fn kubeconfig(server: &str, user: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n  - name: here\n    context: {{cluster: c, user: u}}\nclusters:\n  - name: c\n    cluster: {{server: \"{server}\"}}\nusers:\n  - name: u\n    user: {user}\n"
    );
    fs::write(&path, text).expect("kubeconfig");
    (folder, path)
}

/// A server that answers every request with one status and body, and tells what it was asked.
fn api(status: &'static str, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = format!("http://{}", listener.local_addr().expect("address"));
    let (sender, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|count| count > 2) {}
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut sent = vec![0; length.unwrap_or(0)];
            let _ = reader.read_exact(&mut sent);
            let _ = sender.send(format!("{head}{}", String::from_utf8_lossy(&sent)));
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(work)
}

#[test]
fn an_entry_is_read_and_changed_with_our_token() {
    let (server, asked) = api("200 OK", "{\"data\": {\"falco.yaml\": \"engine: {kind: kmod}\"}}");
    let (_folder, path) = kubeconfig(&server, "{token: s3cret}");
    let cluster = Cluster::of_file(&path).expect("cluster");
    let text = wait(cluster.entry("falco", "falco-rules", "falco.yaml")).expect("entry");
    assert_eq!(text, "engine: {kind: kmod}");
    let request = asked.recv().expect("request");
    assert!(request.starts_with("GET /api/v1/namespaces/falco/configmaps/falco-rules HTTP/1.1"));
    assert!(request.to_ascii_lowercase().contains("authorization: bearer s3cret"), "{request}");
    let missing = wait(cluster.entry("falco", "falco-rules", "other.yaml")).expect_err("no entry");
    assert!(missing.contains("`other.yaml`"), "{missing}");
    assert!(asked.recv().is_ok());
    wait(cluster.change("falco", "falco-rules", "falco.yaml", "x: 1")).expect("changed");
    let request = asked.recv().expect("request");
    assert!(request.starts_with("PATCH ") && request.contains("merge-patch"), "{request}");
    assert!(request.ends_with("{\"data\":{\"falco.yaml\":\"x: 1\"}}"), "{request}");
}

#[test]
fn refusals_say_what_is_missing() {
    for (status, expected) in [
        ("403 Forbidden", "a role that does"),
        ("404 Not Found", "there is no config map `m` in namespace `n`"),
        ("409 Conflict", "somebody else"),
    ] {
        let (server, _asked) = api(status, "{}");
        let (_folder, path) = kubeconfig(&server, "{token: s3cret}");
        let cluster = Cluster::of_file(&path).expect("cluster");
        let error = wait(cluster.entry("n", "m", "k")).expect_err(status);
        assert!(error.contains(expected) && !error.contains("s3cret"), "{status}: {error}");
    }
}

#[test]
fn names_cannot_leave_their_place_in_the_address() {
    let (server, asked) = api("200 OK", "{\"data\": {\"k\": \"v\"}}");
    let (_folder, path) = kubeconfig(&server, "{token: t}");
    let cluster = Cluster::of_file(&path).expect("cluster");
    wait(cluster.entry("a/../../b", "c?d#e", "k")).expect("entry");
    let request = asked.recv().expect("request");
    let line = request.lines().next().expect("line");
    assert!(
        line.starts_with("GET /api/v1/namespaces/a%2F..%2F..%2Fb/configmaps/c%3Fd%23e "),
        "{line}"
    );
}

#[test]
fn certificates_that_the_file_carries_are_held_in_memory() {
    let data = STANDARD.encode("PEM");
    let user = format!("{{client-certificate-data: {data}, client-key-data: {data}}}");
    let (_folder, path) = kubeconfig("https://k.example.org:6443", &user);
    let cluster = Cluster::of_file(&path).expect("cluster");
    let own = cluster.client_certificate.as_ref().expect("certificate");
    assert_eq!(fs::read(&own.key).expect("key"), b"PEM");
    assert!(own.key.starts_with("/proc/self/fd"));
    assert_eq!(cluster.held.len(), 2);
}

#[test]
fn files_beside_the_kubeconfig_are_named_from_there() {
    let (folder, path) = kubeconfig("https://k.example.org", "{tokenFile: token}");
    assert!(Cluster::of_file(&path).err().expect("no token").contains("token"));
    fs::write(folder.path().join("token"), "from-file\n").expect("token");
    let cluster = Cluster::of_file(&path).expect("cluster");
    assert_eq!(cluster.token.expect("token").expose(), "from-file");
}

#[test]
fn what_is_no_kubeconfig_is_told() {
    for (server, user, expected) in [
        ("ftp://k", "{token: t}", "`ftp://k`"),
        ("", "{token: t}", "no address"),
        ("https://k", "{exec: {command: login}}", "neither a token"),
        ("https://k", "{client-certificate-data: \"!\", client-key-data: eA==}", "not base64"),
    ] {
        let (_folder, path) = kubeconfig(server, user);
        let error = Cluster::of_file(&path).err().expect(server);
        assert!(error.contains(expected), "{error}");
    }
    let folder = tempfile::tempdir().expect("folder");
    for (text, expected) in [
        ("[", "no kubeconfig"),
        ("current-context: x\n", "no context `x`"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: here}}]\n",
            "no cluster `here`",
        ),
    ] {
        let path = folder.path().join("config");
        fs::write(&path, text).expect("file");
        let error = Cluster::of_file(&path).err().expect(text);
        assert!(error.contains(expected) && error.contains("config"), "{error}");
    }
    let error = Cluster::of_file(&folder.path().join("absent")).err().expect("absent");
    assert!(error.contains("absent"));
}

#[test]
fn a_pod_knows_its_cluster() {
    let account = tempfile::tempdir().expect("folder");
    fs::write(account.path().join("token"), "t\n").expect("token");
    let variables = |host: &'static str| {
        move |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some(host.to_owned()),
            "KUBERNETES_SERVICE_PORT" => Some("443".to_owned()),
            _ => None,
        }
    };
    for (host, expected) in [("10.0.0.1", "https://10.0.0.1/"), ("fd00::1", "https://[fd00::1]/")] {
        let cluster = Cluster::of_pod(account.path(), variables(host)).expect("cluster");
        assert_eq!(cluster.server.as_str(), expected);
        assert_eq!(cluster.token.expect("token").expose(), "t");
    }
    let error = Cluster::of_pod(account.path(), |_| None).err().expect("no pod");
    assert!(error.contains("KUBERNETES_SERVICE_HOST"), "{error}");
}
