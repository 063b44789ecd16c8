//! Pooling: the largest or the mean value of each window.

use super::{Op, Recorder};
use crate::ModelError;
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{Slice, avg_pool, avg_pool_grad, max_pool, max_pool_grad, volume};

fn output_len(window: &Window) -> Result<usize, ModelError> {
    Ok(volume("pool", &[window.batch, window.out_height()?, window.out_width()?, window.channels])?)
}

fn input_len(window: &Window) -> Result<usize, ModelError> {
    Ok(volume("pool", &[window.batch, window.height, window.width, window.channels])?)
}

/// Largest value of each window; remembers which position won.
pub struct MaxPool {
    window: Window,
    winner: Option<Slice>,
}

impl MaxPool {
    pub fn new(window: Window) -> Self {
        Self { window, winner: None }
    }
}

impl Op for MaxPool {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let len = output_len(&self.window)?;
        let (y, winner) = (recorder.activation("y", len), recorder.integers("winner", len));
        let io = max_pool::Io { x: inputs[0].clone(), y: y.clone(), winner: winner.clone() };
        recorder.push(max_pool::call(io, self.window))?;
        self.winner = Some(winner);
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        let Some(winner) = self.winner.clone().filter(|_| wanted[0]) else { return Ok(vec![None]) };
        let dx = recorder.activation("dx", input_len(&self.window)?);
        let io = max_pool_grad::Io { winner, dy: d_output.clone(), dx: dx.clone() };
        recorder.push(max_pool_grad::call(io, self.window))?;
        Ok(vec![Some(dx)])
    }
}

/// Mean of each window.
pub struct AvgPool {
    window: Window,
}

impl AvgPool {
    pub fn new(window: Window) -> Self {
        Self { window }
    }
}

impl Op for AvgPool {
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError> {
        let y = recorder.activation("y", output_len(&self.window)?);
        recorder.push(avg_pool::call(avg_pool::Io { x: inputs[0].clone(), y: y.clone() }, self.window))?;
        Ok(y)
    }

    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError> {
        if !wanted[0] {
            return Ok(vec![None]);
        }
        let dx = recorder.activation("dx", input_len(&self.window)?);
        let io = avg_pool_grad::Io { dy: d_output.clone(), dx: dx.clone() };
        recorder.push(avg_pool_grad::call(io, self.window))?;
        Ok(vec![Some(dx)])
    }
}
