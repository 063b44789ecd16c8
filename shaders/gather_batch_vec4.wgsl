// One batch of examples, gathered by index from bytes on the device and scaled to floats, four bytes at a time.
// A thread makes four elements of x from one word; the first of a row writes the row's label too.
// Rows beyond the pass's last example are zeros; indices beyond the data are clamped to its end. Threads beyond the batch
// repeat its last elements and store nothing, so no load needs a branch. Bound are the images of the examples from `first` on:
// rows of others are left alone, and zeros and labels are for the call with the first of all.
// Rust: crates/kernels/src/gather_batch_vec4.rs

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
@group(0) @binding(4) var<storage, read_write> x: array<vec4<StoredX>>; // [batch, size]
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
    let words = size / 4u;
    let at = min(i, batch * words - 1u);
    let row = at / words;
    let column = at % words;
    let valid = row < valid_rows();
    let example = min(indices[min(state.batch * batch + row, positions - 1u)], examples - 1u);
    // Below `first` this wraps around to something large.
    let place = example - first;
    let bytes = (vec4u(images[min(place, held - 1u) * words + column]) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u);
    if i < batch * words && select(first == 0u, place < held, valid) {
        x[i] = vec4<StoredX>(select(vec4f(), vec4f(bytes) * scale + shift, valid));
    }
    if i < batch * words && column == 0u && first == 0u {
        y[row] = select(0u, labels[example], valid);
    }
}
