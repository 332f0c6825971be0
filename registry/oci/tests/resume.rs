//! Blobs that break off and go on, with memory that does not grow.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use eyas_artifact::{Descriptor, Hasher};
use eyas_oci::{BlobSink, Client, ClientConfig, Notice, OciError, server::ServeOptions};

use crate::stage::{Embedded, Reply, Script, client, config, notices, reference};

const CONTENT: &[u8] = b"0123456789";

/// A sink that has something from an earlier run.
struct Kept {
    bytes: Vec<u8>,
    restarts: usize,
}

impl BlobSink for Kept {
    async fn resume(&mut self, hasher: &mut Hasher) -> io::Result<u64> {
        hasher.update(&self.bytes);
        Ok(self.bytes.len() as u64)
    }

    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        self.restarts += 1;
        Ok(())
    }
}

/// Serves parts as they are asked for, and at most `at_once` bytes of them before it hangs up.
fn in_pieces(at_once: usize) -> impl FnMut(&crate::stage::Head) -> Reply + Send + 'static {
    move |head| {
        let first = head
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
            .unwrap_or(0_usize);
        let end = (first + at_once).min(CONTENT.len());
        let reply = Reply::body(&CONTENT[first..end]).header("etag", "\"v1\"");
        let reply = match head.header("range") {
            None => reply,
            Some(_) => reply
                .with_status(206)
                .header("content-range", &format!("bytes {first}-9/{}", CONTENT.len())),
        };
        if end == CONTENT.len() { reply } else { reply.cut(CONTENT.len() - first) }
    }
}

#[tokio::test]
async fn a_broken_blob_goes_on_where_it_stopped() {
    let script = Script::start(in_pieces(4)).await;
    let (listener, heard) = notices();
    let client = Client::new(ClientConfig { listener, ..config(&[&script.host]) }).unwrap();
    let mut sink = Vec::new();
    let entry = Descriptor::of("x", CONTENT);
    client.blob(&reference(&script.host, "rules"), &entry, &mut sink).await.unwrap();
    assert_eq!(sink, CONTENT);
    let ranges: Vec<_> =
        script.seen().iter().map(|head| head.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=4-".to_owned()), Some("bytes=8-".to_owned())]);
    assert_eq!(script.seen()[1].header("if-range"), Some("\"v1\""));
    let offsets: Vec<u64> = heard
        .lock()
        .unwrap()
        .iter()
        .filter_map(|notice| match notice {
            Notice::Resumed { offset, .. } => Some(*offset),
            _ => None,
        })
        .collect();
    assert_eq!(offsets, [4, 8]);
}

#[tokio::test]
async fn a_server_that_ignores_the_part_asked_for_is_read_past_it() {
    let mut first = true;
    let script = Script::start(move |_| {
        if std::mem::take(&mut first) {
            return Reply::body(&CONTENT[..3]).cut(10);
        }
        Reply::body(CONTENT)
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", CONTENT);
    let at = reference(&script.host, "rules");
    assert_eq!(client.blob_bytes(&at, &entry, 10).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_stall_is_noticed_and_overcome() {
    let mut first = true;
    let mut rest = in_pieces(10);
    let script = Script::start(move |head| {
        if std::mem::take(&mut first) {
            return Reply::body(&CONTENT[..5]).stall(10);
        }
        rest(head)
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", CONTENT);
    let at = reference(&script.host, "rules");
    assert_eq!(client.blob_bytes(&at, &entry, 10).await.unwrap(), CONTENT);

    let script = Script::start(|_| Reply::body("").stall(10)).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules");
    let error = client.blob_bytes(&at, &entry, 10).await.unwrap_err();
    assert!(matches!(error, OciError::Stalled { received: 0, .. }), "{error}");
    assert_eq!(script.seen().len(), 4);
}

#[tokio::test]
async fn a_part_of_something_else_is_refused() {
    for range in ["bytes 3-9/10", "bytes 4-9/11", "rubbish", "bytes 4/10"] {
        let mut first = true;
        let script = Script::start(move |_| {
            if std::mem::take(&mut first) {
                return Reply::body(&CONTENT[..4]).cut(10);
            }
            Reply::body(&CONTENT[4..]).with_status(206).header("content-range", range)
        })
        .await;
        let client = Client::new(config(&[&script.host])).unwrap();
        let entry = Descriptor::of("x", CONTENT);
        let at = reference(&script.host, "rules");
        let error = client.blob_bytes(&at, &entry, 10).await.unwrap_err();
        assert!(matches!(error, OciError::Malformed { .. }), "{range}: {error}");
    }
}

#[tokio::test]
async fn what_is_kept_is_used_when_right_and_dropped_when_wrong() {
    let script = Script::start(in_pieces(10)).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", CONTENT);
    let at = reference(&script.host, "rules");
    for (kept, restarts, requests) in [
        (&b"01234"[..], 0, 1),
        (&b"0123456789"[..], 0, 0),
        (&b"01X34"[..], 1, 2),
        (&b"012345678X"[..], 1, 1),
        (&b"0123456789abc"[..], 1, 1),
    ] {
        let before = script.seen().len();
        let mut sink = Kept { bytes: kept.to_vec(), restarts: 0 };
        client.blob(&at, &entry, &mut sink).await.unwrap();
        assert_eq!(sink.bytes, CONTENT);
        assert_eq!(sink.restarts, restarts, "{kept:?}");
        assert_eq!(script.seen().len() - before, requests, "{kept:?}");
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_had_starts_the_whole_anew() {
    let script = Script::start(|head| match head.header("range") {
        Some(_) => Reply::status(416),
        None => Reply::body(CONTENT),
    })
    .await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", CONTENT);
    let mut sink = Kept { bytes: b"012".to_vec(), restarts: 0 };
    client.blob(&reference(&script.host, "rules"), &entry, &mut sink).await.unwrap();
    assert_eq!((sink.bytes.as_slice(), sink.restarts), (CONTENT, 1));
}

#[tokio::test]
async fn a_full_disk_ends_the_transfer_at_once() {
    struct Full;
    impl BlobSink for Full {
        async fn write(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
        async fn restart(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let script = Script::start(|_| Reply::body(CONTENT)).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let entry = Descriptor::of("x", CONTENT);
    let error = client.blob(&reference(&script.host, "a"), &entry, &mut Full).await.unwrap_err();
    assert!(matches!(error, OciError::Sink { .. }), "{error}");
    assert_eq!(script.seen().len(), 1);
}

/// Counts instead of keeping: what it sees at once is what the transport holds at once.
struct Counting {
    bytes: u64,
    largest: Arc<AtomicUsize>,
}

impl BlobSink for Counting {
    async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.bytes += chunk.len() as u64;
        self.largest.fetch_max(chunk.len(), Ordering::Relaxed);
        Ok(())
    }

    async fn restart(&mut self) -> io::Result<()> {
        self.bytes = 0;
        Ok(())
    }
}

#[tokio::test]
async fn the_largest_piece_does_not_grow_with_the_blob() {
    let registry = Embedded::start(ServeOptions::default()).await;
    let client = client(&registry.host);
    let at = reference(&registry.host, "rules");
    let path = registry.directory.path().join("large");
    for mebibytes in [1_u64, 64] {
        let piece = vec![mebibytes as u8; 1024 * 1024];
        let mut hasher = Hasher::new();
        let mut file = std::fs::File::create(&path).unwrap();
        for _ in 0..mebibytes {
            hasher.update(&piece);
            io::Write::write_all(&mut file, &piece).unwrap();
        }
        let entry = Descriptor::new("x", hasher.finish(), mebibytes * 1024 * 1024);
        client
            .push_blob(&at, &entry, &eyas_oci::BlobSource::File(path.clone()), None)
            .await
            .unwrap();
        let largest = Arc::new(AtomicUsize::new(0));
        let mut sink = Counting { bytes: 0, largest: Arc::clone(&largest) };
        client.blob(&at, &entry, &mut sink).await.unwrap();
        assert_eq!(sink.bytes, entry.size);
        assert!(largest.load(Ordering::Relaxed) <= 1024 * 1024, "{largest:?}");
    }
}
