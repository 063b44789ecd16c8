//! Labels as rows of zeros with a single one.
//!
//! # Formula
//! `y[i, j] = 1` if `labels[i] = j`, else 0. A label that is no class makes a row of zeros.
//!
//! # Shapes
//! `labels [batch]`, `y [batch, classes]`.
//!
//! # Dispatch
//! One thread per element of `y`.
//!
//! # Errors
//! A dimension of zero, or a buffer of another length.
//!
//! # Source
//! The definition of an indicator vector; the targets of a regression onto classes.

use crate::contract::prelude::*;

buffers! {
    /// Class of each example.
    labels: Read<u32>,
    /// One row per example.
    y: Write<f32>,
}

params! {
    /// Examples.
    batch: u32,
    /// Columns of `y`.
    classes: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "one_hot",
    summary: "labels as rows of zeros with a single one",
    wgsl: include_str!("../../../shaders/one_hot.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(u64::from(p.batch) * u64::from(p.classes))
    },
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::EXACT,
    cost: |words| {
        let p = Params::from_words(words);
        let [batch, classes] = [p.batch, p.classes].map(u64::from);
        Cost { flops: 0, bytes: 4 * (batch + batch * classes) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The rows of `batch` labels.
///
/// # Errors
/// [`ShapeError`] for a zero dimension and buffers of another length.
pub fn call(io: Io, batch: u32, classes: u32) -> Result<Call, ShapeError> {
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(batch > 0 && classes > 0, || format!("batch and classes must be positive, got {batch} and {classes}"))?
        .len("labels", &[("batch", batch)])?
        .len("y", &[("batch", batch), ("classes", classes)])?
        .call(Params { batch, classes }.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    io.y.par_chunks_mut(p.classes as usize).zip(io.labels).for_each(|(row, label)| {
        row.fill(0.0);
        if let Some(one) = row.get_mut(*label as usize) {
            *one = 1.0;
        }
    });
}

fn cases() -> Vec<Case> {
    [(1, 1), (2, 10), (63, 1), (64, 1), (65, 1), (41, 47)]
        .into_iter()
        .map(|(batch, classes)| {
            let mut case = Case::named(format!("{batch}x{classes}"));
            // Every class, and one label beyond the last.
            let labels = (0..batch).map(|i| (i * 7) % (classes + 1));
            let io = Io { labels: case.integers("labels", labels), y: case.output("y", (batch * classes) as usize) };
            case.finish(call(io, batch, classes))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_worked_by_hand() {
        let mut y = [9.0; 9];
        reference(Params { batch: 3, classes: 3 }, Host { labels: &[2, 0, 3], y: &mut y });
        assert_eq!(y, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
