// Sums of a batch's losses and hits, and the next step's state.
// A single thread does all of it, so that the sum keeps its order.
// Rust: crates/kernels/src/advance_step.rs

override batch: u32;
override beta1: f32;
override beta2: f32;

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

struct Metrics {
    loss_sum: f32,
    hits: u32,
    seen: u32,
    first_bad: u32,
}

@group(0) @binding(0) var<storage, read> row_metrics: array<f32>; // [batch, 2]: loss, hit
@group(0) @binding(1) var<storage, read_write> state: StepState;
@group(0) @binding(2) var<storage, read_write> metrics: Metrics;

// Rows of this batch that hold examples; the rest is padding.
fn valid_rows() -> u32 {
    let full_batches = state.count / batch;
    let last = select(0u, state.count % batch, state.batch == full_batches);
    return select(last, batch, state.batch < full_batches);
}

fn is_finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x > 0u {
        return;
    }
    let valid = valid_rows();
    var loss = 0.0;
    var hits = 0u;
    for (var row = 0u; row < valid; row++) {
        loss += row_metrics[2u * row];
        hits += select(0u, 1u, row_metrics[2u * row + 1u] > 0.5);
    }
    metrics.loss_sum += loss;
    metrics.hits += hits;
    metrics.seen += valid;
    if !is_finite(loss) && metrics.first_bad == 0u {
        metrics.first_bad = state.step + 1u;
    }
    state.step += 1u;
    state.batch += 1u;
    // An addition, then a product: there is no multiply-add that a compiler could fuse.
    state.beta1_gap = beta1 * (state.beta1_gap + (1.0 - beta1));
    state.beta2_gap = beta2 * (state.beta2_gap + (1.0 - beta2));
}
