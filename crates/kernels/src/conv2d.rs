//! Convolution with bias, and a ReLU if asked for. Dense layers are convolutions of images of one pixel.
//!
//! # Formula
//! That of [`convolution`](crate::convolution); with `relu`, `max(y, 0)` of it.
//!
//! # Shapes
//! `x [batch, height, width, channels]`, `weight [kernel_height, kernel_width, channels, filters]`, `bias [filters]`,
//! `y [batch, out_height, out_width, filters]`.
//!
//! # Dispatch
//! One thread per element of `y`.
//!
//! # Errors
//! Those of [`convolution`](crate::convolution), or a buffer of another length.
//!
//! # Source
//! The definition itself; the alternatives are as fast as they can be made, this one is for shapes that they do not take.

use crate::contract::prelude::*;
use crate::convolution::{Convolution, cases, convolution_params, output, weight};
use crate::window::count;

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Weights.
    weight: Read<f32>,
    /// Added to every output of its channel.
    bias: Read<f32>,
    /// Outputs.
    y: Write<f32 | f16>,
}

convolution_params! {
    /// 1 to cut off what is negative.
    relu: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d",
    summary: "convolution with bias, optionally followed by a ReLU",
    wgsl: include_str!("../../../shaders/conv2d.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| {
        let p = Params::from_words(words);
        Threads::Line(count(&output(&p.window(), p.filters)))
    },
    variants: &Variant::LINE,
    alternatives: &[
        &crate::conv2d_subgroup::KERNEL,
        &crate::conv2d_first_subgroup::KERNEL,
        &crate::conv2d_vec4::KERNEL,
        &crate::conv2d_first::KERNEL,
        &crate::conv2d_shared::KERNEL,
    ],
    tolerance: Tolerance::SUMMED,
    cost,
    reference: reference_of,
    fast_cpu: Some(fast_of),
    cases: || cases_of(&KERNEL),
};

/// The convolution of a batch of images.
///
/// # Errors
/// [`ShapeError`] for a shape that does not fit and buffers of another length.
pub fn call(io: Io, shape: Convolution, relu: bool) -> Result<Call, ShapeError> {
    call_of(&KERNEL, io.into_slices(), shape, relu)
}

pub(crate) fn call_of(
    kernel: &'static Kernel,
    slices: Vec<Slice>,
    shape: Convolution,
    relu: bool,
) -> Result<Call, ShapeError> {
    let p = shape.checked(kernel, shape.terms())?;
    let filters = shape.filters;
    Ok(Check::new(kernel, slices)
        .len("x", &p.input())?
        .len("weight", &weight(&p, filters))?
        .len("bias", &[("filters", filters)])?
        .len("y", &output(&p, filters))?
        .call([p.to_words(), vec![filters, u32::from(relu)]].concat()))
}

pub(crate) fn cost(words: &[u32]) -> Cost {
    let p = Params::from_words(words);
    let (windows, outputs) = (p.window(), count(&output(&p.window(), p.filters)));
    let weights = count(&weight(&windows, p.filters));
    let terms = u64::from(p.kernel_height * p.kernel_width * p.channels);
    Cost {
        flops: outputs * (2 * terms + 1),
        bytes: 4 * (count(&windows.input()) + weights + u64::from(p.filters) + outputs),
    }
}

pub(crate) fn reference_of(words: &[u32], operands: Vec<Operand<'_>>) {
    reference(Params::from_words(words), Host::new(operands));
}

pub(crate) fn fast_of(words: &[u32], operands: Vec<Operand<'_>>) {
    let (p, io) = (Params::from_words(words), Host::new(operands));
    demand_inputs(&p, io.x, io.weight, io.bias);
    demand("y", io.y.len(), &output(&p.window(), p.filters));
    let inputs = crate::cpu::Inputs { p, x: io.x, weight: io.weight, bias: io.bias };
    crate::cpu::conv2d(inputs, io.y);
}

/// [`demand`] of all that a forward pass reads.
pub(crate) fn demand_inputs(p: &Params, x: &[f32], weights: &[f32], bias: &[f32]) {
    let window = p.window();
    demand("x", x.len(), &window.input());
    demand("weight", weights.len(), &weight(&window, p.filters));
    demand("bias", bias.len(), &[("filters", p.filters)]);
}

fn reference(p: Params, io: Host<'_>) {
    let pixel_sums = PixelSums::new(&p, io.x, io.weight, io.bias);
    io.y.par_chunks_mut(p.filters as usize).enumerate().for_each_init(Vec::new, |sums, (pixel, y)| {
        let (ox, line) = (pixel % p.out_width as usize, pixel / p.out_width as usize);
        let (oy, image) = (line % p.out_height as usize, line / p.out_height as usize);
        pixel_sums.at(image, oy, ox, sums);
        for (y, sum) in y.iter_mut().zip(sums) {
            // Not max: that would turn a NaN into 0.
            *y = if p.relu == 1 && *sum < 0.0 { 0.0 } else { *sum as f32 };
        }
    });
}

/// The sums of one output pixel, as the definition says.
pub(crate) struct PixelSums<'a> {
    window: crate::window::Params,
    x: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl<'a> PixelSums<'a> {
    pub fn new(p: &Params, x: &'a [f32], weight: &'a [f32], bias: &'a [f32]) -> Self {
        Self { window: p.window(), x, weight, bias }
    }

    /// Bias and products of every filter for the window at `(oy, ox)` of `image`.
    pub fn at(&self, image: usize, oy: usize, ox: usize, sums: &mut Vec<f64>) {
        let p = &self.window;
        let [height, width, channels] = [p.height, p.width, p.channels].map(|dim| dim as usize);
        sums.clear();
        sums.extend(self.bias.iter().map(|bias| f64::from(*bias)));
        for ky in 0..p.kernel_height as usize {
            for kx in 0..p.kernel_width as usize {
                let (Some(row), Some(column)) = (p.row(oy, ky), p.column(ox, kx)) else { continue };
                let pixel = (image * height + row) * width + column;
                let tap = ky * p.kernel_width as usize + kx;
                for c in 0..channels {
                    let x = f64::from(self.x[pixel * channels + c]);
                    let weights = &self.weight[(tap * channels + c) * sums.len()..][..sums.len()];
                    sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += x * f64::from(*weight));
                }
            }
        }
    }
}

pub(crate) fn cases_of(kernel: &'static Kernel) -> Vec<Case> {
    let all = cases::SHAPES.iter().flat_map(|shape| [false, true].map(|relu| case_of(&KERNEL, *shape, relu)));
    let all = all.chain(cases::WITH_A_NAN.map(|at| with_a_nan(case_of(&KERNEL, cases::SHAPES[at], true))));
    // Some kernels take only part of the shapes.
    let fits = |case: &Case| kernel.variants.iter().any(|variant| (variant.fits)(case.call.params()));
    all.filter(fits).map(|case| Case { call: case.call.through(kernel), ..case }).collect()
}

/// The same case with one pixel that is not a number: whatever it meets must not be either.
pub(crate) fn with_a_nan(mut case: Case) -> Case {
    let x = &mut case.buffers[0].words;
    let middle = x.len() / 2;
    x[middle] = f32::NAN.to_bits();
    Case { name: format!("{} with a NaN", case.name), ..case }
}

fn case_of(kernel: &'static Kernel, shape: Convolution, relu: bool) -> Case {
    let Convolution { window, filters } = shape;
    let p = crate::window::cases::params(&window, kernel);
    let mut case = Case::named(format!("{window} to {filters}{}", if relu { " with relu" } else { "" }));
    let slices = vec![
        case.random("x", count(&p.input()) as usize),
        case.random("weight", count(&weight(&p, filters)) as usize),
        case.random("bias", filters as usize),
        case.output("y", count(&output(&p, filters)) as usize),
    ];
    case.finish(call_of(kernel, slices, shape, relu))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    #[test]
    fn a_convolution_worked_by_hand() {
        // A 2x3 image of one channel under a 2x2 kernel, two filters: the sum of a window, and minus its first element.
        let window = Window { height: 2, width: 3, kernel_height: 2, kernel_width: 2, ..cases::SHAPES[0].window };
        let p = window.params(&KERNEL).unwrap();
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let weight = [1.0, -1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        for (relu, expected) in [(0, [22.0, -1.0, 26.0, -2.0]), (1, [22.0, 0.0, 26.0, 0.0])] {
            let params = Params::from_words(&[p.to_words(), vec![2, relu]].concat());
            let mut y = [0.0; 4];
            reference(params, Host { x: &x, weight: &weight, bias: &[10.0, 0.0], y: &mut y });
            assert_eq!(y, expected);
        }
    }

    #[test]
    fn a_wrong_bias_is_named() {
        let mut case = Case::named("wrong");
        let io = Io {
            x: case.random("x", 1),
            weight: case.random("w", 1),
            bias: case.random("conv9.bias", 2),
            y: case.output("y", 1),
        };
        let error = call(io, cases::SHAPES[0], false).unwrap_err().to_string();
        assert_eq!(error, "conv2d: buffer `conv9.bias` bound as `bias` has 2 elements, expected filters = 1 = 1");
    }
}
