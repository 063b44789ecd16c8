//! What moves while one waits: a bar or a spinner on a terminal, a plain line now and then elsewhere.

use crate::format;
use crate::output::{Loudness, aside, error_width, fitting, loudness, tell, width};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tilegrad_model::Progress;

/// Time between plain progress lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Waits shorter than this are not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Columns that a bar's own text and a long message fit in.
const WIDE: usize = 110;

/// Whether bars can be drawn: they go to standard error.
fn can_draw() -> bool {
    loudness() > Loudness::Quiet
        && std::io::stderr().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A bar over `pieces` of work on a terminal, and nothing elsewhere.
pub fn bar_over(pieces: usize) -> ProgressBar {
    if !can_draw() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(pieces as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("[{bar:24}] {pos}/{len}  {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
}

/// The progress of epochs.
#[derive(Debug)]
pub struct EpochProgress {
    epochs: u32,
    bar: Option<ProgressBar>,
    draws: bool,
    last_line: Instant,
}

impl EpochProgress {
    /// For a training of so many epochs.
    pub fn new(epochs: u32) -> Self {
        Self { epochs, bar: None, draws: can_draw(), last_line: Instant::now() }
    }

    /// Shows where the epoch stands.
    pub fn show(&mut self, progress: &Progress) {
        if self.draws {
            let bar = self.bar.get_or_insert_with(|| new_bar(progress, self.epochs));
            bar.set_position(progress.step.into());
            bar.set_message(if is_wide() { message(progress) } else { short_message(progress) });
        } else if self.last_line.elapsed() >= LINE_EVERY && progress.step < progress.steps {
            self.last_line = Instant::now();
            let Progress { epoch, step, steps, .. } = progress;
            let start = format!("epoch {epoch}/{}: step {step}/{steps}, ", self.epochs);
            let forms = [message(progress), short_message(progress)].map(|message| format!("{start}{message}"));
            tell!("{}", fitting(width(), forms));
        }
    }

    /// Takes the bar away, so that a line can be printed.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.last_line = Instant::now();
    }
}

impl Drop for EpochProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn new_bar(progress: &Progress, epochs: u32) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(progress.steps.into()), ProgressDrawTarget::stderr());
    let bar_width = if is_wide() { 24 } else { 10 };
    let style = ProgressStyle::with_template(&format!("{{prefix}} [{{bar:{bar_width}}}] {{pos}}/{{len}}  {{msg}}"));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.set_prefix(format!("epoch {}/{epochs}", progress.epoch));
    bar
}

fn is_wide() -> bool {
    error_width().is_none_or(|width| width >= WIDE)
}

fn message(progress: &Progress) -> String {
    let left = time_left(progress).map_or(String::new(), |time| format!(", {} left", format::duration(time)));
    format!(
        "loss {}, accuracy {:.4}, {} images/s{left}",
        format::loss(progress.loss),
        progress.accuracy,
        format::count(progress.images_per_s.round() as u64)
    )
}

/// As [`message`], for narrow terminals.
fn short_message(progress: &Progress) -> String {
    let left = time_left(progress).map_or(String::new(), |time| format!("  {} left", format::duration(time)));
    let speed = format::count(progress.images_per_s.round() as u64);
    format!("loss {} acc {:.4}  {speed}/s{left}", format::loss(progress.loss), progress.accuracy)
}

/// Time that the rest of the epoch takes at this speed.
fn time_left(progress: &Progress) -> Option<Duration> {
    let part = f64::from(progress.step) / f64::from(progress.steps.max(1));
    let seconds = progress.elapsed.as_secs_f64() * (1.0 - part) / part;
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, 1e9)))
}

/// Says what is being waited for, if it takes long. Dropping it ends the wait.
#[derive(Debug)]
pub struct Waiting {
    spinner: Option<ProgressBar>,
    teller: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Waiting {
    /// Waits for `what`, such as `loading the data`.
    pub fn begin(what: &'static str) -> Self {
        if can_draw() {
            let spinner = ProgressBar::new_spinner().with_message(what);
            spinner.enable_steady_tick(Duration::from_millis(120));
            return Self { spinner: Some(spinner), teller: None };
        }
        let (done, asked) = channel();
        let teller = std::thread::Builder::new().spawn(move || tell(what, &asked));
        Self { spinner: None, teller: teller.ok().map(|thread| (done, thread)) }
    }
}

fn tell(what: &str, done: &Receiver<()>) {
    if done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        aside(format_args!("{what} ..."));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        if let Some((done, thread)) = self.teller.take() {
            drop(done);
            // The thread cannot panic; if it did, there would be nothing to do about it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(step: u32, elapsed: f64) -> Progress {
        let elapsed = Duration::from_secs_f64(elapsed);
        Progress { epoch: 1, step, steps: 100, loss: 0.25, accuracy: 0.5, images_per_s: 1234.5, elapsed }
    }

    #[test]
    fn the_time_left_follows_from_the_time_gone() {
        assert_eq!(time_left(&progress(25, 10.0)), Some(Duration::from_secs(30)));
        assert_eq!(time_left(&progress(100, 10.0)), Some(Duration::ZERO));
        assert_eq!(time_left(&progress(0, 10.0)), None);
    }

    #[test]
    fn a_message_has_loss_accuracy_speed_and_time() {
        assert_eq!(message(&progress(25, 10.0)), "loss 0.2500, accuracy 0.5000, 1,235 images/s, 30 s left");
        assert_eq!(short_message(&progress(25, 10.0)), "loss 0.2500 acc 0.5000  1,235/s  30 s left");
    }
}
