//! `tilegrad validate`: proves a device, every kernel against the CPU reference and ten training steps against PyTorch.

mod check;
mod compare;
mod golden;
mod sweep;
#[cfg(test)]
mod tests;
mod text;

use crate::commands::doctor;
use crate::device::{self, DeviceArgs};
use crate::failure::one_line;
use crate::output::{Loudness, json, loudness, say, tell, width};
use crate::suggest::suggestion;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use golden::{Golden, GoldenSteps};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sweep::{Findings, Job, sweep};
use tilegrad_kernels::{KERNELS, Kernel};
use tilegrad_runtime::{AdapterReport, Device, INSTALL_HINT, adapters};

/// Prove a device: every kernel against the CPU reference, ten training steps against PyTorch
///
/// Every variant runs every case, and every element of the buffers is compared. An error is shown as a share of its tolerance:
/// above 1 it fails. With --verbose there is a line per case instead of one per variant. Times include compiling the shader and
/// moving the data. The exit code is 1 if anything fails.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tilegrad validate\n  tilegrad validate --device software --filter matmul --verbose\n  \
                        tilegrad validate --all-adapters --report validate.txt"
)]
pub struct ValidateArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Check every adapter of this machine, one after the other
    #[arg(long, conflicts_with = "device")]
    all_adapters: bool,
    /// Check only the kernels whose names contain NAME, and no training steps
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
    /// Also write a report, to attach to a bug: JSON if FILE ends in .json, else text with a line per case
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Everything that is known after a run.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    wgpu: &'static str,
    system: String,
    /// Whether shaders kept wgpu's own checks.
    checked: bool,
    filter: Option<String>,
    passed: bool,
    devices: Vec<Findings>,
}

/// Checks.
pub fn run(args: &ValidateArgs) -> Result<ExitCode> {
    let kernels = selected(args.filter.as_deref())?;
    let golden = match &args.filter {
        Some(_) => Err("--filter leaves them out".into()),
        None => GoldenSteps::load().map_err(|error| one_line(&error)),
    };
    let job = Job { kernels, golden };
    let devices = if args.all_adapters { all_adapters(args, &job)? } else { vec![chosen(args, &job)?] };
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        wgpu: doctor::wgpu_version(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        checked: args.device.checked,
        filter: args.filter.clone(),
        passed: devices.iter().all(|findings| findings.passed),
        devices,
    };
    if args.json {
        json(&report)?;
    }
    if let Some(path) = &args.report {
        write(&report, path)?;
        if !args.json {
            say!("\nreport: {}", path.display());
        }
    }
    Ok(ExitCode::from(u8::from(!report.passed)))
}

/// The kernels whose names contain `filter`.
fn selected(filter: Option<&str>) -> Result<Vec<&'static Kernel>> {
    let filter = filter.unwrap_or_default();
    let found: Vec<&'static Kernel> = KERNELS.iter().copied().filter(|kernel| kernel.name.contains(filter)).collect();
    let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
    ensure!(!found.is_empty(), "--filter: no kernel's name contains `{filter}`{}", suggestion(filter, &names));
    Ok(found)
}

/// The one device that was asked for.
fn chosen(args: &ValidateArgs, job: &Job) -> Result<Findings> {
    let device = args.device.open()?;
    let mut findings = begin(args, &device, job);
    if let Some(here) = device.adapter() {
        findings.not_covered.extend(others(here));
    }
    finish(args, &findings);
    Ok(findings)
}

/// The adapters beside `here`, which nobody asked for.
fn others(here: &AdapterReport) -> Option<String> {
    let all = adapters();
    let names: Vec<String> = all.iter().filter(|other| *other != here).map(|other| other.name.clone()).collect();
    (!names.is_empty()).then(|| format!("other adapters of this machine ({}); try --all-adapters", names.join("; ")))
}

/// Every adapter in turn, then a line for each.
fn all_adapters(args: &ValidateArgs, job: &Job) -> Result<Vec<Findings>> {
    let reports = adapters();
    if reports.is_empty() {
        bail!("this machine has no adapter; {INSTALL_HINT}");
    }
    let mut all = Vec::new();
    for (at, report) in reports.iter().enumerate() {
        let findings = match Device::open_at(at, args.device.options()) {
            Ok(device) => begin(args, &device, job),
            Err(error) => unopened(report, &error.to_string()),
        };
        finish(args, &findings);
        all.push(findings);
        if !args.json {
            say!("");
        }
    }
    if !args.json {
        for Findings { device, passed, seconds, covered, .. } in &all {
            say!("{}  {device}: {covered}, {seconds:.1} s", if *passed { "passed" } else { "FAILED" });
        }
    }
    Ok(all)
}

fn begin(args: &ValidateArgs, device: &Device, job: &Job) -> Findings {
    if !args.json {
        tell!("device: {}", device::line(device));
    }
    sweep(device, job)
}

fn finish(args: &ValidateArgs, findings: &Findings) {
    if !args.json {
        say!("\n{}", text::findings(findings, loudness() == Loudness::Verbose, width()));
    }
}

/// An adapter that is there but cannot be used.
fn unopened(report: &AdapterReport, problem: &str) -> Findings {
    Findings {
        device: report.name.clone(),
        kind: report.kind.to_string(),
        driver: report.driver.clone(),
        adapter: Some(doctor::adapter(report)),
        passed: false,
        problem: Some(problem.into()),
        kernels: Vec::new(),
        golden: Golden::NotCovered { reason: "the device could not be opened".into() },
        covered: "nothing".into(),
        not_covered: vec!["everything, because the device could not be opened".into()],
        seconds: 0.0,
        details: doctor::describe(report),
    }
}

/// Writes the report.
fn write(report: &Report, path: &Path) -> Result<()> {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let text = if is_json { serde_json::to_string_pretty(report)? + "\n" } else { in_full(report) };
    std::fs::write(path, text).with_context(|| format!("{}: the report could not be written", path.display()))
}

/// The report as text, with a line per case.
fn in_full(report: &Report) -> String {
    let Report { version, wgpu, system, checked, filter, .. } = report;
    let filter = filter.as_ref().map_or("every kernel".into(), |filter| format!("kernels named *{filter}*"));
    let checks = if *checked { "with" } else { "without" };
    let mut text = format!("tilegrad {version} with wgpu {wgpu} on {system}: {filter}, {checks} wgpu's own checks\n");
    for findings in &report.devices {
        text.push_str(&format!("\n{}\n\n{}\n", findings.details, text::findings(findings, true, None)));
    }
    text
}
