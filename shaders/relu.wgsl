// Negatives to zero; a NaN stays a NaN.
// A thread makes one element of y.
// Rust: crates/kernels/src/relu.rs

override count: u32;

alias StoredX = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> x: array<StoredX>; // [count]
@group(0) @binding(1) var<storage, read_write> y: array<StoredY>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count {
        return;
    }
    // Not max: that may turn a NaN into 0.
    y[i] = StoredY(select(f32(x[i]), 0.0, f32(x[i]) < 0.0));
}
