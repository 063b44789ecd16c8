//! The gradient of a convolution's weights and of its bias.
//!
//! # Formula
//! `d_weight[s, ky, kx, c, f] = Σ x[b, oy*stride + ky - pad, ox*stride + kx - pad, c] * dz[b, oy, ox, f]` and
//! `d_bias[s, f] = Σ dz[b, oy, ox, f]` over the pixels of the s-th share of the output's lines `(b, oy)`, in order. The
//! gradient is the sum over `s`; [`column_sum`](crate::column_sum) makes it. `dz` is `dy` itself or, with `pooled`, `dy`
//! at the winner of each 2×2 window and 0 elsewhere.
//!
//! # Shapes
//! `x`, `dy` and `winner` as in [`conv2d_grad_input`](crate::conv2d_grad_input), `grad [splits, bias_offset + filters]`:
//! each share holds the gradient of the weights, zeros up to `bias_offset`, and the gradient of the bias, just as the
//! parameter block does. Without `pooled` any buffer may be bound as `winner`: it is not read then.
//!
//! # Dispatch
//! One thread per element of `grad`.
//!
//! # Errors
//! Those of [`convolution`](crate::convolution), a bias within the weights, more splits than lines, or a buffer of another
//! length.
//!
//! # Source
//! Splitting the long sum is the "split-K" of NVIDIA's CUTLASS documentation; shares of whole lines keep the loops simple.

use crate::contract::prelude::*;
use crate::conv2d_grad_input::random_winners;
use crate::convolution::{
    Convolution, Pooled, cases, convolution_params, demand_gradient, output, pooled_output, weight, winners,
};
use crate::window::{self, count};

buffers! {
    /// Images.
    x: Read<f32 | f16>,
    /// Gradient of the outputs, or of their maxima.
    dy: Read<f32 | f16>,
    /// Place of each maximum within its window.
    winner: Read<u32>,
    /// Gradient of weights and bias, one row per share.
    grad: Write<f32>,
}

convolution_params! {
    /// 1 if `dy` is the gradient of the maxima of 2×2 outputs.
    pooled: u32,
    /// Shares that the lines of all outputs are cut into.
    splits: u32,
    /// Elements from the start of the weights to the start of the bias.
    bias_offset: u32,
}

/// How the sum is cut and where its parts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `dy` is the gradient of the maxima of 2×2 outputs.
    pub pooled: bool,
    /// Shares that the lines of all outputs are cut into; see [`splits`].
    pub splits: u32,
    /// Elements from the start of the weights to the start of the bias.
    pub bias_offset: u32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_weight",
    summary: "gradient of a convolution's weights and bias, optionally in shares of the output's lines",
    wgsl: include_str!("../../../shaders/conv2d_grad_weight.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(grad_len(&Params::from_words(words))),
    variants: &Variant::LINE,
    alternatives: &[
        &crate::conv2d_grad_weight_subgroup::KERNEL,
        &crate::conv2d_grad_weight_vec4::KERNEL,
        &crate::conv2d_grad_weight_first::KERNEL,
        &crate::conv2d_grad_weight_shared::KERNEL,
    ],
    tolerance: Tolerance::SUMMED,
    cost,
    reference: reference_of,
    fast_cpu: Some(fast_of),
    cases: || cases_of(&KERNEL),
};

/// How many shares to cut the lines of all outputs into. It follows from the shape alone, so that the order of every sum is
/// the same on every run: enough workgroups to fill a GPU, at least 256 pixels to a share, and at most 8192, since
/// lavapipe ends all loops of a thread after 65535 rounds without a word.
pub fn splits(shape: Convolution) -> Result<u32, ShapeError> {
    const TILE: u32 = 32;
    const WANTED_GROUPS: u32 = 128;
    // One call adds up so many shares.
    const MOST_TO_FILL: u32 = 64;
    let p = shape.checked(&KERNEL, 0)?;
    let lines = volume("lines", &[p.batch, p.out_height])? as u32;
    let pixels = volume("pixels", &[lines, p.out_width])? as u32;
    let weights = volume("weights", &[p.kernel_height, p.kernel_width, p.channels])? as u32;
    let groups = weights.div_ceil(TILE).saturating_mul(shape.filters.div_ceil(TILE));
    let to_fill = WANTED_GROUPS.div_ceil(groups).min(pixels.div_ceil(256)).min(MOST_TO_FILL);
    // A share is a whole number of lines, so the shortest loop is a line.
    let lines_at_most = (8192 / p.out_width).max(1);
    Ok(to_fill.max(lines.div_ceil(lines_at_most)).clamp(1, lines))
}

/// The gradient of weights and bias, or `layout.splits` partial ones.
///
/// # Errors
/// [`ShapeError`] for a shape that does not fit and buffers of another length.
pub fn call(io: Io, shape: Convolution, layout: Layout) -> Result<Call, ShapeError> {
    call_of(&KERNEL, io.into_slices(), shape, layout)
}

pub(crate) fn call_of(
    kernel: &'static Kernel,
    slices: Vec<Slice>,
    shape: Convolution,
    layout: Layout,
) -> Result<Call, ShapeError> {
    let Layout { pooled, splits, bias_offset } = layout;
    let p = shape.checked(kernel, u64::from(shape.window.out_width()?))?;
    let filters = shape.filters;
    let lines = volume("lines", &[p.batch, p.out_height])?;
    let weights = count(&weight(&p, filters));
    let len = bias_offset.saturating_add(filters);
    let mut check = Check::new(kernel, slices)
        .rule(splits >= 1 && splits as usize <= lines, || {
            format!("splits must be between 1 and {lines} lines, got {splits}")
        })?
        .rule(u64::from(bias_offset) >= weights, || {
            format!("the bias must start behind the {weights} weights, got {bias_offset}")
        })?
        .len("x", &p.input())?
        .len("grad", &[("splits", splits), ("bias_offset + filters", len)])?;
    check = match pooled {
        true => check
            .rule(filters.is_multiple_of(4), || format!("filters must be a multiple of 4, got {filters}"))?
            .len("dy", &pooled_output(&p, filters))?
            .len("winner", &winners(&p, filters))?,
        false => check.len("dy", &output(&p, filters))?,
    };
    Ok(check.call([p.to_words(), vec![filters, u32::from(pooled), splits, bias_offset]].concat()))
}

fn grad_len(p: &Params) -> u64 {
    u64::from(p.splits) * u64::from(p.bias_offset + p.filters)
}

pub(crate) fn cost(words: &[u32]) -> Cost {
    let p = Params::from_words(words);
    let windows = p.window();
    let outputs = count(&output(&windows, p.filters));
    let terms = u64::from(p.kernel_height * p.kernel_width * p.channels);
    let read = if p.pooled == 1 { count(&pooled_output(&windows, p.filters)) * 5 / 4 } else { outputs };
    Cost { flops: outputs * (2 * terms + 1), bytes: 4 * (count(&windows.input()) + read + grad_len(&p)) }
}

/// First and last line of share `split`.
pub(crate) fn share(p: &Params, split: usize) -> std::ops::Range<usize> {
    let lines = (p.batch * p.out_height) as usize;
    let size = lines.div_ceil(p.splits as usize);
    (split * size).min(lines)..((split + 1) * size).min(lines)
}

pub(crate) fn reference_of(words: &[u32], operands: Vec<Operand<'_>>) {
    reference(Params::from_words(words), Host::new(operands));
}

pub(crate) fn fast_of(words: &[u32], operands: Vec<Operand<'_>>) {
    let (p, io) = (Params::from_words(words), Host::new(operands));
    demand("x", io.x.len(), &p.window().input());
    demand_gradient(&p.window(), p.filters, p.pooled == 1, io.dy, io.winner);
    demand(
        "grad",
        io.grad.len(),
        &[("splits", p.splits), ("bias_offset + filters", p.bias_offset.saturating_add(p.filters))],
    );
    crate::cpu::conv2d_grad_weight(&p, io.x, io.dy, io.winner, io.grad);
}

fn reference(p: Params, io: Host<'_>) {
    let window = p.window();
    let [channels, filters, out_width] = [p.channels, p.filters, p.out_width].map(|dim| dim as usize);
    let out_height = p.out_height as usize;
    let pooled = Pooled { dy: io.dy, winner: io.winner, height: out_height / 2, width: out_width / 2, filters };
    let dz = |image: usize, oy: usize, ox: usize, f: usize| match p.pooled {
        1 => pooled.at(image, oy, ox, f),
        _ => io.dy[((image * out_height + oy) * out_width + ox) * filters + f],
    };
    io.grad.par_chunks_mut(p.bias_offset as usize + filters).enumerate().for_each(|(split, grad)| {
        let mut sums = vec![0.0f64; grad.len()];
        let pixels = share(&p, split).flat_map(|line| (0..out_width).map(move |ox| (line, ox)));
        for (line, ox) in pixels {
            let (image, oy) = (line / out_height, line % out_height);
            let gradients: Vec<f64> = (0..filters).map(|f| f64::from(dz(image, oy, ox, f))).collect();
            for (sum, dz) in sums[p.bias_offset as usize..].iter_mut().zip(&gradients) {
                *sum += dz;
            }
            for (tap, x) in taps(&window, image, oy, ox) {
                let sums = sums[tap * channels * filters..].chunks_exact_mut(filters);
                for (sums, x) in sums.zip(&io.x[x * channels..][..channels]) {
                    sums.iter_mut().zip(&gradients).for_each(|(sum, dz)| *sum += f64::from(*x) * dz);
                }
            }
        }
        grad.iter_mut().zip(&sums).for_each(|(grad, sum)| *grad = *sum as f32);
    });
}

/// The elements of a window that lie within the image, and the pixels that they lie on.
fn taps(p: &window::Params, image: usize, oy: usize, ox: usize) -> impl Iterator<Item = (usize, usize)> {
    let kernel_width = p.kernel_width as usize;
    (0..p.kernel_height as usize * kernel_width).filter_map(move |tap| {
        let row = p.row(oy, tap / kernel_width)?;
        let column = p.column(ox, tap % kernel_width)?;
        Some((tap, (image * p.height as usize + row) * p.width as usize + column))
    })
}

pub(crate) fn cases_of(kernel: &'static Kernel) -> Vec<Case> {
    let plain = cases::SHAPES.iter().map(|&shape| (shape, false));
    let pooled = cases::poolable().map(|shape| (shape, true));
    let shapes = plain.chain(pooled).chain([(LONG, false)]);
    let all = shapes.flat_map(|(shape, pooled)| {
        let lines = shape.window.batch * shape.window.out_height().unwrap_or(1);
        let mut wanted = vec![1, 3.min(lines), splits(shape).unwrap_or(1)];
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|&splits| u64::from(lines.div_ceil(splits)) * u64::from(shape.window.width) <= 8192);
        wanted.into_iter().map(move |splits| case_of(&KERNEL, shape, pooled, splits))
    });
    // Some kernels take only part of the shapes.
    let fits = |case: &Case| kernel.variants.iter().any(|variant| (variant.fits)(case.call.params()));
    all.filter(fits).map(|case| Case { call: case.call.through(kernel), ..case }).collect()
}

/// More pixels than lavapipe's loops can count.
const LONG: Convolution = Convolution {
    window: window::Window { batch: 3, height: 160, width: 151, channels: 4, ..cases::SHAPES[0].window },
    filters: 4,
};

fn case_of(kernel: &'static Kernel, shape: Convolution, pooled: bool, splits: u32) -> Case {
    let Convolution { window, filters } = shape;
    let p = window::cases::params(&window, kernel);
    let weights = count(&weight(&p, filters)) as u32;
    // As in the parameter block, where tensors start at multiples of 64 elements.
    let bias_offset = weights.next_multiple_of(64);
    let mut case = Case::named(format!("{window} to {filters}{} in {splits}", if pooled { " pooled" } else { "" }));
    let dy = if pooled { pooled_output(&p, filters) } else { output(&p, filters) };
    let winner = if pooled { count(&winners(&p, filters)) as usize } else { 1 };
    let slices = vec![
        case.random("x", count(&p.input()) as usize),
        case.random("dy", count(&dy) as usize),
        case.integers("winner", (0..winner as u32).map(random_winners)),
        case.output("grad", (splits * (bias_offset + filters)) as usize),
    ];
    case.finish(call_of(kernel, slices, shape, Layout { pooled, splits, bias_offset }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    fn gradient(window: Window, extras: [u32; 4], x: &[f32], dy: &[f32], winner: &[u32], grad: &mut [f32]) {
        let p = window.params(&KERNEL).unwrap();
        reference(Params::from_words(&[p.to_words(), extras.to_vec()].concat()), Host { x, dy, winner, grad });
    }

    #[test]
    fn a_gradient_worked_by_hand() {
        // A 2x3 image under a 1x2 kernel: outputs of 2x2, one share per line. Weights, a gap of one, the bias.
        let window = Window { height: 2, width: 3, kernel_width: 2, ..cases::SHAPES[0].window };
        let (x, dy) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 10.0, 100.0, 1000.0]);
        let mut grad = [9.0; 8];
        gradient(window, [1, 0, 2, 3], &x, &dy, &[], &mut grad);
        assert_eq!(grad, [21.0, 32.0, 0.0, 11.0, 5400.0, 6500.0, 0.0, 1100.0]);
    }

    #[test]
    fn a_pooled_gradient_counts_at_the_winner_alone() {
        // Kernels of one pixel over 2x2 images; winners 3, none, 0 and 1 of four filters.
        let window = Window { height: 2, width: 2, ..cases::SHAPES[0].window };
        let mut grad = [9.0; 8];
        let dy = [1.0, 10.0, 100.0, 1000.0];
        gradient(window, [4, 1, 1, 4], &[1.0, 2.0, 3.0, 4.0], &dy, &[0x01_00_04_03], &mut grad);
        assert_eq!(grad, [4.0, 0.0, 100.0, 2000.0, 1.0, 0.0, 100.0, 1000.0]);
    }

    #[test]
    fn splits_follow_the_shape_and_keep_loops_short() {
        assert_eq!(splits(Convolution { window: Window { batch: 64, ..cases::SHAPES[5].window }, filters: 10 }), Ok(1));
        let splits = splits(LONG).unwrap();
        assert!((LONG.window.batch * LONG.window.height).div_ceil(splits) * LONG.window.width <= 8192);
    }
}
