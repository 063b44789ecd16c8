//! A fully connected layer as a matrix product, `y = activation(x · weight + bias)`: the simple lowering.

use super::affine::Affine;
use super::{Op, Recorder};
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::Slice;

pub struct Dense(Affine);

impl Dense {
    pub fn new(name: &str, dims: (u32, u32, u32), activation: Activation) -> Self {
        Self(Affine::new(name, dims, activation))
    }
}

impl Op for Dense {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        self.0.forward(recorder, inputs[0].clone())
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let d_z = self.0.backward_parameters(recorder, d_output)?;
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let dx = recorder.activation("dx", self.0.input_len());
        self.0.backward_input(recorder, &d_z, &dx)?;
        Ok(vec![Some(dx)])
    }
}
