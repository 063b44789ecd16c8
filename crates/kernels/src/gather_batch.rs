//! One batch, gathered by index from the data set on the device.
//!
//! # Formula
//! Row `r` takes example `indices[state.batch*batch + r]`: `x[r, j] = byte[example, j] * scale + shift` and
//! `y[r] = labels[example]`. Rows beyond the pass's last example are padding, all zeros. Indices beyond the data
//! are clamped to its end.
//!
//! Data that is too large for one binding lies in several buffers of whole examples, with a call for each, whose `images` are
//! the `held` examples from `first` on. A call writes the rows of its own examples; the one with `first = 0` writes
//! the padding and `y` as well.
//!
//! # Shapes
//! `images [held, size]` as bytes, the first in a word's lowest bits, padded to whole words;
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
    /// Pixels of the examples of this part, four to a word.
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
    /// The first of them in `images`.
    first: u32,
    /// As many of them are in `images`.
    held: u32,
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
    /// Those of them in `images`.
    pub part: Part,
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

/// Neighbouring examples in one buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first one.
    pub first: u32,
    /// How many there are.
    pub held: u32,
}

impl Part {
    /// All of `examples`.
    pub fn whole(examples: u32) -> Self {
        Self { first: 0, held: examples }
    }

    /// Place in the buffer of an example of the data, if it is here.
    fn place(&self, example: usize) -> Option<usize> {
        example.checked_sub(self.first as usize).filter(|place| *place < self.held as usize)
    }
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
/// [`ShapeError`] for a zero dimension, a part beyond the examples and buffers of another length.
pub fn call(io: Io, dims: Dims) -> Result<Call, ShapeError> {
    let Dims { examples, part: Part { first, held }, size, indices, batch, scale, shift } = dims;
    let bytes = volume(&format!("gather_batch: buffer `{}`", io.images.name), &[held, size])?;
    let words = bytes.div_ceil(4) as u32;
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(examples > 0 && size > 0 && indices > 0 && batch > 0, || {
            format!("examples, size, indices and batch must be positive, got {examples}, {size}, {indices} and {batch}")
        })?
        .rule(held > 0 && first.checked_add(held).is_some_and(|end| end <= examples), || {
            format!("a part must lie within the {examples} examples, got {held} from {first} on")
        })?
        .len("images", &[("ceil(held*size/4)", words)])?
        .len("labels", &[("examples", examples)])?
        .len("indices", &[("indices", indices)])?
        .len("state", &StepState::LEN)?
        .len("x", &[("batch", batch), ("size", size)])?
        .len("y", &[("batch", batch)])?
        .call(Params { examples, first, held, size, positions: indices, batch, scale, shift }.to_words()))
}

/// Where a call finds the examples of its batch.
struct Source<'a> {
    p: Params,
    state: StepState,
    indices: &'a [u32],
}

impl Source<'_> {
    /// The example of a row, if it has one.
    fn example(&self, row: usize) -> Option<usize> {
        let Self { p, state, indices } = self;
        let at = (state.batch as usize * p.batch as usize + row).min(p.positions as usize - 1);
        (row < state.valid_rows(p.batch) as usize).then(|| indices[at].min(p.examples - 1) as usize)
    }

    /// Place in `images` of the example of a row, or none for padding; nothing at all if another call writes the row.
    fn place(&self, row: usize) -> Option<Option<usize>> {
        let Params { first, held, .. } = self.p;
        match self.example(row) {
            Some(example) => Part { first, held }.place(example).map(Some),
            None => (first == 0).then_some(None),
        }
    }

    fn write_labels(&self, labels: &[u32], y: &mut [u32]) {
        if self.p.first == 0 {
            let label = |row| self.example(row).map_or(0, |example| labels[example]);
            y.iter_mut().enumerate().for_each(|(row, y)| *y = label(row));
        }
    }
}

fn fast(p: Params, io: Host<'_>) {
    let source = Source { p, state: StepState::bound(io.state), indices: io.indices };
    crate::cpu::gather(&p, io.images, |row| source.place(row), io.x);
    source.write_labels(io.labels, io.y);
}

fn reference(p: Params, io: Host<'_>) {
    let size = p.size as usize;
    let source = Source { p, state: StepState::bound(io.state), indices: io.indices };
    let byte = |i: usize| io.images[i / 4] >> (8 * (i % 4)) & 255;
    io.x.par_chunks_mut(size).enumerate().for_each(|(row, pixels)| match source.place(row) {
        Some(Some(place)) => {
            for (j, pixel) in pixels.iter_mut().enumerate() {
                *pixel = byte(place * size + j) as f32 * p.scale + p.shift;
            }
        }
        Some(None) => pixels.fill(0.0),
        None => {}
    });
    source.write_labels(io.labels, io.y);
}

fn cases() -> Vec<Case> {
    // Examples, those in the binding, bytes of each, batch, and where the pass stands: full, short and empty batches, sizes
    // that are not whole words, a state that points beyond the indices, and parts of the data.
    [
        (1, 0..1, 1, 1, 0, 1),
        (10, 0..10, 784, 2, 3, 10),
        (7, 0..7, 63, 4, 1, 7),
        (9, 0..9, 64, 4, 2, 9),
        (9, 0..9, 65, 4, 3, 9),
        (41, 0..41, 47, 55, 0, 41),
        (5, 0..5, 3, 2, 9, 100),
        (41, 0..13, 47, 55, 0, 41),
        (41, 13..26, 47, 55, 0, 41),
        (41, 26..41, 47, 55, 0, 41),
    ]
    .into_iter()
    .map(|(examples, part, size, batch, position, count)| {
        case_of(examples, part, size, (batch, position, count)).finish(call)
    })
    .collect()
}

/// A case before its call is made.
pub(crate) struct Draft {
    case: crate::contract::CaseBuilder,
    io: Io,
    dims: Dims,
}

impl Draft {
    /// The case of the call that `call` makes.
    pub(crate) fn finish(self, call: impl FnOnce(Io, Dims) -> Result<Call, ShapeError>) -> Case {
        self.case.finish(call(self.io, self.dims))
    }
}

/// `part` of `examples` of `size` bytes bound, gathered backwards into the batch at `position` of a pass over `count`.
pub(crate) fn case_of(
    examples: u32,
    part: std::ops::Range<u32>,
    size: u32,
    (batch, position, count): (u32, u32, u32),
) -> Draft {
    let part = Part { first: part.start, held: part.end - part.start };
    let whole = part == Part::whole(examples);
    let of = if whole { String::new() } else { format!(" ({} from {} on)", part.held, part.first) };
    let mut case = Case::named(format!("{batch} of {examples}x{size}{of} at batch {position} of {count}"));
    let dims = Dims { examples, part, size, indices: examples, batch, scale: 1.0 / 255.0, shift: -0.5 };
    let io = Io {
        images: case.bytes("images", (part.held * size).div_ceil(4) as usize),
        labels: case.integers("labels", (0..examples).map(|i| i % 10)),
        // Backwards; the last index lies beyond the data.
        indices: case.integers("indices", (0..examples).map(|i| examples - i)),
        state: case.state(position, count),
        // A part leaves what others write as it is.
        x: if whole { case.output("x", (batch * size) as usize) } else { case.random("x", (batch * size) as usize) },
        y: if whole { case.output_integers("y", batch as usize) } else { case.integers("y", 100..100 + batch) },
    };
    Draft { case, io, dims }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three examples of three bytes: 1 2 3, 4 5 6, 7 8 9.
    fn gather(indices: [u32; 3], position: u32) -> ([f32; 6], [u32; 2]) {
        gather_part(indices, position, Part::whole(3), &[0x0403_0201, 0x0807_0605, 0x0000_0009])
    }

    fn gather_part(indices: [u32; 3], position: u32, part: Part, images: &[u32]) -> ([f32; 6], [u32; 2]) {
        let Part { first, held } = part;
        let params = Params { examples: 3, first, held, size: 3, positions: 3, batch: 2, scale: 2.0, shift: 1.0 };
        let state = crate::contract::example_state(position, 3).to_words();
        let (mut x, mut y) = ([9.0; 6], [9; 2]);
        let (labels, indices) = (&[10, 20, 30], &indices);
        reference(params, Host { images, labels, indices, state: &state, x: &mut x, y: &mut y });
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

    #[test]
    fn a_part_writes_its_own_rows_and_the_first_one_padding_and_labels() {
        let first = Part { first: 0, held: 2 };
        assert_eq!(gather_part([2, 0, 1], 0, first, &[0x0403_0201, 0x0605]).0, [9.0, 9.0, 9.0, 3.0, 5.0, 7.0]);
        assert_eq!(gather_part([2, 0, 1], 1, first, &[0x0403_0201, 0x0605]).1, [20, 0]);
        let last = Part { first: 2, held: 1 };
        assert_eq!(gather_part([2, 0, 1], 0, last, &[0x0009_0807]), ([15.0, 17.0, 19.0, 9.0, 9.0, 9.0], [9, 9]));
        assert_eq!(gather_part([2, 0, 1], 1, last, &[0x0009_0807]), ([9.0; 6], [9, 9]));
    }
}
