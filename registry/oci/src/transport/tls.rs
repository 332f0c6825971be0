//! TLS settings of one registry.
//!
//! Owns which certificates are trusted: those of the system, those given for the registry, and, on
//! a machine that has none at all, the ones built in. A connection without TLS reads no certificate.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{
    config::{Listener, Notice, RegistryConfig, Scheme, Verification},
    error::OciError,
};

/// Variables that name the system's certificates.
const NAMING: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The settings for `registry`; HTTP/2 is offered where TLS is spoken.
pub(super) fn settings(
    registry: &str,
    config: &RegistryConfig,
    listener: &Listener,
) -> Result<ClientConfig, OciError> {
    let fail = |detail: String| OciError::Tls { registry: registry.to_owned(), detail };
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.to_string()))?;
    let builder = if config.verification == Verification::AcceptAnyCertificate {
        listener.tell(Notice::CertificateUnchecked { registry: registry.to_owned() });
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(algorithms)))
    } else {
        let roots = match config.scheme {
            Scheme::Https => roots(registry, config, listener).map_err(fail)?,
            Scheme::PlainHttp => RootCertStore::empty(),
        };
        builder.with_root_certificates(roots)
    };
    let mut settings = match &config.client_certificate {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = certificates(&own.certificate).map_err(fail)?;
            let key = PrivateKeyDer::from_pem_file(&own.key)
                .map_err(|error| fail(format!("`{}`: {error}", own.key.display())))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| fail(error.to_string()))?
        }
    };
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(settings)
}

fn roots(
    registry: &str,
    config: &RegistryConfig,
    listener: &Listener,
) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Single unreadable certificates of the system are passed over, as other programs do.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        // Who names a file wants it to count: others must not stand in for it.
        if let Some(variable) = NAMING.iter().find(|name| std::env::var_os(name).is_some()) {
            let why = system
                .errors
                .first()
                .map_or_else(|| "no PEM certificate in it".to_owned(), ToString::to_string);
            return Err(format!("no certificate can be had from what `{variable}` names: {why}"));
        }
        listener.tell(Notice::BundledRoots { registry: registry.to_owned() });
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for path in &config.ca_files {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| format!("`{}`: {error}", path.display()))?;
        }
    }
    Ok(roots)
}

/// The certificates of a PEM file; a file without any is an error.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .map_err(|error| shown(&error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| shown(&error))?;
    if found.is_empty() {
        return Err(shown(&"no PEM certificate in it"));
    }
    Ok(found)
}

/// Takes any certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct AcceptAny(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.supported_schemes()
    }
}
