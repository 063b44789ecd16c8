//! Counter-based random numbers: a hash of (seed, stream, index), the same on every machine.
//!
//! Source: the PCG-RXS-M-XS permutation of O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically
//! Good Algorithms for Random Number Generation" (2014), applied as a hash as in Jarzynski and Olano,
//! "Hash Functions for GPU Rendering" (2020).

/// One round of the permutation.
pub fn pcg(input: u32) -> u32 {
    let state = input.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// 32 random bits for `index` of `stream` under `seed`.
pub fn bits(seed: u32, stream: u32, index: u32) -> u32 {
    pcg(index ^ pcg(stream ^ pcg(seed)))
}

/// Uniform in `[0, 1)`, with 24 random bits.
pub fn uniform(seed: u32, stream: u32, index: u32) -> f32 {
    (bits(seed, stream, index) >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Standard normal, by Box and Muller's transform of two uniforms.
pub fn normal(seed: u32, stream: u32, index: u32) -> f32 {
    let radius = f64::from(uniform(seed, stream, index.wrapping_mul(2))).max(1e-9).ln() * -2.0;
    let angle = f64::from(uniform(seed, stream, index.wrapping_mul(2).wrapping_add(1))) * std::f64::consts::TAU;
    (radius.sqrt() * angle.cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::{normal, uniform};

    #[test]
    fn uniform_has_the_moments_of_its_distribution() {
        let draws: Vec<f64> = (0..100_000).map(|i| f64::from(uniform(1, 2, i))).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        assert!((mean - 0.5).abs() < 5e-3 && (variance - 1.0 / 12.0).abs() < 2e-3, "{mean} {variance}");
    }

    #[test]
    fn normal_has_the_moments_of_its_distribution() {
        let draws: Vec<f64> = (0..100_000).map(|i| f64::from(normal(7, 0, i))).collect();
        let mean = draws.iter().sum::<f64>() / 1e5;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 1e-2 && (variance - 1.0).abs() < 2e-2, "{mean} {variance}");
    }
}
