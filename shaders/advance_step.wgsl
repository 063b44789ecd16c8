// Sums of a batch's losses and hits, and the next step's state.
// A single thread does all of it, so that sums in f32 keep their order. The sum of losses over all steps is exact: a
// fixed-point number of 320 bits in two's complement, the lowest word first, whose lowest bit counts 2^-149.
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
    hits: u32,
    seen: u32,
    steps: u32,
    first_bad: u32,
    loss_sum: array<u32, 10>,
}

const BLOCK: u32 = 64u; // rows that are added up in f32

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

// Adds a finite loss to the sum.
fn add_exactly(loss: f32) {
    let bits = bitcast<u32>(loss);
    let exponent = (bits >> 23u) & 0xffu;
    // Subnormal numbers have the exponent of the smallest normal ones, and no leading 1.
    let significand = (bits & 0x7fffffu) | select(0u, 0x800000u, exponent > 0u);
    let place = max(exponent, 1u) - 1u;
    let first = place / 32u;
    let shift = place % 32u;
    let low = significand << shift;
    let high = (significand >> 1u) >> (31u - shift); // a shift by 32 is not allowed
    let negative = bits >> 31u;
    let flip = 0u - negative;
    var carry = negative;
    for (var at = 0u; at < 10u; at++) {
        let word = (select(0u, low, at == first) | select(0u, high, at == first + 1u)) ^ flip;
        let added = metrics.loss_sum[at] + word;
        let with_carry = added + carry;
        carry = select(0u, 1u, (added < word) | (with_carry < added));
        metrics.loss_sum[at] = with_carry;
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x > 0u {
        return;
    }
    let valid = valid_rows();
    var hits = 0u;
    for (var first = 0u; first < valid; first += BLOCK) {
        var loss = 0.0;
        for (var row = first; row < min(first + BLOCK, valid); row++) {
            loss += row_metrics[2u * row];
            hits += select(0u, 1u, row_metrics[2u * row + 1u] > 0.5);
        }
        if is_finite(loss) {
            add_exactly(loss);
        } else if metrics.first_bad == 0u {
            metrics.first_bad = state.step + 1u;
        }
    }
    metrics.hits += hits;
    metrics.seen += valid;
    metrics.steps += 1u;
    state.step += 1u;
    state.batch += 1u;
    // An addition, then a product: there is no multiply-add that a compiler could fuse.
    state.beta1_gap = beta1 * (state.beta1_gap + (1.0 - beta1));
    state.beta2_gap = beta2 * (state.beta2_gap + (1.0 - beta2));
}
