//! Which variant of a kernel a device gets when nothing was measured.

use tilegrad_kernels::{Family, Kernel, Variant};

/// A kernel and one of its variants.
pub type Candidate = (&'static Kernel, &'static Variant);

/// The variants of `kernel` and of its alternatives. The alternatives come first: each is better where it fits,
/// the kernel itself fits everywhere.
pub fn candidates(kernel: &'static Kernel) -> impl Iterator<Item = Candidate> {
    let all = kernel.alternatives.iter().copied().chain(std::iter::once(kernel));
    all.flat_map(|kernel| kernel.variants.iter().map(move |variant| (kernel, variant)))
}

/// Whether a device of `family` may be offered `variant` for a faster one. On a GPU, variants without workgroup memory can spill
/// their registers and run for seconds, and a dispatch that has begun cannot be ended.
pub fn suits(variant: &Variant, family: Family) -> bool {
    !(family == Family::SharedMemory && variant.family == Family::BarrierFree)
}

/// The first variant made for `family` that fits `params`; failing that the last one good everywhere, or
/// the last one at all. Variants that the device cannot run (`runs`) are never taken.
pub fn preferred(
    kernel: &'static Kernel,
    params: &[u32],
    family: Family,
    runs: &dyn Fn(&Variant) -> bool,
) -> Option<Candidate> {
    // Asked last: it may have to try something on the device first.
    let first = |wanted: Family| {
        let fits = |(_, variant): &Candidate| variant.family == wanted && (variant.fits)(params) && runs(variant);
        candidates(kernel).find(fits)
    };
    let able = || candidates(kernel).filter(|(_, variant)| runs(variant));
    first(family).or_else(|| first(Family::Any)).or_else(|| able().last())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilegrad_kernels::relu;

    const fn variant(name: &'static str, subgroup: Option<u32>) -> Variant {
        Variant { name, subgroup, ..Variant { family: Family::BarrierFree, ..Variant::LINE[0] } }
    }

    static LANES: Kernel = relu::KERNEL.variation("relu_lanes", relu::KERNEL.wgsl).with_variants(&[
        variant("of 8", Some(8)),
        variant("of 4", Some(4)),
        variant("whole", None),
    ]);
    static BASE: Kernel = relu::KERNEL.variation("relu", relu::KERNEL.wgsl).with_alternatives(&[&LANES]);

    fn taken(size: Option<u32>) -> &'static str {
        let runs = |variant: &Variant| variant.subgroup.is_none() || variant.subgroup == size;
        preferred(&BASE, &[1], Family::BarrierFree, &runs).map_or("none", |(_, variant)| variant.name)
    }

    #[test]
    fn a_variant_for_other_subgroups_is_never_taken() {
        assert_eq!([Some(8), Some(4), Some(32), None].map(taken), ["of 8", "of 4", "whole", "whole"]);
    }

    #[test]
    fn a_gpu_is_offered_no_variant_for_software_adapters() {
        let offered = |family| -> Vec<&str> {
            let all = tilegrad_kernels::KERNELS.iter().flat_map(|kernel| kernel.variants);
            all.filter(|variant| suits(variant, family) && variant.family == Family::BarrierFree)
                .map(|variant| variant.name)
                .collect()
        };
        assert_eq!(offered(Family::SharedMemory), [""; 0]);
        assert!(offered(Family::BarrierFree).len() > 10);
    }

    #[test]
    fn nothing_is_taken_where_nothing_runs() {
        assert!(preferred(&BASE, &[1], Family::Any, &|_| false).is_none());
    }
}
