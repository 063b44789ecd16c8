//! The end of a training: what its best and its last epoch are worth on the test data, and where they lie.

use super::watch::Watch;
use crate::format;
use crate::output::say;
use crate::run_folder::TestFigures;
use anyhow::{Result, bail};
use tilegrad_model::data::{Dataset, Splits};
use tilegrad_model::{Checkpoint, Evaluation, Monitor, Trainer};

/// Tests what was learned, and says where it is.
pub fn finish(watch: &Watch, trainer: &Trainer, splits: &Splits) -> Result<()> {
    let best = watch.folder().best()?;
    let test = splits.test.as_ref();
    let last = test.map(|test| tested(trainer, test)).transpose()?;
    let of_best = match (test, &best) {
        (Some(test), Some(best)) if best.epoch != trainer.epoch() => {
            Some(tested(&Trainer::resume(trainer.device().clone(), best.clone())?, test)?)
        }
        _ => last,
    };
    let by =
        |best: &Checkpoint| trainer.monitor().zip(best.best).map_or_else(String::new, |(by, best)| figure(by, best));
    let mut figures = Vec::new();
    if let Some(best) = &best {
        say!("best (epoch {}{}){}", best.epoch, by(best), figures_text(of_best));
        figures.extend(of_best.map(|found| TestFigures::new("best", best.epoch, found)));
    }
    say!("last (epoch {}){}", trainer.epoch(), figures_text(last));
    figures.extend(last.map(|found| TestFigures::new("last", trainer.epoch(), found)));
    match test {
        Some(test) => {
            say!("tested on {}", format::plural(test.len(), "image"));
            watch.folder().save_test(watch.history(), &figures)?;
        }
        None => say!("no test: the data has no test part"),
    }
    let best_in = trainer.monitor().map_or_else(String::new, |monitor| format!(" (best {})", monitor.word()));
    say!(
        "saved in {}: best.safetensors{best_in}, last.safetensors, metrics.jsonl, curves.png",
        watch.folder().path().display()
    );
    Ok(())
}

fn tested(trainer: &Trainer, test: &Dataset) -> Result<Evaluation> {
    let result = trainer.evaluate(test)?;
    if !result.loss.is_finite() {
        bail!("the loss on the test data is not a number; try a smaller learning rate (--lr)");
    }
    Ok(result)
}

fn figures_text(found: Option<Evaluation>) -> String {
    found.map_or_else(String::new, |Evaluation { loss, accuracy }| {
        format!(": test loss {}, test accuracy {accuracy:.4}", format::loss(loss))
    })
}

/// What the best epoch is best in, and how good it is in it.
fn figure(by: Monitor, (quality, loss): (f64, f64)) -> String {
    let value = if by.is_loss() { format::loss(loss) } else { format!("{quality:.4}") };
    format!(", by {} {value}", by.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_their_names() {
        assert_eq!(figure(Monitor::ValAccuracy, (0.99324, 0.0251)), ", by val_accuracy 0.9932");
        assert_eq!(figure(Monitor::TrainLoss, (-0.0251, 0.0251)), ", by train_loss 0.0251");
        let found = Evaluation { loss: 0.03264, accuracy: 0.9927 };
        assert_eq!(figures_text(Some(found)), ": test loss 0.0326, test accuracy 0.9927");
        assert_eq!(figures_text(None), "");
    }
}
