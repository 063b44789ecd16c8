//! What runs: every compute kernel of Tilegrad, described without a GPU in sight.
//!
//! A kernel is one WGSL entry point and its Rust description: bindings, params, dispatch, cost and CPU
//! reference. The list below is the only place that names them all: contract tests,
//! device-against-reference tests, benches, `validate` and `profile` iterate over [`KERNELS`].
//!
//! A new kernel touches three files: `shaders/NAME.wgsl`, `crates/kernels/src/NAME.rs` and one line here.

mod contract;
pub mod convolution;
mod cpu;
pub mod state;
pub mod window;

pub use contract::{
    Access, Binding, BufferId, Call, Case, CaseBuffer, Cost, Element, Family, Field, FieldType, Halves, HostCall,
    HostFunction, Kernel, Operand, POISON, Read, ShapeError, Slice, Threads, Tile, Tolerance, Variant, Write, hash,
    operands, volume,
};

/// Declares the kernel modules and the list of them.
macro_rules! kernels {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*
        /// Every kernel, in the order of a training step.
        pub static KERNELS: &[&Kernel] = &[$(&$name::KERNEL),*];
    };
}

kernels![
    gather_batch,
    gather_batch_vec4,
    one_hot,
    conv2d,
    conv2d_vec4,
    conv2d_subgroup,
    conv2d_first_subgroup,
    conv2d_first,
    conv2d_pool,
    conv2d_pool_vec4,
    conv2d_pool_subgroup,
    conv2d_pool_first_subgroup,
    conv2d_pool_first,
    im2col,
    matmul,
    matmul_vec4,
    matmul_blocks,
    matmul_subgroup,
    matmul_shared,
    conv2d_shared,
    conv2d_pool_shared,
    bias,
    relu,
    bias_relu,
    add,
    max_pool,
    avg_pool,
    softmax_cross_entropy,
    mean_squared_error,
    conv2d_grad_input,
    conv2d_grad_input_vec4,
    conv2d_grad_input_subgroup,
    conv2d_grad_weight,
    conv2d_grad_weight_vec4,
    conv2d_grad_weight_subgroup,
    conv2d_grad_weight_first,
    conv2d_grad_input_shared,
    conv2d_grad_weight_shared,
    avg_pool_grad,
    max_pool_grad,
    relu_grad,
    column_sum,
    column_sum_vec4,
    col2im,
    adam,
    sgd,
    advance_step,
];

/// The kernel called `name`.
pub fn find(name: &str) -> Option<&'static Kernel> {
    KERNELS.iter().copied().find(|kernel| kernel.name == name)
}
