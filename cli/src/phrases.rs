//! The messages of `falcoctl` that other tools match on, with the named values they have there.
//!
//! Used in the compatible form only; our own messages are where they are said.

use eyas_artifact::{Digest, Kind, Reference};
use serde_json::Value;

use crate::args::LogLevel;
use crate::printer::Record;

fn info(message: &str) -> Record {
    Record::new(LogLevel::Info, message)
}

/// An artifact is going to be pushed.
pub(crate) fn pushing(reference: &str, kind: &str) -> Record {
    info("Preparing to push artifact").with("name", reference).with("type", kind)
}

/// An artifact was pushed.
pub(crate) fn pushed(reference: &str, kind: &str, digest: &str) -> Record {
    info("Artifact pushed").with("name", reference).with("type", kind).with("digest", digest)
}

/// The archive of an artifact is going to be pulled into a directory, if it is not the current one.
pub(crate) fn pulling(reference: &str, directory: Option<&str>) -> [Record; 2] {
    let begin = info("Preparing to pull artifact").with("name", reference);
    let place = match directory {
        Some(directory) => info("Pulling artifact in").with("directory", directory),
        None => info("Pulling artifact in the current directory"),
    };
    [begin, place]
}

/// The archive of an artifact was pulled.
pub(crate) fn pulled(reference: &str, kind: &str, digest: &str) -> Record {
    info("Artifact pulled").with("name", reference).with("type", kind).with("digest", digest)
}

/// What is needed beside the artifacts is looked for.
pub(crate) fn resolving() -> Record {
    info("Resolving dependencies ...")
}

/// What is going to be installed.
pub(crate) fn installing<'a>(references: impl Iterator<Item = &'a Reference>) -> Record {
    let references: Vec<String> = references.map(ToString::to_string).collect();
    info("Installing artifacts").with("refs", Value::from(references))
}

/// An artifact is asked for.
pub(crate) fn preparing(reference: &Reference) -> Record {
    info("Preparing to pull artifact").with("ref", reference.to_string())
}

/// The tags of an artifact cannot be listed.
pub(crate) fn no_tags(reference: &Reference, reason: &str) -> Record {
    Record::new(LogLevel::Warn, "Cannot retrieve tags from")
        .with("ref", reference.locator())
        .with("reason", reason)
}

/// An artifact is unpacked.
pub(crate) fn extracting(name: &str, files: usize) -> Record {
    info("Extracting and installing artifact").with("name", name).with("files", files)
}

/// An artifact is what its index says it should be.
pub(crate) fn verified(name: &str, signer: &str) -> Record {
    info("Signature successfully verified!").with("name", name).with("signer", signer)
}

/// An artifact was accepted although nobody says who signed it.
pub(crate) fn unverified(name: &str) -> Record {
    Record::new(
        LogLevel::Warn,
        "Artifact accepted without a signature: neither index nor policy asks for one",
    )
    .with("name", name)
}

/// An artifact is installed.
pub(crate) fn installed(installed: &Installed<'_>) -> Record {
    info("Artifact successfully installed")
        .with("name", installed.reference.to_string())
        .with("type", installed.kind.as_str())
        .with("digest", installed.digest.to_string())
        .with("directory", installed.directory)
}

/// A follower found something new.
pub(crate) fn found(follower: &str, tag: Option<&str>) -> Record {
    info("Found new artifact version").with("followerName", follower).with("tag", tag)
}

/// A follower has installed something.
pub(crate) fn followed(installed: &Installed<'_>) -> Record {
    info("Artifact correctly installed")
        .with("followerName", installed.reference.to_string())
        .with("artifactName", installed.reference.to_string())
        .with("type", installed.kind.as_str())
        .with("digest", installed.digest.to_string())
        .with("directory", installed.directory)
}

/// An artifact needs what the engine does not have.
pub(crate) fn unmet(follower: &str, reason: &str) -> Record {
    Record::new(LogLevel::Error, "Unmet requirements")
        .with("followerName", follower)
        .with("reason", reason)
}

/// An index is fetched for the first time.
pub(crate) fn adding_index(name: &str, address: &str) -> Record {
    info("Adding index").with("name", name).with("path", address)
}

/// An index is fetched again.
pub(crate) fn updating_index(name: &str) -> Record {
    info("Updating index file").with("name", name)
}

/// An index is forgotten.
pub(crate) fn removing_index(name: &str) -> Record {
    info("Removing index").with("name", name)
}

/// What was asked for of indexes is done; `how` is `added`, `updated` or `removed`.
pub(crate) fn indexes_done(how: &str) -> Record {
    let noun = if how == "added" { "Index" } else { "Indexes" };
    info(&format!("{noun} successfully {how}"))
}

/// The program was told to stop.
pub(crate) fn stopping() -> Record {
    info("Received signal, terminating...")
}

/// An artifact that is in force.
pub(crate) struct Installed<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) kind: Kind,
    pub(crate) digest: Digest,
    /// The directory in which an engine finds it.
    pub(crate) directory: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personality::Words;
    use crate::printer::Style;

    #[test]
    fn the_messages_have_the_named_values_they_always_had() {
        let reference: Reference = "registry.example.org/team/demo-rules:1".parse().expect("valid");
        let digest = Digest::sha256("content");
        let installed =
            Installed { reference: &reference, kind: Kind::Rulesfile, digest, directory: "/r" };
        let keys = |record: &Record| {
            let line = record.render(Style::Json(Words::Falcoctl), jiff::Timestamp::UNIX_EPOCH);
            let Value::Object(object) = serde_json::from_str(&line).expect("JSON") else {
                panic!("{line}")
            };
            let time = object["timestamp"].as_str().expect("text");
            assert_eq!(time.len(), "2026-01-02 03:04:05".len(), "{time}");
            object.into_iter().map(|(key, _)| key).collect::<std::collections::BTreeSet<_>>()
        };
        let expect = |record: &Record, more: &[&str]| {
            let mut expected: std::collections::BTreeSet<String> =
                ["level", "msg", "timestamp"].map(str::to_owned).into();
            expected.extend(more.iter().map(|key| (*key).to_owned()));
            assert_eq!(keys(record), expected);
        };
        expect(&super::installed(&installed), &["name", "type", "digest", "directory"]);
        let all = ["followerName", "artifactName", "type", "digest", "directory"];
        expect(&followed(&installed), &all);
        expect(&found("demo", Some("1")), &["followerName", "tag"]);
        expect(&stopping(), &[]);
    }
}
