//! Softmax, the negative logarithm of the label's probability, its gradient and the hit, in one pass.
//!
//! # Formula
//! With `p[i, j] = exp(logits[i, j]) / Σ_k exp(logits[i, k])`:
//! `row_metrics[i] = (-ln p[i, labels[i]], 1 if the first largest logit is the label's, else 0)` and
//! `d_logits[i, j] = loss_scale * (p[i, j] - (1 if j = labels[i], else 0)) / valid`, `loss_scale` times the gradient of the
//! mean loss of the `valid` rows that hold examples. The rows after them are all zeros. A row with a logit that is not finite,
//! or a label that is no class, gets NaN as loss and gradient.
//!
//! # Shapes
//! `logits` and `d_logits [rows, classes]`, `labels [rows]`, `state` a `StepState`, `row_metrics [rows, 2]`.
//!
//! # Dispatch
//! One thread per row; it reads its row three times.
//!
//! # Errors
//! A dimension of zero, more than 4096 classes, or a buffer of another length.
//!
//! # Source
//! Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 6.2.2.3, with the maximum subtracted first.

use crate::contract::prelude::*;
use crate::state::StepState;

buffers! {
    /// Scores of each class.
    logits: Read<f32 | f16>,
    /// The right classes.
    labels: Read<u32>,
    /// Says how many rows hold examples.
    state: Read<u32>,
    /// Gradient of the mean loss.
    d_logits: Write<f32 | f16>,
    /// Loss and hit of each row.
    row_metrics: Write<f32>,
}

params! {
    /// Rows of a batch.
    rows: u32,
    /// Classes.
    classes: u32,
    /// The gradients are this many times too large, so that 16-bit floats hold them; a power of two loses nothing.
    loss_scale: f32,
}

/// A thread loops three times over the classes, and lavapipe ends all loops of a thread after 65535 rounds
/// without a word.
const MOST_CLASSES: u32 = 4096;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "softmax_cross_entropy",
    summary: "softmax cross entropy of each row, its gradient and the hit",
    wgsl: include_str!("../../../shaders/softmax_cross_entropy.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).rows.into()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance {
        relative: 2e-4,
        scaled: 1e-5,
        reason: "WGSL's exp may be off by 3 + 2|x| units in the last place, and the sum has up to 4096 terms",
    },
    cost: |words| {
        let p = Params::from_words(words);
        let [rows, classes] = [p.rows, p.classes].map(u64::from);
        // Maximum, two differences with their exponentials, sum, quotient, difference, quotient.
        Cost { flops: 9 * rows * classes, bytes: 4 * (2 * rows * classes + 3 * rows) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// Loss, hit and gradient of each row.
///
/// # Errors
/// [`ShapeError`] for a zero dimension, too many classes and buffers of another length.
pub fn call(io: Io, (rows, classes): (u32, u32), loss_scale: f32) -> Result<Call, ShapeError> {
    let (rows_, classes_) = (("rows", rows), ("classes", classes));
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(rows > 0 && classes > 0, || format!("rows and classes must be positive, got {rows} and {classes}"))?
        .rule(classes <= MOST_CLASSES, || format!("{classes} classes are more than {MOST_CLASSES}"))?
        .rule(loss_scale.is_normal() && loss_scale > 0.0, || format!("loss_scale must be positive, got {loss_scale}"))?
        .len("logits", &[rows_, classes_])?
        .len("labels", &[rows_])?
        .len("state", &StepState::LEN)?
        .len("d_logits", &[rows_, classes_])?
        .len("row_metrics", &[rows_, ("2", 2)])?
        .call(Params { rows, classes, loss_scale }.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let classes = p.classes as usize;
    let valid = StepState::bound(io.state).valid_rows(p.rows) as usize;
    let inputs = io.logits.par_chunks(classes).zip(io.labels);
    let outputs = io.d_logits.par_chunks_mut(classes).zip(io.row_metrics.par_chunks_mut(2));
    inputs.zip(outputs).enumerate().for_each(|(row, ((logits, label), (d_logits, metrics)))| {
        let label = *label as usize;
        if row >= valid {
            d_logits.fill(0.0);
            metrics.fill(0.0);
        } else if label >= classes || logits.iter().any(|logit| !logit.is_finite()) {
            d_logits.fill(f32::NAN);
            metrics.copy_from_slice(&[f32::NAN, 0.0]);
        } else {
            let first_largest = (0..classes).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            let top = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
            let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - top).exp()).sum();
            for (class, (d, logit)) in d_logits.iter_mut().zip(logits).enumerate() {
                let probability = (f64::from(*logit) - top).exp() / sum;
                let gradient = (probability - f64::from(u8::from(class == label))) / valid as f64;
                *d = (f64::from(p.loss_scale) * gradient) as f32;
            }
            // Without the largest, which is 1: what is left may be far smaller than that.
            let others = logits.iter().enumerate().filter(|(class, _)| Some(*class) != first_largest);
            let others: f64 = others.map(|(_, logit)| (f64::from(*logit) - top).exp()).sum();
            metrics[0] = (others.ln_1p() + (top - f64::from(logits[label]))) as f32;
            metrics[1] = f32::from(u8::from(first_largest == Some(label)));
        }
    });
}

fn cases() -> Vec<Case> {
    // Rows, classes, and where the pass stands: full, short and empty batches.
    let plain = [
        (1, 1, 0, 1),
        (1, 10, 0, 1),
        (2, 10, 3, 7),
        (63, 10, 0, 1000),
        (64, 10, 1, 100),
        (65, 10, 2, 130),
        (41, 47, 0, 40),
        (7, 1000, 0, 7),
        (3, 4096, 0, 3),
    ];
    let plain = plain.into_iter().map(|(rows, classes, position, count)| {
        let name = format!("{rows}x{classes} at batch {position} of {count}");
        case_of(name, rows, classes, (position, count), |_| None, |row| (row * 7) % classes)
    });
    let large = |i: u32| Some([3e4, -3e4, 100.0, 88.0][i as usize % 4] + (i % 3) as f32);
    let not_finite = |i: u32| match i {
        3 => Some(f32::NAN),
        15 => Some(f32::INFINITY),
        27 => Some(f32::NEG_INFINITY),
        _ => None,
    };
    // The largest logit of each row is so much larger that the loss is next to nothing.
    let sure = |i: u32| Some([12.0, 5.0, 20.0, 80.0, 0.25][(i / 10) as usize % 5] * f32::from(u8::from(i % 10 == 3)));
    let special = [
        case_of("small losses".into(), 10, 10, (0, 10), sure, |row| if row < 9 { 3 } else { 4 }),
        case_of("large logits".into(), 8, 10, (0, 8), large, |row| row),
        case_of("equal logits".into(), 8, 10, (0, 8), |_| Some(2.5), |row| row),
        case_of("logits that are not finite".into(), 5, 10, (0, 5), not_finite, |row| row),
        case_of("a label that is no class".into(), 3, 10, (0, 3), |_| None, |row| row * 10),
    ];
    plain.chain(special).collect()
}

/// Random logits where `logit` gives none.
fn case_of(
    name: String,
    rows: u32,
    classes: u32,
    (position, count): (u32, u32),
    logit: impl Fn(u32) -> Option<f32>,
    label: impl Fn(u32) -> u32,
) -> Case {
    let mut case = Case::named(name);
    let random = |i| logit(i).unwrap_or_else(|| 3.0 * crate::hash::normal(classes, rows, i));
    let io = Io {
        logits: case.floats("logits", (0..rows * classes).map(random)),
        labels: case.integers("labels", (0..rows).map(label)),
        state: case.state(position, count),
        d_logits: case.output("d_logits", (rows * classes) as usize),
        row_metrics: case.output("row_metrics", (rows * 2) as usize),
    };
    // Every other shape with a scale.
    let loss_scale = if rows.is_multiple_of(2) { 1.0 } else { 1024.0 };
    case.finish(call(io, (rows, classes), loss_scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_rows(logits: &[f32], labels: &[u32], examples: u32) -> (Vec<f32>, Vec<f32>) {
        scaled_rows(logits, labels, examples, 1.0)
    }

    fn scaled_rows(logits: &[f32], labels: &[u32], examples: u32, loss_scale: f32) -> (Vec<f32>, Vec<f32>) {
        let state = crate::contract::example_state(0, examples).to_words();
        let (mut d_logits, mut row_metrics) = (vec![9.0; logits.len()], vec![9.0; 4]);
        let p = Params { rows: 2, classes: logits.len() as u32 / 2, loss_scale };
        let host = Host { logits, labels, state: &state, d_logits: &mut d_logits, row_metrics: &mut row_metrics };
        reference(p, host);
        (d_logits, row_metrics)
    }

    #[test]
    fn losses_worked_by_hand() {
        // exp(0) : exp(ln 3) = 1 : 3, so the probabilities are 1/4 and 3/4; equal logits make 1/2 and 1/2.
        let ln = f32::ln;
        let (d_logits, row_metrics) = two_rows(&[0.0, ln(3.0), 5.0, 5.0], &[1, 1], 2);
        assert_eq!(d_logits, [0.125, -0.125, 0.25, -0.25]);
        // The first of two equal logits is not the label's: no hit.
        let expected = [ln(4.0 / 3.0), 1.0, ln(2.0), 0.0];
        assert!(row_metrics.iter().zip(expected).all(|(got, want)| (got - want).abs() < 1e-6), "{row_metrics:?}");
    }

    #[test]
    fn a_scale_changes_the_gradient_and_not_the_loss() {
        let (logits, labels) = ([5.0, 5.0, 1.0, 1.0], [0, 1]);
        let (d_logits, row_metrics) = scaled_rows(&logits, &labels, 2, 1024.0);
        assert_eq!(d_logits, [-256.0, 256.0, 256.0, -256.0]);
        assert_eq!(row_metrics, two_rows(&logits, &labels, 2).1);
    }

    #[test]
    fn padding_is_zero_and_does_not_count() {
        let (d_logits, row_metrics) = two_rows(&[5.0, 5.0, 1.0, 2.0], &[0, 0], 1);
        assert_eq!(d_logits, [-0.5, 0.5, 0.0, 0.0]);
        assert_eq!(row_metrics, [f32::ln(2.0), 1.0, 0.0, 0.0]);
    }

    #[test]
    fn a_bad_row_is_not_finite_and_spoils_no_other() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (d_logits, row_metrics) = two_rows(&[5.0, 5.0, bad, 2.0], &[0, 1], 2);
            assert!(row_metrics[2].is_nan() && row_metrics[3] == 0.0 && d_logits[2..].iter().all(|d| d.is_nan()));
            assert_eq!(d_logits[..2], [-0.25, 0.25]);
        }
        assert!(two_rows(&[1.0; 4], &[0, 2], 2).1[2].is_nan());
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let (d_logits, row_metrics) = two_rows(&[1e30, -1e30, 100.0, 1e4], &[0, 0], 2);
        assert_eq!(d_logits, [0.0, 0.0, -0.5, 0.5]);
        assert_eq!(row_metrics, [0.0, 1.0, 9900.0, 0.0]);
    }
}
