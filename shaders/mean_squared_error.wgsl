// Mean squared error of each row, its gradient and the hit.
// A thread makes one row.
// Rust: crates/kernels/src/mean_squared_error.rs

override rows: u32;
override columns: u32;
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

alias StoredPrediction = f32; // or f16
alias StoredDPrediction = f32; // or f16

@group(0) @binding(0) var<storage, read> prediction: array<StoredPrediction>; // [rows, columns]
@group(0) @binding(1) var<storage, read> targets: array<f32>; // [rows, columns]
@group(0) @binding(2) var<storage, read> state: StepState;
@group(0) @binding(3) var<storage, read_write> d_prediction: array<StoredDPrediction>; // [rows, columns]
@group(0) @binding(4) var<storage, read_write> row_metrics: array<f32>; // [rows, 2]: loss, hit

// Rows of this batch that hold examples; the rest is padding.
fn valid_rows() -> u32 {
    let full_batches = state.count / rows;
    let last = select(0u, state.count % rows, state.batch == full_batches);
    return select(last, rows, state.batch < full_batches);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let row = id.y * (groups.x * 64u) + id.x;
    if row >= rows {
        return;
    }
    let valid = valid_rows();
    let start = row * columns;
    if row >= valid {
        for (var column = 0u; column < columns; column++) {
            d_prediction[start + column] = StoredDPrediction(0.0);
        }
        row_metrics[2u * row] = 0.0;
        row_metrics[2u * row + 1u] = 0.0;
        return;
    }

    let share = 2.0 / (f32(valid) * f32(columns)) * loss_scale;
    var sum = 0.0;
    var top_prediction = -3.4e38;
    var top_target = -3.4e38;
    var predicted = 0u;
    var wanted = 0u;
    for (var column = 0u; column < columns; column++) {
        let p = f32(prediction[start + column]);
        let t = targets[start + column];
        if p > top_prediction {
            top_prediction = p;
            predicted = column;
        }
        if t > top_target {
            top_target = t;
            wanted = column;
        }
        sum += (p - t) * (p - t);
        d_prediction[start + column] = StoredDPrediction((p - t) * share);
    }
    row_metrics[2u * row] = sum / f32(columns);
    row_metrics[2u * row + 1u] = select(0.0, 1.0, predicted == wanted);
}
