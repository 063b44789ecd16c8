//! One batch, gathered by index from the data set on the device.
//!
//! # Formula
//! Row `r` takes example `indices[state.batch*batch + r]`: `x[r, j] = byte[example, j] * scale + shift` and
//! `y[r] = labels[example]`. Rows beyond the pass's last example are padding, all zeros. Indices beyond the data
//! are clamped to its end.
//!
//! # Shapes
//! `images [examples, size]` as bytes, the first in a word's lowest bits, padded to whole words;
//! `labels [examples]`, `indices [positions]`, `state` a `StepState`, `x [batch, size]`, `y [batch]`.
//!
//! # Dispatch
//! One thread per element of `x`; the first of each row writes its label too.
//!
//! # Errors
//! A dimension of zero, more than 2^32 - 1 bytes, or a buffer of another length.
//!
//! # Source
//! The data stays on the device as bytes, so an epoch's shuffle is a new list of indices.

use crate::contract::prelude::*;
use crate::state::StepState;

buffers! {
    /// Pixels of all examples, four to a word.
    images: Read<u32>,
    /// Classes of all examples.
    labels: Read<u32>,
    /// Examples in the order of this pass.
    indices: Read<u32>,
    /// Position in the pass.
    state: Read<u32>,
    /// Pixels of the batch.
    x: Write<f32 | f16>,
    /// Classes of the batch.
    y: Write<u32>,
}

params! {
    /// Examples on the device.
    examples: u32,
    /// Bytes of one example.
    size: u32,
    /// Length of `indices`.
    positions: u32,
    /// Rows of a batch.
    batch: u32,
    /// Multiplies every byte.
    scale: f32,
    /// Added after that.
    shift: f32,
}

/// Dimensions and scale of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dims {
    /// Examples on the device.
    pub examples: u32,
    /// Bytes of one example.
    pub size: u32,
    /// Length of `indices`.
    pub indices: u32,
    /// Rows of a batch.
    pub batch: u32,
    /// Multiplies every byte.
    pub scale: f32,
    /// Added after that.
    pub shift: f32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "gather_batch",
    summary: "one batch of examples, gathered by index and scaled to floats",
    wgsl: include_str!("../../../shaders/gather_batch.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(u64::from(p.batch) * u64::from(p.size))
    },
    variants: &Variant::LINE,
    alternatives: &[&crate::gather_batch_vec4::KERNEL],
    tolerance: Tolerance::ROUNDED,
    cost: |words| {
        let p = Params::from_words(words);
        let [batch, size] = [p.batch, p.size].map(u64::from);
        Cost { flops: 2 * batch * size, bytes: batch * (5 * size + 12) }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: Some(|words, operands| fast(Params::from_words(words), Host::new(operands))),
    cases,
};

/// The batch that `state` stands at.
///
/// # Errors
/// [`ShapeError`] for a zero dimension and buffers of another length.
pub fn call(io: Io, dims: Dims) -> Result<Call, ShapeError> {
    let Dims { examples, size, indices, batch, scale, shift } = dims;
    let bytes = volume(&format!("gather_batch: buffer `{}`", io.images.name), &[examples, size])?;
    let words = bytes.div_ceil(4) as u32;
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(examples > 0 && size > 0 && indices > 0 && batch > 0, || {
            format!("examples, size, indices and batch must be positive, got {examples}, {size}, {indices} and {batch}")
        })?
        .len("images", &[("ceil(examples*size/4)", words)])?
        .len("labels", &[("examples", examples)])?
        .len("indices", &[("indices", indices)])?
        .len("state", &StepState::LEN)?
        .len("x", &[("batch", batch), ("size", size)])?
        .len("y", &[("batch", batch)])?
        .call(Params { examples, size, positions: indices, batch, scale, shift }.to_words()))
}

fn fast(p: Params, io: Host<'_>) {
    let state = StepState::bound(io.state);
    let valid = state.valid_rows(p.batch) as usize;
    let example = |row: usize| {
        let at = (state.batch as usize * p.batch as usize + row).min(p.positions as usize - 1);
        (row < valid).then(|| io.indices[at].min(p.examples - 1) as usize)
    };
    crate::cpu::gather(&p, io.images, example, io.x);
    io.y.iter_mut().enumerate().for_each(|(row, label)| *label = example(row).map_or(0, |example| io.labels[example]));
}

fn reference(p: Params, io: Host<'_>) {
    let size = p.size as usize;
    let state = StepState::bound(io.state);
    let valid = state.valid_rows(p.batch) as usize;
    let byte = |i: usize| io.images[i / 4] >> (8 * (i % 4)) & 255;
    io.x.par_chunks_mut(size).zip(io.y).enumerate().for_each(|(row, (pixels, label))| {
        pixels.fill(0.0);
        *label = 0;
        if row < valid {
            let at = (state.batch as usize * p.batch as usize + row).min(p.positions as usize - 1);
            let example = io.indices[at].min(p.examples - 1) as usize;
            for (j, pixel) in pixels.iter_mut().enumerate() {
                *pixel = byte(example * size + j) as f32 * p.scale + p.shift;
            }
            *label = io.labels[example];
        }
    });
}

fn cases() -> Vec<Case> {
    // Examples, bytes of each, batch, and where the pass stands: full, short and empty batches, sizes that are
    // not whole words, and a state that points beyond the indices.
    [
        (1, 1, 1, 0, 1),
        (10, 784, 2, 3, 10),
        (7, 63, 4, 1, 7),
        (9, 64, 4, 2, 9),
        (9, 65, 4, 3, 9),
        (41, 47, 55, 0, 41),
        (5, 3, 2, 9, 100),
    ]
    .into_iter()
    .map(|(examples, size, batch, position, count)| {
        let mut case = Case::named(format!("{batch} of {examples}x{size} at batch {position} of {count}"));
        let dims = Dims { examples, size, indices: examples, batch, scale: 1.0 / 255.0, shift: -0.5 };
        let io = Io {
            images: case.bytes("images", (examples * size).div_ceil(4) as usize),
            labels: case.integers("labels", (0..examples).map(|i| i % 10)),
            // Backwards; the last index lies beyond the data.
            indices: case.integers("indices", (0..examples).map(|i| examples - i)),
            state: case.state(position, count),
            x: case.output("x", (batch * size) as usize),
            y: case.output_integers("y", batch as usize),
        };
        case.finish(call(io, dims))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three examples of three bytes: 1 2 3, 4 5 6, 7 8 9.
    fn gather(indices: [u32; 3], position: u32) -> ([f32; 6], [u32; 2]) {
        let params = Params { examples: 3, size: 3, positions: 3, batch: 2, scale: 2.0, shift: 1.0 };
        let state = crate::contract::example_state(position, 3).to_words();
        let (mut x, mut y) = ([9.0; 6], [9; 2]);
        let images = [0x0403_0201, 0x0807_0605, 0x0000_0009];
        let (labels, indices) = (&[10, 20, 30], &indices);
        reference(params, Host { images: &images, labels, indices, state: &state, x: &mut x, y: &mut y });
        (x, y)
    }

    #[test]
    fn batches_worked_by_hand() {
        assert_eq!(gather([2, 0, 1], 0), ([15.0, 17.0, 19.0, 3.0, 5.0, 7.0], [30, 10]));
        assert_eq!(gather([2, 0, 1], 1), ([9.0, 11.0, 13.0, 0.0, 0.0, 0.0], [20, 0]));
        assert_eq!(gather([2, 0, 1], 2), ([0.0; 6], [0; 2]));
    }

    #[test]
    fn an_index_beyond_the_data_is_clamped() {
        assert_eq!(gather([99, u32::MAX, 1], 0), ([15.0, 17.0, 19.0, 15.0, 17.0, 19.0], [30, 30]));
    }
}
