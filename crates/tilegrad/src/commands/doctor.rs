//! `tilegrad doctor`: the devices of this machine, and which one `--device auto` takes.

use crate::format;
use crate::output::{json, say};
use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};
use tilegrad_runtime::{AdapterReport, DeviceChoice, INSTALL_HINT, Picked, TuningFile, adapters, pick, tuned_for};

/// Options of `tilegrad doctor`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tilegrad doctor --json")]
pub struct DoctorArgs {
    /// One object of JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Versions of all packages that this program is built from.
const LOCK_FILE: &str = include_str!("../../../../Cargo.lock");

#[derive(Serialize)]
struct Findings {
    version: &'static str,
    wgpu: &'static str,
    cpu_threads: usize,
    adapters: Vec<Adapter>,
    auto: Auto,
}

/// An adapter as reports show it.
#[derive(Debug, Clone, Serialize)]
pub struct Adapter {
    name: String,
    kind: String,
    #[serde(rename = "type")]
    device_type: String,
    backend: String,
    driver: String,
    features: Vec<&'static str>,
    limits: Map<String, Value>,
    tuning: Option<Tuning>,
}

/// What `tilegrad tune` left for an adapter.
#[derive(Debug, Clone, Serialize)]
struct Tuning {
    file: String,
    calls: Option<usize>,
    problem: Option<String>,
}

impl From<TuningFile> for Tuning {
    fn from(TuningFile { path, calls }: TuningFile) -> Self {
        Self { file: path.display().to_string(), calls: calls.as_ref().ok().copied(), problem: calls.err() }
    }
}

/// What `--device auto` takes.
#[derive(Serialize)]
struct Auto {
    device: String,
    reason: String,
}

/// Looks around.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let reports = adapters();
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        wgpu: wgpu_version(),
        cpu_threads: std::thread::available_parallelism().map_or(1, usize::from),
        auto: auto(&reports)?,
        adapters: reports.iter().map(adapter).collect(),
    };
    if args.json {
        return json(&findings);
    }
    print(&findings, &reports);
    Ok(())
}

fn auto(reports: &[AdapterReport]) -> Result<Auto> {
    Ok(match pick(&DeviceChoice::Auto, reports)? {
        Picked::Cpu(reason) => Auto { device: "cpu".into(), reason },
        Picked::Adapter(at, reason) => Auto { device: reports[at].name.clone(), reason },
    })
}

/// What `report` says, with its limits by name.
pub fn adapter(report: &AdapterReport) -> Adapter {
    Adapter {
        name: report.name.clone(),
        kind: report.kind.to_string(),
        device_type: report.device_type.clone(),
        backend: report.backend.clone(),
        driver: report.driver.clone(),
        features: report.features.clone(),
        limits: report.limits.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
        tuning: tuned_for(report).map(Tuning::from),
    }
}

fn print(findings: &Findings, reports: &[AdapterReport]) {
    say!("tilegrad {} with wgpu {}", findings.version, findings.wgpu);
    say!("\ncpu: {}", format::plural(findings.cpu_threads, "thread"));
    for report in reports {
        say!("\n{}", describe(report));
    }
    say!("\n--device auto takes {}: {}", findings.auto.device, findings.auto.reason);
    if reports.is_empty() {
        say!("this machine has no adapter: {INSTALL_HINT}");
    }
}

/// An adapter in a few lines.
pub fn describe(report: &AdapterReport) -> String {
    let features = if report.features.is_empty() { "none".into() } else { report.features.join(", ") };
    let mut lines = vec![
        format!("{} ({})", report.name, report.kind),
        format!("  backend   {}, {}", report.backend, report.device_type),
        format!("  driver    {}", report.driver),
        format!("  features  {features}"),
    ];
    for (place, (name, value)) in report.limits.iter().enumerate() {
        lines.push(format!("  {:<8}  {}", if place == 0 { "limits" } else { "" }, limit(name, *value)));
    }
    lines.push(format!("  tuning    {}", tuning(tuned_for(report))));
    lines.join("\n")
}

/// What was tuned, in words.
fn tuning(found: Option<TuningFile>) -> String {
    match found {
        Some(TuningFile { path, calls: Ok(calls) }) => {
            format!("{}, in {}", format::plural(calls, "call"), path.display())
        }
        Some(TuningFile { path, calls: Err(problem) }) => format!("ignored: {}: {problem}", path.display()),
        None => "none; `tilegrad tune` looks for faster variants".into(),
    }
}

/// The version of wgpu that this program is built from.
pub fn wgpu_version() -> &'static str {
    version_of("wgpu", LOCK_FILE)
}

/// A limit with its value in a unit that can be read.
fn limit(name: &str, value: u64) -> String {
    match name.strip_suffix(" (bytes)") {
        Some(name) => format!("{name}: {}", format::bytes(value)),
        None => format!("{name}: {}", format::count(value)),
    }
}

/// Version of `package` in the text of a Cargo.lock.
fn version_of(package: &str, lock: &'static str) -> &'static str {
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")));
    let version = entry.and_then(|entry| entry.split("version = \"").nth(1)).and_then(|rest| rest.split('"').next());
    version.unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(
            version_of(
                "b",
                "[[package]]\nname = \"ab\"\nversion = \"1.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.1\"\n"
            ),
            "2.1"
        );
        assert_eq!(version_of("c", ""), "unknown");
        assert!(version_of("wgpu", LOCK_FILE).starts_with("30."));
    }

    #[test]
    fn a_tuning_is_counted_or_said_to_be_ignored() {
        let found = |calls| Some(TuningFile { path: "x.json".into(), calls });
        assert_eq!(tuning(found(Ok(2))), "2 calls, in x.json");
        assert_eq!(tuning(found(Err("damaged".into()))), "ignored: x.json: damaged");
        assert!(tuning(None).starts_with("none"));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(limit("largest buffer (bytes)", 134_217_728), "largest buffer: 128 MiB");
        assert_eq!(limit("workgroups per dimension", 65_535), "workgroups per dimension: 65,535");
    }
}
