// Adam's update of all parameters, with decoupled weight decay.
// A thread updates four parameters and their running means.
// Rust: crates/kernels/src/adam.rs

override count: u32;
override beta1: f32;
override beta2: f32;
override epsilon: f32;
override weight_decay: f32;
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

@group(0) @binding(0) var<storage, read> grad: array<vec4f>; // [count]
@group(0) @binding(1) var<storage, read> state: StepState;
@group(0) @binding(2) var<storage, read_write> param: array<vec4f>; // [count]
@group(0) @binding(3) var<storage, read_write> m: array<vec4f>; // [count]
@group(0) @binding(4) var<storage, read_write> v: array<vec4f>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count / 4u {
        return;
    }
    let g = grad[i] * (1.0 / loss_scale);
    let mean = beta1 * m[i] + (1.0 - beta1) * g;
    let square = beta2 * v[i] + (1.0 - beta2) * g * g;
    m[i] = mean;
    v[i] = square;

    let p = param[i];
    let decayed = p - state.learning_rate * weight_decay * p;
    let unbiased_mean = mean / (state.beta1_gap + (1.0 - beta1));
    let unbiased_square = square / (state.beta2_gap + (1.0 - beta2));
    param[i] = decayed - state.learning_rate * unbiased_mean / (sqrt(unbiased_square) + epsilon);
}
