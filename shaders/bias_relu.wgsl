// One bias per column added to every row, then negatives to zero.
// A thread makes one element of y.
// Rust: crates/kernels/src/bias_relu.rs

override rows: u32;
override columns: u32;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [rows, columns]
@group(0) @binding(1) var<storage, read> bias: array<f32>; // [columns]
@group(0) @binding(2) var<storage, read_write> y: array<StoredY>; // [rows, columns]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= rows * columns {
        return;
    }
    let sum = f32(x[i]) + bias[i % columns];
    // Not max: that may turn a NaN into 0.
    y[i] = StoredY(select(sum, 0.0, sum < 0.0));
}
