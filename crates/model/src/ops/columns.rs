//! Convolution as im2col and a matrix product, `y = activation(cols · weight + bias)`: the simple lowering.

use super::affine::Affine;
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{Slice, col2im, im2col, volume};

pub struct ColumnsConv2d {
    window: Window,
    /// Over the columns: a row per window of the batch, an input per element of a window, an output per filter.
    affine: Affine,
}

impl ColumnsConv2d {
    pub fn new(name: &str, window: Window, filters: u32, activation: Activation) -> Result<Self, ModelError> {
        let windows = volume(name, &[window.batch, window.out_height()?, window.out_width()?])? as u32;
        let taps = volume(name, &[window.kernel_height, window.kernel_width, window.channels])? as u32;
        volume(name, &[windows, taps])?;
        volume(name, &[windows, filters])?;
        Ok(Self { window, affine: Affine::new(name, (windows, taps, filters), activation) })
    }
}

impl Op for ColumnsConv2d {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let cols = recorder.inner("cols", self.affine.input_len());
        recorder.push(im2col::call(im2col::Io { x: inputs[0].clone(), cols: cols.clone() }, self.window))?;
        self.affine.forward(recorder, cols)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let d_z = self.affine.backward_parameters(recorder, d_output)?;
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let d_cols = recorder.inner("d_cols", self.affine.input_len());
        self.affine.backward_input(recorder, &d_z, &d_cols)?;
        let Window { batch, height, width, channels, .. } = self.window;
        let dx = recorder.activation("dx", volume(&self.affine.name, &[batch, height, width, channels])?);
        recorder.push(col2im::call(col2im::Io { cols: d_cols, dx: dx.clone() }, self.window))?;
        Ok(vec![Some(dx)])
    }
}
