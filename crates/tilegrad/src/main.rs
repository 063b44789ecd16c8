//! The command line: one binary, one file per command under [`commands`].

mod classes;
mod commands;
mod curves;
mod data;
mod device;
mod engine;
mod failure;
mod format;
mod interrupt;
mod output;
mod progress;
mod run_folder;
mod sample;
mod suggest;
mod table;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, ValueEnum};
use output::Loudness;
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

/// Trains convolutional networks, and predicts with them, on hand-written WGSL compute shaders: on any Vulkan, Metal or
/// DX12 GPU and on machines without one.
#[derive(Debug, Parser)]
#[command(name = "tilegrad", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
    #[command(flatten)]
    manners: Manners,
}

/// How the program speaks, whatever the command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct Manners {
    /// Say only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: why a device was taken, and what a command shortens otherwise
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
    /// When to use colours; auto heeds NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    color: Colour,
}

/// Values of `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal
    #[default]
    Auto,
    /// In files and pipes too
    Always,
    /// Not at all
    Never,
}

impl Colour {
    /// What the command line asks for, read before the rest of it: its mistakes are told in colour too.
    fn asked(args: impl Iterator<Item = OsString>) -> Self {
        let words: Vec<String> = args.map(|arg| arg.to_string_lossy().into_owned()).collect();
        let values = words.iter().enumerate().filter_map(|(at, word)| match word.strip_prefix("--color") {
            Some("") => words.get(at + 1).map(String::as_str),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        });
        values.filter_map(|value| Self::from_str(value, false).ok()).next_back().unwrap_or_default()
    }

    /// Makes it so for everything that is printed from here on.
    fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

impl Manners {
    fn loudness(&self) -> Loudness {
        match (self.quiet, self.verbose) {
            (true, _) => Loudness::Quiet,
            (_, true) => Loudness::Verbose,
            _ => Loudness::Normal,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  tilegrad train                          the reference network on MNIST
  tilegrad evaluate                       the newest run's best checkpoint
  tilegrad predict digit.png              with the same
  tilegrad doctor                         which devices this machine has";

fn main() -> ExitCode {
    let started = Instant::now();
    quieten_vulkan_loader();
    Colour::asked(std::env::args_os()).apply();
    match Cli::try_parse() {
        Ok(cli) => {
            output::set_loudness(cli.manners.loudness());
            log(cli.manners.loudness());
            cli.command.run(started).unwrap_or_else(|error| failure::report(&error))
        }
        Err(error) => refuse(&error),
    }
}

/// Logs what the environment (`RUST_LOG`) or else the loudness asks for.
fn log(loudness: Loudness) {
    let filter = match loudness {
        Loudness::Quiet => LOG_FILTER.replace("=warn", "=error"),
        Loudness::Normal => LOG_FILTER.into(),
        Loudness::Verbose => LOG_FILTER.replace("=warn", "=debug"),
    };
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter)).init();
}

/// Errors, and warnings of the runtime; errors of wgpu and naga come back as errors of the runtime, which say what to try.
const LOG_FILTER: &str = "error,tilegrad_runtime=warn,wgpu_core=off,wgpu_hal=off,naga=off";

/// Help and version as clap prints them; everything else in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A closed pipe is the reader's own wish.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        _ => failure::usage(&error.render().to_string()),
    }
}

/// Without `XDG_RUNTIME_DIR` the Vulkan loader prints an error line of its own.
#[cfg(unix)]
fn quieten_vulkan_loader() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: this is the first statement of `main` but for a clock; no other thread exists that could read
        // the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

#[cfg(not(unix))]
fn quieten_vulkan_loader() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_known_before_the_rest_is() {
        let asked = |line: &str| Colour::asked(line.split(' ').map(OsString::from));
        assert_eq!(asked("tilegrad train --color never"), Colour::Never);
        assert_eq!(asked("tilegrad --color=always --colour"), Colour::Always);
        assert_eq!(asked("tilegrad --color sometimes --colors=never --color"), Colour::Auto);
    }

    #[test]
    fn the_command_line_holds_together() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
