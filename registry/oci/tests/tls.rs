//! TLS: whom we trust, and what is said when we do not.

use std::sync::Arc;

use base64::Engine as _;
use eyas_oci::{
    Client, ClientCertificate, ClientConfig, NetworkKind, Notice, OciError, RegistryConfig,
    Verification,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::stage::{config, notices, reference};

/// A private authority with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn leaf(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().into(), key)
    }

    /// A TLS server that answers every request with an empty JSON object.
    async fn serve(&self, wants_client_certificate: bool) -> String {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if wants_client_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let (certificate, key) = self.leaf("localhost");
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let settings = builder.with_single_cert(vec![certificate], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut seen = Vec::new();
                    while !seen.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => seen.push(byte),
                            Err(_) => return,
                        }
                    }
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        format!("localhost:{port}")
    }
}

async fn ask(host: &str, settings: RegistryConfig) -> (Result<(), OciError>, Vec<Notice>) {
    let (listener, heard) = notices();
    let mut config = ClientConfig { listener, ..config(&[]) };
    config.timeouts = eyas_oci::Timeouts::default();
    config.registries.insert(host.to_owned(), settings);
    let client = Client::new(config).unwrap();
    let outcome = client.manifest(&reference(host, "rules:1")).await.map(drop);
    let heard = heard.lock().unwrap().clone();
    (outcome, heard)
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_its_file_only() {
    let authority = Authority::new();
    let host = authority.serve(false).await;
    let (outcome, _) = ask(&host, RegistryConfig::default()).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Tls, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("caFiles"));
    assert!(!error.is_transient());
    let ca_files = vec![authority.directory.path().join("ca.pem")];
    let trusting = RegistryConfig { ca_files: ca_files.clone(), ..Default::default() };
    ask(&host, trusting.clone()).await.0.unwrap();
    // The same server under a name that its certificate does not have.
    let by_number = host.replace("localhost", "127.0.0.1");
    let error = ask(&by_number, trusting).await.0.unwrap_err();
    assert!(matches!(error, OciError::Network { kind: NetworkKind::Tls, .. }), "{error:?}");
}

#[tokio::test]
async fn an_unchecked_certificate_is_said_aloud() {
    let host = Authority::new().serve(false).await;
    let verification = Verification::AcceptAnyCertificate;
    let (outcome, heard) = ask(&host, RegistryConfig { verification, ..Default::default() }).await;
    outcome.unwrap();
    assert!(heard.contains(&Notice::CertificateUnchecked { registry: host }), "{heard:?}");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Authority::new();
    let host = authority.serve(true).await;
    let ca_files = vec![authority.directory.path().join("ca.pem")];
    let settings = RegistryConfig { ca_files, ..Default::default() };
    assert!(ask(&host, settings.clone()).await.0.is_err());
    let (certificate, key) = authority.leaf("me");
    let own = ClientCertificate {
        certificate: authority.directory.path().join("own.pem"),
        key: authority.directory.path().join("own.key"),
    };
    let encoded = base64::engine::general_purpose::STANDARD.encode(&certificate);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    std::fs::write(&own.certificate, pem).unwrap();
    std::fs::write(&own.key, key.serialize_pem()).unwrap();
    let settings = RegistryConfig { client_certificate: Some(own), ..settings };
    ask(&host, settings).await.0.unwrap();
}

#[tokio::test]
async fn certificate_files_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    for content in [None, Some(""), Some("rubbish")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let settings = RegistryConfig { ca_files: vec![path.clone()], ..Default::default() };
        let error = ask("localhost:1", settings).await.0.unwrap_err();
        assert!(matches!(error, OciError::Tls { .. }), "{error}");
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
