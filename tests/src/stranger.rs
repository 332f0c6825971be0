//! A registry that serves whatever a test makes up, true or not, and the archives to put there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use eyas_artifact::{Digest, Kind, media};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of a block of an archive.
const BLOCK: usize = 512;

/// A body that is served.
#[derive(Clone)]
enum Body {
    Bytes(Arc<Vec<u8>>),
    /// The same byte, so often.
    Repeated(u8, u64),
}

type Routes = BTreeMap<String, (String, Body)>;

/// A server on loopback. It stops with the test.
pub struct Stranger {
    address: String,
    routes: Arc<Mutex<Routes>>,
}

impl Default for Stranger {
    fn default() -> Self {
        Self::new()
    }
}

impl Stranger {
    /// A server that has nothing yet.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free loopback port");
        let address = listener.local_addr().expect("address").to_string();
        let routes: Arc<Mutex<Routes>> = Arc::default();
        let served = routes.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                thread::spawn(move || answer(stream, &served));
            }
        });
        Self { address, routes }
    }

    /// `127.0.0.1:PORT`, as it stands in references.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// Serves bytes at a path.
    pub fn put(&self, path: &str, media_type: &str, bytes: Vec<u8>) {
        self.route(path, media_type, Body::Bytes(Arc::new(bytes)));
    }

    /// Serves one byte over and over at a path.
    pub fn put_repeated(&self, path: &str, media_type: &str, byte: u8, count: u64) {
        self.route(path, media_type, Body::Repeated(byte, count));
    }

    fn route(&self, path: &str, media_type: &str, body: Body) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.insert(path.to_owned(), (media_type.to_owned(), body));
    }

    /// Serves a blob of `team/demo`; gives its descriptor.
    pub fn blob(&self, media_type: &str, bytes: Vec<u8>) -> String {
        let digest = Digest::sha256(&bytes);
        let size = bytes.len();
        self.put(&format!("/v2/team/demo/blobs/{digest}"), "application/octet-stream", bytes);
        format!(
            "{{\"mediaType\":\"{media_type}\",\"digest\":\"{digest}\",\"size\":{size},\"annotations\":{{\"{}\":\"demo.tar.gz\"}}}}",
            media::ANNOTATION_TITLE
        )
    }

    /// Serves a manifest as `team/demo:TAG`.
    pub fn manifest(&self, tag: &str, media_type: &str, bytes: Vec<u8>) -> String {
        let digest = Digest::sha256(&bytes);
        self.put(&format!("/v2/team/demo/manifests/{digest}"), media_type, bytes.clone());
        self.put(&format!("/v2/team/demo/manifests/{tag}"), media_type, bytes);
        format!("{}/team/demo:{tag}", self.address)
    }

    /// Descriptor of a manifest that is served.
    pub fn descriptor_of(&self, tag: &str) -> String {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let (media_type, body) = &routes[&format!("/v2/team/demo/manifests/{tag}")];
        let Body::Bytes(bytes) = body else { panic!("`{tag}` is no manifest") };
        let (digest, size) = (Digest::sha256(bytes.as_slice()), bytes.len());
        format!("{{\"mediaType\":\"{media_type}\",\"digest\":\"{digest}\",\"size\":{size}}}")
    }

    /// Serves an artifact with rules in this layer; gives its reference.
    pub fn rules(&self, tag: &str, layer: Vec<u8>) -> String {
        let config = b"{\"name\":\"demo\",\"version\":\"1.0.0\"}".to_vec();
        self.artifact(tag, config, media::RULESFILE_LAYER, layer)
    }

    /// Serves an artifact with this layer and a description of the same kind, or of rules where the
    /// layer is of none; gives its reference.
    pub fn artifact(&self, tag: &str, config: Vec<u8>, layer_type: &str, layer: Vec<u8>) -> String {
        let kind = Kind::from_layer_media_type(layer_type).unwrap_or(Kind::Rulesfile);
        self.described(tag, (kind.config_media_type(), config), (layer_type, layer))
    }

    /// Serves an artifact with this description and layer, each of its media type; gives its reference.
    pub fn described(&self, tag: &str, config: (&str, Vec<u8>), layer: (&str, Vec<u8>)) -> String {
        let config = self.blob(config.0, config.1);
        let layer = self.blob(layer.0, layer.1);
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{}\",\"config\":{},\"layers\":[{layer}]}}",
            media::OCI_MANIFEST,
            // Registries want no annotations here.
            config.replace(
                &format!(",\"annotations\":{{\"{}\":\"demo.tar.gz\"}}", media::ANNOTATION_TITLE),
                ""
            )
        );
        self.manifest(tag, media::OCI_MANIFEST, manifest.into_bytes())
    }
}

fn answer(stream: TcpStream, routes: &Mutex<Routes>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        let mut last = 1;
        while last > 0 && !head.ends_with("\r\n\r\n") {
            last = reader.read_line(&mut head).unwrap_or(0);
        }
        let mut words = head.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return };
        let found = routes.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        let stream = reader.get_mut();
        let sent = match found {
            None if path == "/v2/" => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            }
            None => stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            Some((media_type, body)) => send(stream, method == "HEAD", &media_type, &body),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn send(
    stream: &mut TcpStream,
    head_only: bool,
    media_type: &str,
    body: &Body,
) -> std::io::Result<()> {
    let length = match body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::Repeated(_, count) => *count,
    };
    let digest = match body {
        Body::Bytes(bytes) => {
            format!("Docker-Content-Digest: {}\r\n", Digest::sha256(bytes.as_slice()))
        }
        Body::Repeated(..) => String::new(),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{digest}Content-Length: {length}\r\n\r\n"
    )?;
    if head_only {
        return Ok(());
    }
    match body {
        Body::Bytes(bytes) => stream.write_all(bytes),
        Body::Repeated(byte, count) => {
            let chunk = vec![*byte; 64 * 1024];
            let mut left = *count;
            while left > 0 {
                let part = left.min(chunk.len() as u64);
                stream.write_all(&chunk[..usize::try_from(part).unwrap_or(chunk.len())])?;
                left -= part;
            }
            Ok(())
        }
    }
}

/// One entry of an archive, as raw as it gets.
#[derive(Clone)]
pub struct Entry {
    /// Type as it stands in the header, such as `b'0'` for a file.
    pub kind: u8,
    /// Name as it stands in the header, at most 100 bytes.
    pub name: Vec<u8>,
    /// Mode.
    pub mode: u32,
    /// Where a link leads.
    pub link: Vec<u8>,
    /// The field for the size, where it is not the size of the content.
    pub size: Option<Vec<u8>>,
    /// The content.
    pub content: Vec<u8>,
}

impl Entry {
    /// A file.
    pub fn file(name: &str, content: &str) -> Self {
        Self::of(b'0', name, content.as_bytes())
    }

    /// Anything.
    pub fn of(kind: u8, name: &str, content: &[u8]) -> Self {
        Self {
            kind,
            name: name.as_bytes().to_vec(),
            mode: 0o644,
            link: Vec::new(),
            size: None,
            content: content.to_vec(),
        }
    }

    /// The same with another mode.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// The same, leading to `target`.
    #[must_use]
    pub fn link(mut self, target: &str) -> Self {
        self.link = target.as_bytes().to_vec();
        self
    }

    /// The same with this in the field for the size.
    #[must_use]
    pub fn size(mut self, field: &[u8]) -> Self {
        self.size = Some(field.to_vec());
        self
    }

    /// Records of an extended header for the next entry.
    pub fn pax(records: &[(&str, &[u8])]) -> Self {
        let bytes: Vec<u8> =
            records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
        Self::of(b'x', "pax", &bytes)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let mut header = [0_u8; BLOCK];
        let mut field =
            |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        field(0, &self.name);
        field(100, format!("{:07o}", self.mode).as_bytes());
        field(108, b"0000000\x000000000\0");
        let size = format!("{:011o}", self.content.len()).into_bytes();
        field(124, self.size.as_deref().unwrap_or(&size));
        field(136, b"00000000000\0        ");
        field(156, &[self.kind]);
        field(157, &self.link);
        field(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
}

/// One record of an extended header; its length counts itself.
pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

/// The entries as an archive, with its two empty blocks at the end.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        entry.write(&mut bytes);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// The bytes, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}
