//! The description of a kernel.

use super::{Case, Element, Halves, Operand};
use half::f16;

/// A kernel on the CPU: the params struct as words, and the contents of the buffers in binding order.
pub type HostFunction = fn(params: &[u32], operands: Vec<Operand<'_>>);

/// One WGSL entry point and everything the engine must know to run and to check it.
///
/// What unsafe code relies on it relies on for the kernels of [`KERNELS`](crate::KERNELS) alone, by their place in memory. A
/// kernel of one's own is a [variation](Kernel::variation) of one of them, which nothing trusts:
///
/// ```compile_fail,E0451
/// use tilegrad_kernels::{Kernel, relu};
/// static OWN: Kernel = Kernel { fast_cpu: None, ..relu::KERNEL };
/// ```
///
/// ```
/// use tilegrad_kernels::{Kernel, relu};
/// static OWN: Kernel = relu::KERNEL.variation("relu_of_my_own", "fn main() {}").with_fast_cpu(|_, _| ());
/// assert!(relu::KERNEL.is_listed() && !OWN.is_listed());
/// ```
#[derive(Debug)]
pub struct Kernel {
    /// Stem of the WGSL file, and the name in every table.
    pub name: &'static str,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// The WGSL file, valid as it stands.
    pub wgsl: &'static str,
    /// Storage buffers of group 0, in binding order.
    pub bindings: &'static [Binding],
    /// Fields of the params struct; each is a WGSL `override` of the same name and type.
    pub params: &'static [Field],
    /// Threads that a call needs, before they are rounded up to whole workgroups.
    pub threads: fn(params: &[u32], tile: Tile) -> Threads,
    /// The choices of tile constants, the preferred one first.
    pub variants: &'static [Variant],
    /// Kernels with the same bindings and params that compute the same, folding each output in the same order.
    pub alternatives: &'static [&'static Kernel],
    /// How far a device may be from the reference, and why.
    pub tolerance: Tolerance,
    /// Work of one call.
    pub cost: fn(params: &[u32]) -> Cost,
    /// Plain loops that define the right answer.
    pub(crate) reference: HostFunction,
    /// A faster way on the CPU where plain loops are hopeless; tested against `reference` like any device.
    pub(crate) fast_cpu: Option<HostFunction>,
    /// Shapes that every device is checked on.
    pub cases: fn() -> Vec<Case>,
}

impl Kernel {
    /// Plain loops that define the right answer. They panic on operands of other lengths than the params say.
    pub fn reference(&self) -> HostFunction {
        self.reference
    }

    /// A faster way on the CPU, if plain loops are hopeless there. It panics on operands of other lengths than the params say.
    pub fn fast_cpu(&self) -> Option<HostFunction> {
        self.fast_cpu
    }

    /// What the CPU device runs: the faster way if there is one, else the reference.
    pub fn on_cpu(&self) -> HostFunction {
        self.fast_cpu.unwrap_or(self.reference)
    }

    /// Whether this is a kernel of [`KERNELS`](crate::KERNELS) itself, not one that only looks like it.
    pub fn is_listed(&self) -> bool {
        crate::KERNELS.iter().any(|listed| std::ptr::eq(*listed, self))
    }

    /// A kernel of one's own that is as this one but for its name and WGSL, without alternatives.
    #[must_use]
    pub const fn variation(&self, name: &'static str, wgsl: &'static str) -> Self {
        Self {
            name,
            summary: self.summary,
            wgsl,
            bindings: self.bindings,
            params: self.params,
            threads: self.threads,
            variants: self.variants,
            alternatives: &[],
            tolerance: self.tolerance,
            cost: self.cost,
            reference: self.reference,
            fast_cpu: self.fast_cpu,
            cases: self.cases,
        }
    }

    /// The same with other variants.
    #[must_use]
    pub const fn with_variants(mut self, variants: &'static [Variant]) -> Self {
        self.variants = variants;
        self
    }

    /// The same with other alternatives.
    #[must_use]
    pub const fn with_alternatives(mut self, alternatives: &'static [&'static Self]) -> Self {
        self.alternatives = alternatives;
        self
    }

    /// The same with another tolerance.
    #[must_use]
    pub const fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The same with another function for the CPU device.
    #[must_use]
    pub const fn with_fast_cpu(mut self, fast_cpu: HostFunction) -> Self {
        self.fast_cpu = Some(fast_cpu);
        self
    }

    /// The cases again with 16-bit floats, and for each which of `variants` variants is to run it: one, in turn, since every
    /// pipeline is a compilation of its own. About half of the cases have such floats in every binding that can hold them, the
    /// others in one of the other choices of such bindings. None if no binding can.
    pub fn half_cases(&self, variants: usize) -> Vec<(Case, usize)> {
        let all = Halves::all(self);
        if all.is_none() || variants == 0 {
            return Vec::new();
        }
        let others = Halves::choices(self).filter(|halves| !halves.is_none() && *halves != all);
        let turns: Vec<Halves> = others.flat_map(|other| [all, other]).chain([all]).collect();
        let with_turn = |(at, case): (usize, Case)| {
            // In each round every variant takes one case. The next round begins with the next variant, because cases often come
            // in pairs, and has the next choice.
            let round = at / variants;
            (case.with_halves(turns[round % turns.len()]), (at + round) % variants)
        };
        (self.cases)().into_iter().enumerate().map(with_turn).collect()
    }

    /// The WGSL with the variant's tile constants written in, and `halves` where 16-bit floats are bound. Variants for
    /// real GPUs get their loops over register tiles unrolled.
    ///
    /// # Panics
    /// If the variant names a constant that the file does not have, a binding of `halves` has no alias in it, or a loop
    /// can't be unrolled; the contract test rules this out.
    pub fn source(&self, variant: &Variant, halves: Halves) -> String {
        let wgsl = super::source::with_constants(self.wgsl, variant.constants);
        let wgsl = super::source::with_halves(wgsl, halves.names(self));
        if variant.family == Family::SharedMemory { super::unroll::unrolled(&wgsl) } else { wgsl }
    }
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// One storage buffer of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Name of the WGSL variable and of the field in `Io`.
    pub name: &'static str,
    /// `Read` is `var<storage, read>`, `ReadWrite` is `var<storage, read_write>`.
    pub access: Access,
    /// Type of one element.
    pub element: Element,
    /// Whether 16-bit floats may be bound too; the WGSL file then has an alias for what is stored there.
    pub half: bool,
}

/// How a kernel uses a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Only read.
    Read,
    /// Written, and perhaps read.
    ReadWrite,
}

/// One field of a params struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name in Rust and in WGSL.
    pub name: &'static str,
    /// Type in Rust and in WGSL.
    pub ty: FieldType,
}

impl Field {
    /// The field's value as the number that a pipeline-overridable constant takes.
    pub fn value(&self, word: u32) -> f64 {
        match self.ty {
            FieldType::U32 => f64::from(word),
            FieldType::F32 => f64::from(f32::from_bits(word)),
        }
    }
}

/// Type of a params field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit float.
    F32,
}

/// Threads of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// A line of threads. The runtime folds it into rows of at most the device's largest x dimension; the
    /// shader undoes that with `id.y * (groups.x * WORKGROUP) + id.x`.
    Line(u64),
    /// A grid that must fit the device as it is.
    Grid([u64; 3]),
}

/// One choice of a kernel's tile constants.
#[derive(Debug)]
pub struct Variant {
    /// Name in tables, unique within the kernel.
    pub name: &'static str,
    /// Threads of one workgroup.
    pub workgroup: [u32; 3],
    /// Values for the WGSL file's `const NAME: u32 = …;` lines.
    pub constants: &'static [(&'static str, u32)],
    /// The adapters it is made for.
    pub family: Family,
    /// The one size of a subgroup that the WGSL is written for, if it exchanges values between lanes. An adapter
    /// with any other size, or with several, never gets this variant.
    pub subgroup: Option<u32>,
    /// Whether it is right, and any good, for these params: the runtime never runs it for others. The last resort, when
    /// none fits, is the last variant of the kernel that was called, which must be right for all params.
    pub fits: fn(params: &[u32]) -> bool,
}

impl Variant {
    /// A kernel's only variant: 64 threads in a line, no tile constants.
    pub const LINE: [Self; 1] = [Self {
        name: "line64",
        workgroup: [64, 1, 1],
        constants: &[],
        family: Family::Any,
        subgroup: None,
        fits: |_| true,
    }];

    /// The tile constants, by name.
    pub fn tile(&self) -> Tile {
        Tile(self.constants)
    }
}

/// The adapters that a variant is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Good everywhere.
    Any,
    /// No barriers and no workgroup memory: software adapters, where both are slow.
    BarrierFree,
    /// Workgroup memory and barriers: real GPUs.
    SharedMemory,
}

/// Tile constants of a variant.
#[derive(Debug, Clone, Copy)]
pub struct Tile(&'static [(&'static str, u32)]);

impl Tile {
    /// The constant called `name`.
    ///
    /// # Panics
    /// If the variant does not set it; every kernel's cases run over every variant, so a test finds this.
    pub fn get(&self, name: &str) -> u64 {
        match self.0.iter().find(|(key, _)| *key == name) {
            Some((_, value)) => u64::from(*value),
            None => panic!("the variant sets no tile constant `{name}`"),
        }
    }
}

/// How far an element may be from the reference: `relative * |reference| + scaled * largest |reference|`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Share of the element's own reference value.
    pub relative: f32,
    /// Share of the largest reference value of the same buffer.
    pub scaled: f32,
    /// Why this much, for the reader and for reports.
    pub reason: &'static str,
}

impl Tolerance {
    /// Copies, indices and integer arithmetic: every bit equal.
    pub const EXACT: Self = Self { relative: 0.0, scaled: 0.0, reason: "copies and integers are exact" };
    /// One or two roundings per element, in whatever order.
    pub const ROUNDED: Self =
        Self { relative: 1e-6, scaled: 1e-6, reason: "a few f32 roundings, fused or not, per element" };
    /// Long f32 sums against an f64 accumulator.
    pub const SUMMED: Self =
        Self { relative: 2e-4, scaled: 1e-5, reason: "f32 sums of many terms against an f64 accumulator" };

    /// The largest allowed distance from `reference` in a buffer whose largest absolute value is `scale`.
    pub fn allowed(&self, reference: f32, scale: f32) -> f32 {
        self.relative * reference.abs() + self.scaled * scale
    }

    /// Whether `got`, stored as `element`, is near enough to `expected` in a buffer whose largest finite element is `scale`.
    /// Two NaNs are equal, and so are infinities of one sign.
    pub fn accepts(&self, element: Element, got: f32, expected: f32, scale: f32) -> bool {
        got.to_bits() == expected.to_bits()
            || (got.is_nan() && expected.is_nan())
            || (expected.is_finite() && (got - expected).abs() <= self.allowed_as(element, expected, scale))
    }

    /// As [`Tolerance::allowed`], for results stored as `element`: one unit in the last place of a 16-bit float more, in
    /// whatever direction a device rounds, or one that it takes for 0 because it is smaller than the normal ones.
    pub fn allowed_as(&self, element: Element, reference: f32, scale: f32) -> f32 {
        let rounding = match element {
            Element::F16 => reference.abs() * f32::from(f16::EPSILON) + f32::from(f16::MIN_POSITIVE),
            Element::F32 | Element::U32 => 0.0,
        };
        self.allowed(reference, scale) + rounding
    }
}

/// Arithmetic and memory traffic of one call, at the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub flops: u64,
    /// Bytes read and written if every input is read once and every output written once.
    pub bytes: u64,
}
