//! Convolution with bias, optional ReLU and a max pool of 2×2, without the image in between.
//!
//! # Formula
//! `y = max` of `conv2d` over each window of 2×2, stride 2, without padding; an odd last row or column is left out.
//! `winner` holds the place of the maximum within its window, the first in the order of rows if several tie, or
//! [`NOBODY`] if `relu` cut all four off: then no gradient flows back. A NaN in the window wins, so that a broken step is seen.
//!
//! # Shapes
//! Those of [`conv2d`], and `y [batch, out_height/2, out_width/2, filters]`,
//! `winner [batch, out_height/2, out_width/2, filters/4]`, a byte for each maximum, the first channel in the lowest.
//!
//! # Dispatch
//! One thread per four channels of a maximum.
//!
//! # Errors
//! Those of [`conv2d`], filters that four does not divide, or an output without a whole window.
//!
//! # Source
//! The four pixels of a window lie in one thread's registers, so the image that PyTorch would write, read and keep for the
//! reverse pass is never made.

use crate::contract::prelude::*;
use crate::conv2d::{self, Params, PixelSums};
use crate::convolution::{Convolution, LONGEST_SUM, NOBODY, cases, output, pooled_output, weight, winners};
use crate::window::{Window, count};

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Weights.
    weight: Read<f32>,
    /// Added to every output of its channel.
    bias: Read<f32>,
    /// Maxima.
    y: Write<f32 | f16>,
    /// Place of each maximum within its window.
    winner: Write<u32>,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_pool",
    summary: "convolution with bias, optional ReLU and max pool of 2x2",
    wgsl: include_str!("../../../shaders/conv2d_pool.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(count(&winners(&p.window(), p.filters)))
    },
    variants: &Variant::LINE,
    alternatives: &[
        &crate::conv2d_pool_subgroup::KERNEL,
        &crate::conv2d_pool_first_subgroup::KERNEL,
        &crate::conv2d_pool_vec4::KERNEL,
        &crate::conv2d_pool_first::KERNEL,
        &crate::conv2d_pool_shared::KERNEL,
    ],
    tolerance: Tolerance::SUMMED,
    cost,
    reference: reference_of,
    fast_cpu: Some(fast_of),
    cases: || cases_of(&KERNEL),
};

/// The convolution of a batch of images and the maxima of its outputs.
///
/// # Errors
/// [`ShapeError`] for a shape that does not fit and buffers of another length.
pub fn call(io: Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    call_of(&KERNEL, io.into_slices(), shape, relu)
}

/// Whether a thread's loops can be as long as four windows of `shape`: the plain kernel goes over each, and counts lines
/// and taps too.
pub fn takes(shape: Convolution) -> bool {
    let Window { kernel_height, kernel_width, .. } = shape.window;
    let rounds = shape.terms() + u64::from(kernel_height) * (1 + u64::from(kernel_width));
    rounds < LONGEST_SUM
}

pub(crate) fn call_of(
    kernel: &'static Kernel,
    slices: Vec<Slice>,
    shape: Convolution,
    relu: bool,
) -> Result<Call, ShapeError> {
    let p = shape.checked(kernel, shape.terms())?;
    let filters = shape.filters;
    let (height, width) = (p.out_height, p.out_width);
    Ok(Check::new(kernel, slices)
        .rule(filters.is_multiple_of(4), || format!("filters must be a multiple of 4, got {filters}"))?
        .rule(height >= 2 && width >= 2, || format!("outputs of {height}x{width} hold no window of 2x2"))?
        .rule(takes(shape), || {
            format!("windows of {} terms are too long to go over four times in one thread", shape.terms())
        })?
        .len("x", &p.input())?
        .len("weight", &weight(&p, filters))?
        .len("bias", &[("filters", filters)])?
        .len("y", &pooled_output(&p, filters))?
        .len("winner", &winners(&p, filters))?
        .call([p.to_words(), vec![filters, u32::from(relu)]].concat()))
}

pub(crate) fn cost(words: &[u32]) -> Cost {
    let p = Params::from_words(words);
    let maxima = count(&pooled_output(&p.window(), p.filters));
    let Cost { flops, bytes } = conv2d::cost(words);
    let outputs = 4 * count(&output(&p.window(), p.filters));
    Cost { flops: flops + 3 * maxima, bytes: bytes - outputs + 5 * maxima }
}

pub(crate) fn reference_of(words: &[u32], operands: Vec<Operand<'_>>) {
    reference(Params::from_words(words), Host::new(operands));
}

pub(crate) fn fast_of(words: &[u32], operands: Vec<Operand<'_>>) {
    let (p, io) = (Params::from_words(words), Host::new(operands));
    conv2d::demand_inputs(&p, io.x, io.weight, io.bias);
    demand("y", io.y.len(), &pooled_output(&p.window(), p.filters));
    demand("winner", io.winner.len(), &winners(&p.window(), p.filters));
    let inputs = crate::cpu::Inputs { p, x: io.x, weight: io.weight, bias: io.bias };
    crate::cpu::conv2d_pool(inputs, io.y, io.winner);
}

fn reference(p: Params, io: Host<'_>) {
    let (height, width) = (p.out_height as usize / 2, p.out_width as usize / 2);
    let filters = p.filters as usize;
    let pixel_sums = PixelSums::new(&p, io.x, io.weight, io.bias);
    let pixels = io.y.par_chunks_mut(filters).zip(io.winner.par_chunks_mut(filters / 4)).enumerate();
    pixels.for_each_init(Vec::new, |sums, (pixel, (y, winner))| {
        let (ox, oy, image) = (pixel % width, pixel / width % height, pixel / (width * height));
        y.fill(f32::NEG_INFINITY);
        winner.fill(0);
        for place in 0..4 {
            pixel_sums.at(image, 2 * oy + place / 2, 2 * ox + place % 2, sums);
            for (filter, (y, sum)) in y.iter_mut().zip(&*sums).enumerate() {
                if *sum as f32 > *y || sum.is_nan() {
                    *y = *sum as f32;
                    set_byte(winner, filter, place as u32);
                }
            }
        }
        for (filter, y) in y.iter_mut().enumerate().filter(|(_, y)| p.relu == 1 && **y <= 0.0) {
            *y = 0.0;
            set_byte(winner, filter, NOBODY);
        }
    });
}

fn set_byte(words: &mut [u32], at: usize, byte: u32) {
    let shift = 8 * (at % 4);
    words[at / 4] = words[at / 4] & !(0xff << shift) | byte << shift;
}

pub(crate) fn cases_of(kernel: &'static Kernel) -> Vec<Case> {
    let all = cases::poolable().flat_map(|shape| [false, true].map(|relu| case_of(&KERNEL, shape, relu)));
    let nans = cases::WITH_A_NAN.map(|at| conv2d::with_a_nan(case_of(&KERNEL, cases::SHAPES[at], true)));
    let all = all.chain(nans);
    // Some kernels take only part of the shapes.
    let fits = |case: &Case| kernel.variants.iter().any(|variant| (variant.fits)(case.call.params()));
    all.filter(fits).map(|case| Case { call: case.call.through(kernel), ..case }).collect()
}

fn case_of(kernel: &'static Kernel, shape: Convolution, relu: bool) -> Case {
    let Convolution { window, filters } = shape;
    let p = crate::window::cases::params(&window, kernel);
    let mut case = Case::named(format!("{window} to {filters}{}", if relu { " with relu" } else { "" }));
    let weights = count(&weight(&p, filters)) as usize;
    let slices = vec![
        case.floats("x", cases::whole(0, count(&p.input()) as usize)),
        case.floats("weight", cases::whole(1, weights)),
        case.floats("bias", cases::whole(2, filters as usize)),
        case.output("y", count(&pooled_output(&p, filters)) as usize),
        case.output_integers("winner", count(&winners(&p, filters)) as usize),
    ];
    case.finish(call_of(kernel, slices, shape, relu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn maxima_worked_by_hand() {
        // A kernel of one pixel with weights 1, -1, 0 and 2 over a 2x2 image; its second and third pixel tie.
        let window = Window { height: 2, width: 2, ..cases::SHAPES[0].window };
        let p = window.params(&KERNEL).unwrap();
        for (relu, y_expected, expected) in
            [(0, [7.0, -1.0, -1.0, 14.0], 0x01_00_00_01), (1, [7.0, 0.0, 0.0, 14.0], 0x01_04_04_01)]
        {
            let params = Params::from_words(&[p.to_words(), vec![4, relu]].concat());
            let (mut y, mut winner) = ([0.0; 4], [9]);
            let (x, weight) = (&[1.0, 7.0, 7.0, 3.0], &[1.0, -1.0, 0.0, 2.0]);
            reference(params, Host { x, weight, bias: &[0.0, 0.0, -1.0, 0.0], y: &mut y, winner: &mut winner });
            assert_eq!((y, winner), (y_expected, [expected]));
        }
    }

    #[test]
    fn filters_come_in_fours() {
        let mut case = Case::named("wrong");
        let io = Io {
            x: case.random("x", 4),
            weight: case.random("w", 3),
            bias: case.random("b", 3),
            y: case.output("y", 3),
            winner: case.output_integers("winner", 1),
        };
        let window = Window { height: 2, width: 2, ..cases::SHAPES[0].window };
        let error = call(io, Convolution { window, filters: 3 }, true).unwrap_err().to_string();
        assert_eq!(error, "conv2d_pool: filters must be a multiple of 4, got 3");
    }
}
