//! Cards as objects of JSON.

use serde::Serialize;
use serde_json::{Map, Value};
use tilegrad_kernels::{Access, Family, FieldType, Halves, KERNELS, Kernel, Variant};

/// A line of the list.
#[derive(Serialize)]
pub struct Line {
    kernel: &'static str,
    variants: usize,
    summary: &'static str,
}

/// Every kernel.
pub fn list() -> Vec<Line> {
    let line =
        |kernel: &&Kernel| Line { kernel: kernel.name, variants: kernel.variants.len(), summary: kernel.summary };
    KERNELS.iter().map(line).collect()
}

/// What the card of a kernel says, and its WGSL with the constants of a variant.
#[derive(Serialize)]
pub struct Card {
    kernel: &'static str,
    summary: &'static str,
    bindings: Vec<Binding>,
    params: Vec<Param>,
    variants: Vec<VariantObject>,
    alternatives: Vec<&'static str>,
    tolerance: Tolerance,
    cases: Vec<String>,
    fast_cpu: bool,
    variant: &'static str,
    wgsl: String,
}

#[derive(Serialize)]
struct Binding {
    name: &'static str,
    access: &'static str,
    element: String,
    /// Whether 16-bit floats may be bound.
    f16: bool,
}

#[derive(Serialize)]
struct Param {
    name: &'static str,
    #[serde(rename = "type")]
    ty: &'static str,
    /// Place in the params struct, in bytes.
    offset: usize,
}

#[derive(Serialize)]
struct VariantObject {
    variant: &'static str,
    made_for: &'static str,
    workgroup: [u32; 3],
    constants: Map<String, Value>,
}

#[derive(Serialize)]
struct Tolerance {
    relative: f64,
    scaled: f64,
    reason: &'static str,
}

impl Card {
    /// The card of `kernel`, with the WGSL of `variant`.
    pub fn new(kernel: &Kernel, variant: &Variant, halves: Halves) -> Self {
        let tolerance = kernel.tolerance;
        Self {
            kernel: kernel.name,
            summary: kernel.summary,
            bindings: kernel.bindings.iter().map(binding).collect(),
            params: params(kernel),
            variants: kernel.variants.iter().map(variant_object).collect(),
            alternatives: kernel.alternatives.iter().map(|other| other.name).collect(),
            tolerance: Tolerance {
                relative: tolerance.relative.into(),
                scaled: tolerance.scaled.into(),
                reason: tolerance.reason,
            },
            cases: (kernel.cases)().into_iter().map(|case| case.name).collect(),
            fast_cpu: kernel.fast_cpu().is_some(),
            variant: variant.name,
            wgsl: kernel.source(variant, halves),
        }
    }
}

fn binding(binding: &tilegrad_kernels::Binding) -> Binding {
    let access = match binding.access {
        Access::Read => "read",
        Access::ReadWrite => "read_write",
    };
    Binding { name: binding.name, access, element: binding.element.to_string(), f16: binding.half }
}

fn params(kernel: &Kernel) -> Vec<Param> {
    let ty = |ty| match ty {
        FieldType::U32 => "u32",
        FieldType::F32 => "f32",
    };
    let fields = kernel.params.iter().enumerate();
    fields.map(|(at, field)| Param { name: field.name, ty: ty(field.ty), offset: 4 * at }).collect()
}

fn variant_object(variant: &Variant) -> VariantObject {
    let made_for = match variant.family {
        Family::Any => "any adapter",
        Family::BarrierFree => "software adapters",
        Family::SharedMemory => "GPUs",
    };
    let constants = variant.constants.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    VariantObject { variant: variant.name, made_for, workgroup: variant.workgroup, constants }
}
