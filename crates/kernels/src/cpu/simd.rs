//! Vectors of whatever length the processor has.

use pulp::Simd;

/// The vector that begins at `from[at]`; elements behind the end of `from` are 0.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, from: &[f32], at: usize) -> S::f32s {
    let from = &from[at..];
    match from.get(..S::F32_LANES) {
        Some(whole) => S::as_simd_f32s(whole).0[0],
        None => simd.partial_load_f32s(from),
    }
}

/// Writes as much of `vector` as `to` has room for from `at` on.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, to: &mut [f32], at: usize, vector: S::f32s) {
    let to = &mut to[at..];
    match to.get_mut(..S::F32_LANES) {
        Some(whole) => S::as_mut_simd_f32s(whole).0[0] = vector,
        None => simd.partial_store_f32s(to, vector),
    }
}

/// Adds as much of `vector` to `to` as it has room for from `at` on.
#[inline(always)]
pub(crate) fn add<S: Simd>(simd: S, to: &mut [f32], at: usize, vector: S::f32s) {
    let sum = simd.add_f32s(load(simd, to, at), vector);
    store(simd, to, at, sum);
}
