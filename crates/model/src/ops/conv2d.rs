//! Convolution as im2col and a matrix product: `y = activation(cols · weight + bias)`.

use super::product::{add_bias, before_activation, product, sum_columns};
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::matmul::Layout;
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{Slice, col2im, im2col, volume};

pub struct Conv2d {
    name: String,
    window: Window,
    activation: Activation,
    /// Windows of the batch, elements of a window, filters.
    windows: u32,
    taps: u32,
    filters: u32,
    saved: Option<Saved>,
}

struct Saved {
    cols: Slice,
    y: Slice,
}

impl Conv2d {
    pub fn new(name: &str, window: Window, filters: u32, activation: Activation) -> Result<Self, ModelError> {
        let windows = volume(name, &[window.batch, window.out_height()?, window.out_width()?])? as u32;
        let taps = volume(name, &[window.kernel_height, window.kernel_width, window.channels])? as u32;
        volume(name, &[windows, taps])?;
        volume(name, &[windows, filters])?;
        Ok(Self { name: name.into(), window, activation, windows, taps, filters, saved: None })
    }

    fn saved(&self) -> Result<&Saved, ModelError> {
        self.saved.as_ref().ok_or_else(|| ModelError::Mismatch(format!("`{}` has not run forward", self.name)))
    }
}

impl Op for Conv2d {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        let bias = recorder.parameter(&format!("{}.bias", self.name))?;
        let (windows, taps, filters) = (self.windows, self.taps, self.filters);
        let cols = recorder.scratch("cols", windows as usize * taps as usize);
        recorder.push(im2col::call(im2col::Io { x: inputs[0].clone(), cols: cols.clone() }, self.window))?;
        let z = recorder.scratch("z", windows as usize * filters as usize);
        product(recorder, &cols, &weight, &z, (windows, filters, taps), Layout::NN)?;
        let y = add_bias(recorder, z, bias, (windows, filters), self.activation)?;
        self.saved = Some(Saved { cols, y: y.clone() });
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let Saved { cols, y } = self.saved()?;
        let (windows, taps, filters) = (self.windows, self.taps, self.filters);
        let d_z = before_activation(recorder, y, d_output, self.activation)?;
        let d_bias = recorder.gradient(&format!("{}.bias", self.name))?;
        sum_columns(recorder, &d_z, &d_bias, windows, filters)?;
        let d_weight = recorder.gradient(&format!("{}.weight", self.name))?;
        product(recorder, cols, &d_z, &d_weight, (taps, filters, windows), Layout::TN)?;
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        let d_cols = recorder.scratch("d_cols", cols.len);
        product(recorder, &d_z, &weight, &d_cols, (windows, taps, filters), Layout::NT)?;
        let Window { batch, height, width, channels, .. } = self.window;
        let dx = recorder.activation("dx", volume(&self.name, &[batch, height, width, channels])?);
        recorder.push(col2im::call(col2im::Io { cols: d_cols, dx: dx.clone() }, self.window))?;
        Ok(vec![Some(dx)])
    }
}
