//! How weights start.

use tilegrad_kernels::hash;

/// Distribution of initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Init {
    /// Uniform in ±√(6 / (fan_in + fan_out)). Source: Glorot and Bengio, "Understanding the difficulty of
    /// training deep feedforward neural networks" (2010).
    #[default]
    Glorot,
    /// Normal with deviation √(2 / fan_in). Source: He et al., "Delving Deep into Rectifiers" (2015).
    He,
}

impl Init {
    /// The word in TOML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glorot => "glorot",
            Self::He => "he",
        }
    }

    /// `len` initial weights; `stream` keeps the tensors of one seed apart.
    pub(crate) fn draw(self, len: usize, (fan_in, fan_out): (u32, u32), seed: u32, stream: u32) -> Vec<f32> {
        let indices = 0..len as u32;
        match self {
            Self::Glorot => {
                let limit = (6.0 / (f64::from(fan_in) + f64::from(fan_out))).sqrt() as f32;
                indices.map(|i| (2.0 * hash::uniform(seed, stream, i) - 1.0) * limit).collect()
            }
            Self::He => {
                let deviation = (2.0 / f64::from(fan_in)).sqrt() as f32;
                indices.map(|i| hash::normal(seed, stream, i) * deviation).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Init;

    fn deviation(values: &[f32]) -> f64 {
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
        (values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn each_distribution_has_its_deviation() {
        let glorot = Init::Glorot.draw(50_000, (300, 100), 1, 0);
        assert!((deviation(&glorot) - (2.0f64 / 400.0).sqrt()).abs() < 1e-3);
        let he = Init::He.draw(50_000, (300, 100), 1, 0);
        assert!((deviation(&he) - (2.0f64 / 300.0).sqrt()).abs() < 1e-3);
    }

    #[test]
    fn seed_and_stream_change_the_draw_and_nothing_else_does() {
        let draw = |seed, stream| Init::Glorot.draw(100, (3, 4), seed, stream);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert!(draw(1, 2) != draw(2, 2) && draw(1, 2) != draw(1, 3));
    }
}
