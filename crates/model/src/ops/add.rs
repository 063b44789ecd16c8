//! The sum of two values; its gradient goes to both.

use super::{Op, Recorder};
use crate::ModelError;
use tilegrad_kernels::Slice;

pub struct Add;

impl Op for Add {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        recorder.sum(&inputs[0], &inputs[1], "y")
    }

    fn backward(&self, _: &mut Recorder, d_output: &Slice, wanted: &[bool]) -> Result<Vec<Option<Slice>>, ModelError> {
        Ok(wanted.iter().map(|&wanted| wanted.then(|| d_output.clone())).collect())
    }
}
