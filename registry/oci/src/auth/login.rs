//! Logging in and out: a credential is kept for the next time, or forgotten.
//!
//! Owns the choice of the file. Whether a credential is any good is asked of the registry before, by
//! [`Client::ping`](crate::Client::ping).

use std::path::{Path, PathBuf};

use super::{
    Cloud, Credential, CredentialSources, clients, credential_file, docker,
    oauth::ClientCredentials,
};
use crate::error::OciError;

/// Where a credential is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In this file, readable by its owner alone.
    File(PathBuf),
    /// With this credential helper.
    Helper(String),
}

impl CredentialSources {
    /// Where a user and password, or an identity token, would be kept.
    pub fn place(&self, registry: &str) -> Result<Kept, OciError> {
        let path = self.docker_file(registry)?;
        let helper = docker::keeper(path, registry).map_err(|detail| unkept(registry, detail))?;
        Ok(kept(helper, path))
    }

    /// Where an OAuth2 client would be kept.
    pub fn place_of_client(&self, registry: &str) -> Result<Kept, OciError> {
        let path = self.client_credentials.as_ref();
        path.map(|path| Kept::File(path.clone())).ok_or_else(|| homeless(registry))
    }

    /// Where it would be remembered that a registry is to get the identity of a cloud.
    pub fn place_of_cloud(&self, registry: &str) -> Result<Kept, OciError> {
        let path = self.cloud_registries.as_ref();
        path.map(|path| Kept::File(path.clone())).ok_or_else(|| homeless(registry))
    }

    fn docker_file(&self, registry: &str) -> Result<&PathBuf, OciError> {
        self.docker_config.as_ref().ok_or_else(|| {
            let why = "there is no place for them: neither `HOME` nor `DOCKER_CONFIG` is set";
            unkept(registry, why.to_owned())
        })
    }

    /// Keeps a user and password, or an identity token, in the Docker file or with the helper that it
    /// names.
    pub async fn keep(&self, registry: &str, credential: &Credential) -> Result<Kept, OciError> {
        let path = self.docker_file(registry)?;
        let helper = docker::store(path, registry, credential, &self.helpers()).await;
        Ok(kept(helper.map_err(|detail| unkept(registry, detail))?, path))
    }

    /// Keeps an OAuth2 client.
    pub fn keep_client(
        &self,
        registry: &str,
        client: &ClientCredentials,
    ) -> Result<Kept, OciError> {
        let path = self.client_credentials.as_ref().ok_or_else(|| homeless(registry))?;
        clients::store(path, registry, client).map_err(|detail| unkept(registry, detail))?;
        Ok(Kept::File(path.clone()))
    }

    /// Remembers that a registry is to get the identity of a cloud.
    pub fn keep_cloud(&self, registry: &str, cloud: Cloud) -> Result<Kept, OciError> {
        let path = self.cloud_registries.as_ref().ok_or_else(|| homeless(registry))?;
        credential_file::change(path, |file| {
            file.insert(registry.to_owned(), cloud.to_string().into());
            Ok(true)
        })
        .map_err(|detail| unkept(registry, detail))?;
        Ok(Kept::File(path.clone()))
    }

    /// The cloud that a registry was logged in with.
    pub(super) fn remembered(&self, registry: &str) -> Result<Option<Cloud>, OciError> {
        let Some(path) = &self.cloud_registries else { return Ok(None) };
        let fail = |detail| OciError::Credentials { registry: registry.to_owned(), detail };
        let file = credential_file::read(path).map_err(fail)?.unwrap_or_default();
        let Some(cloud) = file.get(registry) else { return Ok(None) };
        cloud.as_str().unwrap_or_default().parse().map(Some)
    }

    /// The places that have something for a registry.
    pub async fn places(&self, registry: &str) -> Result<Vec<PathBuf>, OciError> {
        let fail = |detail| unkept(registry, detail);
        let mut places = Vec::new();
        if let Some(path) = &self.docker_config
            && docker::holds(path, registry, &self.helpers()).await.map_err(fail)?
        {
            places.push(path.clone());
        }
        for path in [&self.client_credentials, &self.cloud_registries].into_iter().flatten() {
            let file = credential_file::read(path).map_err(fail)?;
            if file.is_some_and(|file| file.contains_key(registry)) {
                places.push(path.clone());
            }
        }
        Ok(places)
    }

    /// Forgets everything that is kept for a registry. Gives the places that had something.
    pub async fn forget(&self, registry: &str) -> Result<Vec<PathBuf>, OciError> {
        let fail = |detail| unkept(registry, detail);
        let mut places = Vec::new();
        if let Some(path) = &self.docker_config
            && docker::erase(path, registry, &self.helpers()).await.map_err(fail)?
        {
            places.push(path.clone());
        }
        if let Some(path) = &self.client_credentials
            && path.exists()
            && clients::erase(path, registry).map_err(fail)?
        {
            places.push(path.clone());
        }
        if let Some(path) = &self.cloud_registries
            && path.exists()
            && credential_file::change(path, |file| Ok(file.remove(registry).is_some()))
                .map_err(fail)?
        {
            places.push(path.clone());
        }
        Ok(places)
    }
}

fn kept(helper: Option<String>, path: &Path) -> Kept {
    match helper {
        Some(name) => Kept::Helper(format!("docker-credential-{name}")),
        None => Kept::File(path.to_owned()),
    }
}

fn homeless(registry: &str) -> OciError {
    unkept(registry, "there is no place for them: `HOME` is not set".to_owned())
}

fn unkept(registry: &str, detail: String) -> OciError {
    OciError::CredentialStore { registry: registry.to_owned(), detail }
}
