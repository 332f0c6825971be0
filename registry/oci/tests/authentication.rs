//! Users, passwords and tokens, against a registry that insists on them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use eyas_oci::{Client, ClientConfig, Configured, OciError, Secret};

use crate::stage::{Head, Reply, Script, config, reference};

/// A registry with its token service on one address: tokens are `token-<n>`, and only those that
/// `accepts` says are taken.
async fn tokens(
    life: &'static str,
    accepts: impl Fn(&str) -> bool + Send + 'static,
) -> (Script, Arc<AtomicUsize>) {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let script = Script::start(move |head| {
        if head.target.starts_with("/token") {
            let n = count.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::body(format!(r#"{{"token":"token-{n}"{life}}}"#));
        }
        match head.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if accepts(token) => Reply::body("{}"),
            _ => {
                let realm = own.get().unwrap();
                let challenge = format!(r#"Bearer realm="http://{realm}/token",service="here""#);
                Reply::status(401).header("www-authenticate", &challenge)
            }
        }
    })
    .await;
    host.set(script.host.clone()).unwrap();
    (script, issued)
}

fn with(script: &Script, credential: Configured) -> Client {
    let mut config = config(&[&script.host]);
    config.credentials.configured.insert(script.host.clone(), credential);
    Client::new(config).unwrap()
}

fn password() -> Configured {
    Configured::Basic { user: "me".into(), password: Secret::new("pw") }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_kept() {
    let (script, issued) = tokens("", |_| true).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "team/rules:1");
    for _ in 0..3 {
        client.manifest(&at).await.unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
    let expected = [
        "GET /v2/team/rules/manifests/1",
        "GET /token?service=here&scope=repository%3Ateam%2Frules%3Apull",
        "GET /v2/team/rules/manifests/1",
        "GET /v2/team/rules/manifests/1",
        "GET /v2/team/rules/manifests/1",
    ];
    assert_eq!(script.lines(), expected);
    // Another repository needs another token, and no refusal to know it.
    client.manifest(&reference(&script.host, "other:1")).await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2);
    assert_eq!(script.lines().len(), expected.len() + 2);
}

#[tokio::test]
async fn many_at_once_fetch_one_token() {
    let (script, issued) = tokens("", |_| true).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    let all = (0..16).map(|_| client.manifest(&at));
    for outcome in futures_util::future::join_all(all).await {
        outcome.unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_that_ran_out_is_fetched_again_before_it_is_refused() {
    let (script, issued) = tokens(r#","expires_in":0"#, |_| true).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    client.manifest(&at).await.unwrap();
    client.manifest(&at).await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2);
    let refusals = script.seen().iter().filter(|h| h.header("authorization").is_none()).count();
    assert_eq!(refusals - issued.load(Ordering::SeqCst), 1, "only the first request is refused");
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once() {
    let (script, issued) = tokens("", |token| token != "token-1").await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let at = reference(&script.host, "rules:1");
    let error = client.manifest(&at).await.unwrap_err();
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    client.manifest(&at).await.unwrap();
    assert_eq!(issued.load(Ordering::SeqCst), 2);
    let (script, issued) = tokens("", |_| false).await;
    let client = Client::new(config(&[&script.host])).unwrap();
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    assert_eq!(issued.load(Ordering::SeqCst), 1, "no loop");
}

#[tokio::test]
async fn a_password_goes_to_the_token_service_only() {
    let (script, _) = tokens("", |_| true).await;
    let client = with(&script, password());
    client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
    let seen = script.seen();
    assert_eq!(seen[0].header("authorization"), None);
    assert_eq!(seen[1].header("authorization"), Some("Basic bWU6cHc="));
    assert!(seen[1].target.ends_with("&account=me"), "{}", seen[1].target);
    assert_eq!(seen[2].header("authorization"), Some("Bearer token-1"));
}

#[tokio::test]
async fn a_refresh_token_is_posted() {
    let (script, _) = tokens("", |_| true).await;
    let client = with(&script, Configured::Identity(Secret::new("re/fresh")));
    client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
    let request = &script.seen()[1];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/token"));
    let body = String::from_utf8(request.body.clone()).unwrap();
    assert_eq!(
        body,
        "grant_type=refresh_token&client_id=eyas&refresh_token=re%2Ffresh\
         &scope=repository%3Arules%3Apull&service=here"
    );
}

#[tokio::test]
async fn a_password_is_sent_where_a_password_is_asked_for() {
    let script = Script::start(|head| match head.header("authorization") {
        Some("Basic bWU6cHc=") => Reply::body("{}"),
        _ => Reply::status(401).header("www-authenticate", r#"Basic realm="x""#),
    })
    .await;
    let client = with(&script, password());
    let at = reference(&script.host, "rules:1");
    client.manifest(&at).await.unwrap();
    client.manifest(&at).await.unwrap();
    assert_eq!(script.seen().len(), 3, "what it wants is remembered");
    let wrong = Configured::Basic { user: "me".into(), password: Secret::new("no") };
    let client = with(&script, wrong);
    let before = script.seen().len();
    let error = client.manifest(&at).await.unwrap_err();
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    assert_eq!(script.seen().len() - before, 2, "a wrong password is tried once");
    let nobody = Client::new(config(&[&script.host])).unwrap();
    let error = nobody.manifest(&at).await.unwrap_err();
    assert!(error.to_string().contains("none is known"), "{error}");
    assert!(error.hint().unwrap().contains("credential file"));
}

/// Asks a registry whose token service answers like this.
async fn failing(play: impl Fn(&Head) -> Reply + Send + 'static) -> (OciError, Script) {
    let host = Arc::new(std::sync::OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let script = Script::start(move |head| {
        if head.target.starts_with("/token") {
            return play(head);
        }
        let challenge = format!(r#"Bearer realm="http://{}/token""#, own.get().unwrap());
        Reply::status(401).header("www-authenticate", &challenge)
    })
    .await;
    host.set(script.host.clone()).unwrap();
    let client = with(&script, password());
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    (error, script)
}

#[tokio::test]
async fn a_failing_token_service_ends_the_request() {
    let (error, script) = failing(|_| Reply::status(401)).await;
    assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
    assert!(error.to_string().contains("gives no token for `repository:rules:pull`"), "{error}");
    let anonymous = script.seen().iter().filter(|h| h.target.starts_with("/v2")).count();
    assert_eq!(anonymous, 1, "nothing is asked for anonymously after it");
    let (error, _) = failing(|_| Reply::status(404)).await;
    assert!(error.to_string().contains("there is no token service at"), "{error}");
    let (error, script) = failing(|_| Reply::status(500)).await;
    assert!(matches!(error, OciError::Server { status: 500, .. }), "{error}");
    assert_eq!(script.seen().len(), 5, "a passing failure is repeated");
    let (error, _) = failing(|_| Reply::body("{}")).await;
    assert!(error.to_string().contains("has no token"), "{error}");
    let (error, _) = failing(|_| Reply::body("{\"token\":\"a\\nb\"}")).await;
    assert!(error.to_string().contains("no header may have"), "{error}");
    let (error, _) = failing(|_| Reply::status(302).header("location", "/token2")).await;
    assert!(matches!(error, OciError::Server { status: 302, .. }), "{error}");
    let (error, _) = failing(|_| Reply::body("{}").cut(64 * 1024 + 1)).await;
    assert!(matches!(error, OciError::TooLarge { limit: 65_536, .. }), "{error}");
    let (error, _) = failing(|_| Reply::status(200).endless()).await;
    assert!(matches!(error, OciError::TooLarge { limit: 65_536, .. }), "{error}");
}

#[tokio::test]
async fn credentials_do_not_follow_a_strange_token_service() {
    for realm in ["ftp://127.0.0.1/token", "not an address", "file:///etc/passwd"] {
        let challenge = format!(r#"Bearer realm="{realm}""#);
        let script =
            Script::start(move |_| Reply::status(401).header("www-authenticate", &challenge)).await;
        let client = with(&script, password());
        let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
        assert!(
            matches!(error, OciError::Unauthorized { .. } | OciError::Malformed { .. }),
            "{realm}: {error}"
        );
        assert_eq!(script.seen().len(), 1);
    }
}

#[tokio::test]
async fn no_secret_is_in_any_debug_output() {
    let mut config = config(&["r.example.org"]);
    config.credentials.configured.insert("r.example.org".into(), password());
    config.credentials.configured.insert("s".into(), Configured::Bearer(Secret::new("pw")));
    let client = Client::new(ClientConfig { ..config }).unwrap();
    let shown = format!("{client:?}");
    assert!(shown.contains("me") && !shown.contains("pw"), "{shown}");
}

#[tokio::test]
async fn a_helper_that_hangs_is_given_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-slow");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("config.json");
    let text = format!(r#"{{"credsStore":"{}"}}"#, "slow");
    std::fs::write(&file, text).unwrap();
    let script = Script::start(|_| Reply::status(401).header("www-authenticate", "Basic")).await;
    let mut config = config(&[&script.host]);
    config.credentials.docker_config = Some(file);
    config.credentials.helper_directory = Some(directory.path().to_owned());
    config.credentials.helper_timeout = Duration::from_millis(200);
    let client = Client::new(config).unwrap();
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    assert!(matches!(error, OciError::Credentials { .. }), "{error}");
    assert!(error.to_string().contains("did not answer in 200 ms"), "{error}");
}

/// What comes of asking a helper that is this shell script.
async fn helper(script_text: &str) -> (Result<(), OciError>, Option<String>) {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-mine");
    std::fs::write(&program, format!("#!/bin/sh\n{script_text}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("config.json");
    let script = Script::start(|head| match head.header("authorization") {
        Some(_) => Reply::body("{}"),
        None => Reply::status(401).header("www-authenticate", "Basic"),
    })
    .await;
    let text = format!(r#"{{"credHelpers":{{"{}":"mine"}}}}"#, script.host);
    std::fs::write(&file, text).unwrap();
    let mut config = config(&[&script.host]);
    config.credentials.docker_config = Some(file);
    config.credentials.helper_directory = Some(directory.path().to_owned());
    let client = Client::new(config).unwrap();
    let outcome = client.manifest(&reference(&script.host, "rules:1")).await.map(drop);
    let sent = script.seen().last().and_then(|h| h.header("authorization").map(str::to_owned));
    (outcome, sent)
}

#[tokio::test]
async fn a_helper_is_asked_and_its_output_never_shown() {
    let (outcome, sent) = helper(r#"cat >/dev/null; echo '{"Username":"me","Secret":"pw"}'"#).await;
    outcome.unwrap();
    assert_eq!(sent.as_deref(), Some("Basic bWU6cHc="));
    let not_found = "echo 'credentials not found in native keychain'; exit 1";
    let (outcome, _) = helper(not_found).await;
    assert!(outcome.unwrap_err().to_string().contains("none is known"));
    for text in ["echo s3cret; exit 3", "echo s3cret", "echo '{\"Username\":\"s3cret\"}'"] {
        let error = helper(text).await.0.unwrap_err();
        assert!(matches!(error, OciError::Credentials { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
    let error = helper("yes s3cret").await.0.unwrap_err().to_string();
    assert!(error.contains("printed more than 65536 bytes"), "{error}");
}

/// A registry that takes `Bearer <token>`, with a token service that hands them to a client.
async fn client_registry(by_form: bool) -> (Script, Arc<AtomicUsize>) {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&issued);
    let script = Script::start(move |head| {
        if head.target == "/tok" {
            let body = String::from_utf8(head.body.clone()).unwrap();
            let in_form = body.contains("client_id=id%2F1&client_secret=se+c");
            // "id%2F1:se+c", as the specification wants it.
            let in_header = head.header("authorization") == Some("Basic aWQlMkYxOnNlK2M=");
            assert!(body.contains("grant_type=client_credentials&scope=a+b"), "{body}");
            if if by_form { in_form } else { in_header } {
                let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                return Reply::body(format!(r#"{{"access_token":"tok-{n}","expires_in":3600}}"#));
            }
            return Reply::status(401);
        }
        match head.header("authorization") {
            Some(token) if token.starts_with("Bearer tok-") => Reply::body("{}"),
            _ => Reply::status(401)
                .header("www-authenticate", r#"Bearer realm="http://127.0.0.1:9/never""#),
        }
    })
    .await;
    (script, issued)
}

fn oauth(script: &Script, secret: &str) -> eyas_oci::ClientCredentials {
    eyas_oci::ClientCredentials {
        id: "id/1".into(),
        secret: Secret::new(secret),
        token_url: format!("http://{}/tok", script.host),
        scopes: vec!["a".into(), "b".into()],
    }
}

#[tokio::test]
async fn a_client_is_exchanged_for_a_token_that_is_kept() {
    for by_form in [false, true] {
        let (script, issued) = client_registry(by_form).await;
        let client = with(&script, Configured::Client(oauth(&script, "se c")));
        for _ in 0..3 {
            client.manifest(&reference(&script.host, "rules:1")).await.unwrap();
        }
        assert_eq!(issued.load(Ordering::SeqCst), 1);
        let wrong = with(&script, Configured::Client(oauth(&script, "no")));
        let error = wrong.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
        assert!(matches!(error, OciError::Unauthorized { .. }), "{error}");
        assert!(error.to_string().contains("gives no token for the client"), "{error}");
    }
}

#[tokio::test]
async fn a_login_is_checked_kept_found_and_forgotten() {
    let (script, _) = client_registry(false).await;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&[&script.host]);
    config.credentials.client_credentials = Some(directory.path().join("clients.json"));
    config.credentials.docker_config = Some(directory.path().join("config.json"));
    let anonymous = Client::new(config.clone()).unwrap();
    assert!(anonymous.ping(&script.host).await.is_err());
    config.credentials.keep_client(&script.host, &oauth(&script, "se c")).unwrap();
    let client = Client::new(config.clone()).unwrap();
    assert_eq!(client.ping(&script.host).await.unwrap(), eyas_oci::Ping::Accepted);
    let forgotten = config.credentials.forget(&script.host).await.unwrap();
    assert_eq!(forgotten, [directory.path().join("clients.json")]);
    assert!(config.credentials.forget(&script.host).await.unwrap().is_empty());
    let open = Script::start(|_| Reply::body("{}")).await;
    let client = crate::stage::client(&open.host);
    assert_eq!(client.ping(&open.host).await.unwrap(), eyas_oci::Ping::Open);
    assert_eq!(open.lines(), ["GET /v2/"]);
}

#[tokio::test]
async fn a_helper_keeps_and_forgets() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-mine");
    let text = r#"#!/bin/sh
cd "$(dirname "$0")"
case "$1" in
store) cat > kept;;
erase) rm kept;;
get) if [ -e kept ]; then cat kept; else echo "credentials not found in native keychain"; exit 1; fi;;
esac
"#;
    std::fs::write(&program, text).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, r#"{"credsStore":"mine","auths":{"r":{"auth":"b2xkOm9sZA=="}}}"#)
        .unwrap();
    let mut sources = config(&[]).credentials;
    sources.docker_config = Some(file.clone());
    sources.helper_directory = Some(directory.path().to_owned());
    let credential = eyas_oci::Credential::Basic { user: "me".into(), password: Secret::new("pw") };
    let kept = sources.keep("r", &credential).await.unwrap();
    assert_eq!(kept, eyas_oci::Kept::Helper("docker-credential-mine".into()));
    let entry = std::fs::read_to_string(directory.path().join("kept")).unwrap();
    assert_eq!(entry, r#"{"Secret":"pw","ServerURL":"r","Username":"me"}"#);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("b2xk"), "the secret in the file is gone: {text}");
    assert_eq!(sources.forget("r").await.unwrap(), [file]);
    assert!(!directory.path().join("kept").exists());
}
