//! Every kernel, every variant, every case on one device.

use super::check::{CaseResult, check};
use super::golden::{Golden, GoldenSteps};
use crate::commands::doctor;
use crate::progress::{Waiting, bar_over};
use serde::Serialize;
use std::time::Instant;
use tilegrad_kernels::{Kernel, Tolerance, Variant};
use tilegrad_runtime::{Device, DeviceKind, RuntimeError};

/// What is checked on each device.
pub struct Job {
    /// Kernels in the order of the list.
    pub kernels: Vec<&'static Kernel>,
    /// The golden steps, or why they are left out.
    pub golden: Result<GoldenSteps, String>,
}

/// What was found on a device.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// The device's name.
    pub device: String,
    /// Hardware, software or CPU.
    pub kind: String,
    /// Driver, version and backend, or the number of threads.
    pub driver: String,
    /// Features and limits of an adapter.
    pub adapter: Option<doctor::Adapter>,
    /// Whether nothing was wrong.
    pub passed: bool,
    /// What ended the check early.
    pub problem: Option<String>,
    /// One entry per kernel and variant.
    pub kernels: Vec<Row>,
    /// Ten steps of the reference network.
    pub golden: Golden,
    /// What was checked, in words.
    pub covered: String,
    /// What was not, and why.
    pub not_covered: Vec<String>,
    /// Time of everything.
    pub seconds: f64,
    /// For the text report.
    #[serde(skip)]
    pub details: String,
}

/// A kernel's variant with all its cases.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The kernel.
    pub kernel: &'static str,
    /// Its variant, or `fast_cpu` on the CPU device.
    pub variant: &'static str,
    /// How far an element may be from the reference.
    pub tolerance: Allowed,
    /// How each case came out.
    pub cases: Vec<CaseResult>,
}

/// A [`Tolerance`] in a report.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Allowed {
    /// Share of the element's own value.
    pub relative: f32,
    /// Share of the largest value of the buffer.
    pub scaled: f32,
    /// Why this much.
    pub reason: &'static str,
}

impl From<Tolerance> for Allowed {
    fn from(Tolerance { relative, scaled, reason }: Tolerance) -> Self {
        Self { relative, scaled, reason }
    }
}

impl Row {
    fn new(kernel: &Kernel, variant: Option<&Variant>) -> Self {
        let variant = variant.map_or("fast_cpu", |variant| variant.name);
        Self { kernel: kernel.name, variant, tolerance: kernel.tolerance.into(), cases: Vec::new() }
    }

    /// The case with the largest error as a share of its tolerance; the first of equals.
    pub fn worst(&self) -> Option<&CaseResult> {
        self.cases.iter().reduce(|worst, next| if next.outcome.share() > worst.outcome.share() { next } else { worst })
    }

    /// Whether any case failed.
    pub fn failed(&self) -> bool {
        self.cases.iter().any(|case| case.outcome.failed())
    }
}

/// Checks everything on `device`.
pub fn sweep(device: &Device, job: &Job) -> Findings {
    let begun = Instant::now();
    let bar = bar_over(job.kernels.len() + 1);
    let waiting = bar.is_hidden().then(|| Waiting::begin("checking the kernels"));
    let mut rows = Vec::new();
    let mut problem = None;
    for kernel in &job.kernels {
        bar.set_message(kernel.name);
        if let Err(error) = check_kernel(device, kernel, &mut rows) {
            problem = Some(error.to_string());
            break;
        }
        bar.inc(1);
    }
    bar.set_message("golden steps");
    let golden = match (&job.golden, &problem) {
        (Ok(steps), None) => steps.run(device),
        (Ok(_), Some(_)) => Golden::NotCovered { reason: "the device was lost".into() },
        (Err(reason), _) => Golden::NotCovered { reason: reason.clone() },
    };
    drop(waiting);
    bar.finish_and_clear();
    let info = device.info();
    let passed = problem.is_none() && !golden.failed() && !rows.iter().any(Row::failed);
    Findings {
        device: info.name.clone(),
        kind: info.kind.to_string(),
        driver: info.driver.clone(),
        adapter: device.adapter().map(doctor::adapter),
        passed,
        problem,
        covered: covered(&rows, &golden),
        not_covered: not_covered(device, job, &rows, &golden),
        kernels: rows,
        golden,
        seconds: begun.elapsed().as_secs_f64(),
        details: details(device),
    }
}

fn details(device: &Device) -> String {
    let info = device.info();
    device.adapter().map_or_else(|| format!("{} ({})", info.name, info.driver), doctor::describe)
}

/// Adds a row per variant; the CPU device has one, if the kernel has a `fast_cpu` at all.
fn check_kernel(device: &Device, kernel: &'static Kernel, rows: &mut Vec<Row>) -> Result<(), RuntimeError> {
    let variants: Vec<Option<&'static Variant>> = match device.info().kind {
        DeviceKind::Cpu => kernel.fast_cpu().iter().map(|_| None).collect(),
        DeviceKind::Hardware | DeviceKind::Software => {
            kernel.variants.iter().filter(|variant| device.refuses(variant).is_none()).map(Some).collect()
        }
    };
    let first = rows.len();
    rows.extend(variants.iter().map(|variant| Row::new(kernel, *variant)));
    if variants.is_empty() {
        return Ok(());
    }
    for case in (kernel.cases)() {
        let expected = case.expected();
        for (row, variant) in rows[first..].iter_mut().zip(&variants) {
            row.cases.push(check(device, kernel, *variant, &case, &expected)?);
        }
    }
    let halves = if device.stores_halves() { kernel.half_cases(variants.len()) } else { Vec::new() };
    for (case, turn) in halves {
        rows[first + turn].cases.push(check(device, kernel, variants[turn], &case, &case.expected())?);
    }
    Ok(())
}

fn covered(rows: &[Row], golden: &Golden) -> String {
    let compared = |row: &Row| row.cases.iter().any(|case| case.outcome.share() >= 0.0);
    let mut kernels: Vec<&str> = rows.iter().filter(|row| compared(row)).map(|row| row.kernel).collect();
    kernels.dedup();
    let cases = rows.iter().flat_map(|row| &row.cases).filter(|case| case.outcome.share() >= 0.0).count();
    let steps = match golden {
        Golden::Compared { losses, .. } => format!(", {} golden steps", losses.len()),
        Golden::NotCovered { .. } | Golden::Refused { .. } => String::new(),
    };
    let plural = crate::format::plural;
    let variants = rows.iter().filter(|row| compared(row)).count();
    format!("{} in {}, {}{steps}", plural(kernels.len(), "kernel"), plural(variants, "variant"), plural(cases, "case"))
}

fn not_covered(device: &Device, job: &Job, rows: &[Row], golden: &Golden) -> Vec<String> {
    let mut lines = Vec::new();
    if device.info().kind == DeviceKind::Cpu {
        let slow = job.kernels.iter().filter(|kernel| kernel.fast_cpu().is_none()).count();
        lines.push(
            "the WGSL of every kernel, because the CPU device runs none; try --device gpu, --device software or \
             --all-adapters"
                .into(),
        );
        let kernels = crate::format::plural(slow, "kernel");
        lines.push(format!("{kernels} without a fast_cpu, because the CPU device runs the reference itself"));
    } else {
        lines.extend(job.kernels.iter().flat_map(|kernel| refused(device, kernel)));
    }
    if !device.stores_halves() {
        lines.push("16-bit floats, because this adapter has no shader-f16".into());
    }
    for row in rows {
        lines.extend(too_large(row));
    }
    if device.stores_halves() && matches!(golden, Golden::Compared { .. }) {
        lines.push("training steps with 16-bit floats (the kernels with such floats are covered)".into());
    }
    if let Golden::NotCovered { reason } = golden {
        lines.push(format!("golden steps, because {reason}"));
    }
    lines
}

/// The variants of `kernel` that this adapter cannot run.
fn refused(device: &Device, kernel: &'static Kernel) -> impl Iterator<Item = String> {
    kernel.variants.iter().filter_map(|variant| {
        let reason = device.refuses(variant)?;
        Some(format!("not for this adapter ({reason}): {} {}", kernel.name, variant.name))
    })
}

/// The cases that the device had no room for, with the first reason.
fn too_large(row: &Row) -> Option<String> {
    let mut reasons = row.cases.iter().filter_map(|case| match &case.outcome {
        super::check::Outcome::NotCovered { reason } => Some(reason),
        _ => None,
    });
    let first = reasons.next()?;
    let count = 1 + reasons.count();
    Some(format!("{count} of {} cases of {} ({}), because {first}", row.cases.len(), row.kernel, row.variant))
}
