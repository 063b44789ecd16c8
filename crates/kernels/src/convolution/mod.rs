//! What the convolution kernels have in common: their params, their checks and the shapes that they are checked on.
//!
//! # Formula
//! `y[b, oy, ox, f] = bias[f] + Σ x[b, oy*stride + ky - pad, ox*stride + kx - pad, c] * weight[ky, kx, c, f]` over
//! `ky`, `kx` and `c` in this order, where positions outside the image add nothing. A dense layer is a convolution of
//! images of one pixel by kernels of one.
//!
//! # Shapes
//! Images `[batch, height, width, channels]`, weights `[kernel_height, kernel_width, channels, filters]`, outputs
//! `[batch, out_height, out_width, filters]`.
//!
//! # Errors
//! Those of [`Window`], no filters, or sums so long that a thread's loop would not end on lavapipe.
//!
//! # Source
//! Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016); the implicit matrix product is that
//! of Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014).

pub(crate) mod cases;

use crate::contract::{Call, Kernel, ShapeError, demand};
use crate::window::{self, Window};

/// A convolution's windows and output channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Windows over the images of a batch.
    pub window: Window,
    /// Output channels.
    pub filters: u32,
}

/// Declares params that begin with those of a convolution.
macro_rules! convolution_params {
    ($($(#[$doc:meta])* $name:ident: $ty:ident),* $(,)?) => {
        crate::contract::params! {
            /// Images.
            batch: u32,
            /// Rows of an image.
            height: u32,
            /// Columns of an image.
            width: u32,
            /// Channels of an image.
            channels: u32,
            /// Rows of a kernel.
            kernel_height: u32,
            /// Columns of a kernel.
            kernel_width: u32,
            /// Rows from one window to the next.
            stride_height: u32,
            /// Columns from one window to the next.
            stride_width: u32,
            /// Rows added above the image.
            pad_top: u32,
            /// Columns added to the left of the image.
            pad_left: u32,
            /// Windows below each other.
            out_height: u32,
            /// Windows beside each other.
            out_width: u32,
            /// Output channels.
            filters: u32,
            $($(#[$doc])* $name: $ty,)*
        }

        impl Params {
            /// The windows alone.
            pub(crate) fn window(&self) -> crate::window::Params {
                let words = self.to_words();
                crate::window::Params::from_words(&words[..crate::window::Params::FIELDS.len()])
            }
        }
    };
}

pub(crate) use convolution_params;

/// Terms of a sum that one thread adds up: lavapipe ends all loops of a thread after 65535 rounds without a word.
pub const LONGEST_SUM: u64 = 16_384;

impl Convolution {
    /// The shape of a call of one of the convolution kernels.
    pub fn of(call: &Call) -> Option<Self> {
        Some(Self { window: Window::of(call)?, filters: call.param("filters")? })
    }

    /// Terms of each sum of the forward pass.
    pub fn terms(&self) -> u64 {
        let Window { kernel_height, kernel_width, channels, .. } = self.window;
        [kernel_height, kernel_width, channels].iter().map(|&dim| u64::from(dim)).product()
    }

    /// Terms of each sum of the input's gradient.
    pub fn gradient_terms(&self) -> u64 {
        let Window { kernel_height, kernel_width, .. } = self.window;
        [kernel_height, kernel_width, self.filters].iter().map(|&dim| u64::from(dim)).product()
    }

    /// The windows' params, for a call of `kernel` whose threads loop over `terms`.
    pub(crate) fn checked(&self, kernel: &Kernel, terms: u64) -> Result<window::Params, ShapeError> {
        let problem = if self.filters == 0 {
            Some("filters must be positive, got 0".into())
        } else if terms > LONGEST_SUM {
            Some(format!("sums of {terms} terms are longer than {LONGEST_SUM}; use the lowering to im2col"))
        } else {
            None
        };
        match problem {
            Some(problem) => Err(ShapeError::Invalid { kernel: kernel.name, problem }),
            None => self.window.params(kernel),
        }
    }
}

/// Named dimensions of the weights.
pub(crate) fn weight(p: &window::Params, filters: u32) -> [(&'static str, u32); 4] {
    let kernel = [("kernel_height", p.kernel_height), ("kernel_width", p.kernel_width)];
    [kernel[0], kernel[1], ("channels", p.channels), ("filters", filters)]
}

/// Named dimensions of the outputs.
pub(crate) fn output(p: &window::Params, filters: u32) -> [(&'static str, u32); 4] {
    [("batch", p.batch), ("out_height", p.out_height), ("out_width", p.out_width), ("filters", filters)]
}

/// Named dimensions of the outputs after a max pool of 2×2.
pub(crate) fn pooled_output(p: &window::Params, filters: u32) -> [(&'static str, u32); 4] {
    let [height, width] = [("out_height/2", p.out_height / 2), ("out_width/2", p.out_width / 2)];
    [("batch", p.batch), height, width, ("filters", filters)]
}

/// Named dimensions of the winners of a max pool of 2×2: a byte for each maximum, four channels to a word.
pub(crate) fn winners(p: &window::Params, filters: u32) -> [(&'static str, u32); 4] {
    let [batch, height, width, _] = pooled_output(p, filters);
    [batch, height, width, ("filters/4", filters / 4)]
}

/// [`demand`] of the gradient of the outputs or, if they are `pooled`, of the maxima with their winners.
pub(crate) fn demand_gradient(p: &window::Params, filters: u32, pooled: bool, dy: &[f32], winner: &[u32]) {
    if pooled {
        demand("dy", dy.len(), &pooled_output(p, filters));
        demand("winner", winner.len(), &winners(p, filters));
    } else {
        demand("dy", dy.len(), &output(p, filters));
    }
}

/// The winner of a window in which nothing is positive, so that no gradient flows back.
pub const NOBODY: u32 = 4;

/// The gradient of one output in front of the pool and of the ReLU: that of the maximum if this output won its
/// window, else 0.
pub(crate) struct Pooled<'a> {
    pub dy: &'a [f32],
    pub winner: &'a [u32],
    pub height: usize,
    pub width: usize,
    pub filters: usize,
}

impl Pooled<'_> {
    pub fn at(&self, image: usize, oy: usize, ox: usize, filter: usize) -> f32 {
        if oy / 2 >= self.height || ox / 2 >= self.width {
            return 0.0;
        }
        let at = ((image * self.height + oy / 2) * self.width + ox / 2) * self.filters + filter;
        let winner = self.winner[at / 4] >> (8 * (at % 4)) & 0xff;
        if winner as usize == oy % 2 * 2 + ox % 2 { self.dy[at] } else { 0.0 }
    }
}
