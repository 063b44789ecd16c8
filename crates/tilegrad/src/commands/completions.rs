//! `tilegrad completions`: what a shell needs to complete the command line.

use crate::Cli;
use crate::output::print;
use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  tilegrad completions bash > ~/.local/share/bash-completion/completions/tilegrad
  tilegrad completions zsh > ~/.zfunc/_tilegrad
  tilegrad completions fish > ~/.config/fish/completions/tilegrad.fish";

/// Prints them.
pub fn run(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "tilegrad", &mut script);
    print(format_args!("{}", String::from_utf8(script)?));
    Ok(())
}
