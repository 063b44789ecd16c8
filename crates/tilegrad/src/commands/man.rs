//! `tilegrad man`: a manual page for each command.

use crate::Cli;
use crate::format::plural;
use crate::output::say;
use anyhow::{Context, Result};
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::path::{Path, PathBuf};
use tilegrad_model::write_atomically;

/// Write a manual page for each command into a folder
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad man ~/.local/share/man/man1    then: man tilegrad-train")]
pub struct ManArgs {
    /// The folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes them.
pub fn run(args: &ManArgs) -> Result<()> {
    let folder = &args.folder;
    std::fs::create_dir_all(folder).with_context(|| format!("{}: the folder could not be made", folder.display()))?;
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let pages = write(&all, folder)?;
    say!("{} in {}", plural(pages, "page"), folder.display());
    Ok(())
}

/// The pages of `command` and of all that is below it; returns how many.
fn write(command: &Command, folder: &Path) -> Result<usize> {
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    write_atomically(&folder.join(page.get_filename()), &text)?;
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
        .try_fold(1, |pages, below| Ok(pages + write(below, folder)?))
}
