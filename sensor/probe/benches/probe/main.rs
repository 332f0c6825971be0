//! What the probe costs on this kernel, held against what it may cost.
//!
//!     cargo bench -p eyas-probe                 everything; takes a few minutes
//!     cargo bench -p eyas-probe -- calls start  only these: calls, exec, reading, start, idle, growth
//!
//! Costs are CPU time of single threads, and differences are taken within one round, in which everything that is
//! compared comes once: load on the machine hits all of it alike. Rows are medians of the rounds, with the lower
//! and the upper quartile. The last column is the time inside of the probe's programs alone, as the kernel counts it
//! (`bpf_stats`): where the difference drowns in what the machine does besides, it decides. `EYAS_OBJECT=FILE` measures another object. Needs root, clang and `busybox`.
#![allow(clippy::print_stdout, reason = "the table is the output")]
#![allow(clippy::cast_precision_loss, reason = "the figures have three digits")]

mod calls;
mod clock;
mod counted;
mod empty;
mod exec;
mod growth;
mod reading;
mod start;

use std::sync::OnceLock;

use eyas_probe::{capability, embedded};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Largest object, bytes.
const OBJECT_LIMIT: usize = 400_000;

fn main() -> Result<()> {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|word| word == part);
    if let Err(why) = capability() {
        println!("SKIPPED: {why} ({})", why.hint());
        return Ok(());
    }
    println!(
        "{:<44} {:>12} {:>24} {:>10} {:>12}",
        "what", "median", "quartiles", "at most", "bpf_stats"
    );
    let size = object().len();
    println!("{:<44} {:>12} {:>24} {:>10}", "object, bytes", size, "", OBJECT_LIMIT);
    if wanted("calls") {
        calls::measure()?;
    }
    if wanted("exec") {
        exec::measure()?;
    }
    if wanted("reading") {
        reading::measure()?;
    }
    if wanted("start") {
        start::measure()?;
    }
    if wanted("idle") {
        growth::idle()?;
    }
    if wanted("growth") {
        growth::measure()?;
    }
    Ok(())
}

/// The object that is measured.
fn object() -> &'static [u8] {
    static OTHER: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let other = OTHER.get_or_init(|| std::fs::read(std::env::var_os("EYAS_OBJECT")?).ok());
    other.as_deref().unwrap_or_else(|| embedded())
}

/// One row: what was measured, in `unit`, and what it may be.
fn row(what: &str, values: &mut [f64], unit: &str, limit: Option<f64>) {
    row_counted(what, values, &mut [], unit, limit);
}

/// The same with the time inside of programs.
fn row_counted(
    what: &str,
    values: &mut [f64],
    counted: &mut [f64],
    unit: &str,
    limit: Option<f64>,
) {
    let show =
        |value: f64| if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") };
    let (median, quartiles) = match values {
        [] => (String::new(), String::new()),
        values => (
            format!("{} {unit}", show(at(values, 0.5))),
            format!("{} to {}", show(at(values, 0.25)), show(at(values, 0.75))),
        ),
    };
    let limit = limit.map_or(String::new(), |limit| format!("{} {unit}", show(limit)));
    let counted = match counted {
        [] => String::new(),
        counted => format!("{} {unit}", show(at(counted, 0.5))),
    };
    println!("{what:<44} {median:>12} {quartiles:>24} {limit:>10} {counted:>12}");
}

/// The value that this part of all values is below.
fn at(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1) as f64 * part) as usize;
    values.get(place).copied().unwrap_or(0.0)
}
