//! Posts the sensor's alerts to an HTTP receiver, as a child of the sensor and without its privileges.
//!
//! Owns requests, retries and giving up. What comes in and goes out between the two is `eyas-output`'s.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use eyas_output::{Post, Posted};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shortest and longest wait between two attempts, unless the receiver names one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Most alerts in one batch; more is not what the sensor sends.
const MAX_BATCH: usize = 64 * 1024;

/// What became of one request.
enum Outcome {
    Taken,
    /// Trying again is of no use.
    Refused(String),
    /// Trying again may help, after a wait that the receiver may have named.
    Later(String, Option<Duration>),
}

/// Reads orders and batches until the input ends, and answers each batch.
pub(crate) async fn run(mut input: impl BufRead, mut output: impl Write) -> anyhow::Result<()> {
    let Some(orders) = line(&mut input)? else { return Ok(()) };
    let post: Post = serde_json::from_str(&orders)?;
    let client = client(&post)?;
    while let Some(count) = line(&mut input)? {
        let count: usize = count.parse()?;
        anyhow::ensure!(count <= MAX_BATCH, "a batch of `{count}` alerts is too large");
        let mut alerts = Vec::with_capacity(count);
        for _ in 0..count {
            let Some(alert) = line(&mut input)? else { return Ok(()) };
            alerts.push(alert);
        }
        let posted = deliver(&client, &post, &alerts).await;
        writeln!(output, "{}", serde_json::to_string(&posted)?)?;
        output.flush()?;
    }
    Ok(())
}

fn line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut text = String::new();
    if input.read_line(&mut text)? == 0 {
        return Ok(None);
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(Some(text))
}

fn client(post: &Post) -> anyhow::Result<reqwest::Client> {
    // An error means that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let timeout = Duration::from_secs(post.timeout_s.max(1));
    let mut builder = reqwest::Client::builder()
        .user_agent(&post.user_agent)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .tls_danger_accept_invalid_certs(post.insecure);
    if !post.keep_alive {
        builder = builder.pool_max_idle_per_host(0);
    }
    if post.url.starts_with("http://") {
        // Nothing of the system's certificates is read for a receiver that uses none.
        builder = builder.tls_certs_only([]);
    } else {
        for authority in &post.authorities {
            builder = builder
                .tls_certs_merge(reqwest::Certificate::from_pem_bundle(authority.as_bytes())?);
        }
        if let Some(identity) = &post.identity {
            builder = builder.identity(reqwest::Identity::from_pem(identity.as_bytes())?);
        }
    }
    Ok(builder.build()?)
}

/// All alerts of a batch, in requests of as many as the orders say.
async fn deliver(client: &reqwest::Client, post: &Post, alerts: &[String]) -> Posted {
    let mut posted = Posted::default();
    for some in alerts.chunks(post.batch.max(1)) {
        match insist(client, post, some).await {
            Ok(()) => posted.delivered += some.len() as u64,
            Err(error) => posted.error = Some(error),
        }
    }
    posted
}

/// One request, until it is taken, refused for good, or the time is over.
async fn insist(client: &reqwest::Client, post: &Post, alerts: &[String]) -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(post.give_up_s);
    let mut wait = BACKOFF.0;
    loop {
        let (why, named) = match attempt(client, post, alerts).await {
            Outcome::Taken => return Ok(()),
            Outcome::Refused(why) => return Err(why),
            Outcome::Later(why, named) => (why, named),
        };
        let pause = named.unwrap_or(wait);
        if Instant::now() + pause >= end {
            return Err(why);
        }
        tokio::time::sleep(pause).await;
        wait = (wait * 2).min(BACKOFF.1);
    }
}

async fn attempt(client: &reqwest::Client, post: &Post, alerts: &[String]) -> Outcome {
    let kind = match (post.json, alerts.len()) {
        (true, 1) => "application/json",
        (true, _) => "application/x-ndjson",
        (false, _) => "text/plain; charset=utf-8",
    };
    let mut request = client.post(&post.url).header("Content-Type", kind);
    let body = alerts.join("\n").into_bytes();
    if post.compress {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        match encoder.write_all(&body).and_then(|()| encoder.finish()) {
            Ok(smaller) => request = request.header("Content-Encoding", "gzip").body(smaller),
            Err(error) => return Outcome::Refused(error.to_string()),
        }
    } else {
        request = request.body(body);
    }
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Outcome::Later(innermost(&error), None),
    };
    let status = answer.status();
    let named = answer
        .headers()
        .get("Retry-After")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    // Read to its end, so that the connection can be used again; what it says is of no interest.
    if let Err(error) = drained(answer).await {
        return Outcome::Later(innermost(&error), named);
    }
    let why = format!("the receiver answered with status {}", status.as_u16());
    match status.as_u16() {
        200..300 => Outcome::Taken,
        408 | 425 | 429 | 500.. => Outcome::Later(why, named),
        _ => Outcome::Refused(why),
    }
}

async fn drained(mut answer: reqwest::Response) -> reqwest::Result<()> {
    /// A longer answer costs the connection.
    const MAX_ANSWER: usize = 64 * 1024;
    let mut size = 0;
    while let Some(chunk) = answer.chunk().await? {
        size += chunk.len();
        if size > MAX_ANSWER {
            break;
        }
    }
    Ok(())
}

/// The last cause; the outermost says no more than that sending failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = next.to_string();
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::tls::{KeyKind, Set, Subject};

    fn orders(url: String) -> Post {
        Post {
            url,
            user_agent: "eyasd/test".into(),
            json: true,
            insecure: false,
            authorities: Vec::new(),
            identity: None,
            compress: false,
            keep_alive: true,
            batch: 1,
            timeout_s: 5,
            give_up_s: 5,
        }
    }

    /// A receiver that gives these answers, one for each request, on as many connections as come.
    fn receiver(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/alerts", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let mut left = answers.iter();
            for stream in listener.incoming() {
                let mut reader = io::BufReader::new(stream.unwrap());
                while let Some((head, body)) = one_request(&mut reader) {
                    let Some(answer) = left.next() else { return };
                    let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 2\r\n\r\nok");
                    // Before the answer, after which the test may count.
                    if sender.send(format!("{head}\n{body}")).is_err() {
                        return;
                    }
                    reader.get_mut().write_all(text.as_bytes()).unwrap();
                }
            }
        });
        (url, requests)
    }

    fn one_request(reader: &mut impl BufRead) -> Option<(String, String)> {
        let mut head = String::new();
        let mut length = 0;
        loop {
            let line = line(reader).ok()??;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            head.push_str(line);
            head.push('\n');
        }
        let mut body = vec![0; length];
        io::Read::read_exact(reader, &mut body).ok()?;
        Some((head, String::from_utf8_lossy(&body).into_owned()))
    }

    fn conversation(post: &Post, input: &str) -> Vec<Posted> {
        let text = format!("{}\n{input}", serde_json::to_string(post).unwrap());
        let mut output = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(text.as_bytes(), &mut output)).unwrap();
        String::from_utf8(output)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }

    #[test]
    fn each_alert_is_one_request_as_receivers_of_falcos_alerts_expect() {
        let (url, requests) = receiver(&["200 OK", "202 Accepted"]);
        let answers = conversation(&orders(url), "2\n{\"rule\":\"a\"}\n{\"rule\":\"b\"}\n");
        assert_eq!(answers, [Posted { delivered: 2, error: None }]);
        let first = requests.recv().unwrap();
        assert!(first.starts_with("POST /alerts HTTP/1.1\n"), "{first}");
        assert!(first.to_lowercase().contains("content-type: application/json\n"), "{first}");
        assert!(first.contains("eyasd/test"), "{first}");
        assert!(first.ends_with("\n{\"rule\":\"a\"}"), "{first}");
        assert!(requests.recv().unwrap().ends_with("\n{\"rule\":\"b\"}"));
    }

    #[test]
    fn several_alerts_in_one_request_are_separated_by_line_feeds() {
        let (url, requests) = receiver(&["200 OK", "200 OK"]);
        let post = Post { batch: 2, ..orders(url) };
        let answers = conversation(&post, "3\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
        assert_eq!(answers[0].delivered, 3);
        let first = requests.recv().unwrap();
        assert!(first.contains("application/x-ndjson"), "{first}");
        assert!(first.ends_with("\n{\"n\":1}\n{\"n\":2}"), "{first}");
        assert!(requests.recv().unwrap().ends_with("\n{\"n\":3}"));
    }

    #[test]
    fn a_receiver_in_trouble_is_asked_again_and_one_that_refuses_is_not() {
        let (url, requests) = receiver(&["503 Busy", "429 Slow\r\nRetry-After: 0", "200 OK"]);
        let answers = conversation(&orders(url), "1\n{}\n");
        assert_eq!(answers, [Posted { delivered: 1, error: None }]);
        assert_eq!(requests.try_iter().count(), 3);
        let (url, requests) = receiver(&["400 Bad", "200 OK"]);
        let answers = conversation(&orders(url), "2\n{\"n\":1}\n{\"n\":2}\n");
        let error = Some("the receiver answered with status 400".to_owned());
        assert_eq!(answers, [Posted { delivered: 1, error }]);
        assert_eq!(requests.try_iter().count(), 2);
    }

    #[test]
    fn what_cannot_be_posted_in_time_is_given_up_and_said() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let post = Post { give_up_s: 0, ..orders(format!("http://{closed}/")) };
        let answers = conversation(&post, "1\n{}\n");
        assert_eq!(answers[0].delivered, 0);
        assert!(answers[0].error.as_ref().unwrap().contains("refused"), "{answers:?}");
    }

    /// A receiver at `https://` that takes one alert from whoever shows a certificate of its authority.
    fn strict_receiver(set: &Set) -> String {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate(&set.authority.certificate)).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder(roots.into()).build().unwrap();
        let config = rustls::ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate(&set.server.certificate)],
                PrivateKeyDer::from_pem_slice(set.server.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let config = std::sync::Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(config.clone()).unwrap();
                let mut stream = io::BufReader::new(rustls::StreamOwned::new(session, stream));
                if one_request(&mut stream).is_some() {
                    let _ =
                        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
            }
        });
        url
    }

    #[test]
    fn a_receiver_that_asks_for_a_certificate_gets_it_and_must_have_one_itself() {
        let subject = Subject {
            country: "SE".into(),
            organization: "eyas".into(),
            name: "receiver".into(),
            names: Vec::new(),
            addresses: vec![std::net::Ipv4Addr::LOCALHOST.into()],
            from: jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1),
            days: 2,
        };
        let make = || Set::make(&subject, KeyKind::Ecdsa).unwrap();
        let (ours, others) = (make(), make());
        let url = strict_receiver(&ours);
        let told = |authority: &Set, client: Option<&Set>| {
            let identity =
                client.map(|set| format!("{}{}", set.client.certificate, set.client.key));
            let post = Post {
                authorities: vec![authority.authority.certificate.clone()],
                identity,
                give_up_s: 0,
                ..orders(url.clone())
            };
            conversation(&post, "1\n{}\n").remove(0)
        };
        assert_eq!(told(&ours, Some(&ours)), Posted { delivered: 1, error: None });
        // Without a certificate, with a stranger's, and to a receiver that is a stranger itself.
        for (authority, client) in [(&ours, None), (&ours, Some(&others)), (&others, Some(&ours))] {
            let posted = told(authority, client);
            assert_eq!(posted.delivered, 0);
            assert!(posted.error.is_some());
        }
    }

    #[test]
    fn bodies_are_compressed_when_asked() {
        let (url, requests) = receiver(&["200 OK"]);
        let post = Post { compress: true, ..orders(url) };
        assert_eq!(conversation(&post, "1\n{\"rule\":\"a\"}\n")[0].delivered, 1);
        let request = requests.recv().unwrap().to_lowercase();
        assert!(request.contains("content-encoding: gzip"), "{request}");
        assert!(!request.contains("rule"), "{request}");
    }

    #[test]
    fn an_input_that_ends_in_the_middle_is_the_end() {
        let (url, _requests) = receiver(&[]);
        assert_eq!(conversation(&orders(url.clone()), ""), []);
        assert_eq!(conversation(&orders(url), "2\n{}\n"), []);
    }
}
