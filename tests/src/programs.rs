//! Where the programs under test, the programs of others and the shared inputs are.
//!
//! Ours are those that cargo built beside the test; others come from environment variables, because a test must
//! never download anything.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that holds the workspace manifest.
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The `eyas` binary of this build.
pub fn eyas() -> PathBuf {
    built("eyas", "eyas-cli")
}

/// The `eyasd` binary of this build.
pub fn eyasd() -> PathBuf {
    built("eyasd", "eyas-daemon")
}

/// A program of somebody else, named by an environment variable (`COSIGN`, `HELM`, …) or found on the path.
pub fn peer(variable: &str) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file()) {
        return Some(path);
    }
    let name = variable.to_lowercase().replace('_', "-");
    env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(&name))
        .find(|path| path.is_file())
}

/// Says aloud that a test did not run, and why. `scripts/test` collects these lines.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
}

/// The folder of shared real inputs: `EYAS_SHARED`, else `../shared` beside the workspace.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = env::var_os("EYAS_SHARED")
        .map_or_else(|| workspace_root().join("../shared"), PathBuf::from);
    Some(root.join(path)).filter(|path| path.exists())
}

/// Test binaries live in `<target>/<profile>/deps`, programs one folder up. A plain `cargo test -p eyas-tests` does
/// not build them, so this does, once.
fn built(name: &str, package: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let deps = env::current_exe().expect("path of this test");
    let profile =
        deps.parent().and_then(Path::parent).expect("<target>/<profile>/deps/<test>").to_path_buf();
    BUILT.get_or_init(|| {
        if env::var_os("EYAS_PROGRAMS_BUILT").is_none() {
            let release = profile.ends_with("release").then_some("--release");
            let status = Command::new(env!("CARGO"))
                .args(["build", "-q", "--locked", "-p", "eyas-cli", "-p", "eyas-daemon"])
                .args(release)
                .current_dir(workspace_root())
                .status()
                .expect("cargo runs");
            assert!(status.success(), "the programs under test do not build");
        }
    });
    let path = profile.join(name);
    assert!(path.is_file(), "`{}` of package {package} is not there", path.display());
    path
}
