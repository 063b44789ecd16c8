//! The sum of two tensors.
//!
//! # Formula
//! `y[i] = a[i] + b[i]`.
//!
//! # Shapes
//! `a [count]`, `b [count]`, `y [count]`.
//!
//! # Dispatch
//! One thread per element of `y`.
//!
//! # Errors
//! A count of zero, or a buffer of another length.
//!
//! # Source
//! Where two branches of a network meet, forward; where a value is used twice, backward.

use crate::contract::prelude::*;

buffers! {
    /// First summand.
    a: Read<f32 | f16>,
    /// Second summand.
    b: Read<f32 | f16>,
    /// Sum.
    y: Write<f32 | f16>,
}

params! {
    /// Elements.
    count: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "add",
    summary: "sum of two tensors",
    wgsl: include_str!("../../../shaders/add.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).count.into()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::ROUNDED,
    cost: |words| {
        let count = u64::from(Params::from_words(words).count);
        Cost { flops: count, bytes: 12 * count }
    },
    reference: |_, operands| reference(Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The sum of `count` pairs.
///
/// # Errors
/// [`ShapeError`] for a count of zero and buffers of another length.
pub fn call(io: Io, count: u32) -> Result<Call, ShapeError> {
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(count > 0, || "count must be positive, got 0".into())?
        .len("a", &[("count", count)])?
        .len("b", &[("count", count)])?
        .len("y", &[("count", count)])?
        .call(Params { count }.to_words()))
}

fn reference(io: Host<'_>) {
    let inputs = io.a.par_chunks(LINE).zip(io.b.par_chunks(LINE));
    io.y.par_chunks_mut(LINE).zip(inputs).for_each(|(y, (a, b))| {
        y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b);
    });
}

fn cases() -> Vec<Case> {
    // One, workgroups ± 1, primes, and a layer of the reference network.
    [1, 63, 64, 65, 41 * 47, 2 * 26 * 26 * 32]
        .into_iter()
        .map(|count| {
            let mut case = Case::named(count.to_string());
            let io = Io {
                a: case.random("a", count as usize),
                b: case.random("b", count as usize),
                y: case.output("y", count as usize),
            };
            case.finish(call(io, count))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_worked_by_hand() {
        let mut y = [0.0; 2];
        reference(Host { a: &[1.5, -2.0], b: &[0.25, 7.0], y: &mut y });
        assert_eq!(y, [1.75, 5.0]);
    }
}
