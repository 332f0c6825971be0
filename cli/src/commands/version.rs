//! `eyas version`: built without a client, a runtime or the configuration, so that it starts at once.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::{Output, VersionArgs, VersionFormat};
use crate::printer::{Document, Printer};

/// Version of the rule engine, as rules require it.
const ENGINE_VERSION: &str = "0.63.0";

/// What this program is.
#[derive(Debug, Serialize)]
struct Release {
    name: &'static str,
    version: &'static str,
    engine_version: &'static str,
    platform: String,
}

impl Document for Release {
    const KIND: &'static str = "version";

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} {}", self.name, self.version)
    }
}

/// Prints the version.
pub(crate) fn run(args: &VersionArgs, printer: &Printer) -> anyhow::Result<()> {
    let version = Release {
        name: "eyas",
        version: env!("CARGO_PKG_VERSION"),
        engine_version: ENGINE_VERSION,
        platform: eyas_artifact::Platform::host().to_string(),
    };
    match args.format {
        None => printer.data(&version)?,
        Some(VersionFormat::Text) => printer.clone().with_output(Output::Text).data(&version)?,
        Some(VersionFormat::Json) => printer.clone().with_output(Output::Json).data(&version)?,
        Some(VersionFormat::Yaml) => {
            printer.bytes(serde_saphyr::to_string(&version)?.as_bytes())?;
        }
    }
    Ok(())
}
