//! The distribution's own registry, for comparing with.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use super::free_port;

/// `docker-registry` on a free port, until it is dropped.
pub(crate) struct DebianRegistry {
    pub(crate) host: String,
    child: Child,
    _directory: TempDir,
}

impl DebianRegistry {
    /// Starts it; `None`, said aloud, where it is not installed.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        let program = std::env::var_os("DOCKER_REGISTRY")
            .map_or_else(|| PathBuf::from("/usr/bin/docker-registry"), PathBuf::from);
        if !program.exists() {
            eprintln!("SKIPPED: {test}: `{}` is not installed", program.display());
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let host = free_port().to_string();
        let root = directory.path().join("data");
        let config = directory.path().join("config.yml");
        let settings = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem:\n    rootdirectory: \
             {}\nhttp:\n  addr: {host}\n",
            root.display()
        );
        std::fs::write(&config, settings).unwrap();
        let child = Command::new(&program)
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { host, child, _directory: directory };
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(&registry.host).await.is_ok() {
                return Some(registry);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("`{}` does not listen on {}", program.display(), registry.host);
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
