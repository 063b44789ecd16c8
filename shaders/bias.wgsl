// One bias per column added to every row.
// A thread makes one element of y.
// Rust: crates/kernels/src/bias.rs

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
    y[i] = StoredY(f32(x[i]) + bias[i % columns]);
}
