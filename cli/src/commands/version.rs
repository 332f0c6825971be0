//! `eyas version`: built without a client, a runtime or the configuration, so that it starts at once.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::{Output, VersionArgs, VersionFormat};
use crate::personality::Words;
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

/// The same in the form of `falcoctl`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientVersion {
    sem_version: &'static str,
    git_commit: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    compiler: &'static str,
    platform: String,
}

/// Words for what is not recorded in the program.
const NOT_RECORDED: &str = "not recorded";

/// Prints the version as `falcoctl` does: a line, or a document below it.
fn run_compatible(
    version: &'static str,
    format: Option<VersionFormat>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let document = ClientVersion {
        sem_version: version,
        git_commit: NOT_RECORDED,
        build_date: NOT_RECORDED,
        go_version: NOT_RECORDED,
        compiler: "rustc",
        platform: eyas_artifact::Platform::host().to_string(),
    };
    let text = match format {
        None | Some(VersionFormat::Text) => format!("Client Version: {version}\n"),
        Some(VersionFormat::Json) => {
            format!("Client Version:\n{}\n", serde_json::to_string_pretty(&document)?)
        }
        Some(VersionFormat::Yaml) => {
            // The keys of this form are in lower case.
            let text = serde_saphyr::to_string(&document)?;
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            let lower = lines.map(|(key, value)| format!("{}:{value}\n", key.to_lowercase()));
            format!("Client Version:\n{}", lower.collect::<String>())
        }
    };
    Ok(printer.bytes(text.as_bytes())?)
}

/// Prints the version.
pub(crate) fn run(args: &VersionArgs, printer: &Printer) -> anyhow::Result<()> {
    if printer.words() == Words::Falcoctl {
        return run_compatible(printer.personality().character().version, args.format, printer);
    }
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
