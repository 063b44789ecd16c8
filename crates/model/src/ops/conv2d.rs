//! Convolution with bias and activation; a dense layer is a convolution of images of one pixel.

use super::product::{before_activation, sum_columns};
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::convolution::{Convolution, LONGEST_SUM};
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{Slice, conv2d, conv2d_grad_input, conv2d_grad_weight, relu, volume};

pub struct Conv2d {
    name: String,
    shape: Convolution,
    activation: Activation,
    saved: Option<Saved>,
}

struct Saved {
    x: Slice,
    y: Slice,
}

impl Conv2d {
    pub fn new(name: &str, shape: Convolution, activation: Activation) -> Self {
        Self { name: name.into(), shape, activation, saved: None }
    }

    /// A fully connected layer.
    pub fn dense(name: &str, (batch, inputs, units): (u32, u32, u32), activation: Activation) -> Self {
        let window = Window {
            batch,
            height: 1,
            width: 1,
            channels: inputs,
            kernel_height: 1,
            kernel_width: 1,
            stride_height: 1,
            stride_width: 1,
            pad_top: 0,
            pad_left: 0,
            pad_bottom: 0,
            pad_right: 0,
        };
        Self::new(name, Convolution { window, filters: units }, activation)
    }

    /// Whether the kernels' loops can be as long as this layer's sums; the lowering to columns cuts them.
    pub fn takes(&self) -> bool {
        let longest = self.shape.terms().max(self.shape.gradient_terms());
        longest <= LONGEST_SUM && self.shape.window.out_width().is_ok_and(|width| u64::from(width) <= LONGEST_SUM)
    }

    fn weight(&self, recorder: &Recorder) -> Result<Slice, ModelError> {
        recorder.parameter(&format!("{}.weight", self.name))
    }

    fn output_len(&self) -> Result<usize, ModelError> {
        let Convolution { window, filters } = self.shape;
        Ok(volume(&self.name, &[window.batch, window.out_height()?, window.out_width()?, filters])?)
    }

    fn input_len(&self) -> Result<usize, ModelError> {
        let Window { batch, height, width, channels, .. } = self.shape.window;
        Ok(volume(&self.name, &[batch, height, width, channels])?)
    }

    fn record_relu(&self, recorder: &mut Recorder, x: Slice) -> Result<Slice, ModelError> {
        let (y, count) = (recorder.activation("y", x.len), x.len as u32);
        recorder.push(relu::call(relu::Io { x, y: y.clone() }, count))?;
        Ok(y)
    }

    /// Records the gradient of weight and bias, over partial sums if there are many pixels.
    fn record_parameters(&self, recorder: &mut Recorder, x: &Slice, d_z: &Slice) -> Result<(), ModelError> {
        let splits = conv2d_grad_weight::splits(self.shape)?;
        let (total, bias_offset) = recorder.layer_gradient(&self.name)?;
        let grad = match splits {
            1 => total.clone(),
            _ => recorder.scratch("partial_gradients", splits as usize * total.len),
        };
        let io = conv2d_grad_weight::Io { x: x.clone(), dy: d_z.clone(), winner: d_z.clone(), grad: grad.clone() };
        let layout = conv2d_grad_weight::Layout { pooled: false, splits, bias_offset };
        recorder.push(conv2d_grad_weight::call(io, self.shape, layout))?;
        match splits {
            1 => Ok(()),
            _ => sum_columns(recorder, &grad, &total, splits, total.len as u32),
        }
    }
}

impl Op for Conv2d {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let (x, weight) = (inputs[0].clone(), self.weight(recorder)?);
        let bias = recorder.parameter(&format!("{}.bias", self.name))?;
        let len = self.output_len()?;
        let z = match self.activation {
            Activation::None => recorder.activation("y", len),
            Activation::Relu => recorder.inner("z", len),
        };
        let io = conv2d::Io { x: x.clone(), weight, bias, y: z.clone() };
        recorder.push(conv2d::call(io, self.shape, false))?;
        let y = match self.activation {
            Activation::None => z,
            Activation::Relu => self.record_relu(recorder, z)?,
        };
        self.saved = Some(Saved { x, y: y.clone() });
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let Some(Saved { x, y }) = &self.saved else {
            return Err(ModelError::Mismatch(format!("`{}` has not run forward", self.name)));
        };
        let d_z = before_activation(recorder, y, d_output, self.activation)?;
        self.record_parameters(recorder, x, &d_z)?;
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let (weight, dx) = (self.weight(recorder)?, recorder.activation("dx", self.input_len()?));
        let winner = d_z.clone();
        let io = conv2d_grad_input::Io { dy: d_z, winner, weight, x: x.clone(), dx: dx.clone() };
        recorder.push(conv2d_grad_input::call(io, self.shape, conv2d_grad_input::Fused::default()))?;
        Ok(vec![Some(dx)])
    }
}
