// Gradient descent of all parameters, with momentum and weight decay.
// A thread updates four parameters and their velocity.
// Rust: crates/kernels/src/sgd.rs

override count: u32;
override momentum: f32;
override nesterov: u32;
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
@group(0) @binding(3) var<storage, read_write> velocity: array<vec4f>; // [count]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.y * (groups.x * 64u) + id.x;
    if i >= count / 4u {
        return;
    }
    let p = param[i];
    let g = grad[i] * (1.0 / loss_scale) + weight_decay * p;
    let moved = momentum * velocity[i] + g;
    velocity[i] = moved;
    param[i] = p - state.learning_rate * select(moved, g + momentum * moved, nesterov == 1u);
}
