//! Windows that slide over images: what convolution and pooling have in common.
//!
//! # Formula
//! Along each direction, output `o` and window element `k` meet input `o*stride + k - pad`, if there is one.
//! There are `(size + pads - kernel) / stride + 1` outputs, rounded down.
//!
//! # Shapes
//! Input `[batch, height, width, channels]`, output `[batch, out_height, out_width, channels]`, columns of all
//! windows `[batch*out_height*out_width, kernel_height*kernel_width*channels]`.
//!
//! # Errors
//! A dimension or stride of zero, a kernel larger than the padded input, and sizes beyond 32 bits.
//!
//! # Source
//! Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).

pub(crate) mod cases;

use crate::contract::{Call, Field, Kernel, ShapeError, params};
use std::fmt;

/// Windows over the images of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Images.
    pub batch: u32,
    /// Rows of an image.
    pub height: u32,
    /// Columns of an image.
    pub width: u32,
    /// Channels of an image.
    pub channels: u32,
    /// Rows of a window.
    pub kernel_height: u32,
    /// Columns of a window.
    pub kernel_width: u32,
    /// Rows from one window to the next.
    pub stride_height: u32,
    /// Columns from one window to the next.
    pub stride_width: u32,
    /// Rows added above the image.
    pub pad_top: u32,
    /// Columns added to the left of the image.
    pub pad_left: u32,
    /// Rows added below the image.
    pub pad_bottom: u32,
    /// Columns added to the right of the image.
    pub pad_right: u32,
}

params! {
    /// Images.
    batch: u32,
    /// Rows of an image.
    height: u32,
    /// Columns of an image.
    width: u32,
    /// Channels of an image.
    channels: u32,
    /// Rows of a window.
    kernel_height: u32,
    /// Columns of a window.
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
}

/// Elements of a window that one thread may loop over: lavapipe ends all loops of a thread after 65535 rounds
/// without a word.
const LONGEST_LOOP: u64 = 16_384;

/// One of the two directions.
struct Axis {
    name: &'static str,
    size: u32,
    kernel: u32,
    stride: u32,
    pads: [u32; 2],
}

impl Axis {
    /// Number of windows, or what is wrong.
    fn outputs(&self) -> Result<u32, String> {
        let Self { name, size, kernel, stride, pads: [before, after] } = *self;
        for (what, value) in [("", size), ("kernel ", kernel), ("stride ", stride)] {
            if value == 0 {
                return Err(format!("{what}{name} must be positive, got 0"));
            }
        }
        let padded = size.checked_add(before).and_then(|sum| sum.checked_add(after));
        let padded = padded.ok_or_else(|| format!("{name} {size} + pads {before} + {after} is more than 2^32 - 1"))?;
        let room = padded.checked_sub(kernel).ok_or_else(|| {
            format!(
                "kernel {name} {kernel} is larger than the padded {name} {size} + {before} + {after} = {padded}; \
                 try a smaller kernel, more padding or fewer pooling layers before it"
            )
        })?;
        Ok(room / stride + 1)
    }

    /// Whether every window holds an element of the image.
    fn pads_are_smaller_than_the_kernel(&self) -> Result<(), String> {
        let Self { name, kernel, pads: [before, after], .. } = *self;
        if before.max(after) < kernel {
            return Ok(());
        }
        Err(format!("pads {before} and {after} along the {name} must be smaller than the kernel {name} {kernel}"))
    }
}

impl Window {
    /// The windows of a call whose params begin with theirs. Rows and columns added below and to the right that no window
    /// reaches are left out.
    pub fn of(call: &Call) -> Option<Self> {
        let named = |(field, own): (&Field, &Field)| field == own;
        if call.params().len() < Params::FIELDS.len() || !call.kernel().params.iter().zip(Params::FIELDS).all(named) {
            return None;
        }
        let p = Params::from_words(&call.params()[..Params::FIELDS.len()]);
        let after = |outputs: u32, stride: u32, kernel: u32, size: u32, before: u32| {
            ((outputs - 1) * stride + kernel).saturating_sub(size + before)
        };
        Some(Self {
            batch: p.batch,
            height: p.height,
            width: p.width,
            channels: p.channels,
            kernel_height: p.kernel_height,
            kernel_width: p.kernel_width,
            stride_height: p.stride_height,
            stride_width: p.stride_width,
            pad_top: p.pad_top,
            pad_left: p.pad_left,
            pad_bottom: after(p.out_height, p.stride_height, p.kernel_height, p.height, p.pad_top),
            pad_right: after(p.out_width, p.stride_width, p.kernel_width, p.width, p.pad_left),
        })
    }

    /// Windows below each other.
    ///
    /// # Errors
    /// [`ShapeError::Invalid`] if the height is zero, smaller than the kernel, or the stride is zero.
    pub fn out_height(&self) -> Result<u32, ShapeError> {
        self.rows().outputs().map_err(|problem| ShapeError::Invalid { kernel: "window", problem })
    }

    /// Windows beside each other.
    ///
    /// # Errors
    /// [`ShapeError::Invalid`] if the width is zero, smaller than the kernel, or the stride is zero.
    pub fn out_width(&self) -> Result<u32, ShapeError> {
        self.columns().outputs().map_err(|problem| ShapeError::Invalid { kernel: "window", problem })
    }

    /// Params of a call of `kernel`, whose threads do not loop over windows.
    pub(crate) fn params(&self, kernel: &Kernel) -> Result<Params, ShapeError> {
        self.checked().map_err(|problem| ShapeError::Invalid { kernel: kernel.name, problem })
    }

    /// Params of a call of `kernel`, whose threads loop over a window or over the windows of an element.
    pub(crate) fn looped_params(&self, kernel: &Kernel) -> Result<Params, ShapeError> {
        self.area_is_short().map_err(|problem| ShapeError::Invalid { kernel: kernel.name, problem })?;
        self.params(kernel)
    }

    /// Params of a call of the pooling `kernel`, whose windows must all hold an element of the image.
    pub(crate) fn pool_params(&self, kernel: &Kernel) -> Result<Params, ShapeError> {
        for axis in [self.rows(), self.columns()] {
            let held = axis.pads_are_smaller_than_the_kernel();
            held.map_err(|problem| ShapeError::Invalid { kernel: kernel.name, problem })?;
        }
        self.looped_params(kernel)
    }

    fn rows(&self) -> Axis {
        Axis {
            name: "height",
            size: self.height,
            kernel: self.kernel_height,
            stride: self.stride_height,
            pads: [self.pad_top, self.pad_bottom],
        }
    }

    fn columns(&self) -> Axis {
        Axis {
            name: "width",
            size: self.width,
            kernel: self.kernel_width,
            stride: self.stride_width,
            pads: [self.pad_left, self.pad_right],
        }
    }

    fn checked(&self) -> Result<Params, String> {
        if self.batch == 0 || self.channels == 0 {
            return Err(format!("batch and channels must be positive, got {} and {}", self.batch, self.channels));
        }
        Ok(Params {
            batch: self.batch,
            height: self.height,
            width: self.width,
            channels: self.channels,
            kernel_height: self.kernel_height,
            kernel_width: self.kernel_width,
            stride_height: self.stride_height,
            stride_width: self.stride_width,
            pad_top: self.pad_top,
            pad_left: self.pad_left,
            out_height: self.rows().outputs()?,
            out_width: self.columns().outputs()?,
        })
    }

    fn area_is_short(&self) -> Result<(), String> {
        let (height, width) = (self.kernel_height, self.kernel_width);
        if u64::from(height) * u64::from(width) <= LONGEST_LOOP {
            return Ok(());
        }
        Err(format!("a window of {height}x{width} has more than {LONGEST_LOOP} elements; try two smaller ones in turn"))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, height, width, channels, kernel_height, kernel_width, .. } = self;
        write!(f, "{batch}x{height}x{width}x{channels} by {kernel_height}x{kernel_width}")?;
        write!(f, " stride {}x{}", self.stride_height, self.stride_width)?;
        write!(f, " pads {},{},{},{}", self.pad_top, self.pad_left, self.pad_bottom, self.pad_right)
    }
}

impl Params {
    /// Named dimensions of the input.
    pub(crate) fn input(&self) -> [(&'static str, u32); 4] {
        [("batch", self.batch), ("height", self.height), ("width", self.width), ("channels", self.channels)]
    }

    /// Named dimensions of the output.
    pub(crate) fn output(&self) -> [(&'static str, u32); 4] {
        let (height, width) = (("out_height", self.out_height), ("out_width", self.out_width));
        [("batch", self.batch), height, width, ("channels", self.channels)]
    }

    /// Named dimensions of the columns.
    pub(crate) fn patches(&self) -> [(&'static str, u32); 6] {
        let [batch, height, width, channels] = self.output();
        let kernel_height = ("kernel_height", self.kernel_height);
        [batch, height, width, kernel_height, ("kernel_width", self.kernel_width), channels]
    }

    /// Elements of the windows over all outputs.
    pub(crate) fn taps(&self) -> u64 {
        count(&self.patches())
    }

    /// Input row that row `k` of window `out` lies on, unless it lies on padding.
    pub(crate) fn row(&self, out: usize, k: usize) -> Option<usize> {
        let padded = out * self.stride_height as usize + k;
        padded.checked_sub(self.pad_top as usize).filter(|row| *row < self.height as usize)
    }

    /// Input column that column `k` of window `out` lies on, unless it lies on padding.
    pub(crate) fn column(&self, out: usize, k: usize) -> Option<usize> {
        let padded = out * self.stride_width as usize + k;
        padded.checked_sub(self.pad_left as usize).filter(|column| *column < self.width as usize)
    }
}

/// Product of named dimensions that `call` has already found to fit 32 bits.
pub(crate) fn count(dims: &[(&str, u32)]) -> u64 {
    dims.iter().map(|(_, dim)| u64::from(*dim)).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Case;

    const PLAIN: Window = Window {
        batch: 2,
        height: 9,
        width: 7,
        channels: 3,
        kernel_height: 3,
        kernel_width: 2,
        stride_height: 2,
        stride_width: 1,
        pad_top: 1,
        pad_left: 0,
        pad_bottom: 0,
        pad_right: 1,
    };

    #[test]
    fn outputs_worked_by_hand() {
        // (9 + 1 - 3) / 2 + 1 = 4 and (7 + 1 - 2) / 1 + 1 = 7.
        assert_eq!((PLAIN.out_height(), PLAIN.out_width()), (Ok(4), Ok(7)));
    }

    #[test]
    fn a_call_tells_its_window() {
        for window in cases::CONVOLUTIONS {
            let params = window.params(&crate::im2col::KERNEL).unwrap();
            let mut case = Case::named("a call");
            let slices = vec![case.random("x", 1), case.output("cols", 1)];
            let call = Call::new(&crate::im2col::KERNEL, slices, params.to_words());
            assert_eq!(Window::of(&call).unwrap().params(&crate::im2col::KERNEL).unwrap(), params, "{window}");
        }
    }

    #[test]
    fn a_kernel_larger_than_the_image_is_said_with_both_sizes() {
        let error = Window { kernel_height: 11, ..PLAIN }.out_height().unwrap_err().to_string();
        assert!(
            error.starts_with("window: kernel height 11 is larger than the padded height 9 + 1 + 0 = 10"),
            "{error}"
        );
    }

    #[test]
    fn zeros_and_overflows_are_refused() {
        assert!(Window { stride_width: 0, ..PLAIN }.out_width().is_err());
        assert!(Window { height: 0, ..PLAIN }.out_height().is_err());
        assert!(Window { kernel_width: 0, ..PLAIN }.out_width().is_err());
        assert!(Window { pad_top: u32::MAX, ..PLAIN }.out_height().is_err());
        assert!(Window { channels: 0, ..PLAIN }.checked().is_err());
        assert!(Window { kernel_height: 1 << 16, kernel_width: 1 << 16, ..PLAIN }.area_is_short().is_err());
    }
}
