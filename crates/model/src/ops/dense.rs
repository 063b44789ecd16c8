//! A fully connected layer: `y = activation(x · weight + bias)`.

use super::product::{add_bias, before_activation, product, sum_columns};
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::Slice;
use tilegrad_kernels::matmul::Layout;

pub struct Dense {
    name: String,
    batch: u32,
    inputs: u32,
    units: u32,
    activation: Activation,
    saved: Option<Saved>,
}

struct Saved {
    x: Slice,
    y: Slice,
}

impl Dense {
    pub fn new(name: &str, batch: u32, inputs: u32, units: u32, activation: Activation) -> Self {
        Self { name: name.into(), batch, inputs, units, activation, saved: None }
    }

    fn saved(&self) -> Result<&Saved, ModelError> {
        self.saved.as_ref().ok_or_else(|| ModelError::Mismatch(format!("`{}` has not run forward", self.name)))
    }
}

impl Op for Dense {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        let bias = recorder.parameter(&format!("{}.bias", self.name))?;
        let x = inputs[0].clone();
        let z = recorder.scratch("z", self.batch as usize * self.units as usize);
        product(recorder, &x, &weight, &z, (self.batch, self.units, self.inputs), Layout::NN)?;
        let y = add_bias(recorder, z, bias, (self.batch, self.units), self.activation)?;
        self.saved = Some(Saved { x, y: y.clone() });
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let Saved { x, y } = self.saved()?;
        let (batch, inputs, units) = (self.batch, self.inputs, self.units);
        let d_z = before_activation(recorder, y, d_output, self.activation)?;
        let d_bias = recorder.gradient(&format!("{}.bias", self.name))?;
        sum_columns(recorder, &d_z, &d_bias, batch, units)?;
        let d_weight = recorder.gradient(&format!("{}.weight", self.name))?;
        product(recorder, x, &d_z, &d_weight, (inputs, units, batch), Layout::TN)?;
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let weight = recorder.parameter(&format!("{}.weight", self.name))?;
        let dx = recorder.activation("dx", x.len);
        product(recorder, &d_z, &weight, &dx, (batch, inputs, units), Layout::NT)?;
        Ok(vec![Some(dx)])
    }
}
