// Softmax cross entropy of each row, its gradient and the hit.
// A thread makes one row. A row with a logit that is not finite, or a label that is no class, becomes NaN:
// found by its bits, since WGSL may assume that there is no NaN.
// Rust: crates/kernels/src/softmax_cross_entropy.rs

override rows: u32;
override classes: u32;
override loss_scale: f32;

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

alias StoredLogits = f32; // or f16
alias StoredDLogits = f32; // or f16

@group(0) @binding(0) var<storage, read> logits: array<StoredLogits>; // [rows, classes]
@group(0) @binding(1) var<storage, read> labels: array<u32>; // [rows]
@group(0) @binding(2) var<storage, read> state: StepState;
@group(0) @binding(3) var<storage, read_write> d_logits: array<StoredDLogits>; // [rows, classes]
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>; // [rows, 2]: loss, hit

const NAN_BITS: u32 = 0x7fc00000u;

// Rows of this batch that hold examples; the rest is padding.
fn valid_rows() -> u32 {
    let full_batches = state.count / rows;
    let last = select(0u, state.count % rows, state.batch == full_batches);
    return select(last, rows, state.batch < full_batches);
}

fn is_finite(value: f32) -> bool {
    return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u;
}

// ln(1 + x) for x of at least 0. WGSL's log may be off by 2^-21 near 1, which is all of a small loss: up to 1 its series
// in s = x / (2 + x) is taken, which is at most 1/3.
fn log_one_plus(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let t = s * s;
    let tail = 1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0 + t / 13.0))));
    return select(log(1.0 + x), 2.0 * s + 2.0 * s * t * tail, x <= 1.0);
}

fn fill_row(row: u32, gradient: f32, loss: f32) {
    for (var column = 0u; column < classes; column++) {
        d_logits[row * classes + column] = StoredDLogits(gradient);
    }
    row_metrics[2u * row] = loss;
    row_metrics[2u * row + 1u] = 0.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = id.y * (groups.x * 64u) + id.x;
    if row >= rows {
        return;
    }
    let valid = valid_rows();
    if row >= valid {
        fill_row(row, 0.0, 0.0);
        return;
    }
    let start = row * classes;
    let label = labels[row];

    var top = -3.4e38;
    var first_largest = 0u;
    var of_label = 0.0;
    var bad_bits = select(0u, NAN_BITS, label >= classes);
    for (var column = 0u; column < classes; column++) {
        let logit = f32(logits[start + column]);
        if logit > top {
            top = logit;
            first_largest = column;
        }
        of_label = select(of_label, logit, column == label);
        bad_bits |= select(NAN_BITS, 0u, is_finite(logit));
    }
    if bad_bits != 0u {
        let nan = bitcast<f32>(bad_bits);
        fill_row(row, nan, nan);
        return;
    }

    var sum = 0.0;
    var others = 0.0; // the same without the largest, which is 1
    for (var column = 0u; column < classes; column++) {
        let power = exp(f32(logits[start + column]) - top);
        sum += power;
        others += select(power, 0.0, column == first_largest);
    }
    for (var column = 0u; column < classes; column++) {
        let probability = exp(f32(logits[start + column]) - top) / sum;
        let gradient = (probability - select(0.0, 1.0, column == label)) / f32(valid) * loss_scale;
        d_logits[start + column] = StoredDLogits(gradient);
    }
    row_metrics[2u * row] = log_one_plus(others) + (top - of_label);
    row_metrics[2u * row + 1u] = select(0.0, 1.0, first_largest == label);
}
