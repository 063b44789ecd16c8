//! `y = activation(x · weight + bias)` over rows: all of a dense layer, and of a convolution what lies between im2col
//! and col2im.

use super::Recorder;
use super::product::{add_bias, before_activation, product, sum_columns};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::Slice;
use tilegrad_kernels::matmul::Layout;

pub struct Affine {
    /// Name of the layer, whose parameters are `NAME.weight` and `NAME.bias`.
    pub name: String,
    rows: u32,
    inputs: u32,
    outputs: u32,
    activation: Activation,
    saved: Option<Saved>,
}

struct Saved {
    x: Slice,
    y: Slice,
}

impl Affine {
    pub fn new(name: &str, (rows, inputs, outputs): (u32, u32, u32), activation: Activation) -> Self {
        Self { name: name.into(), rows, inputs, outputs, activation, saved: None }
    }

    /// Records the forward calls over `x [rows, inputs]`.
    pub fn forward(&mut self, recorder: &mut Recorder, x: Slice) -> Result<Slice, ModelError> {
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        let bias = recorder.parameter(&format!("{}.bias", self.name))?;
        let (rows, inputs, outputs) = (self.rows, self.inputs, self.outputs);
        let z = recorder.inner("z", rows as usize * outputs as usize);
        product(recorder, &x, &weight, &z, (rows, outputs, inputs), Layout::NN)?;
        let y = add_bias(recorder, z, bias, (rows, outputs), self.activation)?;
        self.saved = Some(Saved { x, y: y.clone() });
        Ok(y)
    }

    /// Records the gradients of bias and weight; returns the gradient in front of the activation.
    pub fn backward_parameters(&self, recorder: &mut Recorder, d_y: &Slice) -> Result<Slice, ModelError> {
        let Some(Saved { x, y }) = &self.saved else {
            return Err(ModelError::Mismatch(format!("`{}` has not run forward", self.name)));
        };
        let (rows, inputs, outputs) = (self.rows, self.inputs, self.outputs);
        let d_z = before_activation(recorder, y, d_y, self.activation)?;
        let d_bias = recorder.gradient(&format!("{}.bias", self.name))?;
        sum_columns(recorder, &d_z, &d_bias, rows, outputs)?;
        let d_weight = recorder.gradient(&format!("{}.weight", self.name))?;
        product(recorder, x, &d_z, &d_weight, (inputs, outputs, rows), Layout::TN)?;
        Ok(d_z)
    }

    /// Records the gradient of the input into `d_x [rows, inputs]`.
    pub fn backward_input(&self, recorder: &mut Recorder, d_z: &Slice, d_x: &Slice) -> Result<(), ModelError> {
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        product(recorder, d_z, &weight, d_x, (self.rows, self.inputs, self.outputs), Layout::NT)
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.rows as usize * self.inputs as usize
    }
}
