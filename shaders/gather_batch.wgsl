// One batch of examples, gathered by index from bytes on the device and scaled to floats.
// A thread makes one element of x; the first of a row writes the row's label too.
// Rows beyond the pass's last example are zeros; indices beyond the data are clamped to its end. Bound are the images of the
// examples from `first` on: rows of others are left alone, and zeros and labels are for the call with the first of all.
// Rust: crates/kernels/src/gather_batch.rs

override examples: u32;
override first: u32;
override held: u32;
override size: u32;
override positions: u32;
override batch: u32;
override scale: f32;
override shift: f32;

struct StepState {
    step: u32,
    batch: u32,
    count: u32,
    seed: u32,
    learning_rate: f32,
    beta1_gap: f32,
    beta2_gap: f32,
    epoch: u32,
}

alias StoredX = f32; // or f16

@group(0) @binding(0) var<storage, read> images: array<u32>; // [held, size] bytes, four to a word
@group(0) @binding(1) var<storage, read> labels: array<u32>; // [examples]
@group(0) @binding(2) var<storage, read> indices: array<u32>; // [positions]
@group(0) @binding(3) var<storage, read> state: StepState;
@group(0) @binding(4) var<storage, read_write> x: array<StoredX>; // [batch, size]
@group(0) @binding(5) var<storage, read_write> y: array<u32>; // [batch]

// Rows of this batch that hold examples; the rest is padding.
fn valid_rows() -> u32 {
    let full_batches = state.count / batch;
    let last = select(0u, state.count % batch, state.batch == full_batches);
    return select(last, batch, state.batch < full_batches);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= batch * size {
        return;
    }
    let row = i / size;
    let column = i % size;
    let valid = row < valid_rows();
    let example = min(indices[min(state.batch * batch + row, positions - 1u)], examples - 1u);
    if valid && example - first < held {
        let at = (example - first) * size + column;
        let byte = (images[at / 4u] >> (8u * (at % 4u))) & 255u;
        x[i] = StoredX(f32(byte) * scale + shift);
    }
    if !valid && first == 0u {
        x[i] = StoredX(0.0);
    }
    if column == 0u && first == 0u {
        y[row] = select(0u, labels[example], valid);
    }
}
