//! Every kernel and every variant through the compilers that stand before a driver: naga to SPIR-V, MSL and HLSL,
//! spirv-val, and a second WGSL front end where there is one.

#![allow(clippy::print_stdout, reason = "what was covered is part of the result")]

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};
use tilegrad_compilers::{Target, TranslateError, Vulkan, spirv, translate};
use tilegrad_kernels::{Case, Halves, KERNELS, Kernel, Variant};

/// One thing to compile.
struct Job {
    kernel: &'static Kernel,
    variant: &'static Variant,
    case: String,
    params: Vec<u32>,
    halves: Halves,
}

impl Job {
    fn new(kernel: &'static Kernel, variant: &'static Variant, case: &Case) -> Self {
        Self {
            kernel,
            variant,
            case: case.name.clone(),
            params: case.call.params().to_vec(),
            halves: Halves::of(&case.call),
        }
    }

    fn translate(&self, target: Target) -> Result<Vec<u8>, TranslateError> {
        translate(self.kernel, self.variant, &self.params, self.halves, target)
    }

    fn text(&self, target: Target) -> Result<String, String> {
        let bytes = self.translate(target).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|error| error.to_string())
    }

    fn name(&self) -> String {
        format!("{}, variant `{}`, case {}", self.kernel.name, self.variant.name, self.case)
    }
}

/// Every variant with the first and the last case that suits it, and the last one with 16-bit floats.
fn jobs() -> Vec<Job> {
    let variants = KERNELS.iter().flat_map(|kernel| kernel.variants.iter().map(move |variant| (*kernel, variant)));
    variants.flat_map(|(kernel, variant)| jobs_of(kernel, variant)).collect()
}

fn jobs_of(kernel: &'static Kernel, variant: &'static Variant) -> Vec<Job> {
    let mut suited: Vec<Case> = (kernel.cases)();
    suited.retain(|case| (variant.fits)(case.call.params()));
    let ends = suited.first().into_iter().chain(suited.iter().skip(1).last());
    let mut jobs: Vec<Job> = ends.map(|case| Job::new(kernel, variant, case)).collect();
    let halves = suited.last().cloned().map(|case| case.with_halves(Halves::all(kernel)));
    jobs.extend(halves.filter(|case| !Halves::of(&case.call).is_none()).map(|case| Job::new(kernel, variant, &case)));
    assert!(!jobs.is_empty(), "{}: no case suits variant `{}`", kernel.name, variant.name);
    jobs
}

/// Runs `check` on every job, then fails with all problems at once; returns how many there were.
fn for_every_job(check: impl Fn(usize, &Job) -> Result<(), String>) -> usize {
    let jobs = jobs();
    let failed =
        jobs.iter().enumerate().filter_map(|(i, job)| Some(format!("{}: {}", job.name(), check(i, job).err()?)));
    let problems: Vec<String> = failed.collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(jobs.len() >= KERNELS.len(), "only {} kernels and variants", jobs.len());
    jobs.len()
}

fn must_contain(text: &str, wanted: &[&str]) -> Result<(), String> {
    let missing = wanted.iter().find(|part| !text.contains(**part));
    missing.map_or(Ok(()), |part| Err(format!("no `{part}` in\n{text}")))
}

/// What a program said, or an error with it; `Ok(None)` if it is not installed.
fn said(command: &mut Command) -> Result<Option<String>, String> {
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| error.to_string())?,
    };
    let text = [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned()).concat();
    if output.status.success() { Ok(Some(text)) } else { Err(text) }
}

#[test]
fn every_kernel_becomes_msl() {
    let count = for_every_job(|_, job| {
        let [x, y, z] = job.variant.workgroup;
        assert!(x * y * z <= 1024, "Metal's and wgpu's largest workgroup");
        must_contain(&job.text(Target::Msl)?, &["kernel void main_("])
    });
    println!("{count} translations to MSL");
}

#[test]
fn every_kernel_becomes_hlsl() {
    let count = for_every_job(|_, job| {
        let [x, y, z] = job.variant.workgroup;
        must_contain(&job.text(Target::Hlsl)?, &[&format!("[numthreads({x}, {y}, {z})]"), "void main("])
    });
    println!("{count} translations to HLSL");
}

/// The constants are in, and it is still the WGSL that it was.
#[test]
fn every_kernel_becomes_wgsl_again() {
    let count = for_every_job(|_, job| {
        let text = job.text(Target::Wgsl)?;
        naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
        if text.contains("override ") { Err(format!("an override is left:\n{text}")) } else { Ok(()) }
    });
    println!("{count} translations to WGSL");
}

#[test]
fn every_kernel_becomes_valid_spirv() {
    let folder = tempfile::tempdir().unwrap();
    for vulkan in Vulkan::ALL {
        let count = for_every_job(|i, job| {
            let path = folder.path().join(format!("{i}.spv"));
            let code = job.translate(Target::SpirV(vulkan)).map_err(|error| error.to_string())?;
            fs::write(&path, code).map_err(|error| error.to_string())?;
            validate(&path, vulkan)
        });
        println!("{count} translations to SPIR-V are valid for {}", vulkan.environment());
    }
}

/// By the strictest rules; wgpu asks for no relaxed ones.
fn validate(path: &Path, vulkan: Vulkan) -> Result<(), String> {
    let said = said(Command::new("spirv-val").args(["--target-env", vulkan.environment()]).arg(path))?;
    said.map(drop).ok_or_else(|| "spirv-val is missing; run apt-get install spirv-tools".into())
}

/// The validator must be able to say no.
#[test]
fn spirv_val_refuses_a_broken_module() {
    let kernel = KERNELS[0];
    let params = (kernel.cases)()[0].call.params().to_vec();
    let mut code = spirv(kernel, &kernel.variants[0], &params, Halves::NONE, Vulkan::V1_3).unwrap();
    code.truncate(code.len() - 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.spv");
    fs::write(&path, code.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
    assert!(validate(&path, Vulkan::V1_3).is_err());
}

/// Chrome's front end, which is stricter than naga in places.
#[test]
fn tint_reads_every_file_and_variant() {
    let folder = tempfile::tempdir().unwrap();
    let mut read = 0;
    for (name, wgsl) in sources() {
        let path = folder.path().join("kernel.wgsl");
        fs::write(&path, wgsl).unwrap();
        match tint(&path) {
            Ok(Some(_)) => read += 1,
            Ok(None) => return println!("NOT COVERED: a second WGSL front end, because tint is not installed"),
            Err(problem) => panic!("{name}: {problem}"),
        }
    }
    println!("tint reads {read} sources");
}

/// Written back as WGSL, the one format that every build of tint has.
fn tint(path: &PathBuf) -> Result<Option<String>, String> {
    said(Command::new("tint").args(["--format", "wgsl"]).arg(path))
}

/// Each file as it stands, and with the constants of each variant.
fn sources() -> impl Iterator<Item = (String, String)> {
    KERNELS.iter().flat_map(|kernel| {
        let variants = kernel.variants.iter();
        let with = variants.flat_map(|variant| {
            [Halves::NONE, Halves::all(kernel)].map(|halves| {
                (format!("{}, {}, {halves:?}", kernel.name, variant.name), kernel.source(variant, halves))
            })
        });
        let sources = std::iter::once((kernel.name.to_owned(), kernel.wgsl.to_owned())).chain(with);
        let lanes = kernel.variants.iter().any(|variant| variant.subgroup.is_some());
        sources.map(move |(name, wgsl)| (name, if lanes { enable_subgroups(&wgsl) } else { wgsl }))
    })
}

/// The standard asks for this line. naga 30 has subgroups without it, and refuses the line as not implemented yet, so the
/// files go without.
fn enable_subgroups(wgsl: &str) -> String {
    format!("enable subgroups;\n{wgsl}")
}
