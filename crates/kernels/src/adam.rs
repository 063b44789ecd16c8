//! Adam's update of all parameters at once, with decoupled weight decay.
//!
//! # Formula
//! With `g = grad / loss_scale`: `m = beta1*m + (1 - beta1)*g`, `v = beta2*v + (1 - beta2)*g²`, then
//! `param -= lr*weight_decay*param` and
//! `param -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)`.
//! The learning rate and the bias corrections come from the step state. A weight decay of 0 is plain Adam.
//!
//! # Shapes
//! `grad`, `param`, `m` and `v [count]`, `state` a `StepState`.
//!
//! # Dispatch
//! One thread per four elements.
//!
//! # Errors
//! A count of zero or not divisible by four, settings out of range, or a buffer of another length.
//!
//! # Source
//! Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1; Loshchilov and Hutter,
//! "Decoupled Weight Decay Regularization" (2019), in PyTorch's order.

use crate::contract::prelude::*;
use crate::state::StepState;

buffers! {
    /// Gradients.
    grad: Read<f32>,
    /// Learning rate and bias corrections.
    state: Read<u32>,
    /// Parameters.
    param: Write<f32>,
    /// Running mean of the gradients.
    m: Write<f32>,
    /// Running mean of their squares.
    v: Write<f32>,
}

params! {
    /// Elements, in all four buffers.
    count: u32,
    /// Share of `m` that stays.
    beta1: f32,
    /// Share of `v` that stays.
    beta2: f32,
    /// Keeps the divisor away from zero.
    epsilon: f32,
    /// Share of a parameter that a learning rate of 1 would take away.
    weight_decay: f32,
    /// What the gradients were multiplied by, so that 16-bit floats hold them.
    loss_scale: f32,
}

/// Settings of the update.
pub type Settings = Params;

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "adam",
    summary: "Adam's update of all parameters, with decoupled weight decay",
    wgsl: include_str!("../../../shaders/adam.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(u64::from(Params::from_words(words).count / 4)),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance {
        relative: 3e-6,
        scaled: 3e-6,
        reason: "about ten f32 roundings, three quotients and a square root per element",
    },
    cost: |words| {
        let count = u64::from(Params::from_words(words).count);
        Cost { flops: 16 * count, bytes: 28 * count }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: Some(|words, operands| {
        let Host { grad, state, param, m, v } = Host::new(operands);
        let io = crate::cpu::AdamBuffers { grad, param, m, v };
        crate::cpu::adam(&Params::from_words(words), &StepState::bound(state), io);
    }),
    cases,
};

/// One update of `settings.count` parameters.
///
/// # Errors
/// [`ShapeError`] for a wrong count, settings out of range and buffers of another length.
pub fn call(io: Io, settings: Settings) -> Result<Call, ShapeError> {
    let Settings { count, beta1, beta2, epsilon, weight_decay, loss_scale } = settings;
    let share = 0.0..1.0;
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(count > 0 && count % 4 == 0, || format!("count must be a positive multiple of 4, got {count}"))?
        .rule(share.contains(&beta1) && share.contains(&beta2), || {
            format!("beta1 and beta2 must be at least 0 and below 1, got {beta1} and {beta2}")
        })?
        .rule(epsilon > 0.0 && epsilon.is_finite(), || format!("epsilon must be positive, got {epsilon}"))?
        .rule(weight_decay >= 0.0 && weight_decay.is_finite(), || {
            format!("weight_decay must be at least 0, got {weight_decay}")
        })?
        .rule(loss_scale.is_normal() && loss_scale > 0.0, || format!("loss_scale must be positive, got {loss_scale}"))?
        .len("grad", &[("count", count)])?
        .len("state", &StepState::LEN)?
        .len("param", &[("count", count)])?
        .len("m", &[("count", count)])?
        .len("v", &[("count", count)])?
        .call(settings.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let state = StepState::bound(io.state);
    let [beta1, beta2, epsilon, weight_decay] = [p.beta1, p.beta2, p.epsilon, p.weight_decay].map(f64::from);
    let learning_rate = f64::from(state.learning_rate);
    let correction1 = f64::from(state.beta1_gap) + (1.0 - beta1);
    let correction2 = f64::from(state.beta2_gap) + (1.0 - beta2);
    (io.grad, io.param, io.m, io.v).into_par_iter().for_each(|(grad, param, m, v)| {
        let grad = f64::from(*grad) / f64::from(p.loss_scale);
        let mean = beta1 * f64::from(*m) + (1.0 - beta1) * grad;
        let square = beta2 * f64::from(*v) + (1.0 - beta2) * grad * grad;
        let decayed = f64::from(*param) * (1.0 - learning_rate * weight_decay);
        let step = (mean / correction1) / ((square / correction2).sqrt() + epsilon);
        *param = (decayed - learning_rate * step) as f32;
        *m = mean as f32;
        *v = square as f32;
    });
}

fn cases() -> Vec<Case> {
    // One vector, workgroups ± 1, primes, and a layer of the reference network; with and without weight decay.
    [
        (4, 0.0, 1.0),
        (252, 0.1, 1.0),
        (256, 0.0, 1024.0),
        (260, 0.0, 1.0),
        (4 * 41 * 47, 0.1, 1024.0),
        (36_864, 0.0, 1.0),
    ]
    .into_iter()
    .map(|(count, weight_decay, loss_scale)| {
        let mut case = Case::named(format!("{count} with decay {weight_decay}, loss scale {loss_scale}"));
        let io = Io {
            grad: case.random("grad", count as usize),
            state: case.state(3, 1000),
            param: case.random("param", count as usize),
            m: case.random("m", count as usize),
            v: case.floats("v", (0..count).map(|i| crate::hash::uniform(count, 6, i))),
        };
        case.finish(call(io, Settings { count, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay, loss_scale }))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(weight_decay: f32, loss_scale: f32) -> ([f32; 4], [f32; 4], [f32; 4]) {
        let settings = Settings { count: 4, beta1: 0.5, beta2: 0.75, epsilon: 1.0, weight_decay, loss_scale };
        let state =
            StepState { learning_rate: 0.5, beta1_gap: 0.0, beta2_gap: 0.0, ..crate::contract::example_state(0, 1) };
        let (mut param, mut m, mut v) = ([8.0, 8.0, 8.0, 8.0], [0.0; 4], [0.0; 4]);
        let grad = &[3.0, -3.0, 0.0, 1.0].map(|grad| grad * loss_scale);
        let host = Host { grad, state: &state.to_words(), param: &mut param, m: &mut m, v: &mut v };
        reference(settings, host);
        (param, m, v)
    }

    #[test]
    fn a_first_step_worked_by_hand() {
        // Corrected, the first means are grad and grad²: each step is 0.5 * grad / (|grad| + 1).
        let (param, m, v) = update(0.0, 1.0);
        assert_eq!(param, [7.625, 8.375, 8.0, 7.75]);
        assert_eq!(m, [1.5, -1.5, 0.0, 0.5]);
        assert_eq!(v, [2.25, 2.25, 0.0, 0.25]);
    }

    #[test]
    fn weight_decay_is_decoupled() {
        // 8 - 0.5*0.25*8 = 7 before the same step as above; the means know nothing of it.
        let (param, m, _) = update(0.25, 1.0);
        assert_eq!(param, [6.625, 7.375, 7.0, 6.75]);
        assert_eq!(m, [1.5, -1.5, 0.0, 0.5]);
    }

    #[test]
    fn a_loss_scale_changes_nothing() {
        assert_eq!(update(0.25, 256.0), update(0.25, 1.0));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good = Settings { count: 4, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weight_decay: 0.0, loss_scale: 1.0 };
        let bad = [
            Settings { count: 5, ..good },
            Settings { beta1: 1.0, ..good },
            Settings { beta2: f32::NAN, ..good },
            Settings { epsilon: 0.0, ..good },
            Settings { weight_decay: -1.0, ..good },
            Settings { loss_scale: 0.0, ..good },
        ];
        for settings in bad {
            let mut case = Case::named("wrong");
            let io = Io {
                grad: case.random("grad", 4),
                state: case.state(0, 1),
                param: case.random("param", 4),
                m: case.random("m", 4),
                v: case.random("v", 4),
            };
            assert!(call(io, settings).is_err(), "{settings:?}");
        }
    }
}
