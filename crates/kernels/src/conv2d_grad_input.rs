//! The gradient of a convolution's images.
//!
//! # Formula
//! `dx[b, y, x, c] = Σ dz[b, oy, ox, f] * weight[ky, kx, c, f]` over `ky`, `kx` and `f` in this order, for the windows
//! `(oy, ox)` whose element `(ky, kx)` lies on `(y, x)`. With `relu`, 0 where the image is not positive: the images are
//! then the output of a ReLU, and `dx` is the gradient in front of it. `dz` is `dy` itself or, with `pooled`, `dy` at the
//! winner of each 2×2 window and 0 elsewhere.
//!
//! # Shapes
//! `dy [batch, out_height, out_width, filters]`; with `pooled`, `dy [batch, out_height/2, out_width/2, filters]` and
//! `winner [batch, out_height/2, out_width/2, filters/4]` as `conv2d_pool` wrote them. `weight` as in `conv2d`, `x` and
//! `dx [batch, height, width, channels]`. Without `pooled` any buffer may be bound as `winner`, and without `relu` any of at
//! least four elements as `x`: neither is read then.
//!
//! # Dispatch
//! One thread per element of `dx` asks the windows that hold it, so windows may overlap without atomics.
//!
//! # Errors
//! Those of [`convolution`](crate::convolution), or a buffer of another length.
//!
//! # Source
//! The transpose of the forward pass.

use crate::contract::prelude::*;
use crate::convolution::{
    Convolution, NOBODY, Pooled, cases, convolution_params, demand_gradient, output, pooled_output, weight, winners,
};
use crate::window::count;

buffers! {
    /// Gradient of the outputs, or of their maxima.
    dy: Read<f32 | f16>,
    /// Place of each maximum within its window.
    winner: Read<u32>,
    /// Weights.
    weight: Read<f32>,
    /// Images.
    x: Read<f32 | f16>,
    /// Gradient of the images.
    dx: Write<f32 | f16>,
}

convolution_params! {
    /// 1 if `dy` is the gradient of the maxima of 2×2 outputs.
    pooled: u32,
    /// 1 if the images are the output of a ReLU and `dx` is to be the gradient in front of it.
    relu: u32,
}

/// What is done on the way besides the convolution itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fused {
    /// `dy` is the gradient of the maxima of 2×2 outputs.
    pub pooled: bool,
    /// The images are the output of a ReLU and `dx` is the gradient in front of it.
    pub relu: bool,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "conv2d_grad_input",
    summary: "gradient of a convolution's images",
    wgsl: include_str!("../../../shaders/conv2d_grad_input.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(count(&Params::from_words(words).window().input())),
    variants: &Variant::LINE,
    alternatives: &[
        &crate::conv2d_grad_input_subgroup::KERNEL,
        &crate::conv2d_grad_input_vec4::KERNEL,
        &crate::conv2d_grad_input_shared::KERNEL,
    ],
    tolerance: Tolerance::SUMMED,
    cost,
    reference: reference_of,
    fast_cpu: Some(fast_of),
    cases: || cases_of(&KERNEL),
};

/// The gradient of the images of a batch.
///
/// # Errors
/// [`ShapeError`] for a shape that does not fit and buffers of another length.
pub fn call(io: Io, shape: Convolution, fused: Fused) -> Result<Call, ShapeError> {
    call_of(&KERNEL, io.into_slices(), shape, fused)
}

pub(crate) fn call_of(
    kernel: &'static Kernel,
    slices: Vec<Slice>,
    shape: Convolution,
    fused: Fused,
) -> Result<Call, ShapeError> {
    let p = shape.checked(kernel, shape.gradient_terms())?;
    let filters = shape.filters;
    let mut check = Check::new(kernel, slices).len("weight", &weight(&p, filters))?.len("dx", &p.input())?;
    check = match fused.pooled {
        true => check
            .rule(filters.is_multiple_of(4), || format!("filters must be a multiple of 4, got {filters}"))?
            .len("dy", &pooled_output(&p, filters))?
            .len("winner", &winners(&p, filters))?,
        false => check.len("dy", &output(&p, filters))?,
    };
    if fused.relu {
        check = check.len("x", &p.input())?;
    }
    Ok(check.call([p.to_words(), vec![filters, u32::from(fused.pooled), u32::from(fused.relu)]].concat()))
}

pub(crate) fn cost(words: &[u32]) -> Cost {
    let p = Params::from_words(words);
    let (windows, weights) = (p.window(), count(&weight(&p.window(), p.filters)));
    let inputs = count(&windows.input());
    // As many products as the forward pass has: padding is not multiplied.
    let outputs = count(&output(&windows, p.filters));
    let terms = u64::from(p.kernel_height * p.kernel_width * p.channels);
    let read = if p.pooled == 1 { count(&pooled_output(&windows, p.filters)) * 5 / 4 } else { outputs };
    Cost { flops: 2 * outputs * terms, bytes: 4 * (read + weights + inputs * u64::from(1 + p.relu)) }
}

pub(crate) fn reference_of(words: &[u32], operands: Vec<Operand<'_>>) {
    reference(Params::from_words(words), Host::new(operands));
}

pub(crate) fn fast_of(words: &[u32], operands: Vec<Operand<'_>>) {
    let (p, io) = (Params::from_words(words), Host::new(operands));
    let window = p.window();
    demand_gradient(&window, p.filters, p.pooled == 1, io.dy, io.winner);
    demand("weight", io.weight.len(), &weight(&window, p.filters));
    if p.relu == 1 {
        demand("x", io.x.len(), &window.input());
    }
    demand("dx", io.dx.len(), &window.input());
    crate::cpu::conv2d_grad_input(&p, io.dy, io.winner, io.weight, io.x, io.dx);
}

/// Scatters each output's gradient over its window, as the transpose of the definition says.
fn reference(p: Params, io: Host<'_>) {
    let window = p.window();
    let [width, channels, filters] = [p.width, p.channels, p.filters].map(|dim| dim as usize);
    let [out_height, out_width] = [p.out_height, p.out_width].map(|dim| dim as usize);
    let size = p.height as usize * width * channels;
    let pooled = Pooled { dy: io.dy, winner: io.winner, height: out_height / 2, width: out_width / 2, filters };
    io.dx.par_chunks_mut(size).enumerate().for_each(|(image, dx)| {
        let mut sums = vec![0.0f64; size];
        for (oy, ox) in (0..out_height).flat_map(|oy| (0..out_width).map(move |ox| (oy, ox))) {
            let gradient = |f| match p.pooled {
                1 => pooled.at(image, oy, ox, f),
                _ => io.dy[((image * out_height + oy) * out_width + ox) * filters + f],
            };
            let gradients: Vec<f64> = (0..filters).map(|f| f64::from(gradient(f))).collect();
            for tap in 0..(p.kernel_height * p.kernel_width) as usize {
                let (ky, kx) = (tap / p.kernel_width as usize, tap % p.kernel_width as usize);
                let (Some(row), Some(column)) = (window.row(oy, ky), window.column(ox, kx)) else { continue };
                let sums = &mut sums[(row * width + column) * channels..][..channels];
                let weights = io.weight[tap * channels * filters..].chunks_exact(filters);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum += weights.iter().zip(&gradients).map(|(w, dz)| f64::from(*w) * dz).sum::<f64>();
                }
            }
        }
        for (at, (dx, sum)) in dx.iter_mut().zip(&sums).enumerate() {
            let cut = p.relu == 1 && io.x[image * size + at] <= 0.0;
            *dx = if cut { 0.0 } else { *sum as f32 };
        }
    });
}

pub(crate) fn cases_of(kernel: &'static Kernel) -> Vec<Case> {
    let plain = cases::SHAPES.iter().map(|&shape| (shape, false));
    let pooled = cases::poolable().map(|shape| (shape, true));
    let all = plain
        .chain(pooled)
        .flat_map(|(shape, pooled)| [false, true].map(|relu| case_of(&KERNEL, shape, Fused { pooled, relu })));
    // Some kernels take only part of the shapes.
    let fits = |case: &Case| kernel.variants.iter().any(|variant| (variant.fits)(case.call.params()));
    all.filter(fits).map(|case| Case { call: case.call.through(kernel), ..case }).collect()
}

fn case_of(kernel: &'static Kernel, shape: Convolution, fused: Fused) -> Case {
    let Convolution { window, filters } = shape;
    let p = crate::window::cases::params(&window, kernel);
    let named = |on, name| if on { name } else { "" };
    let (pooled, relu) = (named(fused.pooled, " pooled"), named(fused.relu, " with relu"));
    let mut case = Case::named(format!("{window} to {filters}{pooled}{relu}"));
    let dy = if fused.pooled { pooled_output(&p, filters) } else { output(&p, filters) };
    let winner = if fused.pooled { count(&winners(&p, filters)) as usize } else { 1 };
    let slices = vec![
        case.random("dy", count(&dy) as usize),
        case.integers("winner", (0..winner as u32).map(random_winners)),
        case.random("weight", count(&weight(&p, filters)) as usize),
        case.random("x", count(&p.input()) as usize),
        case.output("dx", count(&p.input()) as usize),
    ];
    case.finish(call_of(kernel, slices, shape, fused))
}

/// Four winners from 0 to [`NOBODY`].
pub(crate) fn random_winners(at: u32) -> u32 {
    let bits = crate::hash::bits(5, 3, at).to_le_bytes();
    u32::from_le_bytes(bits.map(|byte| byte % (NOBODY as u8 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    /// A 2x3 image of one channel under a 2x2 kernel, one filter; four of the same filter where it is pooled.
    fn gradient(p: [u32; 3], dy: &[f32], winner: &[u32], weight: &[f32], x: &[f32]) -> [f32; 6] {
        let window = Window { height: 2, width: 3, kernel_height: 2, kernel_width: 2, ..cases::SHAPES[0].window };
        let window = if p[1] == 1 { Window { kernel_height: 1, ..window } } else { window };
        let params = Params::from_words(&[window.params(&KERNEL).unwrap().to_words(), p.to_vec()].concat());
        let mut dx = [9.0; 6];
        reference(params, Host { dy, winner, weight, x, dx: &mut dx });
        dx
    }

    #[test]
    fn a_gradient_worked_by_hand() {
        let dx = gradient([1, 0, 0], &[10.0, 1.0], &[], &[1.0, 2.0, 3.0, 4.0], &[]);
        assert_eq!(dx, [10.0, 21.0, 2.0, 30.0, 43.0, 4.0]);
        let cut = gradient([1, 0, 1], &[10.0, 1.0], &[], &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0, 1.0, -1.0, 1.0, 1.0]);
        assert_eq!(cut, [10.0, 0.0, 2.0, 0.0, 43.0, 4.0]);
    }

    #[test]
    fn a_pooled_gradient_flows_to_the_winner_alone() {
        // Kernels of one row: outputs of 2x2, one window. Its winners: none, 1, 2 and 0, for filters of equal weights.
        let weight = [[1.0; 4], [2.0; 4]].concat();
        let dx = gradient([4, 1, 0], &[1.0, 10.0, 100.0, 1000.0], &[0x00_02_01_04], &weight, &[]);
        assert_eq!(dx, [1000.0, 2010.0, 20.0, 100.0, 200.0, 0.0]);
    }
}
