//! Every kernel's Rust description against its WGSL file, as naga reads it.

use naga::{AddressSpace, Module, Scalar, ScalarKind, StorageAccess, TypeInner, VectorSize};
use std::{collections::BTreeSet, fs, path::PathBuf};
use tilegrad_kernels::{
    Access, Binding, Element, Field, FieldType, Halves, KERNELS, Kernel, POISON, Threads,
    state::{Member, Metrics, StepState},
};

type Check = Result<(), String>;

/// What both sides of a comparison are turned into; `name: type` in order.
type Names = Vec<String>;

fn shaders() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shaders")
}

/// Runs `check` on every kernel, then fails with all problems at once.
fn for_every_kernel(check: impl Fn(&'static Kernel) -> Check) {
    let failed = KERNELS.iter().filter_map(|kernel| Some(format!("{}: {}", kernel.name, check(kernel).err()?)));
    let problems: Vec<String> = failed.collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Runs `check` on every kernel's file as it stands, and with the constants of each variant and each choice of 16-bit floats.
fn for_every_source(check: impl Fn(&'static Kernel, &Module, Halves) -> Check) {
    for_every_kernel(|kernel| {
        let file = parse(kernel.wgsl).map_err(|error| format!("the file as it stands: {error}"))?;
        check(kernel, &file, Halves::NONE)?;
        kernel.variants.iter().try_for_each(|variant| {
            Halves::choices(kernel).try_for_each(|halves| {
                let module = parse(&kernel.source(variant, halves));
                let checked = module.and_then(|module| check(kernel, &module, halves));
                checked.map_err(|error| {
                    let names: Vec<&str> = halves.names(kernel).collect();
                    format!("variant `{}`, f16 in {names:?}: {error}", variant.name)
                })
            })
        })
    });
}

/// Parsed and validated.
fn parse(wgsl: &str) -> Result<Module, String> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|error| error.emit_to_string(wgsl))?;
    let validated = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
    validated.map_err(|error| error.emit_to_string(wgsl))?;
    Ok(module)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, wgsl: T, rust: T) -> Check {
    if wgsl == rust { Ok(()) } else { Err(format!("{what}: the WGSL says {wgsl:?}, the Rust {rust:?}")) }
}

fn scalar_name(inner: &TypeInner) -> String {
    match *inner {
        TypeInner::Scalar(Scalar::F32) => "f32".into(),
        TypeInner::Scalar(Scalar::U32) => "u32".into(),
        TypeInner::Vector { size: VectorSize::Quad, scalar: Scalar::F32 } => "vec4f".into(),
        TypeInner::Scalar(Scalar { kind: ScalarKind::Float, width: 2 }) => "f16".into(),
        TypeInner::Vector { size: VectorSize::Quad, scalar: Scalar { kind: ScalarKind::Float, width: 2 } } => {
            "vec4h".into()
        }
        ref other => format!("{other:?}"),
    }
}

fn field_name(field: &Field) -> String {
    let ty = match field.ty {
        FieldType::U32 => "u32",
        FieldType::F32 => "f32",
    };
    format!("{}: {ty}", field.name)
}

/// The overrides that the host sets: those without a value of their own.
fn overrides(module: &Module) -> Names {
    let free = module.overrides.iter().filter(|(_, constant)| constant.init.is_none());
    free.map(|(_, constant)| {
        let name = constant.name.as_deref().unwrap_or("(nameless)");
        format!("{name}: {}", scalar_name(&module.types[constant.ty].inner))
    })
    .collect()
}

/// The bound variables as `group.binding access name: element`, in the order of the file.
fn bindings(module: &Module) -> Result<Names, String> {
    let both = StorageAccess::LOAD | StorageAccess::STORE;
    let bound = module.global_variables.iter().filter_map(|(_, variable)| Some((variable, variable.binding?)));
    bound
        .map(|(variable, at)| {
            let name = variable.name.as_deref().unwrap_or("(nameless)");
            let access = match variable.space {
                AddressSpace::Storage { access } if access == StorageAccess::LOAD => "read",
                AddressSpace::Storage { access } if access == both => "read_write",
                other => return Err(format!("`{name}` lies in {other:?}, expected storage")),
            };
            Ok(format!("{}.{} {access} {name}: {}", at.group, at.binding, element(module, name, variable.ty)?))
        })
        .collect()
}

/// The Rust name for the element type of a bound variable.
fn element(module: &Module, name: &str, ty: naga::Handle<naga::Type>) -> Result<&'static str, String> {
    let ty = &module.types[ty];
    match &ty.inner {
        TypeInner::Array { base, .. } => match scalar_name(&module.types[*base].inner).as_str() {
            "f32" | "vec4f" => Ok("f32"),
            "f16" | "vec4h" => Ok("f16"),
            "u32" => Ok("u32"),
            other => Err(format!("`{name}` is an array of {other}, expected f32, f16, u32 or vectors of four floats")),
        },
        TypeInner::Struct { members, .. } => {
            shared_struct(module, ty.name.as_deref().unwrap_or("(nameless)"), members)?;
            Ok("u32")
        }
        other => Err(format!("`{name}` is a {other:?}, expected an array, StepState or Metrics")),
    }
}

/// A struct that Rust declares too: member names, types and offsets.
fn shared_struct(module: &Module, name: &str, members: &[naga::StructMember]) -> Check {
    let fields = match name {
        "StepState" => StepState::MEMBERS,
        "Metrics" => Metrics::MEMBERS,
        _ => return Err(format!("struct {name} is neither StepState nor Metrics")),
    };
    let wgsl: Names = members
        .iter()
        .map(|member| {
            let field = member.name.as_deref().unwrap_or("(nameless)");
            format!("{field}: {} at {}", member_type(module, member.ty), member.offset)
        })
        .collect();
    let rust = fields.iter().map(|Member { name, ty, offset }| format!("{name}: {ty} at {offset}")).collect();
    same(&format!("struct {name}"), wgsl, rust)
}

/// A number, or an array of as many.
fn member_type(module: &Module, ty: naga::Handle<naga::Type>) -> String {
    match module.types[ty].inner {
        TypeInner::Array { base, size: naga::ArraySize::Constant(len), .. } => {
            format!("array<{}, {len}>", scalar_name(&module.types[base].inner))
        }
        ref other => scalar_name(other),
    }
}

fn described(binding: &Binding, index: usize, halves: Halves) -> String {
    let access = match binding.access {
        Access::Read => "read",
        Access::ReadWrite => "read_write",
    };
    let element = if halves.contains(index) { Element::F16 } else { binding.element };
    format!("0.{index} {access} {}: {element}", binding.name)
}

#[test]
fn bindings_agree() {
    for_every_source(|kernel, module, halves| {
        let rust = kernel.bindings.iter().enumerate().map(|(i, binding)| described(binding, i, halves)).collect();
        same("bindings", bindings(module)?, rust)
    });
}

#[test]
fn overrides_are_the_params() {
    for_every_source(|kernel, module, _| {
        same("overrides", overrides(module), kernel.params.iter().map(field_name).collect())
    });
}

#[test]
fn there_is_one_entry_point_called_main() {
    for_every_source(|_, module, _| {
        let entries = module.entry_points.iter().map(|entry| (entry.name.as_str(), entry.stage));
        same("entry points", entries.collect(), vec![("main", naga::ShaderStage::Compute)])
    });
}

#[test]
fn workgroups_are_those_of_the_variants() {
    for_every_kernel(|kernel| {
        kernel.variants.iter().try_for_each(|variant| {
            let module = parse(&kernel.source(variant, Halves::NONE))?;
            let entry = module.entry_points.first().ok_or("no entry point")?;
            same(&format!("workgroup of variant `{}`", variant.name), entry.workgroup_size, variant.workgroup)
        })
    });
}

/// Each variant runs with 16-bit floats wherever they can be, and, if it has cases enough, with them in part of the bindings.
#[test]
fn every_variant_meets_16_bit_floats() {
    for_every_kernel(|kernel| {
        let (all, count) = (Halves::all(kernel), kernel.variants.len());
        let cases = kernel.half_cases(count);
        same("cases with 16-bit floats", cases.len(), if all.is_none() { 0 } else { (kernel.cases)().len() })?;
        let has_others = Halves::choices(kernel).count() > 2 && cases.len() >= 2 * count;
        (0..count.min(cases.len())).try_for_each(|variant| {
            let mine = || cases.iter().filter(|(_, turn)| *turn == variant).map(|(case, _)| Halves::of(&case.call));
            same(&format!("variant {variant}, all"), mine().any(|halves| halves == all), true)?;
            same(&format!("variant {variant}, some"), mine().any(|halves| halves != all), has_others)
        })
    });
}

#[test]
fn a_line_of_threads_is_unfolded() {
    for_every_kernel(|kernel| {
        let long_line = (kernel.cases)().into_iter().any(|case| {
            let tile = kernel.variants[0].tile();
            matches!((kernel.threads)(case.call.params(), tile), Threads::Line(threads) if threads > 1)
        });
        let unfolded = kernel.wgsl.contains("id.y * (groups.x * 64u) + id.x");
        if unfolded || !long_line { Ok(()) } else { Err("rows of a folded line of threads are not told apart".into()) }
    });
}

#[test]
fn each_file_bears_the_name_of_its_kernel_and_names_its_rust() {
    for_every_kernel(|kernel| {
        let path = shaders().join(format!("{}.wgsl", kernel.name));
        let file = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        same("contents", file.as_str(), kernel.wgsl)?;
        let mut header = file.lines().take_while(|line| line.starts_with("//"));
        let wanted = format!("// Rust: crates/kernels/src/{}.rs", kernel.name);
        if header.any(|line| line == wanted) { Ok(()) } else { Err(format!("the header has no line `{wanted}`")) }
    });
}

#[test]
fn each_file_is_a_kernel() {
    let listed: BTreeSet<String> = KERNELS.iter().map(|kernel| format!("{}.wgsl", kernel.name)).collect();
    let entries = fs::read_dir(shaders()).expect("shaders/ is a folder");
    let files: BTreeSet<String> =
        entries.map(|entry| entry.expect("shaders/ can be read").file_name().to_string_lossy().into_owned()).collect();
    let strangers: Vec<_> = files.difference(&listed).collect();
    assert!(strangers.is_empty(), "not in KERNELS: {strangers:?}");
}

#[test]
fn names_are_unique() {
    let names: BTreeSet<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
    assert_eq!(names.len(), KERNELS.len(), "two kernels have one name");
    for_every_kernel(|kernel| {
        let variants: Vec<&str> = kernel.variants.iter().map(|variant| variant.name).collect();
        let unique: BTreeSet<&str> = variants.iter().copied().collect();
        let listed_once = !variants.is_empty() && unique.len() == variants.len();
        if listed_once { Ok(()) } else { Err(format!("variants must be there and differ: {variants:?}")) }
    });
}

#[test]
fn alternatives_share_bindings_and_params() {
    for_every_kernel(|kernel| {
        kernel.alternatives.iter().try_for_each(|other| {
            let what = |part: &str| format!("{part} of alternative {}", other.name);
            same(&what("bindings"), other.bindings, kernel.bindings)?;
            same(&what("params"), other.params, kernel.params)
        })
    });
}

#[test]
fn each_case_has_a_name_of_its_own() {
    for_every_kernel(|kernel| {
        let cases = (kernel.cases)();
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        let listed_once = !cases.is_empty() && names.len() == cases.len();
        if listed_once { Ok(()) } else { Err(format!("{} cases with {} names", cases.len(), names.len())) }
    });
}

#[test]
fn each_reference_writes_every_output() {
    for_every_kernel(|kernel| {
        (kernel.cases)().iter().try_for_each(|case| {
            case.expected().iter().zip(kernel.bindings).try_for_each(|(buffer, binding)| {
                let left = buffer.words.iter().position(|word| *word == POISON);
                match left {
                    Some(at) if binding.access == Access::ReadWrite => {
                        Err(format!("case {}: `{}`[{at}] is not written", case.name, binding.name))
                    }
                    _ => Ok(()),
                }
            })
        })
    });
}
