//! What files made to cost take: each kind at its largest, in a process of its own.
//!
//! `cargo bench -p eyas-rules --bench hostile [--some] [NAME…]` prints time and peak memory by kind, slowest
//! first. `--some` measures the smaller sizes, which the `hostile` test loads.
#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::process::{Command, ExitCode};
use std::time::Instant;

use eyas_rules::{EngineOptions, Severity, SourceFile, load};

#[path = "../tests/hostile/files.rs"]
mod files;

/// How a process is told which kind to load.
const ALONE: &str = "--alone";

/// Measures the sizes of the test.
const SOME: &str = "--some";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let some = arguments.iter().any(|one| one == SOME);
    arguments.retain(|one| one != "--bench" && one != SOME);
    if let [alone, name] = arguments.as_slice()
        && alone == ALONE
    {
        return one(name, some);
    }
    let mut rows: Vec<(u64, String)> = Vec::new();
    let wanted =
        |name: &str| arguments.is_empty() || arguments.iter().any(|one| name.contains(one));
    for kind in files::KINDS.iter().filter(|kind| wanted(kind.name)) {
        match measured(kind.name, some) {
            Ok(row) => rows.push(row),
            Err(error) => rows.push((u64::MAX, format!("{:32} {error}", kind.name))),
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    println!("{:32} {:>10} {:>8} {:>8}  first error", "kind", "bytes", "ms", "peak MB");
    for (_, row) in rows {
        println!("{row}");
    }
    ExitCode::SUCCESS
}

fn measured(name: &str, some: bool) -> Result<(u64, String), std::io::Error> {
    let output = Command::new(std::env::current_exe()?)
        .args([ALONE, name])
        .args(some.then_some(SOME))
        .output()?;
    let row = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    let (time, row) = row.split_once('\t').ok_or_else(|| {
        std::io::Error::other(format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    })?;
    Ok((time.parse().unwrap_or(u64::MAX), row.to_owned()))
}

fn one(name: &str, some: bool) -> ExitCode {
    let Some(kind) = files::KINDS.iter().find(|kind| kind.name == name) else {
        return ExitCode::FAILURE;
    };
    let text = (kind.write)(if some { kind.some } else { kind.most });
    let bytes = text.len();
    let files = [SourceFile { name: "rules.yaml".to_owned(), text }];
    let began = Instant::now();
    let outcome = load(&files, &EngineOptions::default());
    let time = began.elapsed();
    let error = outcome.reports.iter().find(|one| one.severity == Severity::Error);
    let told = error.map_or_else(|| "none".to_owned(), |one| one.code.as_str().to_owned());
    let message: String = error.map_or("", |one| &one.message).chars().take(80).collect();
    let wrong = if error.map(|one| one.code) == kind.code { "" } else { "  NOT AS EXPECTED" };
    println!(
        "{}\t{:32} {bytes:>10} {:>8} {:>8}  {told} {message}{wrong}",
        time.as_micros(),
        kind.name,
        time.as_millis(),
        peak_megabytes()
    );
    ExitCode::SUCCESS
}

/// The most memory that this process has had.
fn peak_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}
