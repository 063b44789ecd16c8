//! The developer's tasks: `cargo xtask COMMAND`.
//!
//! One file per command. This crate depends on nothing but `anyhow`, so that it compiles in seconds; the engine
//! is reached only through its release binary, which [`forward`] builds and runs.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks through its standard streams")]

mod check;
mod dist;
mod drivers;
mod forward;
mod process;
mod test;
mod tidy;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask COMMAND [ARGS…]

Builds the release binary and runs it (add --help for its own options):
  train, evaluate, predict, bench, doctor, …
             any command not listed below goes to `tilegrad` with its arguments,
             standard streams and exit code

Developer's tasks:
  test [ARGS…]   the whole test suite on every Vulkan driver of the machine; ARGS go to
                 `cargo test`, so `cargo xtask test -- NAME` runs the tests whose name has NAME.
                 As root on Debian or Ubuntu, installs missing drivers with apt-get
  check          rustfmt, clippy, rustdoc with warnings as errors, then tidy
  tidy           the repository's own rules
  fmt            rustfmt on every file; `cargo fmt` alone does not see the kernels
  dist           the binary to give away, without symbols; says where it lies and how large it is
  help           this text
";

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            error.downcast_ref::<process::Failed>().map_or(ExitCode::FAILURE, process::Failed::exit_code)
        }
    }
}

fn dispatch(args: &[OsString]) -> Result<()> {
    let Some((command, rest)) = args.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let name = command.to_str().unwrap_or_default();
    let asks_help = rest.first().is_some_and(|first| first == "-h" || first == "--help");
    match name {
        "-h" | "--help" => print!("{HELP}"),
        "help" if rest.is_empty() => print!("{HELP}"),
        "test" | "check" | "tidy" | "fmt" | "dist" if asks_help => print!("{HELP}"),
        "test" => test::run(rest)?,
        "check" | "tidy" | "fmt" | "dist" if !rest.is_empty() => {
            bail!("`{name}` takes no arguments; `cargo xtask help` lists them all")
        }
        "check" => check::run()?,
        "tidy" => tidy::run()?,
        "fmt" => tidy::write_format()?,
        "dist" => dist::run()?,
        _ => forward::run(args)?,
    }
    Ok(())
}
