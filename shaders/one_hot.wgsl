// Labels as rows of zeros with a single one; a label that is no class makes a row of zeros.
// A thread makes one element of y.
// Rust: crates/kernels/src/one_hot.rs

override batch: u32;
override classes: u32;

@group(0) @binding(0) var<storage, read> labels: array<u32>; // [batch]
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // [batch, classes]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * classes {
        return;
    }
    y[i] = select(0.0, 1.0, labels[i / classes] == i % classes);
}
