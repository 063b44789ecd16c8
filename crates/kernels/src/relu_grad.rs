//! The gradient of the rectifier, from its output.
//!
//! # Formula
//! `dx[i] = dy[i]` where `y[i] > 0`, else 0.
//!
//! # Shapes
//! `y [count]`, `dy [count]`, `dx [count]`.
//!
//! # Dispatch
//! One thread per element of `dx`.
//!
//! # Errors
//! A count of zero, or a buffer of another length.
//!
//! # Source
//! The derivative of `relu` and `bias_relu`, with 0 at the kink as in PyTorch.

use crate::contract::prelude::*;

buffers! {
    /// The rectifier's output.
    y: Read<f32 | f16>,
    /// Gradient of the output.
    dy: Read<f32 | f16>,
    /// Gradient of the input.
    dx: Write<f32 | f16>,
}

params! {
    /// Elements.
    count: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "relu_grad",
    summary: "gradient where the output is positive, else zero",
    wgsl: include_str!("../../../shaders/relu_grad.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(Params::from_words(words).count.into()),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::EXACT,
    cost: |words| {
        let count = u64::from(Params::from_words(words).count);
        Cost { flops: count, bytes: 12 * count }
    },
    reference: |_, operands| reference(Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// The gradient of the input of [`relu`](crate::relu) or [`bias_relu`](crate::bias_relu), given the forward output.
///
/// # Errors
/// [`ShapeError`] for a count of zero and buffers of another length.
pub fn call(io: Io, count: u32) -> Result<Call, ShapeError> {
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(count > 0, || "count must be positive, got 0".into())?
        .len("y", &[("count", count)])?
        .len("dy", &[("count", count)])?
        .len("dx", &[("count", count)])?
        .call(Params { count }.to_words()))
}

fn reference(io: Host<'_>) {
    let outputs = io.y.par_chunks(LINE).zip(io.dy.par_chunks(LINE));
    io.dx.par_chunks_mut(LINE).zip(outputs).for_each(|(dx, (y, dy))| {
        dx.iter_mut().zip(y).zip(dy).for_each(|((dx, y), dy)| *dx = if *y > 0.0 { *dy } else { 0.0 });
    });
}

fn cases() -> Vec<Case> {
    // One, workgroups ± 1, primes, and a layer of the reference network.
    [1, 63, 64, 65, 41 * 47, 2 * 26 * 26 * 32]
        .into_iter()
        .map(|count| {
            let mut case = Case::named(count.to_string());
            // Half of the outputs are zero, as a rectifier's are.
            let y = (0..count).map(|i| crate::hash::normal(count, 5, i).max(0.0));
            let io = Io {
                y: case.floats("y", y),
                dy: case.random("dy", count as usize),
                dx: case.output("dx", count as usize),
            };
            case.finish(call(io, count))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_worked_by_hand() {
        let mut dx = [9.0; 3];
        reference(Host { y: &[0.5, 0.0, 3.0], dy: &[-1.0, 2.0, 4.0], dx: &mut dx });
        assert_eq!(dx, [-1.0, 0.0, 4.0]);
    }
}
