//! Serve: a directory in OCI image-layout form as a registry.

use std::future::Future;
use std::path::Path;

use eyas_oci::Layout;
use eyas_oci::server::ServeOptions;
use tokio::net::TcpListener;

use crate::OpsError;

/// Makes sure that a directory can be served, so that an address is only told when it works. A
/// directory that is to be written is made when it does not exist.
pub fn prepare_layout(dir: &Path, read_only: bool) -> Result<(), OpsError> {
    if read_only { Layout::open(dir) } else { Layout::create(dir) }?;
    Ok(())
}

/// Serves `dir` until `stop` ends.
pub async fn serve(
    dir: &Path,
    listener: TcpListener,
    read_only: bool,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OpsError> {
    let options = ServeOptions { read_only, ..ServeOptions::default() };
    eyas_oci::server::serve(dir, listener, options, stop).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_only_when_it_may_be_written() {
        let dir = tempfile::tempdir().expect("dir");
        let fresh = dir.path().join("fresh");
        assert!(prepare_layout(&fresh, true).is_err());
        assert!(!fresh.exists());
        prepare_layout(&fresh, false).expect("made");
        prepare_layout(&fresh, true).expect("there");
    }
}
