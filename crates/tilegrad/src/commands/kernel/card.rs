//! The card of a kernel, and the list of all kernels.

use crate::output::{say, width};
use crate::table::{Align, Table};
use tilegrad_kernels::{Access, Case, Family, FieldType, KERNELS, Kernel, Threads};

/// Every kernel in a line.
pub fn list() -> Table {
    let mut table =
        Table::new([("kernel", Align::Left), ("variants", Align::Right), ("what it computes", Align::Left)]);
    for kernel in KERNELS {
        table.row([kernel.name.into(), kernel.variants.len().to_string(), kernel.summary.into()]);
    }
    table
}

/// Everything but the WGSL.
pub fn print(kernel: &Kernel) {
    let cases = (kernel.cases)();
    say!("{}: {}", kernel.name, kernel.summary);
    say!("\n{}", bindings(kernel).to_string().trim_end());
    say!("\n{}", params(kernel).to_string().trim_end());
    say!("\n{}", variants(kernel, cases.iter().max_by_key(|case| case.call.cost().bytes)).fit(width()).trim_end());
    say!("\nalternatives  {}", alternatives(kernel));
    let tolerance = kernel.tolerance;
    say!("tolerance     {} ({})", tolerance_text(kernel), tolerance.reason);
    say!("cases         {}", cases.len());
    say!(
        "on the CPU    {}",
        if kernel.fast_cpu().is_some() { "fast_cpu, tested against reference" } else { "reference" }
    );
}

/// The largest allowed error in words.
fn tolerance_text(kernel: &Kernel) -> String {
    let tolerance = kernel.tolerance;
    if tolerance.relative == 0.0 && tolerance.scaled == 0.0 {
        return "none".into();
    }
    format!("{:e} of the element + {:e} of the buffer's largest", tolerance.relative, tolerance.scaled)
}

fn alternatives(kernel: &Kernel) -> String {
    let names: Vec<&str> = kernel.alternatives.iter().map(|other| other.name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn bindings(kernel: &Kernel) -> Table {
    let mut table = Table::new([
        ("binding", Align::Left),
        ("name", Align::Left),
        ("access", Align::Left),
        ("element", Align::Left),
    ]);
    for (number, binding) in kernel.bindings.iter().enumerate() {
        let access = match binding.access {
            Access::Read => "read",
            Access::ReadWrite => "read_write",
        };
        let element = format!("{}{}", binding.element, if binding.half { " or f16" } else { "" });
        table.row([number.to_string(), binding.name.into(), access.into(), element]);
    }
    table
}

fn params(kernel: &Kernel) -> Table {
    let mut table = Table::new([("param", Align::Left), ("type", Align::Left), ("offset (bytes)", Align::Right)]);
    for (number, field) in kernel.params.iter().enumerate() {
        let ty = match field.ty {
            FieldType::U32 => "u32",
            FieldType::F32 => "f32",
        };
        table.row([field.name.into(), ty.into(), (4 * number).to_string()]);
    }
    table
}

/// The variants, with the threads that `case` takes of each.
fn variants(kernel: &Kernel, case: Option<&Case>) -> Table {
    let threads = case.map_or("threads".into(), |case| format!("threads for {}", case.name));
    let mut table = Table::new([
        ("variant".to_owned(), Align::Left),
        ("made for".into(), Align::Left),
        ("workgroup".into(), Align::Left),
        (threads, Align::Left),
        ("constants".into(), Align::Left),
    ]);
    for variant in kernel.variants {
        let family = match variant.family {
            Family::Any => "any adapter",
            Family::BarrierFree => "software adapters",
            Family::SharedMemory => "GPUs",
        };
        let constants: Vec<String> = variant.constants.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let threads = case.map_or(String::new(), |case| match (kernel.threads)(case.call.params(), variant.tile()) {
            Threads::Line(threads) => threads.to_string(),
            Threads::Grid([x, y, z]) => format!("{x} x {y} x {z}"),
        });
        let [x, y, z] = variant.workgroup;
        let row = [variant.name.into(), family.into(), format!("{x} x {y} x {z}"), threads, constants.join(" ")];
        table.row(row);
    }
    table
}
