//! The rectifier.
//!
//! # Formula
//! `y[i] = max(x[i], 0)`; a NaN stays a NaN, so that a broken step is seen in the loss.
//!
//! # Shapes
//! `x [count]`, `y [count]`.
//!
//! # Dispatch
//! One thread per element of `y`.
//!
//! # Errors
//! A count of zero, or a buffer of another length.
//!
//! # Source
//! Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).

use crate::contract::prelude::*;

buffers! {
    /// Arguments.
    x: Read<f32 | f16>,
    /// Results.
    y: Write<f32 | f16>,
}

params! {
    /// Elements.
    count: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "relu",
    summary: "negatives to zero",
    wgsl: include_str!("../../../shaders/relu.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).count.into()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::EXACT,
    cost: |words| {
        let count = u64::from(Params::from_words(words).count);
        Cost { flops: count, bytes: 8 * count }
    },
    reference: |_, operands| reference(Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The rectifier of `count` elements.
///
/// # Errors
/// [`ShapeError`] for a count of zero and buffers of another length.
pub fn call(io: Io, count: u32) -> Result<Call, ShapeError> {
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(count > 0, || "count must be positive, got 0".into())?
        .len("x", &[("count", count)])?
        .len("y", &[("count", count)])?
        .call(Params { count }.to_words()))
}

fn reference(io: Host<'_>) {
    io.y.par_iter_mut().zip(io.x).for_each(|(y, x)| *y = if *x < 0.0 { 0.0 } else { *x });
}

fn cases() -> Vec<Case> {
    // One, workgroups ± 1, primes, a layer of the reference network, and more than one row of 65535 workgroups.
    [1, 63, 64, 65, 41 * 47, 2 * 26 * 26 * 32, 4_200_000]
        .into_iter()
        .map(|count| {
            let mut case = Case::named(count.to_string());
            // Every element differs, so that one written to the wrong place is seen.
            let x = (0..count).map(|i| i as f32 - (count / 2) as f32);
            let io = Io { x: case.floats("x", x), y: case.output("y", count as usize) };
            case.finish(call(io, count))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_worked_by_hand() {
        let mut y = [9.0; 4];
        reference(Host { x: &[-1.0, 0.0, 2.0, f32::NEG_INFINITY], y: &mut y });
        assert_eq!(y, [0.0, 0.0, 2.0, 0.0]);
    }

    #[test]
    fn a_nan_is_not_hidden() {
        let mut y = [0.0];
        reference(Host { x: &[f32::NAN], y: &mut y });
        assert!(y[0].is_nan());
    }
}
