//! ReLU into the convolution before it, and its gradient into the gradient of the convolution behind it.

use super::Rewrite;
use super::uses::{Uses, same};
use crate::ModelError;
use tilegrad_kernels::convolution::Convolution;
use tilegrad_kernels::{conv2d, conv2d_grad_input, relu, relu_grad};
use tilegrad_runtime::Graph;

/// `relu(conv2d(x))` becomes one call.
pub fn into_convolutions(graph: Graph) -> Result<Graph, ModelError> {
    let (uses, mut rewrite) = (Uses::of(&graph), Rewrite::of(&graph));
    for (at, node) in graph.nodes().iter().enumerate() {
        let Some(relu::Io { x: z, y }) = relu::Io::of(&node.call) else { continue };
        let Some(producer) = uses.writer(&z) else { continue };
        let call = &graph.nodes()[producer].call;
        let (Some(io), Some(shape)) = (conv2d::Io::of(call), Convolution::of(call)) else { continue };
        if *uses.readers(&z) == [at] && call.param("relu") == Some(0) && same(&io.y, &z) {
            rewrite.replace(producer, conv2d::call(conv2d::Io { y, ..io }, shape, true)?);
            rewrite.remove(at);
        }
    }
    Ok(rewrite.finish(graph))
}

/// `relu_grad(x, conv2d_grad_input(…))` becomes one call, if `x` is what the convolution took.
pub fn gradients_into_convolutions(graph: Graph) -> Result<Graph, ModelError> {
    let (uses, mut rewrite) = (Uses::of(&graph), Rewrite::of(&graph));
    for (at, node) in graph.nodes().iter().enumerate() {
        let Some(relu_grad::Io { y, dy, dx }) = relu_grad::Io::of(&node.call) else { continue };
        let Some(producer) = uses.writer(&dy) else { continue };
        let call = &graph.nodes()[producer].call;
        let (Some(io), Some(shape)) = (conv2d_grad_input::Io::of(call), Convolution::of(call)) else { continue };
        if *uses.readers(&dy) == [at] && call.param("relu") == Some(0) && same(&io.x, &y) && same(&io.dx, &dy) {
            let fused = conv2d_grad_input::Fused { pooled: call.param("pooled") == Some(1), relu: true };
            rewrite.replace(producer, conv2d_grad_input::call(conv2d_grad_input::Io { dx, ..io }, shape, fused)?);
            rewrite.remove(at);
        }
    }
    Ok(rewrite.finish(graph))
}

/// What a gradient binds as its images and does not read keeps their memory from being used again: such a call binds the
/// gradient that it reads anyway.
pub fn release_unread_images(graph: Graph) -> Result<Graph, ModelError> {
    /// The kernels read vectors of four there.
    const VECTOR: usize = 4;
    let mut rewrite = Rewrite::of(&graph);
    for (at, node) in graph.nodes().iter().enumerate() {
        let call = &node.call;
        let (Some(io), Some(shape)) = (conv2d_grad_input::Io::of(call), Convolution::of(call)) else { continue };
        if call.param("relu") == Some(0) && io.dy.len >= VECTOR {
            let fused = conv2d_grad_input::Fused { pooled: call.param("pooled") == Some(1), relu: false };
            let io = conv2d_grad_input::Io { x: io.dy.clone(), ..io };
            rewrite.replace(at, conv2d_grad_input::call(io, shape, fused)?);
        }
    }
    Ok(rewrite.finish(graph))
}
