//! A bias per column, added to every row.
//!
//! # Formula
//! `y[i, j] = x[i, j] + bias[j]`.
//!
//! # Shapes
//! `x [rows, columns]`, `bias [columns]`, `y [rows, columns]`.
//!
//! # Dispatch
//! One thread per element of `y`.
//!
//! # Errors
//! A dimension of zero, or a buffer of another length.
//!
//! # Source
//! The affine part of every dense and convolution layer.

use crate::contract::prelude::*;

buffers! {
    /// Summands.
    x: Read<f32 | f16>,
    /// Added to every row.
    bias: Read<f32>,
    /// Results.
    y: Write<f32 | f16>,
}

params! {
    /// Rows: pixels or examples.
    rows: u32,
    /// Columns: channels or features.
    columns: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "bias",
    summary: "one bias per column added to every row",
    wgsl: include_str!("../../../shaders/bias.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(u64::from(p.rows) * u64::from(p.columns))
    },
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::ROUNDED,
    cost: |words| {
        let p = Params::from_words(words);
        let [rows, columns] = [p.rows, p.columns].map(u64::from);
        Cost { flops: rows * columns, bytes: 4 * (2 * rows * columns + columns) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// `bias` added to every row of `x`.
///
/// # Errors
/// [`ShapeError`] for a zero dimension and buffers of another length.
pub fn call(io: Io, rows: u32, columns: u32) -> Result<Call, ShapeError> {
    let (rows_, columns_) = (("rows", rows), ("columns", columns));
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(rows > 0 && columns > 0, || format!("rows and columns must be positive, got {rows} and {columns}"))?
        .len("x", &[rows_, columns_])?
        .len("bias", &[columns_])?
        .len("y", &[rows_, columns_])?
        .call(Params { rows, columns }.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let columns = p.columns as usize;
    io.y.par_chunks_mut(columns).zip(io.x.par_chunks(columns)).for_each(|(y_row, x_row)| {
        for ((y, x), bias) in y_row.iter_mut().zip(x_row).zip(io.bias) {
            *y = x + bias;
        }
    });
}

fn cases() -> Vec<Case> {
    // One, workgroups ± 1, primes, and the reference network's layers at batch 2.
    [(1, 1), (1, 63), (64, 1), (5, 13), (41, 47), (1352, 32), (242, 64), (2, 10)]
        .into_iter()
        .map(|(rows, columns)| {
            let mut case = Case::named(format!("{rows}x{columns}"));
            let io = Io {
                x: case.random("x", (rows * columns) as usize),
                bias: case.random("bias", columns as usize),
                y: case.output("y", (rows * columns) as usize),
            };
            case.finish(call(io, rows, columns))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_worked_by_hand() {
        let mut y = [0.0; 4];
        reference(Params { rows: 2, columns: 2 }, Host { x: &[1.0, 2.0, -3.0, 4.0], bias: &[10.0, -20.0], y: &mut y });
        assert_eq!(y, [11.0, -18.0, 7.0, -16.0]);
    }
}
