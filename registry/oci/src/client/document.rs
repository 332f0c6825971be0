//! Documents at addresses outside of the distribution protocol, such as an index.
//!
//! They are fetched with everything that counts for registries: authentication, certificates,
//! proxies, limits, redirects and repetition.

use http::Method;
use url::Url;

use super::Client;
use crate::{
    auth::Scope,
    error::OciError,
    secret::printable,
    transport::{Call, authority},
};

impl Client {
    /// The document at `url`, of at most `limit` bytes.
    pub async fn document(&self, url: &Url, limit: u64) -> Result<Vec<u8>, OciError> {
        let what = printable(url);
        let call = Call::new(Method::GET, authority(url), url.clone(), Scope::none(), what);
        Ok(self.transport.read(&call, limit).await?.body)
    }
}
