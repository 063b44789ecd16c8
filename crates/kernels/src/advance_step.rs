//! The end of a step: its metrics are added up and the step state moves on.
//!
//! # Formula
//! With `valid` the rows of this batch that hold examples, and `loss` the sum of `row_metrics[i, 0]` over 64 of them at a
//! time, in order: `metrics.loss_sum += loss`, exactly; `metrics.hits += Σ row_metrics[i, 1]`, `metrics.seen += valid`,
//! `metrics.steps += 1`. If a `loss` is not finite for the first time, `metrics.first_bad = state.step + 1`; it is not
//! added. Then `step` and `batch` go up by one, and the bias corrections of the next update follow:
//! `gap = beta * (gap + (1 - beta))`.
//!
//! # Shapes
//! `row_metrics [batch, 2]`, `state` a `StepState`, `metrics` a `Metrics`.
//!
//! # Dispatch
//! A single thread: sums in f32 keep their order, and a batch is short.
//!
//! # Errors
//! A batch of zero or more than 16384 rows, betas out of range, or a buffer of another length.
//!
//! # Source
//! Time lives on the device, so that the host never waits for a step. The exact sum is Kulisch's long accumulator: "Computer
//! Arithmetic and Validity" (2013), chapter 8. Compensated sums would need compilers that reorder nothing, which WGSL
//! does not ask of them.

use crate::contract::prelude::*;
use crate::state::{Metrics, StepState};

buffers! {
    /// Loss and hit of each row.
    row_metrics: Read<f32>,
    /// Position in the pass and what the optimiser needs to know of time.
    state: Write<u32>,
    /// Sums over the pass.
    metrics: Write<u32>,
}

params! {
    /// Rows of a batch.
    batch: u32,
    /// Decay of the mean of the gradients; moves `beta1_gap` on.
    beta1: f32,
    /// Decay of the mean of their squares; moves `beta2_gap` on.
    beta2: f32,
}

/// Settings of a step.
pub type Settings = Params;

/// The thread loops over the rows, and lavapipe ends all loops of a thread after 65535 rounds without a word.
const MOST_ROWS: u32 = 16_384;

/// Rows that are added up in f32 before the sum is added exactly.
const BLOCK: usize = 64;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "advance_step",
    summary: "sums of a batch's losses and hits, and the next step's state",
    wgsl: include_str!("../../../shaders/advance_step.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |_, _| Threads::Line(1),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance {
        reason: "integers are exact, and so are f32 sums of a block and products in a given order",
        ..Tolerance::EXACT
    },
    cost: |words| {
        let batch = u64::from(Params::from_words(words).batch);
        Cost { flops: 2 * batch + 3, bytes: 4 * (2 * batch + 2 * (StepState::WORDS + Metrics::WORDS) as u64) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The end of a step over `settings.batch` rows.
///
/// # Errors
/// [`ShapeError`] for a batch that is empty or too large, betas out of range and buffers of another length.
pub fn call(io: Io, settings: Settings) -> Result<Call, ShapeError> {
    let Settings { batch, beta1, beta2 } = settings;
    let share = 0.0..1.0;
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(batch > 0, || "batch must be positive, got 0".into())?
        .rule(batch <= MOST_ROWS, || format!("a batch of {batch} rows is more than {MOST_ROWS}; try a smaller batch"))?
        .rule(share.contains(&beta1) && share.contains(&beta2), || {
            format!("beta1 and beta2 must be at least 0 and below 1, got {beta1} and {beta2}")
        })?
        .len("row_metrics", &[("batch", batch), ("2", 2)])?
        .len("state", &StepState::LEN)?
        .len("metrics", &Metrics::LEN)?
        .call(settings.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let state = &mut bytemuck::cast_slice_mut::<u32, StepState>(io.state)[0];
    let metrics = &mut bytemuck::cast_slice_mut::<u32, Metrics>(io.metrics)[0];
    let valid = state.valid_rows(p.batch);
    for rows in io.row_metrics[..2 * valid as usize].chunks(2 * BLOCK) {
        // In f32 and in order, so that every device gets the same bits.
        let loss: f32 = rows.iter().step_by(2).fold(0.0, |sum, loss| sum + loss);
        if loss.is_finite() {
            metrics.add_loss(loss);
        } else if metrics.first_bad == 0 {
            metrics.first_bad = state.step + 1;
        }
    }
    let hits = io.row_metrics[..2 * valid as usize].chunks_exact(2).filter(|row| row[1] > 0.5);
    metrics.hits += hits.count() as u32;
    metrics.seen += valid;
    metrics.steps += 1;
    state.step += 1;
    state.batch += 1;
    state.beta1_gap = p.beta1 * (state.beta1_gap + (1.0 - p.beta1));
    state.beta2_gap = p.beta2 * (state.beta2_gap + (1.0 - p.beta2));
}

fn cases() -> Vec<Case> {
    // Rows, where the pass stands (full, short and empty batches), and the loss of row 7, if it is a special one: not finite,
    // negative, or as far from the others as can be.
    [
        (1, 0, 1, None),
        (2, 3, 7, None),
        (63, 0, 1000, None),
        (64, 1, 100, None),
        (65, 2, 130, None),
        (8, 0, 8, Some(f32::MAX)),
        (8, 0, 8, Some(-1e30)),
        (8, 7, 64, Some(-0.25)),
        (41, 0, 41, Some(f32::INFINITY)),
        (200, 0, 130, Some(f32::NAN)),
        (MOST_ROWS, 3, 60_000, None),
    ]
    .into_iter()
    .map(|(batch, position, count, special)| {
        let named = special.map_or_else(String::new, |loss| format!(", one loss {loss:e}"));
        let mut case = Case::named(format!("{batch} rows at batch {position} of {count}{named}"));
        let row_metric = |i: u32| match (i % 2, special) {
            (1, _) => (i / 2 % 3).min(1) as f32,
            (_, Some(loss)) if i == 14 => loss,
            _ => crate::hash::normal(batch, 4, i).abs(),
        };
        let mut metrics = Metrics { hits: 17, seen: 64, steps: 1, ..Metrics::default() };
        metrics.add_loss(12.5);
        // All ones below: the first addition carries through many words.
        metrics.loss_sum[..4].fill(u32::MAX);
        let io = Io {
            row_metrics: case.floats("row_metrics", (0..2 * batch).map(row_metric)),
            state: case.state(position, count),
            metrics: case.integers("metrics", metrics.to_words()),
        };
        case.finish(call(io, Settings { batch, beta1: 0.9, beta2: 0.999 }))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(rows: [f32; 4], examples: u32, before: Metrics) -> (StepState, Metrics) {
        let mut state = crate::contract::example_state(0, examples).to_words();
        let mut metrics = before.to_words();
        let p = Settings { batch: 2, beta1: 0.5, beta2: 0.25 };
        reference(p, Host { row_metrics: &rows, state: &mut state, metrics: &mut metrics });
        (StepState::bound(&state), Metrics::from_words(&metrics).unwrap())
    }

    /// The metrics that `before` becomes.
    fn with_loss(mut before: Metrics, losses: &[f32]) -> Metrics {
        losses.iter().for_each(|loss| before.add_loss(*loss));
        before
    }

    #[test]
    fn a_step_worked_by_hand() {
        let before = Metrics { hits: 1, seen: 2, steps: 1, ..with_loss(Metrics::default(), &[1.0]) };
        let (state, metrics) = advance([0.5, 1.0, 0.25, 1.0], 2, before);
        let loss_sum = with_loss(Metrics::default(), &[1.75]).loss_sum;
        assert_eq!(metrics, Metrics { hits: 3, seen: 4, steps: 2, first_bad: 0, loss_sum });
        assert_eq!(metrics.loss(), 1.75 / 4.0);
        let start = crate::contract::example_state(0, 2);
        let beta1_gap = 0.5 * (start.beta1_gap + 0.5);
        let beta2_gap = 0.25 * (start.beta2_gap + 0.75);
        assert_eq!(state, StepState { step: start.step + 1, batch: 1, beta1_gap, beta2_gap, ..start });
    }

    #[test]
    fn padding_does_not_count() {
        let (_, metrics) = advance([0.5, 1.0, f32::NAN, 1.0], 1, Metrics::default());
        let loss_sum = with_loss(Metrics::default(), &[0.5]).loss_sum;
        assert_eq!(metrics, Metrics { hits: 1, seen: 1, steps: 1, first_bad: 0, loss_sum });
    }

    #[test]
    fn only_the_first_bad_step_is_kept() {
        let first = crate::contract::example_state(0, 2).step + 1;
        let (_, metrics) = advance([f32::NAN, 0.0, 0.0, 0.0], 2, Metrics::default());
        assert!(metrics.first_bad == first && metrics.loss().is_nan());
        let before = Metrics { first_bad: 3, ..Metrics::default() };
        assert_eq!(advance([f32::INFINITY, 0.0, 0.0, 0.0], 2, before).1.first_bad, 3);
    }

    /// An f32 sum of these is off by 9e-5 and more after as many.
    #[test]
    fn sixty_thousand_steps_of_one_example_lose_nothing() {
        let losses: Vec<f32> = (0..60_000).map(|i| 0.1 + crate::hash::uniform(1, 2, i) * 0.01).collect();
        let mut state = crate::contract::example_state(0, 60_000).to_words();
        let mut metrics = Metrics::default().to_words();
        for loss in &losses {
            let p = Settings { batch: 1, beta1: 0.5, beta2: 0.25 };
            reference(p, Host { row_metrics: &[*loss, 1.0], state: &mut state, metrics: &mut metrics });
        }
        let metrics = Metrics::from_words(&metrics).unwrap();
        let mean = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / 6e4;
        assert!((metrics.loss() - mean).abs() < 1e-14, "{} {mean}", metrics.loss());
        assert_eq!((metrics.seen, metrics.steps, metrics.hits), (60_000, 60_000, 60_000));
    }

    #[test]
    fn too_large_a_batch_is_refused_with_advice() {
        let mut case = Case::named("wrong");
        let io = Io {
            row_metrics: case.random("row_metrics", 2 * 16_385),
            state: case.state(0, 1),
            metrics: case.integers("metrics", [0; Metrics::WORDS]),
        };
        let error = call(io, Settings { batch: 16_385, beta1: 0.9, beta2: 0.999 }).unwrap_err();
        assert_eq!(error.to_string(), "advance_step: a batch of 16385 rows is more than 16384; try a smaller batch");
    }
}
