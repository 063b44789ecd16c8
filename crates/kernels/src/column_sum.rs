//! Sums over rows: bias gradients, split products, and any long reduction.
//!
//! # Formula
//! `y[s, j] = Σ_i x[i, j]` over the s-th share of the rows. Long columns take two calls: first into
//! [`splits`] shares, then those into one.
//!
//! # Shapes
//! `x [rows, columns]`, `y [splits, columns]`.
//!
//! # Dispatch
//! One thread per element of `y`; neighbours read neighbouring columns.
//!
//! # Errors
//! A dimension of zero, more splits than rows, or a buffer of another length.
//!
//! # Source
//! A fixed two-level tree instead of atomics keeps the order of every sum.

use crate::contract::prelude::*;

buffers! {
    /// Summands.
    x: Read<f32 | f16>,
    /// Sums, one row per share.
    y: Write<f32 | f16>,
}

params! {
    /// Summands of each column.
    rows: u32,
    /// Columns.
    columns: u32,
    /// Shares that the rows are cut into.
    splits: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "column_sum",
    summary: "sum of each column, optionally in shares of the rows",
    wgsl: include_str!("../../../shaders/column_sum.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(u64::from(p.splits) * u64::from(p.columns))
    },
    variants: &Variant::LINE,
    alternatives: &[&crate::column_sum_vec4::KERNEL],
    tolerance: Tolerance::SUMMED,
    cost: |words| {
        let p = Params::from_words(words);
        let [rows, columns, splits] = [p.rows, p.columns, p.splits].map(u64::from);
        Cost { flops: rows * columns, bytes: 4 * (rows + splits) * columns }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: Some(|words, operands| {
        let io = Host::new(operands);
        crate::cpu::column_sum(&Params::from_words(words), io.x, io.y);
    }),
    cases,
};

/// How many shares to cut `rows` into before a second call sums the shares: one up to 64 rows, then the power
/// of two nearest below the square root, so that both calls loop equally often.
pub fn splits(rows: u32) -> u32 {
    if rows <= 64 { 1 } else { 1 << (rows.ilog2() / 2) }
}

/// The sums of `rows × columns` values.
///
/// # Errors
/// [`ShapeError`] for a zero dimension, more splits than rows and buffers of another length.
pub fn call(io: Io, rows: u32, columns: u32, splits: u32) -> Result<Call, ShapeError> {
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(columns > 0, || "columns must be positive, got 0".into())?
        .rule(splits >= 1 && splits <= rows, || format!("splits must be between 1 and {rows} rows, got {splits}"))?
        .len("x", &[("rows", rows), ("columns", columns)])?
        .len("y", &[("splits", splits), ("columns", columns)])?
        .call(Params { rows, columns, splits }.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let (rows, columns) = (p.rows as usize, p.columns as usize);
    let share = p.rows.div_ceil(p.splits) as usize;
    io.y.par_chunks_mut(columns).enumerate().for_each(|(split, sums)| {
        let first = (split * share).min(rows);
        let last = (first + share).min(rows);
        let mut wide = vec![0.0f64; columns];
        for x_row in io.x[first * columns..last * columns].chunks_exact(columns) {
            wide.iter_mut().zip(x_row).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        sums.iter_mut().zip(&wide).for_each(|(sum, wide)| *sum = *wide as f32);
    });
}

fn cases() -> Vec<Case> {
    // One, tiles ± 1, primes, and more than 65536 terms in one column.
    [(1, 1, 1), (5, 63, 1), (64, 64, 1), (65, 65, 8), (41, 10, 3), (7, 1031, 2), (70_001, 3, 256), (16_000, 2, 1)]
        .into_iter()
        .map(|(rows, columns, splits)| {
            let mut case = Case::named(format!("{rows}x{columns} in {splits}"));
            let io =
                Io { x: case.random("x", (rows * columns) as usize), y: case.output("y", (splits * columns) as usize) };
            case.finish(call(io, rows, columns, splits))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_worked_by_hand() {
        let x = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let mut y = [0.0; 4];
        reference(Params { rows: 3, columns: 2, splits: 2 }, Host { x: &x, y: &mut y });
        assert_eq!(y, [3.0, 30.0, 3.0, 30.0]);
    }

    #[test]
    fn splits_never_exceed_the_rows_and_keep_loops_short() {
        for rows in [1, 64, 65, 70_001, 100_000_000] {
            let splits = splits(rows);
            assert!(splits <= rows && rows.div_ceil(splits) <= 16_384 && splits <= 16_384, "{rows}: {splits}");
        }
    }
}
