//! Ways to a registry: through a proxy, and not through one; directories by name.

use std::sync::{Arc, Mutex};

use eyas_artifact::{Platform, Reference};
use eyas_oci::{
    Client, Layout, RegistryConfig, Scheme, layout_host,
    server::{ServeOptions, serve},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::stage::{Embedded, Reply, Script, client, config, patient, publish, reference};

/// A proxy that knows `CONNECT` and leads every connection to `target`; gives its address and what it
/// was asked.
async fn proxy(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (target, log) = (target.clone(), Arc::clone(&log));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                log.lock().unwrap().push(String::from_utf8(head).unwrap());
                let mut there = TcpStream::connect(&target).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut there).await;
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn a_registry_behind_a_proxy_is_reached_by_a_tunnel() {
    let (directory, listener) =
        (tempfile::tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let certified = rcgen::generate_simple_self_signed(vec!["r.example.org".to_owned()]).unwrap();
    let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = Some(eyas_oci::server::ServerTls::read(&cert, &key).unwrap());
    let target = listener.local_addr().unwrap().to_string();
    let root = directory.path().join("layout");
    tokio::spawn(async move {
        let options = ServeOptions { tls, ..ServeOptions::default() };
        serve(&root, listener, options, std::future::pending()).await.unwrap();
    });
    let (proxy, asked) = proxy(target).await;
    let mut config = patient(&[]);
    let through = RegistryConfig {
        ca_files: vec![cert],
        proxy: Some(format!("http://me:pw@{proxy}")),
        ..RegistryConfig::default()
    };
    config.registries.insert("r.example.org".into(), through);
    let client = Client::new(config).unwrap();
    let at: Reference = "r.example.org/rules:1".parse().unwrap();
    publish(&client, &at, b"layer").await;
    client.pin(&at, &Platform::host()).await.unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("CONNECT r.example.org:443 HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].to_lowercase().contains("proxy-authorization: basic bwu6chc="), "{asked:?}");
}

#[tokio::test]
async fn a_proxy_that_is_no_address_is_named_without_its_password() {
    let mut config = config(&[]);
    let proxy = Some("http://me:s3cret@[".to_owned());
    config
        .registries
        .insert("r.example.org".into(), RegistryConfig { proxy, ..Default::default() });
    let client = Client::new(config).unwrap();
    let error = client.manifest(&"r.example.org/a:1".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("the proxy of r.example.org"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn plain_http_goes_through_a_proxy_as_it_is() {
    let script = Script::start(|_| Reply::body("{}")).await;
    let mut config = patient(&[]);
    let through = RegistryConfig {
        scheme: Scheme::PlainHttp,
        proxy: Some(format!("http://{}", script.host)),
        ..RegistryConfig::default()
    };
    config.registries.insert("r.example.org".into(), through);
    let client = Client::new(config).unwrap();
    client.manifest(&"r.example.org/rules:1".parse().unwrap()).await.unwrap();
    assert_eq!(script.lines(), ["GET http://r.example.org/v2/rules/manifests/1"]);
}

#[tokio::test]
async fn a_directory_is_named_in_a_reference() {
    let registry = Embedded::start(ServeOptions::default()).await;
    publish(&client(&registry.host), &reference(&registry.host, "team/rules:1"), b"layer").await;
    let host = layout_host(registry.directory.path()).unwrap();
    let client = Client::new(config(&[])).unwrap();
    let at = reference(&host, "team/rules:1");
    let pinned = client.pin(&at, &Platform::host()).await.unwrap();
    let bytes = client.blob_bytes(pinned.reference(), pinned.layer(), 64).await.unwrap();
    assert_eq!(bytes, b"layer");
    assert_eq!(client.tags(&at).await.unwrap(), ["1"]);
    let fresh = tempfile::tempdir().unwrap();
    Layout::create(fresh.path()).unwrap();
    let to = reference(&layout_host(fresh.path()).unwrap(), "team/rules:2");
    publish(&client, &to, b"layer").await;
    assert!(client.pin(&to, &Platform::host()).await.is_ok());
}
