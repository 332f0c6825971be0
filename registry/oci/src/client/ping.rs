//! Whether a registry is there and takes us for who we say we are.

use http::Method;

use super::Client;
use crate::{auth::Scope, error::OciError, transport::Call};

/// What came of asking a registry who we are to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// It lets anybody in, so it has not looked at any credential.
    Open,
    /// It asked for a credential and took the one it got.
    Accepted,
}

impl Client {
    /// Asks the base address of a registry, with the credential for it if it wants one.
    pub async fn ping(&self, registry: &str) -> Result<Ping, OciError> {
        let url = self.transport.address(registry, "")?;
        let call = Call::new(Method::GET, registry, url, Scope::none(), registry.to_owned());
        self.transport.read(&call, self.config().limits.manifest_bytes).await?;
        Ok(if self.transport.was_challenged(registry) { Ping::Accepted } else { Ping::Open })
    }
}
