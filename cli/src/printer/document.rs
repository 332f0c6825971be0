//! A piece of data that has a text form and a JSON form with a stable schema.

use std::io::{self, Write};

use serde::Serialize;

/// Version of all JSON documents; raised when a field changes its meaning or goes away.
const SCHEMA_VERSION: u32 = 1;

/// Something a command answers with.
pub(crate) trait Document: Serialize {
    /// What kind of document this is, such as `artifact.list`.
    const KIND: &'static str;

    /// Writes the form for people.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes the form for scripts that know `falcoctl`'s, where that is another one.
    fn compatible(&self, out: &mut dyn Write) -> io::Result<()> {
        self.text(out)
    }
}

#[derive(Serialize)]
struct Envelope<'a, D> {
    schema: u32,
    kind: &'static str,
    #[serde(flatten)]
    body: &'a D,
}

/// Writes the form for programs: one object, indented, with `schema` and `kind` first.
pub(super) fn write_json<D: Document>(document: &D, out: &mut Vec<u8>) -> io::Result<()> {
    let envelope = Envelope { schema: SCHEMA_VERSION, kind: D::KIND, body: document };
    serde_json::to_writer_pretty(&mut *out, &envelope)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Greeting {
        to: &'static str,
    }

    impl Document for Greeting {
        const KIND: &'static str = "greeting";

        fn text(&self, out: &mut dyn Write) -> io::Result<()> {
            writeln!(out, "hello {}", self.to)
        }
    }

    #[test]
    fn json_opens_with_schema_and_kind() {
        let mut out = Vec::new();
        write_json(&Greeting { to: "you" }, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "{\n  \"schema\": 1,\n  \"kind\": \"greeting\",\n  \"to\": \"you\"\n}\n");
    }
}
