//! Lines on standard output. A reader who has seen enough ends the program quietly.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Prints a line, as `println!` does, but ends the program with success if nobody reads it any more.
macro_rules! say {
    ($($part:tt)*) => {
        $crate::output::line(format_args!($($part)*))
    };
}
pub(crate) use say;

/// See [`say!`].
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    note(format_args!("error: standard output could not be written: {error}"));
    std::process::exit(1);
}

/// Prints a line on standard error.
pub fn note(text: Arguments<'_>) {
    // There is no better place left to complain.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints `value` as one line of JSON.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(format_args!("{}", serde_json::to_string(value)?));
    Ok(())
}
