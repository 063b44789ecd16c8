//! Lines on standard output and standard error. A reader who has seen enough ends the program quietly.

use std::fmt::{Arguments, Display};
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// How much is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loudness {
    /// Results and errors.
    Quiet,
    /// What is used, how far it is, and results.
    #[default]
    Normal,
    /// Details and reasons too.
    Verbose,
}

static LOUDNESS: OnceLock<Loudness> = OnceLock::new();

/// Sets how much is said, once, before anything is.
pub fn set_loudness(loudness: Loudness) {
    // A second call finds it set; there is one, at the start of `main`.
    let _ = LOUDNESS.set(loudness);
}

/// How much is said.
pub fn loudness() -> Loudness {
    LOUDNESS.get().copied().unwrap_or_default()
}

/// Prints a line of a result, as `println!` does, but ends the program with success if nobody reads it any more.
macro_rules! say {
    ($($part:tt)*) => {
        $crate::output::line(format_args!($($part)*))
    };
}
pub(crate) use say;

/// As [`say!`], but a line that is no result: nothing with `--quiet`.
macro_rules! tell {
    ($($part:tt)*) => {
        if $crate::output::loudness() > $crate::output::Loudness::Quiet {
            $crate::output::line(format_args!($($part)*));
        }
    };
}
pub(crate) use tell;

/// See [`say!`].
pub fn line(text: Arguments<'_>) {
    print(format_args!("{text}\n"));
}

/// Prints `text` as it stands.
pub fn print(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    note(format_args!("error: standard output could not be written: {error}"));
    std::process::exit(1);
}

/// Prints a line on standard error; a word such as `error:` at its start has a colour if the terminal has any.
pub fn note(text: Arguments<'_>) {
    // There is no better place left to complain.
    let _ = writeln!(anstream::stderr().lock(), "{}", coloured(&text.to_string()));
}

/// Prints a line on standard error that is no complaint: nothing with `--quiet`.
pub fn aside(text: Arguments<'_>) {
    if loudness() > Loudness::Quiet {
        note(text);
    }
}

fn coloured(text: &str) -> String {
    use anstyle::AnsiColor::{Cyan, Red, Yellow};
    for (word, colour) in [("error:", Red), ("warning:", Yellow), ("note:", Cyan)] {
        if let Some(rest) = text.strip_prefix(word) {
            let style = colour.on_default().bold();
            return format!("{style}{word}{style:#}{rest}");
        }
    }
    text.into()
}

/// Columns of the lines that fit: what the environment says (`COLUMNS`), else those of the terminal. None without a
/// terminal: files and pipes get whole lines.
pub fn width() -> Option<usize> {
    width_of(terminal_size::terminal_size_of(std::io::stdout()))
}

/// As [`width`], of standard error.
pub fn error_width() -> Option<usize> {
    width_of(terminal_size::terminal_size_of(std::io::stderr()))
}

fn width_of(terminal: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    told.or_else(|| terminal.map(|(width, _)| usize::from(width.0)))
}

/// The first of `forms`, which grow shorter, that fits the width; the last one if none does.
pub fn fitting<T: Display>(width: Option<usize>, forms: impl IntoIterator<Item = T>) -> String {
    let mut shortest = String::new();
    for form in forms {
        shortest = form.to_string();
        if width.is_none_or(|width| unicode_width::UnicodeWidthStr::width(shortest.as_str()) <= width) {
            break;
        }
    }
    shortest
}

/// Prints `value` as one line of JSON.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(format_args!("{}", serde_json::to_string(value)?));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_form_that_fits_is_taken() {
        let forms = ["four and more", "花花", "x"];
        assert_eq!(
            [None, Some(13), Some(12), Some(4), Some(3), Some(0)].map(|width| fitting(width, forms)),
            ["four and more", "four and more", "花花", "花花", "x", "x"]
        );
    }

    #[test]
    fn only_the_first_word_has_a_colour() {
        assert_eq!(coloured("error: error: x"), "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m error: x");
        assert_eq!(coloured("no error: x"), "no error: x");
    }
}
