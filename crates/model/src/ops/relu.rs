//! ReLU as a layer of its own.

use super::product::before_activation;
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::{Slice, relu};

#[derive(Default)]
pub struct Relu {
    y: Option<Slice>,
}

impl Op for Relu {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let x = inputs[0].clone();
        let (y, count) = (recorder.activation("y", x.len), x.len as u32);
        recorder.push(relu::call(relu::Io { x, y: y.clone() }, count))?;
        self.y = Some(y.clone());
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        match &self.y {
            Some(y) if wanted[0] => Ok(vec![Some(before_activation(recorder, y, d_output, Activation::Relu)?)]),
            _ => Ok(vec![None]),
        }
    }
}
