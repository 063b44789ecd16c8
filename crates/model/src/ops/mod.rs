//! Ops: the differentiable operations. Each records its forward calls, and in the reverse pass the calls of its
//! gradients; what it needs then, it keeps.

mod add;
mod affine;
mod columns;
mod conv2d;
mod dense;
mod flatten;
pub(crate) mod loss;
mod pool;
mod product;
mod recorder;
mod relu;
mod single;

pub(crate) use recorder::Recorder;
pub use single::LayerProgram;

use crate::network::{Layer, Network, Node, Shape};
use crate::{Lowering, ModelError};
use tilegrad_kernels::Slice;
use tilegrad_kernels::convolution::Convolution;

/// A differentiable operation of one layer.
pub(crate) trait Op {
    /// Records the forward calls and returns the output.
    fn forward(&mut self, recorder: &mut Recorder, inputs: &[Slice]) -> Result<Slice, ModelError>;

    /// Records the gradients of the op's parameters, and of each input that `wanted` asks for, given the
    /// gradient of the output.
    fn backward(
        &self,
        recorder: &mut Recorder,
        d_output: &Slice,
        wanted: &[bool],
    ) -> Result<Vec<Option<Slice>>, ModelError>;
}

/// The op of a layer for batches of `batch` examples.
pub(crate) fn op_of(network: &Network, node: &Node, batch: u32, lowering: Lowering) -> Result<Box<dyn Op>, ModelError> {
    let input = network.shape_of(node.inputs[0]);
    let misfit = || ModelError::Layer { layer: node.name.clone(), problem: format!("does not take {input}") };
    Ok(match (&node.layer, input) {
        (Layer::Conv2d { filters, activation, .. }, Shape::Image(image)) => {
            let window = node.layer.window(batch, image).ok_or_else(misfit)?;
            let filters = *filters;
            let implicit = conv2d::Conv2d::new(&node.name, Convolution { window, filters }, *activation);
            match lowering {
                Lowering::Implicit if implicit.takes() => Box::new(implicit),
                _ => Box::new(columns::ColumnsConv2d::new(&node.name, window, filters, *activation)?),
            }
        }
        (Layer::MaxPool { .. }, Shape::Image(image)) => {
            Box::new(pool::MaxPool::new(node.layer.window(batch, image).ok_or_else(misfit)?))
        }
        (Layer::AvgPool { .. } | Layer::GlobalAvgPool, Shape::Image(image)) => {
            Box::new(pool::AvgPool::new(node.layer.window(batch, image).ok_or_else(misfit)?))
        }
        (Layer::Dense { units, activation, .. }, Shape::Vector(inputs)) => {
            let dims = (batch, inputs, *units);
            let implicit = conv2d::Conv2d::dense(&node.name, dims, *activation);
            match lowering {
                Lowering::Implicit if implicit.takes() => Box::new(implicit),
                _ => Box::new(dense::Dense::new(&node.name, dims, *activation)),
            }
        }
        (Layer::Relu, _) => Box::new(relu::Relu::default()),
        (Layer::Flatten, _) => Box::new(flatten::Flatten),
        (Layer::Add, _) => Box::new(add::Add),
        _ => return Err(misfit()),
    })
}
