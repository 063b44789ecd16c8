//! How the program fails: one line on standard error, exit code 1, or 2 for a command line that makes no sense.

use crate::output::note;
use std::process::ExitCode;

/// Prints `error` with its causes in one line.
pub fn report(error: &anyhow::Error) -> ExitCode {
    note(format_args!("error: {}", one_line(error)));
    ExitCode::from(1)
}

/// Prints what clap has to say about the command line, in one line.
pub fn usage(message: &str) -> ExitCode {
    note(format_args!("{}", usage_line(message)));
    ExitCode::from(2)
}

/// An error and its causes, joined; a cause that the line says already is left out.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(|cause| folded(&cause.to_string())) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line
}

/// Without line breaks and other control characters.
fn folded(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The paragraphs of a message of clap, less its usage, in one line.
fn usage_line(message: &str) -> String {
    let paragraphs = message.split("\n\n").map(folded).filter(|text| !text.is_empty());
    let telling = paragraphs.filter(|text| !text.starts_with("Usage:") && !text.starts_with("For more information"));
    format!("{}; try --help", telling.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn causes_are_joined_but_not_repeated() {
        let error = anyhow!("disk\nfull").context("a.txt: disk full").context("saving\tfailed");
        assert_eq!(one_line(&error), "saving failed: a.txt: disk full");
    }

    #[test]
    fn clap_errors_become_one_line() {
        let message = "error: unexpected argument '--epoch' found\n\n  tip: a similar argument exists: '--epochs'\n\n\
                       Usage: tilegrad train --epochs <N>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            usage_line(message),
            "error: unexpected argument '--epoch' found; tip: a similar argument exists: '--epochs'; try --help"
        );
    }
}
