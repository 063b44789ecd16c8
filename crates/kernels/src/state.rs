//! What changes from step to step. It lives in a device buffer that the device itself advances.

use bytemuck::{Pod, Zeroable};

/// A member of a struct that WGSL files repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Name in Rust and in WGSL.
    pub name: &'static str,
    /// Type in WGSL.
    pub ty: &'static str,
    /// Bytes before it.
    pub offset: usize,
}

/// The WGSL type of a member.
trait Wgsl {
    const TYPE: &'static str;
}

impl Wgsl for u32 {
    const TYPE: &'static str = "u32";
}

impl Wgsl for f32 {
    const TYPE: &'static str = "f32";
}

impl Wgsl for [u32; 10] {
    const TYPE: &'static str = "array<u32, 10>";
}

/// Declares a struct of whole words that lives on the device: once for Rust, and for the contract test that reads the WGSL.
macro_rules! device_struct {
    ($(#[$struct_doc:meta])* $name:ident { $($(#[$doc:meta])* $member:ident: $ty:ty,)* }) => {
        $(#[$struct_doc])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, PartialEq, Default, Pod, Zeroable)]
        pub struct $name {
            $($(#[$doc])* pub $member: $ty,)*
        }

        impl $name {
            /// Number of 32-bit words.
            pub const WORDS: usize = size_of::<Self>() / 4;
            /// The members in order.
            pub const MEMBERS: &'static [Member] = &[$(
                Member {
                    name: stringify!($member),
                    ty: <$ty as Wgsl>::TYPE,
                    offset: std::mem::offset_of!($name, $member),
                },
            )*];
            /// Length of a buffer that it is bound to.
            pub(crate) const LEN: [(&'static str, u32); 1] =
                [(concat!("words of ", stringify!($name)), Self::WORDS as u32)];

            /// The words of a device buffer.
            pub fn to_words(self) -> Vec<u32> {
                bytemuck::cast_slice(&[self]).to_vec()
            }

            /// Read back from a device buffer, if it has the right length.
            pub fn from_words(words: &[u32]) -> Option<Self> {
                bytemuck::try_pod_read_unaligned(bytemuck::cast_slice(words)).ok()
            }
        }
    };
}

device_struct! {
    /// The step state: position within the data and what the optimiser needs to know of time.
    ///
    /// WGSL files repeat it as `struct StepState`; the contract test compares names, types and offsets.
    StepState {
        /// Optimiser steps done since the parameters were initialised.
        step: u32,
        /// Batches done in this pass over the data.
        batch: u32,
        /// Examples in this pass; the last batch may be short.
        count: u32,
        /// Seed of every random number drawn on the device.
        seed: u32,
        /// Learning rate of the next update.
        learning_rate: f32,
        /// `beta1 - beta1^t` of the next update, with t counted from 1. `1 - beta1^t` is this plus `1 - beta1`.
        /// A power of beta near one would lose in f32 what the subtraction is about: `1 - 0.999^2` its last five digits.
        beta1_gap: f32,
        /// `beta2 - beta2^t` of the next update, likewise.
        beta2_gap: f32,
        /// Passes over the data done.
        epoch: u32,
    }
}

impl StepState {
    /// The state bound to a call, which has checked its length.
    pub(crate) fn bound(words: &[u32]) -> Self {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(words))
    }

    /// Rows of the current batch of `batch_size` that hold examples; the rest is padding.
    pub fn valid_rows(&self, batch_size: u32) -> u32 {
        self.count.saturating_sub(self.batch.saturating_mul(batch_size)).min(batch_size)
    }
}

device_struct! {
    /// Sums over the batches of a pass, kept on the device until the host asks.
    ///
    /// WGSL files repeat it as `struct Metrics`; the contract test compares names, types and offsets.
    Metrics {
        /// Examples whose largest logit was the label's.
        hits: u32,
        /// Examples seen.
        seen: u32,
        /// Batches that were added up: a device that lost one, or did one twice, is found out by it.
        steps: u32,
        /// 1 + the step whose loss was the first that is not finite, or 0.
        first_bad: u32,
        /// Sum of the losses of all examples seen, exactly: a fixed-point number of 320 bits in two's complement, the lowest
        /// word first, whose lowest bit counts 2^-149. Every f32 fits, and 2^42 of the largest. Integers add up the same in
        /// whatever order, and no compiler rounds them.
        loss_sum: [u32; 10],
    }
}

impl Metrics {
    /// Adds a finite loss, as the device does.
    pub(crate) fn add_loss(&mut self, loss: f32) {
        let bits = loss.to_bits();
        let exponent = (bits >> 23) & 0xff;
        // Subnormal numbers have the exponent of the smallest normal ones, and no leading 1.
        let significand = (bits & 0x007f_ffff) | if exponent > 0 { 0x0080_0000 } else { 0 };
        let place = exponent.max(1) - 1;
        let shifted = u64::from(significand) << (place % 32);
        let (first, negative) = ((place / 32) as usize, bits >> 31 == 1);
        let mut carry = negative;
        for (at, sum) in self.loss_sum.iter_mut().enumerate() {
            let word = match at.checked_sub(first) {
                Some(0) => shifted as u32,
                Some(1) => (shifted >> 32) as u32,
                _ => 0,
            };
            let (added, over) = sum.overflowing_add(if negative { !word } else { word });
            let (added, again) = added.overflowing_add(carry.into());
            (*sum, carry) = (added, over || again);
        }
    }

    /// Mean loss of the examples seen; NaN if one was not finite.
    pub fn loss(&self) -> f64 {
        if self.first_bad > 0 { f64::NAN } else { self.total_loss() / f64::from(self.seen.max(1)) }
    }

    /// Sum of the losses of the examples seen.
    fn total_loss(&self) -> f64 {
        let negative = self.loss_sum[9] >> 31 == 1;
        let mut carry = negative;
        let mut sum = 0.0;
        for (at, word) in (0..).zip(self.loss_sum) {
            let (word, over) = (if negative { !word } else { word }).overflowing_add(carry.into());
            carry = over;
            sum += f64::from(word) * 2f64.powi(32 * at - 149);
        }
        if negative { -sum } else { sum }
    }

    /// Share of the examples seen that were classified right.
    pub fn accuracy(&self) -> f64 {
        f64::from(self.hits) / f64::from(self.seen.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(losses: &[f32]) -> f64 {
        let mut metrics = Metrics::default();
        losses.iter().for_each(|loss| metrics.add_loss(*loss));
        metrics.total_loss()
    }

    #[test]
    fn every_float_is_kept_exactly() {
        for bits in (0..0x7f80_0000).step_by(65_521) {
            let value = f32::from_bits(bits);
            assert_eq!((total(&[value]), total(&[-value])), (value.into(), -f64::from(value)), "{value:e}");
        }
        for value in [0.0, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX] {
            assert_eq!(total(&[value]), value.into());
        }
    }

    #[test]
    fn what_is_small_is_not_lost_beside_what_is_large() {
        assert_eq!(total(&[1e30, 1.5e-10, -1e30]), 1.5e-10f32.into());
        assert_eq!(total(&[-0.75, 0.5]), -0.25);
        assert_eq!(total(&[f32::MAX; 64]), 64.0 * f64::from(f32::MAX));
    }
}
