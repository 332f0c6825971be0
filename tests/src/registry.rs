//! Loopback registries: the embedded one (`eyas registry serve`) and Debian's `docker-registry`.
//!
//! Every end-to-end test runs on both, so that we never test only against ourselves.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::programs::{eyas, peer, skip};

/// Longest wait for a registry to answer.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A registry on a free loopback port, stopped on drop.
pub struct Registry {
    child: Child,
    address: SocketAddr,
    /// Which program it is, for messages.
    pub name: &'static str,
    /// The embedded registry's own folder, removed with it.
    root: Option<tempfile::TempDir>,
}

impl Registry {
    /// The registry of this project over a fresh directory.
    pub fn embedded() -> Self {
        let root = tempfile::tempdir().expect("temporary directory");
        let mut registry = Self::embedded_at(root.path());
        registry.root = Some(root);
        registry
    }

    /// The registry of this project over a directory of the test's own.
    pub fn embedded_at(layout: &Path) -> Self {
        let address = free_address();
        let mut command = Command::new(eyas());
        command.args(["registry", "serve"]).arg(layout).args(["--listen", &address.to_string()]);
        Self::start(command, address, "embedded", None)
    }

    /// Debian's registry, if it is installed.
    pub fn debian() -> Option<Self> {
        let program = peer("DOCKER_REGISTRY")?;
        let root = tempfile::tempdir().expect("temporary directory");
        let address = free_address();
        let config = root.path().join("config.yml");
        fs::write(&config, debian_configuration(root.path(), address))
            .expect("configuration written");
        let mut command = Command::new(program);
        command.arg("serve").arg(config).env("OTEL_TRACES_EXPORTER", "none");
        Some(Self::start(command, address, "docker-registry", Some(root)))
    }

    fn start(
        mut command: Command,
        address: SocketAddr,
        name: &'static str,
        root: Option<tempfile::TempDir>,
    ) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let registry = Self { child, address, name, root };
        let start = Instant::now();
        while !answers(address) {
            assert!(start.elapsed() < START_PATIENCE, "{name} does not answer on {address}");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// `127.0.0.1:PORT`, as it stands in references.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// A reference in this registry.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test on the embedded registry and on Debian's, saying so where the latter is missing.
pub fn both_registries(test: &str, check: impl Fn(&Registry)) {
    check(&Registry::embedded());
    match Registry::debian() {
        Some(registry) => check(&registry),
        None => skip(test, "docker-registry is not installed (second registry)"),
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("free loopback port")
}

fn debian_configuration(root: &Path, address: SocketAddr) -> String {
    format!(
        "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  delete: {{enabled: true}}\nhttp: {{addr: '{address}'}}\n",
        root.join("data").display()
    )
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// One file on a free loopback port, served until the value is dropped.
pub struct FileServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FileServer {
    /// Serves `file`, as it is at each request, under every path.
    pub fn new(file: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free loopback port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (told, file) = (Arc::clone(&stop), file.to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                let _ = answer(stream, &file);
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// The address of the file.
    pub fn address(&self) -> String {
        format!("http://{}/file", self.address)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Answers one request with the file and closes the connection.
fn answer(mut stream: TcpStream, file: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let body = fs::read(file)?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}
