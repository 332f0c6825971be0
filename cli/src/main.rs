//! The `eyas` binary: arguments, settings, wiring, printing, exit codes.
//!
//! What an operation does is left to `eyas-ops`; this crate turns what was typed into what is meant,
//! plugs the rule compiler, the probe's layout check and the sensor's control socket into the
//! operations, and turns failures into messages and exit codes.
#![forbid(unsafe_code)]

#[expect(clippy::doc_markdown, reason = "these comments are help texts, shown as they are")]
#[allow(rustdoc::bare_urls, reason = "the same")]
mod args;
mod captures;
mod commands;
mod driver;
mod exit;
mod judge;
mod layouts;
mod listener;
mod personality;
mod phrases;
mod poster;
mod printer;
mod probe;
mod roots;
mod sensor;
mod service;
mod settings;
mod signals;
mod terminal;
mod tls;
mod wiring;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::ErrorKind;

use self::args::{Cli, LogFormat, LogLevel};
use self::personality::{Personality, Stream, Words};
use self::printer::{Printer, Record};
use self::settings::{Environment, Settings};

fn main() -> ExitCode {
    let personality = Personality::of_process();
    let words = layouts::in_arguments(std::env::args_os());
    let cli = match args::read(personality, words) {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(personality, &error),
    };
    let fallback = Printer::new(
        personality,
        cli.global.output,
        cli.global.log_format,
        cli.global.log_level.unwrap_or(LogLevel::Info),
    );
    // What this program is does not depend on how it is configured, or on whether that is right.
    if let Some(outcome) = commands::run_without_settings(&cli.command, &fallback) {
        return outcome.map_or_else(|error| refuse(&error, &fallback), |()| ExitCode::SUCCESS);
    }
    let outcome = prepare(&cli, personality).map_err(|error| (error, fallback)).and_then(
        |(settings, printer)| {
            commands::run(cli, &settings, &printer).map_err(|error| (error, printer))
        },
    );
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((error, printer)) => refuse(&error, &printer),
    }
}

/// Settles settings and printer.
fn prepare(cli: &Cli, personality: Personality) -> anyhow::Result<(Settings, Printer)> {
    let settings = Settings::load(&cli.global, Environment::of_process(personality))?
        .in_section(cli.command.section());
    let format: Option<LogFormat> = settings.log_format(&cli.global)?;
    let printer = Printer::new(
        personality,
        settings.output(cli.global.output)?,
        format,
        settings.log_level(&cli.global)?,
    );
    for remark in settings.remarks() {
        let level = if remark.missed { LogLevel::Warn } else { LogLevel::Debug };
        printer.record(&Record::new(level, remark.text));
    }
    Ok((settings, printer))
}

/// Prints help or a refusal of the command line. Help that was asked for is data.
fn refuse_arguments(personality: Personality, error: &clap::Error) -> ExitCode {
    let character = personality.character();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nowhere is left to say that the stream is gone.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            if character.messages == Stream::Stdout =>
        {
            // Nobody reads it is no failure.
            let _ = io::stdout().lock().write_all(error.render().to_string().as_bytes());
            ExitCode::SUCCESS
        }
        _ if character.messages == Stream::Stdout => {
            let said = error.render().to_string();
            let mut lines = said.lines().filter(|line| !line.trim().is_empty());
            let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let record = lines.fold(Record::new(LogLevel::Error, first), Record::detail);
            let format = args::asked_format(std::env::args_os());
            Printer::new(personality, None, format, LogLevel::Info).record(&record);
            exit::exit_code(personality, eyas_ops::Class::Usage)
        }
        _ => {
            let _ = error.print();
            exit::exit_code(personality, eyas_ops::Class::Usage)
        }
    }
}

/// Says what stopped the command, and leaves with the code of its class.
fn refuse(error: &anyhow::Error, printer: &Printer) -> ExitCode {
    let class = exit::class_of(error);
    printer.bars().clear();
    let mut record = Record::new(LogLevel::Error, exit::message_of(error));
    if printer.words() == Words::Ours {
        record = record
            .with("class", exit::name(class))
            .with("exit_code", exit::code(printer.personality(), class));
    }
    if let Some(report) = exit::report_of(error) {
        record = record.detail(report);
    }
    if let Some(hint) = exit::hint_of(error) {
        // The command that is advised must be there under the name that is known here.
        let program = printer.personality().character().program;
        let hint = hint.replace("`eyas ", &format!("`{program} "));
        record = record.detail(format!("hint: {hint}"));
    }
    printer.record(&record);
    exit::exit_code(printer.personality(), class)
}
