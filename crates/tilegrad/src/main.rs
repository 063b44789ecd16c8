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
mod suggest;
mod table;

use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;
use std::time::Instant;

/// Trains and serves convolutional networks with hand-written WGSL compute shaders, on any Vulkan, Metal or DX12 GPU
/// and on machines without one.
#[derive(Debug, Parser)]
#[command(name = "tilegrad", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad train                          the reference network on MNIST
  tilegrad evaluate --model runs/mnist_cnn-1/best.safetensors
  tilegrad predict --model runs/mnist_cnn-1/best.safetensors digit.png
  tilegrad doctor                         which devices this machine has";

fn main() -> ExitCode {
    let started = Instant::now();
    quieten_vulkan_loader();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(LOG_FILTER)).init();
    match Cli::try_parse() {
        Ok(cli) => cli.command.run(started).unwrap_or_else(|error| failure::report(&error)),
        Err(error) => refuse(&error),
    }
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
