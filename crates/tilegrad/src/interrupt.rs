//! Ctrl-C: the first press asks to stop, the second one ends the program.

use crate::output::note;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell calls a program that was interrupted.
const CODE: u8 = 130;

static ASKED: AtomicBool = AtomicBool::new(false);

/// From here on, the first Ctrl-C only sets what [`asked`] returns.
pub fn listen() {
    let heard = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(CODE));
        }
        note(format_args!("\nstopping after the steps under way; press Ctrl-C again to stop at once"));
    });
    if let Err(error) = heard {
        // The system's own handler stays: it ends the program, and the run folder is made for that.
        log_unheard(&error);
    }
}

fn log_unheard(error: &ctrlc::Error) {
    note(format_args!("note: Ctrl-C ends the program at once ({error})"));
}

/// Whether somebody pressed Ctrl-C.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// The exit code of an interrupted program.
pub fn exit_code() -> ExitCode {
    ExitCode::from(CODE)
}
