//! Layers: what they are made of, and the shape that comes out of them.

use super::Shape;
use crate::data::ImageShape;
use crate::init::Init;
use std::fmt;
use tilegrad_kernels::window::Window;

/// What a node of a network does.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// Convolution with bias.
    Conv2d {
        /// Output channels.
        filters: u32,
        /// Rows and columns of the kernel.
        kernel: Pair,
        /// Step from one window to the next.
        stride: Pair,
        /// Zeros around the image.
        padding: Padding,
        /// What follows the bias.
        activation: Activation,
        /// How the weights start.
        init: Init,
    },
    /// Largest value of each window.
    MaxPool {
        /// Rows and columns of the window.
        size: Pair,
        /// Step from one window to the next.
        stride: Pair,
        /// Positions around the image that never win.
        padding: Padding,
    },
    /// Mean of each window, over the positions that lie within the image.
    AvgPool {
        /// Rows and columns of the window.
        size: Pair,
        /// Step from one window to the next.
        stride: Pair,
        /// Positions around the image that do not count.
        padding: Padding,
    },
    /// Mean of each channel.
    GlobalAvgPool,
    /// Matrix product with bias.
    Dense {
        /// Outputs.
        units: u32,
        /// What follows the bias.
        activation: Activation,
        /// How the weights start.
        init: Init,
    },
    /// `max(x, 0)`.
    Relu,
    /// Rows, columns and channels in one line, in that order.
    Flatten,
    /// Sum of two values of the same shape, such as a residual connection.
    Add,
}

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Along the rows.
    pub height: u32,
    /// Along the columns.
    pub width: u32,
}

impl From<u32> for Pair {
    fn from(side: u32) -> Self {
        Self { height: side, width: side }
    }
}

impl From<(u32, u32)> for Pair {
    fn from((height, width): (u32, u32)) -> Self {
        Self { height, width }
    }
}

/// What lies around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Nothing.
    #[default]
    Valid,
    /// As much as makes the output `ceil(input / stride)`; an odd remainder goes below and to the right.
    Same,
    /// So many rows above and below, and columns left and right.
    Explicit(Pair),
}

/// What follows the bias of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
}

/// A convolution of stride 1 without padding or activation.
pub fn conv2d(filters: u32, kernel: impl Into<Pair>) -> Layer {
    Layer::Conv2d {
        filters,
        kernel: kernel.into(),
        stride: 1.into(),
        padding: Padding::Valid,
        activation: Activation::None,
        init: Init::default(),
    }
}

/// A fully connected layer without activation.
pub fn dense(units: u32) -> Layer {
    Layer::Dense { units, activation: Activation::None, init: Init::default() }
}

/// A max pool whose windows do not overlap.
pub fn max_pool(size: impl Into<Pair>) -> Layer {
    let size = size.into();
    Layer::MaxPool { size, stride: size, padding: Padding::Valid }
}

/// An average pool whose windows do not overlap.
pub fn avg_pool(size: impl Into<Pair>) -> Layer {
    let size = size.into();
    Layer::AvgPool { size, stride: size, padding: Padding::Valid }
}

/// The mean of each channel.
pub fn global_avg_pool() -> Layer {
    Layer::GlobalAvgPool
}

/// `max(x, 0)` as a layer of its own.
pub fn relu() -> Layer {
    Layer::Relu
}

/// The step from images to vectors.
pub fn flatten() -> Layer {
    Layer::Flatten
}

/// The sum of two values.
pub fn add() -> Layer {
    Layer::Add
}

impl Layer {
    /// The same layer followed by a ReLU; layers that have no activation stay as they are.
    pub fn relu(mut self) -> Self {
        if let Self::Conv2d { activation, .. } | Self::Dense { activation, .. } = &mut self {
            *activation = Activation::Relu;
        }
        self
    }

    /// The same layer with another stride; layers without windows stay as they are.
    pub fn stride(mut self, step: impl Into<Pair>) -> Self {
        if let Self::Conv2d { stride, .. } | Self::MaxPool { stride, .. } | Self::AvgPool { stride, .. } = &mut self {
            *stride = step.into();
        }
        self
    }

    /// The same layer with another padding; layers without windows stay as they are.
    pub fn padding(mut self, around: Padding) -> Self {
        if let Self::Conv2d { padding, .. } | Self::MaxPool { padding, .. } | Self::AvgPool { padding, .. } = &mut self
        {
            *padding = around;
        }
        self
    }

    /// The same layer with another initialisation; layers without weights stay as they are.
    pub fn init(mut self, start: Init) -> Self {
        if let Self::Conv2d { init, .. } | Self::Dense { init, .. } = &mut self {
            *init = start;
        }
        self
    }

    /// The word for this layer in TOML and in automatic names.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv2d { .. } => "conv2d",
            Self::MaxPool { .. } => "max_pool",
            Self::AvgPool { .. } => "avg_pool",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::Dense { .. } => "dense",
            Self::Relu => "relu",
            Self::Flatten => "flatten",
            Self::Add => "add",
        }
    }

    /// Every word that [`Layer::kind`] can give.
    pub const KINDS: &'static [&'static str] =
        &["conv2d", "max_pool", "avg_pool", "global_avg_pool", "dense", "relu", "flatten", "add"];

    /// Shape of the output for inputs of these shapes.
    ///
    /// # Errors
    /// A sentence about what does not fit.
    pub fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let wanted = if *self == Self::Add { 2 } else { 1 };
        if inputs.len() != wanted {
            return Err(format!("takes {wanted} input{}, got {}", if wanted == 1 { "" } else { "s" }, inputs.len()));
        }
        match (self, inputs[0]) {
            (Self::Conv2d { filters, .. }, Shape::Image(image)) => {
                at_least_one("filters", *filters)?;
                self.slide(image).map(|slid| Shape::Image(ImageShape { channels: *filters, ..slid }))
            }
            (Self::MaxPool { .. } | Self::AvgPool { .. }, Shape::Image(image)) => self.slide(image).map(Shape::Image),
            (Self::GlobalAvgPool, Shape::Image(image)) => Ok(Shape::Vector(image.channels)),
            (Self::Flatten, shape) => match u32::try_from(shape.len()) {
                Ok(len) => Ok(Shape::Vector(len)),
                Err(_) => Err(format!("{shape} is too large to flatten")),
            },
            (Self::Dense { units, .. }, Shape::Vector(_)) => {
                at_least_one("units", *units)?;
                Ok(Shape::Vector(*units))
            }
            (Self::Relu, shape) => Ok(shape),
            (Self::Add, shape) if shape == inputs[1] => Ok(shape),
            (Self::Add, shape) => Err(format!("adds values of one shape, got {shape} and {}", inputs[1])),
            (Self::Dense { .. }, shape) => Err(format!("takes a vector, got {shape}; put a flatten layer before it")),
            (_, shape) => Err(format!("takes an image (rows, columns, channels), got a vector of {shape}")),
        }
    }

    /// The windows of this layer over a batch of images, if it has any.
    pub(crate) fn window(&self, batch: u32, image: ImageShape) -> Option<Window> {
        let (size, stride, padding) = match self {
            Self::Conv2d { kernel, stride, padding, .. } => (*kernel, *stride, *padding),
            Self::MaxPool { size, stride, padding } | Self::AvgPool { size, stride, padding } => {
                (*size, *stride, *padding)
            }
            Self::GlobalAvgPool => {
                let all = Pair { height: image.height, width: image.width };
                (all, all, Padding::Valid)
            }
            _ => return None,
        };
        let (pad_top, pad_bottom) = padding.around(image.height, size.height, stride.height, |pair| pair.height);
        let (pad_left, pad_right) = padding.around(image.width, size.width, stride.width, |pair| pair.width);
        Some(Window {
            batch,
            height: image.height,
            width: image.width,
            channels: image.channels,
            kernel_height: size.height,
            kernel_width: size.width,
            stride_height: stride.height,
            stride_width: stride.width,
            pad_top,
            pad_left,
            pad_bottom,
            pad_right,
        })
    }

    /// Shape after the windows have slid over `image`.
    fn slide(&self, image: ImageShape) -> Result<ImageShape, String> {
        let Some(window) = self.window(1, image) else { return Ok(image) };
        let problem = |error: tilegrad_kernels::ShapeError| format!("{error} (its input is {image})");
        let height = window.out_height().map_err(problem)?;
        let width = window.out_width().map_err(problem)?;
        Ok(ImageShape { height, width, channels: image.channels })
    }
}

impl Padding {
    /// Padding before and after one direction.
    fn around(self, size: u32, kernel: u32, stride: u32, of: impl Fn(Pair) -> u32) -> (u32, u32) {
        match self {
            Self::Valid => (0, 0),
            Self::Explicit(pair) => (of(pair), of(pair)),
            // The rule of TensorFlow's "SAME"; a stride of zero is refused where the window is checked.
            Self::Same => {
                let outputs = u64::from(size.div_ceil(stride.max(1)));
                let covered = outputs.saturating_sub(1) * u64::from(stride) + u64::from(kernel);
                let total = covered.saturating_sub(u64::from(size)).min(u64::from(kernel)) as u32;
                (total / 2, total - total / 2)
            }
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

fn at_least_one(what: &str, value: u32) -> Result<(), String> {
    if value == 0 { Err(format!("{what} must be at least 1, got 0")) } else { Ok(()) }
}
