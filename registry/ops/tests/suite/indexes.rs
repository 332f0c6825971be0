//! Indexes: fetched, kept, replaced by their copies, and missed only where they are needed.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use eyas_artifact::Name;
use eyas_ops::{Catalog, Class, Copies, IndexSource};

use crate::stage::{Bundle, Stage};

const INDEX: &str =
    "- name: demo\n  type: rulesfile\n  registry: r.example.org\n  repository: a/demo\n";

/// Answers `times` requests with the index, then is gone.
fn web(times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten().take(times) {
            let _ = stream.read(&mut [0; 4096]);
            let length = INDEX.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(INDEX.as_bytes()));
        }
    });
    format!("http://{address}/index.yaml")
}

fn source(name: &str, address: &str) -> IndexSource {
    IndexSource::parse(name, address).expect("a source")
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

#[tokio::test]
async fn a_copy_stands_in_for_an_index_that_is_gone() {
    let stage = Stage::new().await;
    let copies = Copies::new(Some(stage.path("cache")));
    let source = [source("web", &web(1))];
    let load = async || Catalog::load(&source, &copies, &stage.client, &stage.heard).await;
    let resolved = load().await.resolve(&name("demo")).expect("from the web");
    assert_eq!(resolved.to_string(), "r.example.org/a/demo:latest");
    let again = load().await.resolve(&name("demo")).expect("from the copy");
    assert_eq!(again, resolved);
    assert!(stage.heard.all().contains("using the copy"), "{}", stage.heard.all());
}

#[tokio::test]
async fn an_index_that_has_not_changed_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}/index.yaml", listener.local_addr().expect("an address"));
    let served = thread::spawn(move || {
        let mut asked = Vec::new();
        for mut stream in listener.incoming().flatten().take(2) {
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap_or(0);
            let known = String::from_utf8_lossy(&head[..length]).contains("if-none-match: \"v1\"");
            let (status, body) = if known { ("304 Same", "") } else { ("200 OK", INDEX) };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nETag: \"v1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
            asked.push(known);
        }
        asked
    });
    let stage = Stage::new().await;
    let copies = Copies::new(Some(stage.path("cache")));
    let source = source("web", &address);
    for _ in 0..2 {
        let index = eyas_ops::update(&source, &copies, &stage.client).await.expect("an index");
        assert!(index.find("demo").is_some());
    }
    assert_eq!(served.join().expect("answered"), [false, true]);
}

#[tokio::test]
async fn a_missing_index_matters_only_to_names_that_nobody_else_knows() {
    let stage = Stage::new().await;
    stage.publish(&Bundle::new("demo", "1.0.0")).await;
    let local = source("local", &stage.path("index.yaml").display().to_string());
    let gone = source("gone", "http://127.0.0.1:1/index.yaml");
    let catalog =
        Catalog::load(&[gone, local], &Copies::default(), &stage.client, &stage.heard).await;
    catalog.resolve(&name("demo")).expect("the other index knows it");
    catalog.resolve(&stage.name("demo")).expect("no index is needed");
    let error = catalog.resolve(&name("other")).expect_err("maybe in the missing one");
    assert_eq!(error.class(), Class::Network);
    assert!(error.to_string().contains("`other`") && error.to_string().contains("gone"), "{error}");
    assert!(catalog.expect_complete().is_err());
}

#[tokio::test]
async fn what_is_wrong_with_an_index_is_told_with_its_place() {
    let stage = Stage::new().await;
    let path = stage.path("wrong.yaml");
    for (text, told) in [("- null\n", "line 1"), ("- name: a\n", "`type`"), ("[", "wrong.yaml")] {
        std::fs::write(&path, text).expect("written");
        let source = [source("wrong", &path.display().to_string())];
        let catalog = Catalog::load(&source, &Copies::default(), &stage.client, &stage.heard).await;
        let error = catalog.resolve(&name("demo")).expect_err("malformed").to_string();
        assert!(error.contains(told) && error.contains("wrong.yaml"), "{error}");
    }
}

#[tokio::test]
async fn update_keeps_a_copy_only_of_what_is_an_index() {
    let stage = Stage::new().await;
    let copies = Copies::new(Some(stage.path("cache")));
    let web = source("web", &web(1));
    let index = eyas_ops::update(&web, &copies, &stage.client).await.expect("updated");
    assert_eq!(index.len(), 1);
    assert!(copies.find(&web).expect("readable").is_some());
    let path = stage.path("wrong.yaml");
    std::fs::write(&path, "not an index").expect("written");
    let wrong = source("wrong", &path.display().to_string());
    assert!(eyas_ops::update(&wrong, &copies, &stage.client).await.is_err());
    assert!(copies.find(&wrong).expect("readable").is_none());
}
