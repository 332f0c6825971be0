//! The identities of clouds, against doubles of their services.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use eyas_oci::{Client, Cloud, OciError, Variables};

use crate::stage::{Head, Reply, Script, config, reference};

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A registry that wants a user and password, and beside it whatever `play` answers below `/cloud`.
async fn registry(play: impl Fn(&Head) -> Reply + Send + 'static) -> Script {
    Script::start(move |head| {
        if !head.target.starts_with("/v2/") {
            return play(head);
        }
        match head.header("authorization") {
            Some(_) => Reply::body("{}"),
            None => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
        }
    })
    .await
}

async fn ask(script: &Script, cloud: Cloud, environment: Variables) -> Result<Head, OciError> {
    let mut config = config(&[&script.host]);
    config.credentials.clouds.insert(script.host.clone(), cloud);
    config.credentials.environment = environment;
    let client = Client::new(config).unwrap();
    client.manifest(&reference(&script.host, "rules:1")).await?;
    // A second request neither asks the cloud again nor is refused first.
    let before = script.seen().len();
    client.manifest(&reference(&script.host, "rules:1")).await?;
    assert_eq!(script.seen().len(), before + 1);
    Ok(script.seen().pop().unwrap())
}

fn password(head: &Head) -> (String, String) {
    let text = head.header("authorization").unwrap().strip_prefix("Basic ").unwrap().to_owned();
    let text = String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
    let (user, password) = text.split_once(':').unwrap();
    (user.to_owned(), password.to_owned())
}

fn form(head: &Head) -> std::collections::BTreeMap<String, String> {
    url::form_urlencoded::parse(&head.body).into_owned().collect()
}

const KEYS: &str = r#"{"AccessKeyId":"AKID","SecretAccessKey":"sk","Token":"st","Expiration":"2999-01-01T00:00:00Z","Code":"Success"}"#;

/// The answer with a registry's password: `AWS:from-ecr`.
fn ecr(head: &Head) -> Option<Reply> {
    let target = head.header("x-amz-target")?;
    assert_eq!(target, "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
    assert_eq!(head.body, b"{}");
    let token = STANDARD.encode("AWS:from-ecr");
    let answer =
        r#"{"authorizationData":[{"authorizationToken":"TOKEN","expiresAt":32503680000.0}]}"#;
    Some(Reply::body(answer.replace("TOKEN", &token)))
}

#[tokio::test]
async fn keys_of_the_environment_give_a_registrys_password() {
    let script = registry(|head| ecr(head).unwrap_or_else(|| Reply::status(404))).await;
    let endpoint = format!("http://{}/", script.host);
    let environment = variables(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "sk"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL_ECR", &endpoint),
    ]);
    let last = ask(&script, Cloud::Aws, environment).await.unwrap();
    assert_eq!(password(&last), ("AWS".into(), "from-ecr".into()));
    let signed = script.seen()[1].header("authorization").unwrap().to_owned();
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKID/"), "{signed}");
    assert!(
        signed.contains(
            "/eu-west-1/ecr/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
        ),
        "{signed}"
    );
}

#[tokio::test]
async fn a_machine_a_container_and_a_web_identity_have_keys() {
    let play = |head: &Head| {
        if let Some(reply) = ecr(head) {
            assert_eq!(head.header("x-amz-security-token"), Some("st"));
            return reply;
        }
        match (head.method.as_str(), head.target.as_str()) {
            ("PUT", "/latest/api/token") => {
                assert_eq!(head.header("x-aws-ec2-metadata-token-ttl-seconds"), Some("300"));
                Reply::body("session")
            }
            ("GET", "/latest/meta-data/iam/security-credentials/") => Reply::body("my-role\n"),
            ("GET", "/latest/meta-data/iam/security-credentials/my-role") => {
                assert_eq!(head.header("x-aws-ec2-metadata-token"), Some("session"));
                Reply::body(KEYS)
            }
            ("GET", "/container") => {
                assert_eq!(head.header("authorization"), Some("pod token"));
                Reply::body(KEYS)
            }
            ("POST", "/sts") => {
                let form = form(head);
                assert_eq!(form["Action"], "AssumeRoleWithWebIdentity");
                assert_eq!(form["RoleArn"], "arn:aws:iam::1:role/r");
                assert_eq!(form["WebIdentityToken"], "jwt");
                Reply::body(
                    "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>AKID</AccessKeyId>\
                     <SecretAccessKey>sk</SecretAccessKey><SessionToken>st</SessionToken>\
                     <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResponse>",
                )
            }
            other => panic!("{other:?}"),
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "jwt\n").unwrap();
    let token = token.to_str().unwrap().to_owned();
    for source in ["machine", "container", "web identity", "profile"] {
        let script = registry(play).await;
        let at = |path: &str| format!("http://{}{path}", script.host);
        let (ecr, sts, container, machine) = (at("/"), at("/sts"), at("/container"), at(""));
        let mut pairs = vec![("AWS_ENDPOINT_URL_ECR", ecr.as_str()), ("AWS_REGION", "r")];
        let home = directory.path().to_str().unwrap();
        match source {
            "machine" => pairs.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", &machine)),
            "container" => pairs.extend([
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod token"),
            ]),
            "web identity" => pairs.extend([
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
                ("AWS_ENDPOINT_URL_STS", sts.as_str()),
            ]),
            _ => {
                std::fs::create_dir(directory.path().join(".aws")).unwrap();
                let text = "[default]\naws_access_key_id=AKID\naws_secret_access_key=sk\naws_session_token=st\n";
                std::fs::write(directory.path().join(".aws/credentials"), text).unwrap();
                pairs.push(("HOME", home));
            }
        }
        let last = ask(&script, Cloud::Aws, variables(&pairs)).await.unwrap();
        assert_eq!(password(&last).1, "from-ecr", "{source}");
    }
}

#[tokio::test]
async fn a_service_account_signs_for_its_token() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.as_der().unwrap();
    let body = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let public = pair.public_key().as_ref().to_vec();
    let script = registry(move |head| {
        assert_eq!(head.target, "/token");
        let form = form(head);
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (signed, signature) = form["assertion"].rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public)
            .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let read = |part: &str| -> serde_json::Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(read(header)["kid"], "k1");
        let claims = read(claims);
        assert_eq!(claims["iss"], "me@project.example.org");
        assert!(claims["aud"].as_str().unwrap().ends_with("/token"));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
        Reply::body(r#"{"access_token":"google","expires_in":3599,"token_type":"Bearer"}"#)
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    let key = serde_json::json!({
        "type": "service_account", "client_email": "me@project.example.org",
        "private_key": pem, "private_key_id": "k1",
        "token_uri": format!("http://{}/token", script.host), "project_id": "p",
    });
    std::fs::write(&path, key.to_string()).unwrap();
    let environment = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())];
    let last = ask(&script, Cloud::Google, variables(&environment)).await.unwrap();
    assert_eq!(password(&last), ("oauth2accesstoken".into(), "google".into()));
}

#[tokio::test]
async fn a_user_and_a_machine_have_tokens_of_google() {
    let script = registry(|head| {
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/user"));
        assert_eq!(form(head)["refresh_token"], "r1");
        Reply::body(r#"{"access_token":"user","expires_in":3599}"#)
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let key = serde_json::json!({
        "type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r1",
        "token_uri": format!("http://{}/user", script.host),
    });
    let path = directory.path().join("application_default_credentials.json");
    std::fs::write(path, key.to_string()).unwrap();
    let kept = [("CLOUDSDK_CONFIG", directory.path().to_str().unwrap())];
    assert_eq!(password(&ask(&script, Cloud::Google, variables(&kept)).await.unwrap()).1, "user");
    let script = registry(|head| {
        assert_eq!(head.header("metadata-flavor"), Some("Google"));
        assert!(
            head.target
                .starts_with("/computeMetadata/v1/instance/service-accounts/default/token?scopes=")
        );
        Reply::body(r#"{"access_token":"machine","expires_in":3599}"#)
    })
    .await;
    let machine = [("GCE_METADATA_HOST", script.host.as_str())];
    assert_eq!(
        password(&ask(&script, Cloud::Google, variables(&machine)).await.unwrap()).1,
        "machine"
    );
}

/// A registry as Azure has them: its own exchange of tokens, and a token service.
async fn azure() -> Script {
    let host = Arc::new(OnceLock::<String>::new());
    let own = Arc::clone(&host);
    let script = Script::start(move |head| {
        let host = own.get().unwrap();
        if head.target.starts_with("/v2/") {
            return match head.header("authorization") {
                Some("Bearer access") => Reply::body("{}"),
                _ => Reply::status(401).header(
                    "www-authenticate",
                    &format!("Bearer realm=\"http://{host}/oauth2/token\",service=\"{host}\""),
                ),
            };
        }
        match head.target.split('?').next().unwrap() {
            "/tenant-1/oauth2/v2.0/token" => {
                let form = form(head);
                assert_eq!(form["grant_type"], "client_credentials");
                assert_eq!(form["scope"], "https://containerregistry.azure.net/.default");
                let by_secret = form.get("client_secret").is_some_and(|secret| secret == "cs");
                let by_token = form.get("client_assertion").is_some_and(|token| token == "jwt");
                assert!(by_secret != by_token, "{form:?}");
                Reply::body(r#"{"access_token":"entra","expires_in":3599}"#)
            }
            "/metadata/identity/oauth2/token" => {
                assert_eq!(head.header("metadata"), Some("true"));
                assert!(head.target.contains("resource=https%3A%2F%2Fcontainerregistry.azure.net"));
                Reply::body(r#"{"access_token":"entra","expires_in":"3599"}"#)
            }
            "/oauth2/exchange" => {
                let form = form(head);
                assert_eq!(form["grant_type"], "access_token");
                assert_eq!(form["access_token"], "entra");
                assert_eq!(&form["service"], host);
                Reply::body(r#"{"refresh_token":"refresh"}"#)
            }
            "/oauth2/token" => {
                let form = form(head);
                assert_eq!(form["refresh_token"], "refresh");
                assert_eq!(form["scope"], "repository:rules:pull");
                Reply::body(r#"{"access_token":"access"}"#)
            }
            other => panic!("{other}"),
        }
    })
    .await;
    host.set(script.host.clone()).unwrap();
    script
}

#[tokio::test]
async fn an_application_a_workload_and_a_machine_get_into_azure() {
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "jwt").unwrap();
    for (name, value) in [
        ("AZURE_CLIENT_SECRET", "cs"),
        ("AZURE_FEDERATED_TOKEN_FILE", token.to_str().unwrap()),
        ("", ""),
    ] {
        let script = azure().await;
        let here = format!("http://{}", script.host);
        let mut pairs =
            vec![("AZURE_AUTHORITY_HOST", here.as_str()), ("AZURE_CLIENT_ID", "client-1")];
        if name.is_empty() {
            pairs.push(("AZURE_POD_IDENTITY_AUTHORITY_HOST", &here));
        } else {
            pairs.extend([("AZURE_TENANT_ID", "tenant-1"), (name, value)]);
        }
        let last = ask(&script, Cloud::Azure, variables(&pairs)).await.unwrap();
        assert_eq!(last.header("authorization"), Some("Bearer access"), "{name}");
    }
}

#[tokio::test]
async fn an_identity_goes_to_no_other_host() {
    let script = registry(|head| panic!("{} was asked", head.target)).await;
    let here = format!("http://{}/", script.host);
    let mut config = config(&[&script.host]);
    config.credentials.environment = variables(&[
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "sk"),
        ("AWS_REGION", "r"),
        ("AWS_ENDPOINT_URL", &here),
        ("GCE_METADATA_HOST", &script.host),
        ("AZURE_AUTHORITY_HOST", &here),
    ]);
    let client = Client::new(config).unwrap();
    let error = client.manifest(&reference(&script.host, "rules:1")).await.unwrap_err();
    assert!(error.to_string().contains("none is known"), "{error}");
}

#[tokio::test]
async fn a_listed_cloud_without_identity_is_an_error() {
    let script = registry(|_| Reply::status(404)).await;
    let disabled = [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_REGION", "r")];
    let error = ask(&script, Cloud::Aws, variables(&disabled)).await.unwrap_err();
    assert!(error.to_string().contains("use the identity of `aws`"), "{error}");
    let absent = [("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json")];
    let error = ask(&script, Cloud::Google, variables(&absent)).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/key.json"), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.json");
    std::fs::write(&path, r#"{"type":"external_account","secret":"s3cret"}"#).unwrap();
    let other = [("GOOGLE_APPLICATION_CREDENTIALS", path.to_str().unwrap())];
    let error = ask(&script, Cloud::Google, variables(&other)).await.unwrap_err().to_string();
    assert!(error.contains("not understood") && !error.contains("s3cret"), "{error}");
}
