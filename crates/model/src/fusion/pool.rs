//! A max pool of 2×2 into the convolution before it, and its gradient, with that of the ReLU between, into the gradients
//! of that convolution.

use super::Rewrite;
use super::uses::{Uses, same};
use crate::ModelError;
use tilegrad_kernels::convolution::Convolution;
use tilegrad_kernels::window::Window;
use tilegrad_kernels::{
    Call, Element, Slice, conv2d, conv2d_grad_input, conv2d_grad_weight, conv2d_pool, max_pool, max_pool_grad,
    relu_grad,
};
use tilegrad_runtime::{Graph, Purpose};

/// A pool that can be fused, and everything around it.
struct Found {
    convolution: usize,
    shape: Convolution,
    relu: bool,
    pool: max_pool::Io,
    backward: Option<Backward>,
}

/// The reverse pass of a pool.
struct Backward {
    /// Gradient of the maxima.
    dy: Slice,
    /// The gradients of pool and ReLU, which vanish.
    vanishing: Vec<usize>,
    /// The gradients of the convolution, which expand the maxima's gradient themselves.
    gradients: Vec<usize>,
}

/// `max_pool(conv2d(x))` becomes one call, and so do the gradients.
pub fn into_convolutions(mut graph: Graph) -> Result<Graph, ModelError> {
    let (uses, mut rewrite) = (Uses::of(&graph), Rewrite::of(&graph));
    for at in 0..graph.nodes().len() {
        let Some(found) = find(&graph, &uses, at) else { continue };
        let Some(conv2d::Io { x, weight, bias, .. }) = conv2d::Io::of(&graph.nodes()[found.convolution].call) else {
            continue;
        };
        let max_pool::Io { y, winner, .. } = found.pool;
        let winner = graph.transient(&winner.name, winner.len / 4, Element::U32, Purpose::Activation);
        let io = conv2d_pool::Io { x, weight, bias, y, winner: winner.clone() };
        rewrite.replace(found.convolution, conv2d_pool::call(io, found.shape, found.relu)?);
        rewrite.remove(at);
        let Some(Backward { dy, vanishing, gradients }) = found.backward else { continue };
        vanishing.into_iter().for_each(|at| rewrite.remove(at));
        for at in gradients {
            let call = expanding(&graph.nodes()[at].call, &dy, &winner)?;
            call.into_iter().for_each(|call| rewrite.replace(at, call));
        }
    }
    Ok(rewrite.finish(graph))
}

fn find(graph: &Graph, uses: &Uses, at: usize) -> Option<Found> {
    let call_at = |at: usize| &graph.nodes()[at].call;
    let pool = max_pool::Io::of(call_at(at))?;
    let convolution = uses.writer(&pool.x)?;
    let call = call_at(convolution);
    let (io, shape) = (conv2d::Io::of(call)?, Convolution::of(call)?);
    let relu = call.param("relu") == Some(1);
    uses.writer(&pool.winner)?;
    if !same(&io.y, &pool.x)
        || !is_halving(&Window::of(call_at(at))?)
        || !shape.filters.is_multiple_of(4)
        || !conv2d_pool::takes(shape)
    {
        return None;
    }
    let backward = match uses.readers(&pool.winner) {
        [] => None,
        [gradient] => Some(backward(graph, uses, (at, *gradient), &io.y, relu)?),
        _ => return None,
    };
    // Nobody else may see what is no longer written.
    let of_pool =
        |reader: &usize| *reader == at || backward.as_ref().is_some_and(|backward| backward.vanishing.contains(reader));
    uses.readers(&io.y).iter().all(of_pool).then_some(Found { convolution, shape, relu, pool, backward })
}

/// The reverse pass of the pool number `pool`, whose gradient is number `gradient`, if every part of it can be fused.
fn backward(graph: &Graph, uses: &Uses, (pool, gradient): (usize, usize), y: &Slice, relu: bool) -> Option<Backward> {
    let call_at = |at: usize| &graph.nodes()[at].call;
    let max_pool_grad::Io { dy, dx, .. } = max_pool_grad::Io::of(call_at(gradient))?;
    if call_at(gradient).params() != call_at(pool).params() || uses.writer(&dx)? != gradient {
        return None;
    }
    let mut vanishing = vec![gradient];
    let mut d_z = dx;
    if relu {
        let [after] = *uses.readers(&d_z) else { return None };
        let io = relu_grad::Io::of(call_at(after))?;
        if !same(&io.y, y) || !same(&io.dy, &d_z) || uses.writer(&io.dx)? != after {
            return None;
        }
        vanishing.push(after);
        d_z = io.dx;
    }
    let gradients = uses.readers(&d_z).to_vec();
    gradients.iter().all(|at| takes(call_at(*at), &d_z)).then_some(Backward { dy, vanishing, gradients })
}

/// Whether `call` is a gradient of a convolution that takes `d_z` as the gradient of its outputs and nothing else.
fn takes(call: &Call, d_z: &Slice) -> bool {
    let input = conv2d_grad_input::Io::of(call).is_some_and(|io| same(&io.dy, d_z) && !same(&io.x, d_z));
    let weight = conv2d_grad_weight::Io::of(call).is_some_and(|io| same(&io.dy, d_z) && !same(&io.x, d_z));
    (input || weight) && call.param("pooled") == Some(0)
}

/// The gradient of a convolution that takes the gradient of the maxima instead of its own outputs'.
fn expanding(call: &Call, dy: &Slice, winner: &Slice) -> Result<Option<Call>, ModelError> {
    let Some(shape) = Convolution::of(call) else { return Ok(None) };
    let (dy, winner) = (dy.clone(), winner.clone());
    if let Some(io) = conv2d_grad_input::Io::of(call) {
        let fused = conv2d_grad_input::Fused { pooled: true, relu: call.param("relu") == Some(1) };
        return Ok(Some(conv2d_grad_input::call(conv2d_grad_input::Io { dy, winner, ..io }, shape, fused)?));
    }
    if let (Some(io), Some(splits), Some(bias_offset)) =
        (conv2d_grad_weight::Io::of(call), call.param("splits"), call.param("bias_offset"))
    {
        let layout = conv2d_grad_weight::Layout { pooled: true, splits, bias_offset };
        return Ok(Some(conv2d_grad_weight::call(conv2d_grad_weight::Io { dy, winner, ..io }, shape, layout)?));
    }
    Ok(None)
}

/// Windows of 2×2 beside each other, without padding.
fn is_halving(window: &Window) -> bool {
    let Window { kernel_height, kernel_width, stride_height, stride_width, .. } = *window;
    let Window { pad_top, pad_left, pad_bottom, pad_right, .. } = *window;
    [kernel_height, kernel_width, stride_height, stride_width] == [2; 4]
        && [pad_top, pad_left, pad_bottom, pad_right] == [0; 4]
}
