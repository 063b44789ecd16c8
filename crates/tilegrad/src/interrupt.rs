//! Ctrl-C, and the other polite requests to stop: the first one asks, the second one ends the program.

use crate::output::note;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a shell adds to the number of the signal that ended a program.
const SIGNALLED: u8 = 128;
/// Number of the signal of Ctrl-C.
const INTERRUPT: u8 = 2;

/// Number of the signal that was heard; 0 before one is.
static HEARD: AtomicU8 = AtomicU8::new(0);

/// From here on, the first request only sets what [`asked`] returns.
pub fn listen() {
    if let Err(error) = listen_to_system() {
        // The system's own handlers stay: they end the program, and the run folder is made for that.
        note(format_args!("note: Ctrl-C ends the program at once ({error})"));
    }
}

/// Ctrl-C, and what `kill`, `systemctl stop` and a batch queue's time limit send. Not the signal of a terminal that goes
/// away: `nohup` has it ignored, and a handler would undo that.
#[cfg(unix)]
fn listen_to_system() -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            // Two small numbers.
            hear(u8::try_from(signal).unwrap_or(INTERRUPT));
        }
    })?;
    Ok(())
}

/// Ctrl-C, Ctrl-Break, and a console that is closed.
#[cfg(not(unix))]
fn listen_to_system() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| hear(INTERRUPT))
}

fn hear(signal: u8) {
    if HEARD.swap(signal, Ordering::SeqCst) != 0 {
        std::process::exit(i32::from(SIGNALLED + signal));
    }
    let again = if signal == INTERRUPT { "press Ctrl-C again" } else { "ask again" };
    note(format_args!("\nstopping after the steps under way; {again} to stop at once"));
}

/// Whether somebody asked to stop.
pub fn asked() -> bool {
    HEARD.load(Ordering::SeqCst) != 0
}

/// The exit code of a program that was asked to stop: 130 after Ctrl-C, 143 after SIGTERM.
pub fn exit_code() -> ExitCode {
    let heard = HEARD.load(Ordering::SeqCst);
    ExitCode::from(SIGNALLED + if heard == 0 { INTERRUPT } else { heard })
}
