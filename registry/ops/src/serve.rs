//! Serve: a directory in OCI image-layout form as a registry.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use eyas_oci::Layout;
use eyas_oci::server::{ServeOptions, ServerTls, Users};
use tokio::net::TcpListener;

use crate::OpsError;

/// Makes sure that a directory can be served, so that an address is only told when it works. A
/// directory that is to be written is made when it does not exist.
pub fn prepare_layout(dir: &Path, read_only: bool) -> Result<(), OpsError> {
    if read_only { Layout::open(dir) } else { Layout::create(dir) }?;
    Ok(())
}

/// What stands between the registry and whoever reaches it.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    users: Option<Arc<Users>>,
    tls: Option<ServerTls>,
}

impl Guarded {
    /// Reads the file of users, and the certificate with its key, as far as they are given.
    pub fn read(users: Option<&Path>, tls: Option<(&Path, &Path)>) -> Result<Self, OpsError> {
        Ok(Self {
            users: users.map(Users::read).transpose()?.map(Arc::new),
            tls: tls.map(|(certificate, key)| ServerTls::read(certificate, key)).transpose()?,
        })
    }
}

/// Serves `dir` until `stop` ends.
pub async fn serve(
    dir: &Path,
    listener: TcpListener,
    read_only: bool,
    guarded: Guarded,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), OpsError> {
    let Guarded { users, tls } = guarded;
    let options = ServeOptions { read_only, users, tls, ..ServeOptions::default() };
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
