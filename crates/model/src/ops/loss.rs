//! Losses: each gives the gradient of the outputs and two numbers per example, its loss and whether it hit.

use super::Recorder;
use crate::ModelError;
use crate::config::Loss;
use tilegrad_kernels::{Slice, mean_squared_error, one_hot, softmax_cross_entropy};

/// What a loss leaves behind.
pub struct LossOutput {
    /// Gradient of the network's output.
    pub d_output: Slice,
    /// `[batch, 2]`: loss and hit of each example.
    pub row_metrics: Slice,
}

/// Records `loss` over a batch of outputs; its gradient is `loss_scale` times too large.
pub fn record(
    recorder: &mut Recorder,
    loss: Loss,
    output: &Slice,
    labels: &Slice,
    state: &Slice,
    (batch, classes): (u32, u32),
    loss_scale: f32,
) -> Result<LossOutput, ModelError> {
    recorder.enter("loss", "");
    let d_output = recorder.activation("d_output", output.len);
    let row_metrics = recorder.scratch("row_metrics", 2 * batch as usize);
    let result = LossOutput { d_output: d_output.clone(), row_metrics: row_metrics.clone() };
    match loss {
        Loss::SoftmaxCrossEntropy => {
            let io = softmax_cross_entropy::Io {
                logits: output.clone(),
                labels: labels.clone(),
                state: state.clone(),
                d_logits: d_output,
                row_metrics,
            };
            recorder.push(softmax_cross_entropy::call(io, (batch, classes), loss_scale))?;
        }
        Loss::MeanSquaredError => {
            let target = recorder.scratch("target", output.len);
            let io = one_hot::Io { labels: labels.clone(), y: target.clone() };
            recorder.push(one_hot::call(io, batch, classes))?;
            let io = mean_squared_error::Io {
                prediction: output.clone(),
                targets: target,
                state: state.clone(),
                d_prediction: d_output,
                row_metrics,
            };
            recorder.push(mean_squared_error::call(io, (batch, classes), loss_scale))?;
        }
    }
    Ok(result)
}
