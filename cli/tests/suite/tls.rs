//! Certificates: what comes out, what stays, and what another program says about them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::program::User;

const FILES: [&str; 6] =
    ["ca.crt", "ca.key", "server.crt", "server.key", "client.crt", "client.key"];

fn user() -> User {
    let user = User::new();
    user.write("eyas.yaml", "");
    user
}

/// What `openssl` says; nothing, said aloud, where it is not installed.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn openssl(user: &User, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new("openssl").args(arguments).current_dir(user.path(".")).output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: tls: openssl is not installed");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn another_program_accepts_the_certificates() {
    let user = user();
    let arguments = [
        "tls",
        "install",
        "--path",
        "certs",
        "--name",
        "falco.example.org",
        "--alternate-names",
        "a.example.org,b.example.org",
        "--alternate-addresses",
        "127.0.0.1",
        "--days",
        "10",
        "--country",
        "de",
        "--organization",
        "Example",
    ];
    let done = user.run(&arguments.join(" ")).expect(0);
    assert!(done.stdout.contains("ca.crt"), "{}", done.stdout);
    for name in FILES {
        let mode = fs::metadata(user.path("certs").join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, if name.contains(".key") { 0o600 } else { 0o644 }, "{name}");
    }
    for (purpose, name) in [("sslserver", "server"), ("sslclient", "client")] {
        let file = format!("certs/{name}.crt");
        let arguments = ["verify", "-CAfile", "certs/ca.crt", "-purpose", purpose, &file];
        let Some((good, said)) = openssl(&user, &arguments) else { return };
        assert!(good, "{name}: {said}");
        // A certificate for one purpose is none for the other.
        let other = if purpose == "sslserver" { "sslclient" } else { "sslserver" };
        let arguments = ["verify", "-CAfile", "certs/ca.crt", "-purpose", other, &file];
        assert!(openssl(&user, &arguments).is_some_and(|(good, _)| !good), "{name}");
    }
    let (_, text) = openssl(&user, &["x509", "-in", "certs/server.crt", "-noout", "-text"])
        .expect("it was there a moment ago");
    for part in [
        "DNS:falco.example.org",
        "DNS:a.example.org",
        "DNS:b.example.org",
        "IP Address:127.0.0.1",
        "C = DE, O = Example, CN = falco.example.org",
        "CA:FALSE",
        "prime256v1",
    ] {
        let plain = text.replace("C=", "C = ").replace("O=", "O = ").replace("CN=", "CN = ");
        assert!(text.contains(part) || plain.contains(part), "{part} is not in {text}");
    }
    for (key, certificate) in [("server.key", "server.crt"), ("client.key", "client.crt")] {
        let of_key = openssl(&user, &["pkey", "-in", &format!("certs/{key}"), "-pubout"]);
        let file = format!("certs/{certificate}");
        let of_certificate = openssl(&user, &["x509", "-in", &file, "-noout", "-pubkey"]);
        assert_eq!(of_key, of_certificate, "{key}");
    }
}

#[test]
fn nothing_is_replaced_by_accident() {
    let user = user();
    user.run("tls install --path certs").expect(0);
    let read = || FILES.map(|name| fs::read(user.path("certs").join(name)).expect(name));
    let before = read();
    let done = user.run("tls install --path certs").expect(2);
    assert!(done.stderr.contains("--force") && done.stderr.contains("certs"), "{}", done.stderr);
    assert_eq!(read(), before);
    fs::remove_file(user.path("certs/ca.key")).expect("one is gone");
    user.run("tls install --path certs").expect(2);
    assert!(!user.path("certs/ca.key").exists());
    user.run("tls install --path certs --force").expect(0);
    for (before, after) in before.iter().zip(&read()) {
        assert_ne!(before, after);
    }
}

#[test]
fn keys_may_be_of_the_older_kind() {
    let user = user();
    user.run("tls install --path rsa --rsabits 2048").expect(0);
    let arguments = ["x509", "-in", "rsa/server.crt", "-noout", "-text"];
    if let Some((good, text)) = openssl(&user, &arguments) {
        assert!(good && text.contains("Public-Key: (2048 bit)"), "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let user = user();
    for (arguments, word) in [
        (&["--rsa-size", "1000"][..], "1000"),
        (&["--country", "Germany"], "Germany"),
        (&["--name", "bücher.example.org"], "bücher"),
        (&["--days", "0"], "0"),
        (&["--alternate-addresses", "localhost"], "localhost"),
    ] {
        let all = [&["tls", "install", "--path", "certs"], arguments].concat();
        let done = user.run(&all.join(" ")).expect(2);
        assert!(done.stderr.contains(word), "{arguments:?}: {}", done.stderr);
    }
    assert!(!user.path("certs").exists());
}
