// Sum of two tensors.
// A thread makes one element of y.
// Rust: crates/kernels/src/add.rs

override count: u32;

alias StoredA = f32; // or f16
alias StoredB = f32; // or f16
alias StoredY = f32; // or f16

@group(0) @binding(0) var<storage, read> a: array<StoredA>; // [count]
@group(0) @binding(1) var<storage, read> b: array<StoredB>; // [count]
@group(0) @binding(2) var<storage, read_write> y: array<StoredY>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count {
        return;
    }
    y[i] = StoredY(f32(a[i]) + f32(b[i]));
}
