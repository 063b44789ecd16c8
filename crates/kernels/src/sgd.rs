//! Stochastic gradient descent of all parameters at once, with momentum and weight decay.
//!
//! # Formula
//! `g = grad/loss_scale + weight_decay*param`, `velocity = momentum*velocity + g`, then `param -= lr * velocity`, or
//! `param -= lr * (g + momentum*velocity)` with Nesterov's look ahead. The learning rate comes from the step state.
//!
//! # Shapes
//! `grad`, `param` and `velocity [count]`, `state` a `StepState`.
//!
//! # Dispatch
//! One thread per four elements.
//!
//! # Errors
//! A count of zero or not divisible by four, settings out of range, or a buffer of another length.
//!
//! # Source
//! PyTorch's `torch.optim.SGD` without dampening; Sutskever et al., "On the importance of initialization and
//! momentum in deep learning" (2013).

use crate::contract::prelude::*;
use crate::state::StepState;

buffers! {
    /// Gradients.
    grad: Read<f32>,
    /// Learning rate.
    state: Read<u32>,
    /// Parameters.
    param: Write<f32>,
    /// Decaying sum of the gradients; all zeros before the first step.
    velocity: Write<f32>,
}

params! {
    /// Elements, in all three buffers.
    count: u32,
    /// Share of the velocity that stays.
    momentum: f32,
    /// 1 to look ahead as Nesterov does.
    nesterov: u32,
    /// Share of a parameter that is added to its gradient.
    weight_decay: f32,
    /// What the gradients were multiplied by, so that 16-bit floats hold them.
    loss_scale: f32,
}

/// Settings of the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Elements, in all three buffers.
    pub count: u32,
    /// Share of the velocity that stays.
    pub momentum: f32,
    /// Whether to look ahead as Nesterov does.
    pub nesterov: bool,
    /// Share of a parameter that is added to its gradient.
    pub weight_decay: f32,
    /// What the gradients were multiplied by, so that 16-bit floats hold them.
    pub loss_scale: f32,
}

/// The kernel.
pub static KERNEL: Kernel = Kernel {
    name: "sgd",
    summary: "gradient descent of all parameters, with momentum and weight decay",
    wgsl: include_str!("../../../shaders/sgd.wgsl"),
    bindings: Io::BINDINGS,
    params: Params::FIELDS,
    threads: |words, _| Threads::Line(u64::from(Params::from_words(words).count / 4)),
    variants: &Variant::LINE,
    alternatives: &[],
    tolerance: Tolerance::ROUNDED,
    cost: |words| {
        let count = u64::from(Params::from_words(words).count);
        Cost { flops: 8 * count, bytes: 20 * count }
    },
    reference: |words, operands| reference(Params::from_words(words), Host::new(operands)),
    fast_cpu: None,
    cases,
};

/// One update of `settings.count` parameters.
///
/// # Errors
/// [`ShapeError`] for a wrong count, settings out of range and buffers of another length.
pub fn call(io: Io, settings: Settings) -> Result<Call, ShapeError> {
    let Settings { count, momentum, nesterov, weight_decay, loss_scale } = settings;
    let params = Params { count, momentum, nesterov: u32::from(nesterov), weight_decay, loss_scale };
    Ok(Check::new(&KERNEL, io.into_slices())
        .rule(count > 0 && count % 4 == 0, || format!("count must be a positive multiple of 4, got {count}"))?
        .rule((0.0..1.0).contains(&momentum), || format!("momentum must be at least 0 and below 1, got {momentum}"))?
        .rule(!nesterov || momentum > 0.0, || "nesterov needs a momentum above 0".into())?
        .rule(weight_decay >= 0.0 && weight_decay.is_finite(), || {
            format!("weight_decay must be at least 0, got {weight_decay}")
        })?
        .rule(loss_scale.is_normal() && loss_scale > 0.0, || format!("loss_scale must be positive, got {loss_scale}"))?
        .len("grad", &[("count", count)])?
        .len("state", &StepState::LEN)?
        .len("param", &[("count", count)])?
        .len("velocity", &[("count", count)])?
        .call(params.to_words()))
}

fn reference(p: Params, io: Host<'_>) {
    let learning_rate = f64::from(StepState::bound(io.state).learning_rate);
    let [momentum, weight_decay, loss_scale] = [p.momentum, p.weight_decay, p.loss_scale].map(f64::from);
    (io.grad, io.param, io.velocity).into_par_iter().for_each(|(grad, param, velocity)| {
        let grad = f64::from(*grad) / loss_scale + weight_decay * f64::from(*param);
        let moved = momentum * f64::from(*velocity) + grad;
        let step = if p.nesterov == 1 { grad + momentum * moved } else { moved };
        *param = (f64::from(*param) - learning_rate * step) as f32;
        *velocity = moved as f32;
    });
}

fn cases() -> Vec<Case> {
    // One vector, workgroups ± 1, primes, and a layer of the reference network.
    [
        (4, 0.0, false, 0.0, 1.0),
        (252, 0.9, false, 0.0, 1024.0),
        (256, 0.9, true, 0.0, 1.0),
        (260, 0.9, true, 0.1, 1024.0),
        (4 * 41 * 47, 0.0, false, 0.1, 1.0),
        (36_864, 0.9, false, 1e-4, 1.0),
    ]
    .into_iter()
    .map(|(count, momentum, nesterov, weight_decay, loss_scale)| {
        let ahead = if nesterov { " nesterov" } else { "" };
        let mut case =
            Case::named(format!("{count} momentum {momentum}{ahead} decay {weight_decay} loss scale {loss_scale}"));
        let io = Io {
            grad: case.random("grad", count as usize),
            state: case.state(3, 1000),
            param: case.random("param", count as usize),
            velocity: case.random("velocity", count as usize),
        };
        case.finish(call(io, Settings { count, momentum, nesterov, weight_decay, loss_scale }))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(momentum: f32, nesterov: u32, weight_decay: f32) -> (f32, f32) {
        let loss_scale = 2.0;
        let state = StepState { learning_rate: 0.5, ..crate::contract::example_state(0, 1) }.to_words();
        let (mut param, mut velocity) = ([8.0; 4], [4.0; 4]);
        let p = Params { count: 4, momentum, nesterov, weight_decay, loss_scale };
        reference(p, Host { grad: &[3.0 * loss_scale; 4], state: &state, param: &mut param, velocity: &mut velocity });
        (param[0], velocity[0])
    }

    #[test]
    fn steps_worked_by_hand() {
        assert_eq!(update(0.0, 0, 0.0), (8.0 - 0.5 * 3.0, 3.0));
        assert_eq!(update(0.5, 0, 0.0), (8.0 - 0.5 * 5.0, 5.0));
        assert_eq!(update(0.5, 1, 0.0), (8.0 - 0.5 * (3.0 + 0.5 * 5.0), 5.0));
        // Coupled decay: the gradient becomes 3 + 0.25*8 = 5.
        assert_eq!(update(0.5, 0, 0.25), (8.0 - 0.5 * 7.0, 7.0));
    }
}
