//! The mean squared error of each row, its gradient and the hit.
//!
//! # Formula
//! `row_metrics[i] = (Σ_j (prediction[i, j] - targets[i, j])² / columns, hit)`, where `hit` is 1 if prediction
//! and targets have their first largest element in the same column, else 0; and
//! `d_prediction[i, j] = loss_scale * 2 * (prediction[i, j] - targets[i, j]) / (valid * columns)`, `loss_scale` times the
//! gradient of the mean loss of the `valid` rows that hold examples. The rows after them are all zeros.
//!
//! # Shapes
//! `prediction`, `targets` and `d_prediction [rows, columns]`, `state` a `StepState`, `row_metrics [rows, 2]`.
//!
//! # Dispatch
//! One thread per row.
//!
//! # Errors
//! A dimension of zero, more than 16384 columns, or a buffer of another length.
//!
//! # Source
//! The mean over all elements is that of PyTorch's `mse_loss`. The word `target` is reserved in WGSL.

use crate::contract::prelude::*;
use crate::state::StepState;

buffers! {
    /// What the network says.
    prediction: Read<f32 | f16>,
    /// What it should say.
    targets: Read<f32>,
    /// Says how many rows hold examples.
    state: Read<u32>,
    /// Gradient of the mean loss.
    d_prediction: Write<f32 | f16>,
    /// Loss and hit of each row.
    row_metrics: Write<f32>,
}

params! {
    /// Rows of a batch.
    rows: u32,
    /// Elements of a row.
    columns: u32,
    /// The gradients are this many times too large, so that 16-bit floats hold them; a power of two loses nothing.
    loss_scale: f32,
}

/// A thread loops over the columns, and lavapipe ends all loops of a thread after 65535 rounds without a word.
const MOST_COLUMNS: u32 = 16_384;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "mean_squared_error",
    summary: "mean squared error of each row, its gradient and the hit",
    wgsl: include_str!("../../../shaders/mean_squared_error.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).rows.into()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::SUMMED,
    cost: |words| {
        let p = Params::from_words(words);
        let [rows, columns] = [p.rows, p.columns].map(u64::from);
        Cost { flops: 6 * rows * columns, bytes: 4 * (3 * rows * columns + 2 * rows) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// Loss, hit and gradient of each row.
///
/// # Errors
/// [`ShapeError`] for a zero dimension, too many columns and buffers of another length.
pub fn call(io: Io, (rows, columns): (u32, u32), loss_scale: f32) -> Result<Call, ShapeError> {
    let (rows_, columns_) = (("rows", rows), ("columns", columns));
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(rows > 0 && columns > 0, || format!("rows and columns must be positive, got {rows} and {columns}"))?
        .rule(columns <= MOST_COLUMNS, || format!("{columns} columns are more than {MOST_COLUMNS}"))?
        .rule(loss_scale.is_normal() && loss_scale > 0.0, || format!("loss_scale must be positive, got {loss_scale}"))?
        .len("prediction", &[rows_, columns_])?
        .len("targets", &[rows_, columns_])?
        .len("state", &StepState::LEN)?
        .len("d_prediction", &[rows_, columns_])?
        .len("row_metrics", &[rows_, ("2", 2)])?
        .call(Params { rows, columns, loss_scale }.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let columns = p.columns as usize;
    let valid = StepState::bound(io.state).valid_rows(p.rows);
    let share = 2.0 * f64::from(p.loss_scale) / (f64::from(valid) * f64::from(p.columns));
    let inputs = io.prediction.par_chunks(columns).zip(io.targets.par_chunks(columns));
    let outputs = io.d_prediction.par_chunks_mut(columns).zip(io.row_metrics.par_chunks_mut(2));
    inputs.zip(outputs).enumerate().for_each(|(row, ((prediction, targets), (d_prediction, metrics)))| {
        if row >= valid as usize {
            d_prediction.fill(0.0);
            metrics.fill(0.0);
            return;
        }
        let mut sum = 0.0;
        for ((d, prediction), target) in d_prediction.iter_mut().zip(prediction).zip(targets) {
            let difference = f64::from(*prediction) - f64::from(*target);
            sum += difference * difference;
            *d = (difference * share) as f32;
        }
        metrics[0] = (sum / f64::from(p.columns)) as f32;
        metrics[1] = f32::from(u8::from(first_largest(prediction) == first_largest(targets)));
    });
}

fn first_largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

fn cases() -> Vec<Case> {
    // Rows, columns, and where the pass stands: full, short and empty batches.
    [
        (1, 1, 0, 1),
        (2, 10, 3, 7),
        (63, 4, 0, 1000),
        (64, 4, 1, 100),
        (65, 4, 2, 130),
        (41, 47, 0, 40),
        (3, 16_384, 0, 3),
    ]
    .into_iter()
    .map(|(rows, columns, position, count)| {
        let mut case = Case::named(format!("{rows}x{columns} at batch {position} of {count}"));
        let len = rows * columns;
        // Every other target lies close to its prediction, so that there are hits and misses.
        let prediction = |i: u32| crate::hash::normal(rows, 1, i);
        let close = |i: u32| (i / columns).is_multiple_of(2);
        let target = |i: u32| if close(i) { 0.9 * prediction(i) } else { crate::hash::normal(rows, 2, i) };
        let io = Io {
            prediction: case.floats("prediction", (0..len).map(prediction)),
            targets: case.floats("targets", (0..len).map(target)),
            state: case.state(position, count),
            d_prediction: case.output("d_prediction", len as usize),
            row_metrics: case.output("row_metrics", (rows * 2) as usize),
        };
        // Every other shape with a scale.
        let loss_scale = if rows.is_multiple_of(2) { 1.0 } else { 1024.0 };
        case.finish(call(io, (rows, columns), loss_scale))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_rows(prediction: &[f32; 4], targets: &[f32; 4], examples: u32) -> ([f32; 4], [f32; 4]) {
        scaled_rows(prediction, targets, examples, 1.0)
    }

    fn scaled_rows(prediction: &[f32; 4], targets: &[f32; 4], examples: u32, loss_scale: f32) -> ([f32; 4], [f32; 4]) {
        let state = crate::contract::example_state(0, examples).to_words();
        let (mut d_prediction, mut row_metrics) = ([9.0; 4], [9.0; 4]);
        let p = Params { rows: 2, columns: 2, loss_scale };
        let (state, d, metrics) = (&state, &mut d_prediction, &mut row_metrics);
        reference(p, Host { prediction, targets, state, d_prediction: d, row_metrics: metrics });
        (d_prediction, row_metrics)
    }

    #[test]
    fn losses_worked_by_hand() {
        // Differences 1, -1 and 4, 0; squares 1, 1 and 16, 0; the gradient is 2/4 of the differences.
        let (d_prediction, row_metrics) = two_rows(&[2.0, 0.0, 5.0, 2.0], &[1.0, 1.0, 1.0, 2.0], 2);
        assert_eq!(d_prediction, [0.5, -0.5, 2.0, 0.0]);
        assert_eq!(row_metrics, [1.0, 1.0, 8.0, 0.0]);
    }

    #[test]
    fn a_scale_changes_the_gradient_and_not_the_loss() {
        let (d_prediction, row_metrics) = scaled_rows(&[2.0, 0.0, 5.0, 2.0], &[1.0, 1.0, 1.0, 2.0], 2, 16.0);
        assert_eq!(d_prediction, [8.0, -8.0, 32.0, 0.0]);
        assert_eq!(row_metrics, [1.0, 1.0, 8.0, 0.0]);
    }

    #[test]
    fn padding_is_zero_and_does_not_count() {
        let (d_prediction, row_metrics) = two_rows(&[2.0, 0.0, 5.0, 2.0], &[1.0, 1.0, 1.0, 2.0], 1);
        assert_eq!(d_prediction, [1.0, -1.0, 0.0, 0.0]);
        assert_eq!(row_metrics, [1.0, 1.0, 0.0, 0.0]);
    }
}
