//! Which variant of a kernel a device gets when nothing was measured.

use tilegrad_kernels::{Family, Kernel, Variant};

/// The variants of `kernel` and of its alternatives. The alternatives come first: each is better where it fits,
/// the kernel itself fits everywhere.
pub fn candidates(kernel: &'static Kernel) -> impl Iterator<Item = (&'static Kernel, &'static Variant)> {
    let all = kernel.alternatives.iter().copied().chain(std::iter::once(kernel));
    all.flat_map(|kernel| kernel.variants.iter().map(move |variant| (kernel, variant)))
}

/// The first variant made for `family` that fits `params`; failing that the last one good everywhere, or
/// the last one at all.
pub fn preferred(
    kernel: &'static Kernel,
    params: &[u32],
    family: Family,
) -> Option<(&'static Kernel, &'static Variant)> {
    let fits = |(_, variant): &(&Kernel, &Variant)| (variant.fits)(params);
    let exact = candidates(kernel).filter(|(_, variant)| variant.family == family).find(fits);
    let any = || candidates(kernel).filter(|(_, variant)| variant.family == Family::Any).find(fits);
    exact.or_else(any).or_else(|| candidates(kernel).last())
}
