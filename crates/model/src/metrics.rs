//! Figures of a classifier on labelled data, computed in f64 from its outputs.

use serde::Serialize;

/// Loss, accuracy, and how each class fares.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Mean loss of the examples.
    pub loss: f64,
    /// Share of the examples classified right.
    pub accuracy: f64,
    /// Each class by itself.
    pub classes: Vec<ClassReport>,
    /// Mean of the precision of the classes that occur, as labels or as predictions. So it is with scikit-learn, and a test
    /// set of a part of the classes is judged by these.
    pub macro_precision: f64,
    /// Mean of the recall of the same classes.
    pub macro_recall: f64,
    /// Mean of the F1 of the same classes.
    pub macro_f1: f64,
    /// `confusion[label][prediction]` counts examples.
    pub confusion: Vec<Vec<u64>>,
}

/// How one class fares. A ratio of nothing to nothing counts as 0, as in scikit-learn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassReport {
    /// Name of the class.
    pub class: String,
    /// Of the examples given this class, the share that are of it.
    pub precision: f64,
    /// Of the examples of this class, the share that were given it.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Examples of this class.
    pub support: u64,
}

impl Report {
    /// The figures of predictions against labels, with the mean `loss`.
    pub fn new(names: &[String], labels: &[u32], predictions: &[u32], loss: f64) -> Self {
        let mut confusion = vec![vec![0u64; names.len()]; names.len()];
        for (&label, &prediction) in labels.iter().zip(predictions) {
            confusion[label as usize][prediction as usize] += 1;
        }
        let hits: u64 = (0..names.len()).map(|class| confusion[class][class]).sum();
        let classes: Vec<ClassReport> =
            names.iter().enumerate().map(|(class, name)| class_report(name, class, &confusion)).collect();
        let occurs = |class: usize| confusion.iter().any(|row| row[class] > 0) || classes[class].support > 0;
        let occurring: Vec<usize> = (0..names.len()).filter(|&class| occurs(class)).collect();
        let mean = |of: fn(&ClassReport) -> f64| {
            occurring.iter().map(|&class| of(&classes[class])).sum::<f64>() / occurring.len().max(1) as f64
        };
        Self {
            loss,
            accuracy: ratio(hits, labels.len() as u64),
            macro_precision: mean(|class| class.precision),
            macro_recall: mean(|class| class.recall),
            macro_f1: mean(|class| class.f1),
            classes,
            confusion,
        }
    }
}

fn class_report(name: &str, class: usize, confusion: &[Vec<u64>]) -> ClassReport {
    let hits = confusion[class][class];
    let support: u64 = confusion[class].iter().sum();
    let given: u64 = confusion.iter().map(|row| row[class]).sum();
    ClassReport {
        class: name.into(),
        precision: ratio(hits, given),
        recall: ratio(hits, support),
        f1: ratio(2 * hits, given + support),
        support,
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Place of the largest value; the first one if several are.
pub(crate) fn argmax(values: &[f32]) -> u32 {
    let mut best = 0;
    for (at, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = at;
        }
    }
    best as u32
}

/// Softmax in f64.
pub(crate) fn softmax(logits: &[f32]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - f64::from(most)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_worked_by_hand() {
        let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let report = Report::new(&names, &[0, 0, 1, 1, 1], &[0, 1, 1, 1, 0], 0.5);
        assert_eq!(report.confusion, [[1, 1, 0], [1, 2, 0], [0, 0, 0]]);
        assert_eq!(report.accuracy, 0.6);
        let figures: Vec<[f64; 3]> = report.classes.iter().map(|c| [c.precision, c.recall, c.f1]).collect();
        assert_eq!(figures, [[0.5, 0.5, 0.5], [2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0], [0.0, 0.0, 0.0]]);
        // Class c does not occur.
        assert!((report.macro_f1 - (0.5 + 2.0 / 3.0) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn softmax_of_large_logits_is_finite() {
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }
}
