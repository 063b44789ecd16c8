//! One case of one kernel on one device.

use super::compare::{Bad, compare, number};
use serde::Serialize;
use std::time::Instant;
use tilegrad_kernels::{Access, Case, CaseBuffer, Kernel, Variant};
use tilegrad_runtime::{Device, Graph, Purpose, RuntimeError};

/// How one case came out.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// Name of the case.
    pub case: String,
    /// Time of uploading, compiling, running and reading.
    pub ms: f64,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a case.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Every element was compared.
    Compared {
        /// The largest error as a share of what is allowed there; above one is wrong.
        #[serde(serialize_with = "number")]
        largest_error: f64,
        /// The buffer with that error.
        buffer: String,
        /// The element with that error.
        index: usize,
        /// The first elements of that buffer that are too far off.
        bad: Vec<Bad>,
        /// All elements of that buffer that are.
        bad_count: usize,
        /// Elements of that buffer.
        elements: usize,
    },
    /// This device is too small for the case.
    NotCovered {
        /// What is too large for what.
        reason: String,
    },
    /// The device would not run the kernel.
    Refused {
        /// What it said.
        problem: String,
    },
}

impl Outcome {
    /// Whether something is wrong.
    pub fn failed(&self) -> bool {
        match self {
            Self::Compared { bad_count, .. } => *bad_count > 0,
            Self::NotCovered { .. } => false,
            Self::Refused { .. } => true,
        }
    }

    /// The largest error as a share of what is allowed there.
    pub fn share(&self) -> f64 {
        match self {
            Self::Compared { largest_error, .. } => *largest_error,
            Self::NotCovered { .. } => -1.0,
            Self::Refused { .. } => f64::INFINITY,
        }
    }
}

/// Runs `case` with `kernel` on `device` and compares all its buffers with `expected`. Without a variant the device is
/// the CPU.
///
/// # Errors
/// [`RuntimeError::Lost`]: nothing more can be checked there.
pub fn check(
    device: &Device,
    kernel: &'static Kernel,
    variant: Option<&'static Variant>,
    case: &Case,
    expected: &[CaseBuffer],
) -> Result<CaseResult, RuntimeError> {
    let begun = Instant::now();
    let outcome = match run_case(device, kernel, variant, case) {
        Ok(got) => compared(kernel, &got, expected),
        Err(RuntimeError::Lost { device, problem }) => return Err(RuntimeError::Lost { device, problem }),
        Err(error @ (RuntimeError::Limit { .. } | RuntimeError::OutOfMemory { .. })) => {
            Outcome::NotCovered { reason: error.to_string() }
        }
        Err(error) => Outcome::Refused { problem: error.to_string() },
    };
    Ok(CaseResult { case: case.name.clone(), ms: begun.elapsed().as_secs_f64() * 1e3, outcome })
}

/// The contents of the case's buffers after its call.
fn run_case(
    device: &Device,
    kernel: &'static Kernel,
    variant: Option<&'static Variant>,
    case: &Case,
) -> Result<Vec<Vec<u32>>, RuntimeError> {
    let mut graph = Graph::new();
    let call = case.call.rebound(|slice| graph.external(&slice.name, slice.len, slice.element, Purpose::Scratch));
    let call = call.with_kernel(kernel).map_err(|error| RuntimeError::Graph(error.to_string()))?;
    graph.push(&case.name, call.clone());
    let memories = case.buffers.iter().map(|buffer| device.upload(&buffer.slice.name, &buffer.words));
    let memories = memories.collect::<Result<Vec<_>, _>>()?;
    let external: Vec<_> = call.buffers().iter().zip(&memories).collect();
    let no_variant = || RuntimeError::Graph(format!("{}: an adapter needs a variant", kernel.name));
    let plan = device.prepare_with(&graph, &external, &|_| variant.map(|v| (kernel, v)).ok_or_else(no_variant))?;
    plan.run(1)?;
    memories.iter().map(|memory| device.read(memory)).collect()
}

/// The buffer that compares worst. Inputs are compared too: a shader that writes beyond its output may hit them.
fn compared(kernel: &Kernel, got: &[Vec<u32>], expected: &[CaseBuffer]) -> Outcome {
    let mut pairs: Vec<_> = kernel.bindings.iter().zip(got).zip(expected).collect();
    // Of buffers that compare the same, an output is named.
    pairs.sort_by_key(|((binding, _), _)| binding.access == Access::Read);
    let differences = pairs.into_iter().map(|((_, got), expected)| {
        (compare(got, &expected.words, &expected.slice, kernel.tolerance), &expected.slice)
    });
    let worst = differences.reduce(|worst, next| if next.0.share > worst.0.share { next } else { worst });
    let Some((worst, slice)) = worst else { return Outcome::Refused { problem: "the case has no buffers".into() } };
    Outcome::Compared {
        largest_error: worst.share,
        buffer: slice.name.to_string(),
        index: worst.index,
        bad: worst.bad,
        bad_count: worst.bad_count,
        elements: slice.len,
    }
}
