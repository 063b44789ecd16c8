// Gradient of the rectifier from its output: dy where y is positive, else zero.
// A thread makes one element of dx.
// Rust: crates/kernels/src/relu_grad.rs

override count: u32;

alias StoredY = f32; // or f16
alias StoredDy = f32; // or f16
alias StoredDx = f32; // or f16

@group(0) @binding(0) var<storage, read> y: array<StoredY>; // [count]
@group(0) @binding(1) var<storage, read> dy: array<StoredDy>; // [count]
@group(0) @binding(2) var<storage, read_write> dx: array<StoredDx>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count {
        return;
    }
    dx[i] = StoredDx(select(0.0, f32(dy[i]), f32(y[i]) > 0.0));
}
