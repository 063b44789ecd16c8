//! Matrix products and column sums with their fixed, shape-given splits.

use super::Recorder;
use crate::ModelError;
use crate::network::Activation;
use tilegrad_kernels::matmul::{self, Dims, Layout};
use tilegrad_kernels::{Slice, bias, bias_relu, column_sum, relu_grad};

/// Records `y = op(a) · op(b)`, over partial products if the inner dimension is long.
pub fn product(
    recorder: &mut Recorder,
    a: &Slice,
    b: &Slice,
    y: &Slice,
    (m, n, k): (u32, u32, u32),
    layout: Layout,
) -> Result<(), ModelError> {
    let splits = matmul::splits(m, n, k);
    let dims = Dims { m, n, k, layout, splits };
    let c = match splits {
        1 => y.clone(),
        _ => recorder.scratch("partial_products", splits as usize * y.len),
    };
    recorder.push(matmul::call(matmul::Io { a: a.clone(), b: b.clone(), c: c.clone() }, dims))?;
    if splits > 1 {
        recorder.push(column_sum::call(column_sum::Io { x: c, y: y.clone() }, splits, m * n, 1))?;
    }
    Ok(())
}

/// Records `y[j] = Σ_i x[i, j]`.
pub fn sum_columns(recorder: &mut Recorder, x: &Slice, y: &Slice, rows: u32, columns: u32) -> Result<(), ModelError> {
    let splits = column_sum::splits(rows);
    let mut x = x.clone();
    let mut left = rows;
    if splits > 1 {
        let partial = recorder.scratch("partial_sums", splits as usize * columns as usize);
        recorder.push(column_sum::call(column_sum::Io { x, y: partial.clone() }, rows, columns, splits))?;
        (x, left) = (partial, splits);
    }
    recorder.push(column_sum::call(column_sum::Io { x, y: y.clone() }, left, columns, 1))
}

/// Records `y = activation(x + bias)` over `rows × columns` values.
pub fn add_bias(
    recorder: &mut Recorder,
    x: Slice,
    bias: Slice,
    (rows, columns): (u32, u32),
    activation: Activation,
) -> Result<Slice, ModelError> {
    let y = recorder.activation("y", x.len);
    recorder.push(match activation {
        Activation::None => bias::call(bias::Io { x, bias, y: y.clone() }, rows, columns),
        Activation::Relu => bias_relu::call(bias_relu::Io { x, bias, y: y.clone() }, rows, columns),
    })?;
    Ok(y)
}

/// The gradient in front of an activation: itself, or with the elements cut that the ReLU cut.
pub fn before_activation(
    recorder: &mut Recorder,
    y: &Slice,
    d_y: &Slice,
    activation: Activation,
) -> Result<Slice, ModelError> {
    if activation == Activation::None {
        return Ok(d_y.clone());
    }
    let dx = recorder.activation("d_z", d_y.len);
    let io = relu_grad::Io { y: y.clone(), dy: d_y.clone(), dx: dx.clone() };
    recorder.push(relu_grad::call(io, d_y.len as u32))?;
    Ok(dx)
}
